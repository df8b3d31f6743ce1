"""Objectives whose values and exceptions misbehave, in this process and in another."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from chromasonic.any_objective import tune
from chromasonic.bayesopt import Categorical, Float, Optimizer, Space, bayesian_optimization
from chromasonic.errors import SpaceError, one_line, shown
from chromasonic.tuning.objective import Epoch

BOUNDS = {"x": (0.0, 1.0)}


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class WrongWords(Exception):
    def __str__(self):
        return 5


class Endless(Exception):
    def __str__(self):
        return str(self)


class Closed(Exception):
    def __setattr__(self, name, value):
        raise AttributeError("closed")

    def __reduce__(self):
        raise TypeError("cannot be pickled")


class Nameless:
    def __repr__(self):
        raise RuntimeError("no words")


@dataclass(frozen=True)
class Frozen(Exception):
    code: int = 3


def raising(error, *arguments):
    def objective(params, trial):
        if trial.number % 2:
            raise error(*arguments)
        return params["x"]

    return objective


def giving(value):
    def objective(params, trial):
        return value if trial.number % 2 else params["x"]

    return objective


def run(objective, executor, **options):
    options = {"sampler": "random", "seed": 0, "verbose": False, **options}
    return tune(objective, BOUNDS, 4, executor=executor, jobs=1, **options)


def reasons(result):
    assert [trial.ending for trial in result.trials[::2]] == ["completed"] * 2
    return {(trial.ending, trial.reason) for trial in result.trials[1::2]}


@pytest.fixture(params=["inline", "process"])
def executor(request, functions_travel):
    return request.param


@pytest.mark.parametrize("error", [Mute, WrongWords, Endless, Closed, Frozen])
def test_an_exception_without_words_fails_its_trial_alone(executor, error):
    ((ending, reason),) = reasons(run(raising(error), executor))
    assert ending == "failed"
    assert reason.startswith(error.__name__)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_that_usually_ends_a_process_fails_its_trial_alone(executor, error):
    result = run(raising(error), executor)
    assert result.stopped_by == "n_trials"
    ((ending, reason),) = reasons(result)
    assert ending == "failed"
    assert error.__name__ in reason


@pytest.mark.parametrize(
    "value",
    [10**400, -(10**400), 10**5000, Fraction(10**400)],
    ids=["large", "negative", "unwritable", "fraction"],
)
def test_a_value_beyond_floats_is_infinite(executor, value):
    sign = "-" if value < 0 else ""
    found = reasons(run(giving(value), executor))
    assert found == {("diverged", f"the loss became {sign}inf")}


def test_a_value_that_cannot_be_written_is_refused_by_its_type(executor):
    ((ending, reason),) = reasons(run(giving(Nameless()), executor))
    assert ending == "failed"
    assert "must give a number, but it gave a value of type Nameless" in reason


def test_scalars_of_numpy_within_a_metric_are_kept(executor):
    def objective(params):
        yield Epoch(np.float32(0.5), metrics={"all": [np.float32(0.5), {"n": np.int64(3)}]})

    (row, *_) = run(objective, executor).trials[0].learning_curve
    assert row.metrics == {"all": [0.5, {"n": 3}]}
    assert row.loss == 0.5


@pytest.mark.parametrize(
    "metric", [10**5000, Nameless(), [object()]], ids=["unwritable", "nameless", "object"]
)
def test_a_metric_that_json_cannot_hold_is_refused(metric):
    def objective(params):
        yield Epoch(1.0, metrics={"m": metric})

    found = run(objective, "inline")
    assert {trial.ending for trial in found.trials} == {"failed"}
    assert "a metric must be what JSON can hold, but 'm' is" in found.trials[0].reason


def test_a_choice_that_is_half_a_character_can_be_searched_and_drawn(
    tmp_path, capfd, functions_travel
):
    from chromasonic.reporting.figures import write_plots

    found = tune(
        lambda p: float(len(p["file"])),
        {"file": ["a\udcff", "b"]},
        5,
        jobs=1,
        seed=0,
        output_dir=tmp_path,
    )
    assert {trial.params["file"] for trial in found.trials} == {"a\udcff", "b"}
    assert "\\udcff" in capfd.readouterr().out
    assert all(path.exists() for path in write_plots(found, tmp_path / "plots"))


def test_a_name_that_is_half_a_character_is_refused():
    with pytest.raises(SpaceError, match=r"must be valid UTF-8, but got 'a\\udcff'"):
        Space({"a\udcff": Float(0.0, 1.0)})


@pytest.mark.parametrize("choice", [10**5000, Nameless()], ids=["unwritable", "nameless"])
def test_a_choice_that_cannot_be_written_is_refused_by_its_type(choice):
    with pytest.raises(SpaceError, match=f"a value of type {type(choice).__name__}"):
        Categorical([choice, 1])


def test_a_loop_takes_values_beyond_floats_as_failures():
    values = iter([10**400, 0.25, Fraction(-(10**400)), 0.5])
    found = bayesian_optimization(lambda p: next(values), BOUNDS, 2, 2, seed=0, verbose=False)
    assert found.y_observed == [math.inf, 0.25, -math.inf, 0.5]
    assert found.best_value == 0.25


def test_an_optimizer_takes_values_beyond_floats_as_failures():
    optimizer = Optimizer(BOUNDS)
    optimizer.tell({"x": 0.5}, 10**400)
    assert not optimizer.observations[0].succeeded
    with pytest.raises(TypeError, match="a value must be a number, but got a value of type Nam"):
        optimizer.tell({"x": 0.5}, Nameless())


def test_an_exception_that_takes_no_attributes_comes_through_as_it_is():
    def objective(params):
        raise Closed("mine")

    with pytest.raises(Closed, match="mine"):
        bayesian_optimization(objective, BOUNDS, 2, 2, verbose=False)


def test_one_line_and_shown_never_fail():
    assert one_line(Mute()) == "Mute: its message cannot be shown"
    assert shown(Nameless()) == "a value of type Nameless"
    assert shown("a\nb" * 100) == repr("a\nb" * 100)[:80]
