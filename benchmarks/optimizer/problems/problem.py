"""Benchmark problems: a space, a function to minimise, and its best known value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chromasonic.bayesopt import Space

Params = Mapping[str, Any]
MEDIAN_SEED = 20240


@dataclass(frozen=True)
class Problem:
    """A function to minimise.

    Attributes:
        name: Unique among all problems; also seeds the noise.
        group: `tables`, `noisy`, `synthetic` or `live`.
        space: What is searched.
        noiseless: The true value at a point, by which a choice is recommend.
        best: The smallest noiseless value there is; None where nobody knows it.
        observe: What a method sees at a point instead of the true value; None: just that.
        n_random: Random points behind `median`; fewer where an evaluation costs time.
    """

    name: str
    group: str
    space: Space
    noiseless: Callable[[Params], float]
    best: float | None
    observe: Callable[[Params, np.random.Generator], float] | None = None
    n_random: int = 2000

    def evaluate(self, params: Params, rng: np.random.Generator) -> float:
        """Observed value at this point; noise comes from `rng`."""
        return self.noiseless(params) if self.observe is None else self.observe(params, rng)

    @cached_property
    def median(self) -> float:
        """The median noiseless value of random points, always the same ones."""
        return float(np.median(random_values(self.space, self.noiseless, self.n_random)))


def random_values(space: Space, function: Callable[[Params], float], count: int) -> np.ndarray:
    """The function's values at `count` random points, always the same ones; shape (count,)."""
    rng = np.random.default_rng(MEDIAN_SEED)
    return np.array([function(space.sample(rng)) for _ in range(count)])
