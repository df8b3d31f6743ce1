from collections import Counter

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.tuning.distributions import all_values, distribution_of, suggest_params
from chromasonic.tuning.sampling.by_name import SAMPLERS

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


CONFUSING = Space(
    {
        "flag": Categorical([True, 1, "a", "1", "True"]),
        "none": Categorical([0, False, None, ""]),
        "x": Float(0.0, 1.0),
    }
)


def exactly(values):
    return Counter((type(value), value) for value in values)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("auto", "grid")])
def test_values_that_python_takes_for_equal_are_each_tried_by_every_sampler(sampler, make_search):
    search = make_search(CONFUSING, sampler=sampler, num_epochs=1)
    given = []

    def objective(params):
        given.append(params)
        return params["x"] + (params["flag"] is not True) + (params["none"] is not False)

    search.run(objective, 60)
    for name in ("flag", "none"):
        assert set(exactly(p[name] for p in given)) == set(exactly(CONFUSING[name].choices))
    assert exactly(t.params["flag"] for t in search.trials) == exactly(p["flag"] for p in given)
    # The study itself tells them apart, too.
    stored = Counter(trial.params["flag"] for trial in search.study.trials)
    assert stored == Counter(repr(params["flag"]) for params in given)


def test_a_grid_has_each_of_the_values_that_python_takes_for_equal(make_search):
    space = Space({"flag": CONFUSING["flag"], "none": CONFUSING["none"]})
    search = make_search(space, sampler="grid", num_epochs=1)
    assert search.run(lambda params: 1.0, 50) == "exhausted"
    pairs = {tuple(map(repr, t.params.values())) for t in search.trials}
    assert len(pairs) == len(search.trials) == 20


@pytest.mark.parametrize("sampler", ["gp", "tpe", "qmc", "cmaes"])
def test_confusing_values_are_searched_as_others_in_their_places(sampler, make_search):
    flags, nones = CONFUSING["flag"].choices, CONFUSING["none"].choices
    plain = CONFUSING.with_parameter("flag", Categorical([f"flag {i}" for i in range(5)]))
    plain = plain.with_parameter("none", Categorical([f"none {i}" for i in range(4)]))

    def loss(x, flag, none):
        return x + (flag != 0) + (none != 1)

    def confusing(params):
        places = (CONFUSING[name].index(params[name]) for name in ("flag", "none"))
        return loss(params["x"], *places)

    def clear(params):
        return loss(params["x"], int(params["flag"][-1]), int(params["none"][-1]))

    one = make_search(CONFUSING, sampler=sampler, num_epochs=1)
    other = make_search(plain, sampler=sampler, num_epochs=1)
    one.run(confusing, 30)
    other.run(clear, 30)
    translated = [
        {
            "flag": flags[int(trial.params["flag"][-1])],
            "none": nones[int(trial.params["none"][-1])],
            "x": trial.params["x"],
        }
        for trial in other.trials
    ]
    assert [repr(trial.params) for trial in one.trials] == [repr(p) for p in translated]


def test_a_user_of_optuna_gets_and_fixes_the_values_themselves():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    seen = exactly(suggest_params(CONFUSING, study.ask())["flag"] for _ in range(60))
    assert set(seen) == set(exactly(CONFUSING["flag"].choices))
