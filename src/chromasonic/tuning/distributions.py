"""The search space as Optuna sees it."""

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
            return CategoricalDistribution(parameter.choices)
    raise TypeError(f"a parameter must be one of bayesopt's types, but got {parameter!r}.")


def all_values(parameter: Parameter, at_most: int | None = None) -> list[Value]:
    """The values of `parameter` in order; of numbers `at_most` evenly spread ones.

    Raises:
        ValueError: It is continuous and `at_most` is not given.
    """
    count = parameter.n_values
    if not isinstance(parameter, Categorical) and at_most is not None:
        count = at_most if count is None else min(count, at_most)
    if count is None:
        raise ValueError("a continuous parameter has no list of values; say how many at most.")
    whole = count == parameter.n_values
    places = [(i + 0.5) / count if whole else i / max(count - 1, 1) for i in range(count)]
    return [parameter.from_unit(place) for place in places]


def _suggest(trial: Trial, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, Fixed):
        return parameter.value
    match distribution_of(parameter):
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"no such distribution: {parameter!r}.")
