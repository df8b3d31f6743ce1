"""Points to evaluate before there is a model: spread over the unit cube."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_BELOW_ONE = np.nextafter(1.0, 0.0)
_MOST_SOBOL_DIMENSIONS = 21_201


def latin_hypercube(n: int, d: int, rng: np.random.Generator) -> Matrix:
    """Points of which every column has exactly one in each n-th of the unit interval.

    Returns:
        Shape (n, d), in [0, 1).

    Source: McKay, Beckman and Conover (1979), Latin hypercube sampling.
    """
    cells = rng.permuted(np.tile(np.arange(n), (d, 1)), axis=1).T
    # Within the last cell rounding can lead to 1.
    return np.minimum((cells + rng.random((n, d))) / max(n, 1), _BELOW_ONE)


def sobol(n: int, d: int, rng: np.random.Generator) -> Matrix:
    """The first n points of a scrambled Sobol sequence; they are even where n is a power of 2.

    Returns:
        Shape (n, d), in [0, 1).

    Raises:
        ValueError: If d is above 21201.

    Source: Sobol (1967); Owen (1998), Scrambling Sobol and Niederreiter-Xing points.
    """
    if d > _MOST_SOBOL_DIMENSIONS:
        raise ValueError(
            f"a Sobol sequence must have at most {_MOST_SOBOL_DIMENSIONS} dimensions, "
            f"but got {d}. Use 'latin_hypercube'."
        )
    if n == 0 or d == 0:
        return np.empty((n, d))
    # All of scipy.stats comes with it.
    from scipy.stats.qmc import Sobol

    power_of_two = (n - 1).bit_length()
    return Sobol(d, rng=rng).random_base2(power_of_two)[:n]


def random_design(n: int, d: int, rng: np.random.Generator) -> Matrix:
    """Independent uniform points.

    Returns:
        Shape (n, d), in [0, 1).
    """
    return rng.random((n, d))


Design = Callable[[int, int, np.random.Generator], Matrix]

DESIGNS: Final[dict[str, Design]] = {
    "latin_hypercube": latin_hypercube,
    "sobol": sobol,
    "random": random_design,
}
"""The designs by name."""


def design_named(name: str) -> Design:
    """The design of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in DESIGNS:
        raise ValueError(
            f"initial_design must be one of {', '.join(map(repr, DESIGNS))}, but got {name!r}."
        )
    return DESIGNS[name]
