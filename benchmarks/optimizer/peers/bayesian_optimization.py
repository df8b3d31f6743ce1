"""The package `bayesian-optimization` at its defaults, with typed parameters.

Its one length scale is shared by all parameters, so that they must have the same width: numbers
are given as places in the unit interval, rounded to their nearest value inside of the kernel,
which is how the package's guide to typed parameters asks for a type of one's own. Categories are
its own.
"""

import warnings
from typing import Any

import numpy as np
from bayes_opt import BayesianOptimization
from bayes_opt.parameter import BayesParameter

from chromasonic.bayesopt import Categorical, Parameter, Space
from peers.coding import unit_values

# The defaults of its `maximize`.
RANDOM_POINTS = 5

warnings.filterwarnings("ignore", module="sklearn")
warnings.filterwarnings("ignore", module="bayes_opt")
warnings.filterwarnings("ignore", message="Non-float parameters are experimental")


class BayesianOptimizationPeer:
    """`bayes_opt.BayesianOptimization`, which maximises the negative."""

    def __init__(self, space: Space, seed: int) -> None:
        self._optimizer = BayesianOptimization(
            None,
            {name: bounds(name, space[name]) for name in space},
            random_state=seed,
            verbose=0,
            allow_duplicate_points=True,
        )
        self._space = space

    def ask(self) -> dict[str, Any]:
        """Random points first, then the acquisition function's."""
        if len(self._optimizer.space) < RANDOM_POINTS:
            return self._native(self._optimizer.random_sample(1)[0])
        return self._native(self._optimizer.suggest())

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Register the value."""
        self._optimizer.register(params, -value)

    def _native(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            name: str(value) if isinstance(self._space[name], Categorical) else value
            for name, value in params.items()
        }


class PlacedParameter(BayesParameter):
    """A number at its place in the unit interval."""

    def __init__(self, name: str, parameter: Parameter) -> None:
        super().__init__(name, np.array([0.0, 1.0]))
        self._parameter = parameter
        if parameter.n_values is not None:
            self._places = np.array(unit_values(parameter))

    @property
    def is_continuous(self) -> bool:
        """True if all places differ."""
        return self._parameter.n_values is None

    @property
    def dim(self) -> int:
        """One column."""
        return 1

    def to_float(self, value: Any) -> float:
        """The value's place."""
        return self._parameter.to_unit(value)

    def to_param(self, value: Any) -> Any:
        """The value at a place."""
        return self._parameter.from_unit(np.asarray(value).item())

    def kernel_transform(self, value: np.ndarray) -> np.ndarray:
        """The place that the nearest value has itself."""
        if self.is_continuous:
            return value
        middles = (self._places[1:] + self._places[:-1]) / 2
        return self._places[np.searchsorted(middles, value)]

    def to_string(self, value: Any, str_len: int) -> str:
        """The value in the package's log."""
        return str(value)[:str_len].ljust(str_len)


def bounds(name: str, parameter: Parameter) -> Any:
    """Bounds and type of the parameter as the package wants them."""
    if isinstance(parameter, Categorical):
        return list(parameter.choices)
    return PlacedParameter(name, parameter)
