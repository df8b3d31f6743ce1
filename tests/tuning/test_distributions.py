import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.tuning.distributions import all_values, distribution_of, suggest_params

EVERY_TYPE = Space(
    {
        "plain": Float(-1.0, 2.0),
        "log": Float(1e-5, 1e-1, log=True),
        "stepped": Float(0.1, 0.7, step=0.1),
        "log and stepped": Float(0.5, 4.0, log=True, step=0.5),
        "whole": Integer(-3, 3),
        "whole log": Integer(1, 1000, log=True),
        "whole stepped": Integer(64, 512, step=32),
        "whole log and stepped": Integer(2, 20, log=True, step=2),
        "ordered": Ordinal([16, 32, 64.5]),
        "any": Categorical(["sgd", "adam", None, True]),
        "constant": Fixed("same"),
    }
)

CONDITIONAL = Space(
    {
        "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"]}),
        "nesterov": Categorical([True, False], when={"momentum_on": [True]}),
        "optimizer": Categorical(["sgd", "adam"]),
        "momentum_on": Categorical([True, False], when={"optimizer": ["sgd"]}),
        "epsilon": Fixed(1e-8, when={"optimizer": ["adam"]}),
    }
)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (Float(0.0, 1.0), FloatDistribution(0.0, 1.0)),
        (Float(1e-3, 1.0, log=True), FloatDistribution(1e-3, 1.0, log=True)),
        (Float(0.1, 0.75, step=0.1), FloatDistribution(0.1, 0.7, step=0.1)),
        (Integer(1, 8), IntDistribution(1, 8)),
        (Integer(1, 8, log=True), IntDistribution(1, 8, log=True)),
        (Integer(1, 8, step=3), IntDistribution(1, 7, step=3)),
        (Integer(1, 7, step=2, log=True), CategoricalDistribution([1, 3, 5, 7])),
        (Float(1.0, 2.0, step=0.5, log=True), CategoricalDistribution([1.0, 1.5, 2.0])),
        (Ordinal([4, 2, 8]), CategoricalDistribution([2, 4, 8])),
        (Categorical(["b", None, 1.5]), CategoricalDistribution(["b", None, 1.5])),
    ],
)
def test_each_type_has_the_distribution_with_its_values(parameter, expected):
    assert distribution_of(parameter) == expected


def test_a_constant_is_no_distribution():
    with pytest.raises(TypeError, match="a parameter must be one of bayesopt's types"):
        distribution_of(Fixed(1))


@pytest.mark.parametrize("space", [EVERY_TYPE, CONDITIONAL], ids=["every type", "conditional"])
@pytest.mark.parametrize("sampler", [optuna.samplers.RandomSampler, optuna.samplers.TPESampler])
def test_what_is_suggested_lies_in_the_space_in_its_order(space, sampler):
    study = optuna.create_study(sampler=sampler(seed=0))
    seen = {}
    for number in range(40):
        trial = study.ask()
        params = suggest_params(space, trial)
        space.validate(params)
        assert list(params) == [name for name in space if name in params]
        assert set(params) == set(space.active(params))
        for name, value in params.items():
            seen.setdefault(name, set()).add(repr(value))
        study.tell(trial, number)
    varied = [name for name in space if not isinstance(space[name], Fixed)]
    assert all(len(seen[name]) > 1 for name in varied)


def test_constants_are_no_business_of_optunas():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    assert suggest_params(EVERY_TYPE, trial)["constant"] == "same"
    assert set(trial.params) == set(EVERY_TYPE) - {"constant"}


def test_what_a_trial_already_has_is_kept():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    first = suggest_params(EVERY_TYPE, trial)
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    assert suggest_params(EVERY_TYPE, optuna.Trial(study, trial._trial_id)) == first


def test_an_enqueued_point_is_suggested_as_it_is():
    point = EVERY_TYPE.decode([[0.3] * len(EVERY_TYPE)])[0]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(point)
    assert suggest_params(EVERY_TYPE, study.ask()) == point


@pytest.mark.parametrize(
    ("parameter", "at_most", "expected"),
    [
        (Integer(1, 4), None, [1, 2, 3, 4]),
        (Integer(1, 9), 3, [1, 5, 9]),
        (Integer(1, 2), 3, [1, 2]),
        (Float(0.0, 1.0), 3, [0.0, 0.5, 1.0]),
        (Float(0.0, 1.0), 1, [0.0]),
        (Float(1e-4, 1.0, log=True), 3, [1e-4, 1e-2, 1.0]),
        (Float(0.1, 0.4, step=0.1), None, [0.1, 0.2, 0.3, 0.4]),
        (Integer(1, 7, step=2, log=True), None, [1, 3, 5, 7]),
        (Integer(1, 298, step=99, log=True), 3, [1, 298]),
        (Ordinal([8, 2, 4, 16]), 3, [2, 8, 16]),
        (Categorical(["a", "b", "c", "d"]), 3, ["a", "b", "c", "d"]),
    ],
)
def test_values_of_a_grid(parameter, at_most, expected):
    values = all_values(parameter, at_most)
    assert values == (pytest.approx(expected) if isinstance(expected[0], float) else expected)
    assert all(parameter.contains(value) for value in values)


def test_a_continuous_parameter_has_no_list_of_values():
    with pytest.raises(ValueError, match="say how many at most"):
        all_values(Float(0.0, 1.0))
