"""Between the trials of a study and the points of a space."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from chromasonic.bayesopt import Space
from chromasonic.bayesopt.space import Value

Array = NDArray[np.float64]


class Translation(Protocol):
    """Knows what a trial's values are in a space, and a proposal in the study.

    Attributes:
        space: The space.
    """

    space: Space

    def params_of(
        self, internal: Mapping[str, float], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Value] | None:
        """The point of a trial; None if it lacks something, or is outside.

        Args:
            internal: Optuna's numbers for its values.
            asked: What it asked for.
        """

    def places(
        self, fixed: Mapping[str, Any], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Array]:
        """The places that are open to a proposal, of each parameter where not all are.

        Args:
            fixed: Values that the trial has already, or must have.
            asked: What it asks for.
        """

    def values_of(
        self, params: Mapping[str, Value], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal's values for the parameters that Optuna asks for."""


def active_part(space: Space, values: Mapping[str, Value]) -> dict[str, Value] | None:
    """The values that count; None if one of these is missing."""
    active = space.active(values)
    return {n: values[n] for n in active} if all(n in values for n in active) else None
