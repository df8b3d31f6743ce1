"""The device that is meant, if it is there."""

import torch

from chromasonic.errors import DeviceError
from chromasonic.tuning.executors.machine import visible_gpus


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the fastest there is.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`.

    Raises:
        DeviceError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"a device must be cpu, cuda, cuda:N, mps or auto, but got {name!r}.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device cuda must have a CUDA GPU and a PyTorch built for it, but PyTorch sees none. "
            "Use --device cpu or --device auto."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name} must exist, but there are only {torch.cuda.device_count()} GPUs, "
            "counted from 0."
        )
    if device.type == "mps" and not _has_mps():
        raise DeviceError(
            "device mps must be an Apple GPU, but PyTorch sees none. Use --device cpu or auto."
        )
    return device


def gpus_of(device: torch.device) -> tuple[str, ...]:
    """The names of the GPUs that trials on this device may use, one each."""
    gpus = visible_gpus() if device.type == "cuda" else ()
    return gpus if device.index is None else gpus[device.index : device.index + 1]


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
