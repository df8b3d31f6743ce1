"""Translations between the trials of a study and the points of a space, given or inferred."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from chromasonic.bayesopt import Categorical, Fixed, Space
from chromasonic.bayesopt.space import Parameter, Value
from chromasonic.tuning.distributions import distribution_of, from_optuna, to_optuna
from chromasonic.tuning.sampling._axes import Axis, Number
from chromasonic.tuning.sampling._conditions import Conditions

Array = NDArray[np.float64]


class Translation(Protocol):
    """Converts trials to points of a space, and proposals to values for a trial.

    Attributes:
        space: The space.
    """

    space: Space

    def params_of(
        self, internal: Mapping[str, float], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Value] | None:
        """The point of a trial; None if a value is missing or outside.

        Args:
            internal: Optuna's internal values by name.
            asked: Distributions that the trial asked for.
        """

    def places(
        self, fixed: Mapping[str, Any], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Array]:
        """Places in the unit interval that a proposal may take, by parameter; others are free.

        Args:
            fixed: Values that the trial has already, or must have.
            asked: Distributions that it asks for.
        """

    def values_of(
        self, params: Mapping[str, Value], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal's values for the parameters that Optuna asks for."""


def active_part(space: Space, values: Mapping[str, Value]) -> dict[str, Value] | None:
    """The values of active parameters; None if one of them is missing."""
    active = space.active(values)
    return {n: values[n] for n in active} if all(n in values for n in active) else None


@final
class KnownSpace:
    """Translation for a space that the user has given.

    Args:
        space: The search space; Optuna is not asked for its constants.

    Attributes:
        distributions: Distributions of the parameters with more than one value.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._constants: dict[str, Value] = {
            name: parameter.value
            for name, parameter in space.items()
            if isinstance(parameter, Fixed)
        }
        self._asked = {
            name: distribution_of(parameter)
            for name, parameter in space.items()
            if name not in self._constants
        }
        self.distributions = {n: asked for n, asked in self._asked.items() if not asked.single()}

    def params_of(
        self, internal: Mapping[str, float], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Value] | None:
        """The point of a trial; None if a value is missing or outside."""
        values = dict(self._constants)
        for name, distribution in self._asked.items():
            if name in internal:
                stored = distribution.to_external_repr(internal[name])
                values[name] = from_optuna(self.space[name], stored)
        params = active_part(self.space, values)
        return params if params is not None and self.space.contains(params) else None

    def places(
        self, fixed: Mapping[str, Any], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Array]:
        """Places in the unit interval that a proposal may take, by parameter; others are free."""
        values = {
            name: from_optuna(self.space[name], stored)
            for name, stored in fixed.items()
            if name in self.distributions
        }
        return {
            name: np.array([self.space[name].to_unit(value)])
            for name, value in values.items()
            if self.space[name].contains(value)
        }

    def values_of(
        self, params: Mapping[str, Value], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal's values for the parameters that Optuna asks for."""
        return {
            name: to_optuna(self.space[name], params[name])
            for name in asked
            if name in params and name in self.distributions
        }


# Number of values tried of a range that is narrower than the modelled one.
_NARROWED_PLACES = 1000


@final
class InferredSpace:
    """Translation for a space that is inferred from the trials.

    A parameter whose absence nothing explains depends on an additional category that says whether
    it is present; in a proposal it always is.

    Args:
        axes: All parameters.
        conditions: When they are asked for.
    """

    def __init__(self, axes: Mapping[str, Axis], conditions: Conditions) -> None:
        self._axes = dict(axes)
        self._groups = {
            f"asked for: {', '.join(group)}": group for group in conditions.unexplained
        }
        parameters: dict[str, Parameter] = {name: axis.parameter for name, axis in axes.items()}
        for child, (parent, values) in conditions.parents.items():
            parameters[child] = replace(parameters[child], when={parent: values})
        for marker, group in self._groups.items():
            parameters[marker] = Categorical((False, True))
            for name in group:
                parameters[name] = replace(parameters[name], when={marker: (True,)})
        self.space = Space(parameters)

    def params_of(
        self, internal: Mapping[str, float], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Value] | None:
        """The point of a trial; None if a value is missing."""
        values: dict[str, Value] = {
            name: axis.inside(internal[name], asked[name])
            for name, axis in self._axes.items()
            if name in internal
        }
        for marker, group in self._groups.items():
            values[marker] = any(name in internal for name in group)
        return active_part(self.space, values)

    def places(
        self, fixed: Mapping[str, Any], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Array]:
        """Places in the unit interval that a proposal may take, by parameter; others are free."""
        places = {marker: np.array([self.space[marker].to_unit(True)]) for marker in self._groups}
        for name in self._axes.keys() & asked.keys():
            if name in fixed:
                internal = asked[name].to_internal_repr(fixed[name])
                places[name] = np.array([self._place(name, internal, asked[name])])
            elif self._axes[name].distribution not in (None, asked[name]):
                places[name] = self._narrowed(name, asked[name])
        return places

    def values_of(
        self, params: Mapping[str, Value], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal's values for the parameters that Optuna asks for."""
        return {
            name: self._axes[name].outside(params[name], distribution)
            for name, distribution in asked.items()
            if name in params
        }

    def _place(self, name: str, internal: float, asked: BaseDistribution) -> float:
        return self.space[name].to_unit(self._axes[name].inside(internal, asked))

    def _narrowed(self, name: str, asked: BaseDistribution) -> Array:
        assert isinstance(asked, Number)
        n_places = _NARROWED_PLACES
        if asked.step is not None:
            n_places = min(n_places, 1 + round((asked.high - asked.low) / asked.step))
        evenly = np.geomspace if asked.log else np.linspace
        numbers = evenly(asked.low, asked.high, n_places)
        return np.unique([self._place(name, number, asked) for number in numbers.tolist()])
