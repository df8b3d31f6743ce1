"""Optuna's samplers, asked through a study in memory."""

import warnings
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from peers.coding import from_codes

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)


class OptunaStudy:
    """A study with the given sampler."""

    def __init__(self, space: Space, sampler: optuna.samplers.BaseSampler) -> None:
        self._space = space
        self._study = optuna.create_study(sampler=sampler)
        self._distributions = {name: distribution(space[name]) for name in space}

    def ask(self) -> dict[str, Any]:
        """The sampler's next point."""
        self._trial = self._study.ask(self._distributions)
        return from_codes(self._space, self._trial.params)

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Tell the value of the last point."""
        self._study.tell(self._trial, value)


def distribution(parameter: Parameter) -> BaseDistribution:
    """The parameter's type and scale; ordered choices by their position."""
    match parameter:
        case Float(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case Integer(low=low, high=high, log=log):
            return IntDistribution(low, high, log=log)
        case Ordinal(choices=choices):
            return IntDistribution(0, len(choices) - 1)
        case Categorical(choices=choices):
            return CategoricalDistribution(choices)
    raise TypeError(f"no distribution for {parameter!r}.")
