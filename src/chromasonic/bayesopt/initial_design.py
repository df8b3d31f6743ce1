"""Points to evaluate before there is a model: spread over the unit cube, or over a space."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.lattice import Lattice
from chromasonic.bayesopt.space import Params, Space, Value

Matrix = NDArray[np.float64]

_BELOW_ONE = np.nextafter(1.0, 0.0)
_MOST_SOBOL_DIMENSIONS = 21_201
# A space with no more points is written out to find those not yet in the design.
_FEW_POINTS = 10_000
_TRIES = 1000


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


def initial_design(
    name: str, space: Space, n: int, rng: np.random.Generator
) -> list[dict[str, Value]]:
    """The points of a space that a design stands for, with repeats replaced.

    Args:
        name: One of `DESIGNS`.
        space: Where the points lie.
        n: How many.
        rng: Draws the design and what replaces repeats.

    Returns:
        n points, distinct as far as the space has enough.

    Raises:
        ValueError: If there is no such design.
    """
    points = space.decode(design_named(name)(n, len(space), rng))
    keys = _keys(space, points)
    repeated = [i for i, key in enumerate(keys) if key in keys[:i]]
    if repeated:
        others = _others(space, n, rng)
        new = {key: i for i, key in enumerate(_keys(space, others)) if key not in keys}
        # Where the space is used up some repeats stay.
        for row, i in zip(repeated, new.values(), strict=False):
            points[row] = others[i]
    return points


def _others(space: Space, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
    """Points in random order, all of them if they are few."""
    lattice = Lattice(space)
    if lattice.n_points is not None and lattice.n_points <= _FEW_POINTS:
        return space.decode(rng.permutation(lattice.all_points()))
    return space.decode(lattice.random(_TRIES + 2 * n, rng))


def _keys(space: Space, points: Iterable[Params]) -> list[bytes]:
    """For each point what only the same point has; as values 1 and True would be equal."""
    return [row.tobytes() for row in space.encode(points)]
