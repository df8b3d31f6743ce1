"""Uniform random search, on the scales of the space."""

from typing import Any

import numpy as np

from chromasonic.bayesopt import Space


class RandomSearch:
    """Independent draws."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._rng = np.random.default_rng(seed)

    def ask(self) -> dict[str, Any]:
        """A random point."""
        return self._space.sample(self._rng)

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Nothing is learnt."""
