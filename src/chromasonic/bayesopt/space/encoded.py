"""The points of a search space in numbers only: drawn, moved, counted and told apart at once.

`Space` translates one point at a time with all its checks; the search for the best acquisition
looks at hundreds of points a trial.

Symbols:
    U   points in the unit cube, (n, d), nan where a parameter is inactive
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.space import Categorical, Fixed, Float, Integer, Parameter, Space
from chromasonic.bayesopt.space._conditions import parents_first
from chromasonic.bayesopt.space.values import Value, among

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Places of a parameter with more values than this are not written out, and moves between them
# are as if it were continuous.
_MOST_PLACES = 4096
# Where some parameter is continuous, points closer than this in every column are the same.
_SAME = 1e-5


@dataclass(frozen=True)
class _Condition:
    """A column counts only while each parent stands at one of these places."""

    column: int
    parents: tuple[tuple[int, Array], ...]


@final
class EncodedSpace:
    """Encoding of a space's points as numbers.

    Args:
        space: The search space.

    Attributes:
        d: Number of columns.
        continuous: Which columns have no separate places, shape (d,).
        categorical: Which columns have places without an order, shape (d,).
        n_points: How many points there are, inactive parameters not counted; None if a column
            is continuous or there are more than 2**62.
    """

    def __init__(self, space: Space) -> None:
        self.d = len(space)
        self.categorical = np.array([isinstance(p, Categorical) for p in space.values()])
        self._conditions = _conditions(space)
        self._low, self._width = np.zeros(self.d), np.ones(self.d)
        self._fine = {
            column: parameter
            for column, parameter in enumerate(space.values())
            if isinstance(parameter, Float | Integer) and (parameter.n_values or 0) > _MOST_PLACES
        }
        self._set_places([_places(parameter) for parameter in space.values()])

    def _set_places(self, places_by_column: list[Array | None]) -> None:
        self._places = places_by_column
        self.continuous = np.array([places is None for places in self._places])
        self.varying = np.flatnonzero([p is None or len(p) > 1 for p in self._places])
        sizes = [0 if places is None else len(places) for places in self._places]
        count = float(np.prod([float(size) for size in sizes]))
        self.n_points = int(count) if 0 < count < 2**62 else None

    def within(self, places: Mapping[int, Array]) -> "EncodedSpace":
        """The points that stand at one of these places in each of these columns, ascending."""
        narrowed = copy(self)
        narrowed._set_places([places.get(c, kept) for c, kept in enumerate(self._places)])
        narrowed._low, narrowed._width = self._low.copy(), self._width.copy()
        for column, kept in places.items():
            narrowed._low[column], narrowed._width[column] = kept[0], kept[-1] - kept[0]
        return narrowed

    def random(self, n: int, rng: np.random.Generator) -> Array:
        """Points drawn evenly from the unit cube, shape (n, d)."""
        return self.snap(self._low + self._width * rng.random((n, self.d)))

    def snap(self, U: Array) -> Array:
        """The nearest points of the space; U has a number in every column."""
        snapped = np.clip(U, 0.0, 1.0)
        for column, places in enumerate(self._places):
            if places is not None:
                borders = (places[1:] + places[:-1]) / 2.0
                snapped[:, column] = places[np.searchsorted(borders, snapped[:, column])]
            elif column in self._fine:
                snapped[:, column] = self._fine[column].snap(snapped[:, column])
        for condition in self._conditions:
            snapped[~self._active(condition, snapped), condition.column] = np.nan
        return snapped

    def fill_inactive(self, U: Array) -> Array:
        """The same points with the middle of the range wherever a parameter is inactive."""
        return np.where(np.isnan(U), 0.5, U)

    def perturb(self, U: Array, widths: Array, rng: np.random.Generator) -> Array:
        """Perturbed points, one of each: a few columns changed, at least one.

        Args:
            U: Shape (n, d).
            widths: Standard deviation of a number's move, for each point, shape (n,).
            rng: Draws which columns move, and how far.
        """
        n, columns = len(U), self.varying
        if not len(columns):
            return U.copy()
        chosen = rng.random((n, len(columns))) < min(1.0, 1.5 / len(columns))
        chosen[np.arange(n), rng.integers(len(columns), size=n)] = True
        steps = rng.standard_normal((n, len(columns))) * widths[:, None]
        fresh = rng.random((n, len(columns)))
        moved = self.fill_inactive(U)
        for i, column in enumerate(columns):
            rows, places = chosen[:, i], self._places[column]
            if self.categorical[column]:
                moved[rows, column] = fresh[rows, i]
                continue
            step = steps[rows, i]
            if places is not None:
                # At least to the neighbouring place, or nothing would move.
                gap = 1.01 / max(len(places), 1)
                step = np.where(np.abs(step) < gap, np.copysign(gap, step), step)
            moved[rows, column] += step
        # What left the cube comes back in: its border would otherwise be searched too often.
        moved = np.where(moved < 0.0, -moved, moved)
        moved = np.where(moved > 1.0, 2.0 - moved, moved)
        return self.snap(moved)

    def neighbours(self, u: Array, at_most: int = 16) -> Array:
        """Points that differ from u, (d,), in one discrete column: shape (m, d).

        Args:
            u: A point.
            at_most: Places tried in a column: the nearest of an order, the first categories.
        """
        start = self.fill_inactive(u[None])[0]
        rows = []
        for column in self.varying:
            places = self._places[column]
            if places is None or np.isnan(u[column]):
                continue
            others = places[places != u[column]]
            if len(others) > at_most:
                others = others[np.argsort(np.abs(others - u[column]), kind="stable")[:at_most]]
            block = np.tile(start, (len(others), 1))
            block[:, column] = others
            rows.append(block)
        return self.snap(np.vstack(rows)) if rows else np.empty((0, self.d))

    def all_points(self) -> Array:
        """Every point of a space that has `n_points`, inactive parameters counted once."""
        # Constants are left out of the mesh, which can have 64 axes.
        varying = [(column, self._places[column]) for column in self.varying]
        mesh = np.meshgrid(*(places for _, places in varying if places is not None), indexing="ij")
        points = np.full((mesh[0].size if mesh else 1, self.d), 0.5)
        for (column, _), coordinates in zip(varying, mesh, strict=True):
            points[:, column] = coordinates.ravel()
        return self.distinct(self.snap(points))

    def distinct(self, U: Array) -> Array:
        """The points without repetition, in their order."""
        first: dict[bytes, int] = {}
        for i, key in enumerate(self.keys(U)):
            first.setdefault(key, i)
        return U[list(first.values())]

    def keys(self, U: Array) -> list[bytes]:
        """Keys of the points: equal for points that count as the same."""
        cells = np.rint(np.nan_to_num(U, nan=-1.0) / _SAME).astype(np.int64)
        return [row.tobytes() for row in cells]

    def _active(self, condition: _Condition, U: Array) -> Mask:
        active = np.ones(len(U), dtype=bool)
        for parent, allowed in condition.parents:
            # An inactive parent is nan, which is near no place.
            gaps = np.abs(U[:, parent, None] - allowed)
            active &= (gaps < 1e-9).any(axis=1)
        return active


def _places(parameter: Parameter) -> Array | None:
    k = parameter.n_values
    if k is None or k > _MOST_PLACES:
        return None
    if isinstance(parameter, Float | Integer):
        return np.array([parameter.to_unit(parameter.value_at(i)) for i in range(k)])
    return (np.arange(k) + 0.5) / k


def _conditions(space: Space) -> list[_Condition]:
    found = []
    for name in parents_first(dict(space)):
        parents = tuple(
            (list(space).index(parent), _condition_places(space[parent], values))
            for parent, values in (space[name].when or {}).items()
        )
        if parents:
            found.append(_Condition(list(space).index(name), parents))
    return found


def _condition_places(parent: Parameter, values: Sequence[Value]) -> Array:
    if isinstance(parent, Fixed):
        return np.array([parent.to_unit(parent.value)] if among(parent.value, values) else [])
    return np.array([parent.to_unit(value) for value in values])
