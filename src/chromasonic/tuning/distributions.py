"""The search space as Optuna sees it."""

import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.bayesopt.space import Parameter, Value


def suggest_params(space: Space, trial: Trial) -> dict[str, Value]:
    """A value for every active parameter, suggested by the sampler of the trial's study.

    What the trial already has is kept. Constants are no business of Optuna's.
    """
    params: dict[str, Value] = {}
    while missing := [name for name in space.active(params) if name not in params]:
        for name in missing:
            params[name] = _suggest(trial, name, space[name])
    return {name: params[name] for name in space if name in params}


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """The Optuna distribution with the values of `parameter`, which is not constant."""
    match parameter:
        case Float(low=low, high=high, log=log, step=step) if not (log and step):
            return FloatDistribution(low, high, log=log, step=step)
        case Integer(low=low, high=high, log=log, step=step) if not (log and step != 1):
            return IntDistribution(low, high, log=log, step=step)
        case Float() | Integer():
            # Optuna has no steps on a log scale.
            return CategoricalDistribution(list(all_values(parameter)))
        case Ordinal() | Categorical():
            return CategoricalDistribution([to_optuna(parameter, c) for c in parameter.choices])
    raise TypeError(f"a parameter must be one of bayesopt's types, but got {parameter!r}.")


def to_optuna(parameter: Parameter, value: Value) -> Value:
    """The value as Optuna stores it: itself, or text for categories that Optuna would confuse.

    Optuna takes 1 and True for one choice. Where both are there, each choice is stored as Python
    writes it.
    """
    return repr(value) if _are_confused(parameter) else value


def from_optuna(parameter: Parameter, stored: Any) -> Value:
    """The value of which `to_optuna` has made what is stored; other values as they are."""
    if not (_are_confused(parameter) and isinstance(parameter, Categorical)):
        return stored  # type: ignore[no-any-return]
    return {repr(choice): choice for choice in parameter.choices}.get(stored, stored)


def _are_confused(parameter: Parameter) -> bool:
    return isinstance(parameter, Categorical) and len(set(parameter.choices)) < parameter.n_values


def all_values(parameter: Parameter, at_most: int | None = None) -> list[Value]:
    """The values of `parameter` in order; of numbers `at_most` evenly spread ones.

    Raises:
        ValueError: It is continuous and `at_most` is not given.
    """
    count = parameter.n_values
    if at_most is not None and not isinstance(parameter, Categorical):
        count = at_most if count is None else min(count, at_most)
    if count is None:
        raise ValueError("a continuous parameter has no list of values; say how many at most.")
    if count < (parameter.n_values or math.inf):
        # On a log scale several places may hold the same of a few values.
        places = (i / max(count - 1, 1) for i in range(count))
        return list(dict.fromkeys(parameter.from_unit(place) for place in places))
    if isinstance(parameter, Float | Integer):
        return [parameter.value_at(i) for i in range(count)]
    return [parameter.from_unit((i + 0.5) / count) for i in range(count)]


def _suggest(trial: Trial, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, Fixed):
        return parameter.value
    match distribution_of(parameter):
        case FloatDistribution(low=low, high=high, log=log, step=step):
            value = trial.suggest_float(name, low, high, log=log, step=step)
            # Optuna counts steps in floats: 0.1 + 2 * 0.1 is not quite 0.3.
            return value if step is None else parameter.from_unit(parameter.to_unit(value))
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return from_optuna(parameter, trial.suggest_categorical(name, choices))
    raise TypeError(f"no such distribution: {parameter!r}.")
