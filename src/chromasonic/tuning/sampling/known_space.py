"""A space that was given: nothing needs to be found out."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from optuna.distributions import BaseDistribution

from chromasonic.bayesopt import Fixed, Space
from chromasonic.bayesopt.space import Value
from chromasonic.tuning.distributions import distribution_of
from chromasonic.tuning.sampling.translation import Array, active_part


@final
class KnownSpace:
    """The translation for a space that was given.

    Args:
        space: What is searched; constants of it are no business of Optuna's.

    Attributes:
        distributions: What Optuna asks for, and can choose from.
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
        """The point of a trial; None if it lacks something, or is outside."""
        values = dict(self._constants)
        for name, distribution in self._asked.items():
            if name in internal:
                values[name] = distribution.to_external_repr(internal[name])
        params = active_part(self.space, values)
        return params if params is not None and self.space.contains(params) else None

    def places(
        self, fixed: Mapping[str, Any], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Array]:
        """The places that are open to a proposal, of each parameter where not all are."""
        return {
            name: np.array([self.space[name].to_unit(value)])
            for name, value in fixed.items()
            if name in self.distributions and self.space[name].contains(value)
        }

    def values_of(
        self, params: Mapping[str, Value], asked: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal's values for the parameters that Optuna asks for."""
        return {n: params[n] for n in asked if n in params and n in self.distributions}
