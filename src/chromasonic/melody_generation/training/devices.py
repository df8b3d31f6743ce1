"""Choice of a device, and the GPUs of trials."""

import torch

from chromasonic.errors import DeviceError
from chromasonic.plural import counted
from chromasonic.tuning.executors.executor_config import ExecutorConfig, visible_gpus


def choose_device(name: str) -> torch.device:
    """Parses a device name and checks that the device exists; `auto` is the fastest available.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`.

    Raises:
        DeviceError: This machine has no such device.
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
            "device cuda needs a CUDA GPU and a PyTorch built for it, but PyTorch finds none. "
            "Use --device cpu or --device auto."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name} does not exist: PyTorch finds "
            f"{counted(torch.cuda.device_count(), 'GPU')}, counted from cuda:0."
        )
    if device.type == "mps" and not _has_mps():
        raise DeviceError(
            "device mps needs an Apple GPU, but PyTorch finds none. Use --device cpu or auto."
        )
    return device


def gpus_of(device: torch.device) -> tuple[str, ...]:
    """Names of the GPUs that trials on this device may use, one each."""
    gpus = visible_gpus() if device.type == "cuda" else ()
    return gpus if device.index is None else gpus[device.index : device.index + 1]


def trial_device(device: torch.device, place: ExecutorConfig) -> torch.device:
    """The device inside a trial: one that has a GPU of its own sees no other, as number 0."""
    sees_one = place.executor == "ray" or (place.executor == "process" and place.gpus)
    return torch.device(device.type) if sees_one else device


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
