"""Conditions of parameters, inferred from the trials that asked for them.

Symbols:
    V   internal values by trial and parameter, (n, d), nan where one was not asked for
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt import Categorical, Integer
from chromasonic.tuning.sampling._axes import Axis

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Parents with more values are not considered.
_MOST_PARENT_VALUES = 32


@dataclass(frozen=True)
class Conditions:
    """Inferred conditions of parameters.

    Attributes:
        parents: For each conditional parameter its parent, and the parent's values in the space
            with which it is asked for.
        unexplained: Parameters that some trials do not ask for, with no parent that explains it,
            in groups that are always asked for together.
    """

    parents: Mapping[str, tuple[str, tuple[int, ...]]]
    unexplained: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, order=True)
class _Decision:
    """A candidate for the parent of a parameter; the simplest explanation sorts first.

    Attributes:
        n_exceptions: For categories the number of values with the child, less one; for ordered
            values how often its presence changes from one to the next.
        ordered: True if the parent's values have an order.
        parent: Name of the parent.
        allowed: Values of the parent with which the child is asked for.
    """

    n_exceptions: int
    ordered: bool
    parent: str
    allowed: tuple[int, ...]


def find_conditions(axes: Mapping[str, Axis], trials: Sequence[Mapping[str, float]]) -> Conditions:
    """The conditions that agree with all trials.

    A parent is present in every trial with the child, and in others; its value alone decides
    whether the child is. Of several such parents the simplest explanation is taken.

    Args:
        axes: All parameters.
        trials: Internal values of trials that ran to their end.
    """
    names = list(axes)
    V = np.array([[trial.get(name, math.nan) for name in names] for trial in trials])
    V = V.reshape(len(trials), len(names))
    asked = ~np.isnan(V)
    times = asked.sum(axis=0)
    parents: dict[str, tuple[str, tuple[int, ...]]] = {}
    unexplained: dict[bytes, list[str]] = {}
    for child in np.flatnonzero(times < len(trials)):
        older = np.flatnonzero(times > times[child]) if times[child] else ()
        decisions = [
            _decision(axes[names[parent]], names[parent], V[:, parent], asked[:, child])
            for parent in older
        ]
        if found := [decision for decision in decisions if decision is not None]:
            simplest = min(found)
            parents[names[child]] = (simplest.parent, simplest.allowed)
        else:
            unexplained.setdefault(asked[:, child].tobytes(), []).append(names[child])
    return Conditions(parents, tuple(tuple(group) for group in unexplained.values()))


def _decision(axis: Axis, name: str, values: Array, child_asked: Mask) -> _Decision | None:
    """Condition of a child on a parent; None if there is none, or too many values to tell."""
    n_values = axis.parameter.n_values
    there = ~np.isnan(values)
    if n_values is None or n_values > _MOST_PARENT_VALUES or (child_asked & ~there).any():
        return None
    by_value = _by_value(values[there], child_asked[there])
    assert axis.distribution is not None
    says = {
        cast(int, axis.inside(value, axis.distribution)): asked
        for value, asked in by_value.items()
    }
    if not says:
        return None
    start = axis.parameter.low if isinstance(axis.parameter, Integer) else 0
    every = range(start, start + n_values)
    if isinstance(axis.parameter, Categorical):
        # A value not tried yet is taken to have the child: that does no harm.
        return _Decision(len(says) - 1, False, name, tuple(v for v in every if says.get(v, True)))
    changes = sum(before != after for before, after in pairwise(says[v] for v in sorted(says)))
    return _Decision(changes, True, name, tuple(v for v in every if _nearest_says(says, v)))


def _by_value(values: Array, asked: Mask) -> dict[float, bool]:
    """Presence of the child at each value of the parent; empty if that varies."""
    says: dict[float, bool] = {}
    for value in np.unique(values).tolist():
        shares = asked[values == value]
        if shares.any() != shares.all():
            return {}
        says[value] = bool(shares.any())
    return says


def _nearest_says(says: Mapping[int, bool], value: int) -> bool:
    nearest = min(abs(value - seen) for seen in says)
    return any(asked for seen, asked in says.items() if abs(value - seen) == nearest)
