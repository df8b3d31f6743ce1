import json

import numpy as np
import pytest

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.objective import Epoch, Trial, epochs_of

TRIAL = Trial(number=3, seed=42)


def run(objective, params=None, trial=TRIAL):
    """All epochs of an objective, and how it says it ended."""
    epochs, generator = [], epochs_of(objective, params or {"x": 2.0}, trial)
    while True:
        try:
            epochs.append(next(generator))
        except StopIteration as stop:
            return epochs, stop.value


def losses(objective, **kwargs):
    return [epoch.loss for epoch in run(objective, **kwargs)[0]]


def test_a_function_has_one_epoch_with_what_it_returns():
    assert run(lambda params: params["x"] + 1) == ([Epoch(3.0)], Ending.COMPLETED)


def test_a_generator_has_an_epoch_for_each_number_it_yields():
    def objective(params):
        yield params["x"]
        yield 1

    epochs, ending = run(objective)
    assert epochs == [Epoch(2.0), Epoch(1.0)]
    assert ending is Ending.COMPLETED


def test_an_epoch_arrives_as_it_was_yielded():
    def save(folder):
        """Nothing to save."""

    def objective(params):
        yield Epoch(0.5, 0.25, {"accuracy": 0.75}, save)

    assert run(objective)[0] == [Epoch(0.5, 0.25, {"accuracy": 0.75}, save)]


def test_a_function_may_return_an_epoch():
    assert run(lambda params: Epoch(0.5, metrics={"size": 7}))[0] == [
        Epoch(0.5, metrics={"size": 7})
    ]


@pytest.mark.parametrize(
    "objective",
    [
        lambda params, trial: trial.seed + trial.number,
        lambda params, trial=None: trial.seed + trial.number,
        lambda params, t: t.seed + t.number,
        lambda params, t, /: t.seed + t.number,
    ],
)
def test_an_objective_with_a_second_argument_is_told_of_the_trial(objective):
    assert losses(objective) == [45.0]


def test_a_method_and_a_callable_object_are_told_of_the_trial():
    class Objective:
        def method(self, params, trial):
            return trial.seed

        __call__ = method

    assert losses(Objective()) == losses(Objective().method) == [42.0]


@pytest.mark.parametrize(
    "objective",
    [
        lambda params, scale=10: params["x"] * scale,
        lambda params, *rest, **more: params["x"] * 10 + len(rest) + len(more),
        lambda params, *, scale=10: params["x"] * scale,
    ],
)
def test_default_arguments_are_left_alone(objective):
    assert losses(objective) == [20.0]


def test_the_params_are_a_copy_that_the_objective_may_change():
    params = {"x": 2.0}

    def objective(params):
        return params.pop("x")

    assert losses(objective, params=params) == [2.0]
    assert params == {"x": 2.0}


@pytest.mark.parametrize("number", [np.float32(0.5), np.array(0.5), np.array([0.5])[0]])
def test_numbers_of_numpy_become_floats(number):
    (epoch,), _ = run(lambda params: Epoch(number, number, {"accuracy": number}))
    assert [type(epoch.loss), type(epoch.train_loss)] == [float, float]
    assert json.loads(json.dumps(epoch.metrics)) == {"accuracy": 0.5}


@pytest.mark.parametrize("bad", [None, True, np.True_, "0.5", [0.5], {}, 1j, Ending.COMPLETED])
@pytest.mark.parametrize("as_epoch", [False, True])
def test_what_is_no_number_is_refused(bad, as_epoch):
    value = Epoch(bad) if as_epoch else bad
    with pytest.raises(TypeError, match=r"an objective must give a number, but it gave .+Return"):
        run(lambda params: value)

    def objective(params):
        yield 1.0
        yield value

    with pytest.raises(TypeError, match="must give a number"):
        run(objective)


def test_a_generator_without_a_loss_is_refused():
    def objective(params):
        return
        yield

    with pytest.raises(ValueError, match=r"must yield at least one loss, but .+ none"):
        run(objective)


def test_a_continued_generator_may_have_nothing_left_to_yield(tmp_path):
    def objective(params, trial):
        return Ending.STOPPED_EARLY
        yield

    assert run(objective, trial=Trial(0, 0, tmp_path)) == ([], Ending.STOPPED_EARLY)


def test_the_ending_that_a_generator_returns_is_passed_on():
    def objective(params):
        yield 1.0
        return Ending.STOPPED_EARLY

    assert run(objective)[1] is Ending.STOPPED_EARLY


def test_anything_else_that_a_generator_returns_is_no_ending():
    def objective(params):
        yield 1.0
        return "stopped_early"

    assert run(objective)[1] is Ending.COMPLETED


def test_an_error_of_the_objective_comes_through():
    def objective(params):
        yield 1.0
        raise ZeroDivisionError("in epoch 2")

    with pytest.raises(ZeroDivisionError, match="in epoch 2"):
        run(objective)


def test_a_generator_that_is_closed_cleans_up():
    cleaned = []

    def objective(params):
        try:
            yield 1.0
            yield 2.0
        finally:
            cleaned.append(True)

    epochs = epochs_of(objective, {}, TRIAL)
    next(epochs)
    epochs.close()
    assert cleaned == [True]


@pytest.mark.parametrize("name", ["epoch", "loss", "train_loss", "seconds"])
def test_a_metric_cannot_take_the_place_of_the_loss(name):
    with pytest.raises(ValueError, match=f"a metric must have a name of its own.*'{name}'"):
        run(lambda params: Epoch(1.0, metrics={name: 0.0}))


def test_a_metric_that_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="what JSON can hold, but 'weights' is"):
        run(lambda params: Epoch(1.0, metrics={"weights": object()}))
