"""Separate state of PyTorch's global random generators."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class RandomState:
    """State of the generators of dropout and initialization, apart from the rest of the process.

    Args:
        seed: Initial seed.
        device: Its generator is included besides the CPU's, if it has one.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._accelerator = None if device.type == "cpu" else torch.get_device_module(device)
        # Only CUDA has more than one of them.
        self._which = (device,) if device.type == "cuda" else ()
        with self._restoring():
            torch.manual_seed(seed)
            self._state = self._read()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Context in which PyTorch's global generators have this state; restored afterwards."""
        with self._restoring():
            self._write(self._state)
            yield
            self._state = self._read()

    def state_dict(self) -> dict[str, Tensor]:
        """The state to save."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        self._state = dict(state)

    @contextmanager
    def _restoring(self) -> Iterator[None]:
        before = self._read()
        try:
            yield
        finally:
            self._write(before)

    def _read(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._accelerator is not None:
            state["accelerator"] = self._accelerator.get_rng_state(*self._which)
        return state

    def _write(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self._accelerator is not None:
            self._accelerator.set_rng_state(state["accelerator"], *self._which)
