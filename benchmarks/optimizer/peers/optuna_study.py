"""Optuna's samplers, asked through a study in memory."""

import warnings
from typing import Any

import optuna

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from peers.coding import from_codes

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)


class OptunaStudy:
    """A study with the given sampler."""

    def __init__(self, space: Space, sampler: optuna.samplers.BaseSampler) -> None:
        self._space = space
        self._study = optuna.create_study(sampler=sampler)

    def ask(self) -> dict[str, Any]:
        """The sampler's next point."""
        self._trial = self._study.ask()
        params: dict[str, Any] = {}
        for name, parameter in self._space.items():
            # In every space here a parent stands before its children.
            if name in self._space.active(params):
                code = suggested(self._trial, name, parameter)
                params |= from_codes(self._space, {name: code})
        return params

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Tell the value of the last point."""
        self._study.tell(self._trial, value)


def suggested(trial: optuna.Trial, name: str, parameter: Parameter) -> Any:
    """A value on the parameter's scale; of ordered choices the position."""
    match parameter:
        case Float(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case Integer(low=low, high=high, log=log):
            return trial.suggest_int(name, low, high, log=log)
        case Ordinal(choices=choices):
            return trial.suggest_int(name, 0, len(choices) - 1)
        case Categorical(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"no suggestion for {parameter!r}.")
