"""Kernel features: the unit cube with categories one-hot and absent parameters masked.

Symbols:
    U       points in the unit cube, (n, d), nan where a parameter is inactive
    Z       features, (n, f)
    groups  for each feature the parameter, among those that vary, whose length scale it has
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.space import Categorical, Space

Array = NDArray[np.float64]

_RADIUS = 0.5
# How far apart two random categories are in the root mean square. Two random numbers differ by
# 0.41; but a number can be approached in small steps, a category only changes whole, and where
# one change leaves nothing alike, nothing is learned from one combination for another.
_CATEGORY_STEP = 0.125


@dataclass(frozen=True)
class _Column:
    """Columns of one parameter's features."""

    index: int
    start: int
    n_categories: int = 0
    conditional: bool = False

    @property
    def width(self) -> int:
        return self.n_categories or 1 + self.conditional

    @property
    def one_hot(self) -> float:
        """Value of a hot feature, such that random categories are `_CATEGORY_STEP` apart."""
        return float(_CATEGORY_STEP * np.sqrt(self.n_categories / (self.n_categories - 1.0) / 2.0))


@final
class Features:
    """Turns points into features.

    Numbers stand for themselves. A category is one-hot: any two are equally far apart, by a
    short step. A number that is not always there lies on an arc whose centre means that it is
    absent: an absent one is equally far from all values, and two absent ones do not differ (after
    Swersky et al. (2013), Raiders of the Lost Architecture). All of it stays Euclidean, which any
    stationary kernel takes.

    Args:
        space: Constants of it have no features.

    Attributes:
        groups: Shape (f,).
        n_groups: How many length scales there are.
    """

    def __init__(self, space: Space) -> None:
        self._columns: list[_Column] = []
        start = 0
        for index, parameter in enumerate(space.values()):
            if parameter.n_values == 1:
                continue
            categories = parameter.n_values if isinstance(parameter, Categorical) else None
            column = _Column(index, start, categories or 0, parameter.when is not None)
            self._columns.append(column)
            start += column.width
        widths = [column.width for column in self._columns]
        self._width = start
        self.groups = np.repeat(np.arange(len(widths)), widths)
        self.n_groups = len(widths)
        self._plain = [c for c in self._columns if not c.n_categories and not c.conditional]
        self._other = [c for c in self._columns if c.n_categories or c.conditional]
        self._plain_index = np.array([c.index for c in self._plain], dtype=np.intp)
        self._plain_start = np.array([c.start for c in self._plain], dtype=np.intp)

    def __call__(self, U: Array) -> Array:
        """The features of points, (n, d): shape (n, f)."""
        Z = np.zeros((len(U), self._width))
        Z[:, self._plain_start] = U[:, self._plain_index]
        for column in self._other:
            places = U[:, column.index]
            present = np.flatnonzero(~np.isnan(places)) if column.conditional else slice(None)
            if column.n_categories:
                k = column.n_categories
                rows = np.arange(len(U))[present]
                cells = np.minimum((places[present] * k).astype(np.intp), k - 1)
                Z[rows, column.start + cells] = column.one_hot
            else:
                angle = places[present] / _RADIUS
                Z[present, column.start] = _RADIUS * np.cos(angle)
                Z[present, column.start + 1] = _RADIUS * np.sin(angle)
        return Z

    def pull_back(self, U: Array, gradient: Array) -> Array:
        """A gradient by features, (n, f), as one by numbers, (n, d); 0 for everything else."""
        back = np.zeros_like(U)
        back[:, self._plain_index] = gradient[:, self._plain_start]
        for column in self._other:
            if not column.n_categories:
                angle = np.nan_to_num(U[:, column.index]) / _RADIUS
                back[:, column.index] = np.where(
                    np.isnan(U[:, column.index]),
                    0.0,
                    gradient[:, column.start + 1] * np.cos(angle)
                    - gradient[:, column.start] * np.sin(angle),
                )
        return back
