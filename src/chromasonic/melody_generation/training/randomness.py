"""A random state of one's own: PyTorch's global one, borrowed and given back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class RandomState:
    """What dropout and initialisation draw from, kept apart from the rest of the process.

    Args:
        seed: Where it begins.
        device: Its generator is kept besides the CPU's, if it has one.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._accelerator = None if device.type == "cpu" else torch.get_device_module(device)
        # Only CUDA has more than one of them.
        self._which = (device,) if device.type == "cuda" else ()
        with self._restored():
            torch.manual_seed(seed)
            self._state = self._read()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Inside, PyTorch's global generators are this one; after it they are as before."""
        with self._restored():
            self._write(self._state)
            yield
            self._state = self._read()

    def state_dict(self) -> dict[str, Tensor]:
        """The state, to be saved."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state."""
        self._state = dict(state)

    @contextmanager
    def _restored(self) -> Iterator[None]:
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
