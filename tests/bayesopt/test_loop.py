import logging
import math
import pickle
import signal

import numpy as np
import pytest

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Space
from chromasonic.bayesopt._loop import bayesian_optimization
from chromasonic.bayesopt.analysis.stopping import StoppedBy
from chromasonic.errors import SpaceError

BOUNDS = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
MIXED = {
    "rate": (1e-4, 1e-1),
    "units": (16, 256),
    "batch": [16, 32, 64],
    "kind": ["a", "b"],
    "momentum": Float(0.0, 0.9, when={"kind": ["b"]}),
    "constant": Fixed(7),
}
FEW = {"a": Integer(0, 2), "b": Categorical(["x", None])}


def bowl(params):
    return (params["x"] - 0.3) ** 2 + (params["y"] - 0.6) ** 2


def hill(params):
    return 5.0 - bowl(params)


def mixed(params):
    miss = abs(math.log10(params["rate"]) + 2) + abs(params["units"] - 64) / 100
    return miss + (params["kind"] == "a") + params.get("momentum", 0.0)


def search(objective, bounds=BOUNDS, n_iterations=15, seed=0, patience=None, **others):
    return bayesian_optimization(
        objective, bounds, n_iterations, seed=seed, patience=patience, **others
    )


def test_the_result_unpacks_as_points_and_values():
    X_observed, y_observed = result = search(bowl)
    assert len(X_observed) == len(y_observed) == 20
    assert y_observed == [bowl(params) for params in X_observed]
    assert result.best_value == min(y_observed) < 1e-3
    assert bowl(result.best_params) == result.best_value
    assert result.stopped_by == "iterations"


def test_a_search_finds_the_minimum_of_a_mixed_space():
    result = search(mixed, MIXED, n_iterations=40)
    assert result.best_value < 0.35
    assert result.best_params["kind"] == "b"
    for point in result.X_observed:
        result.space.validate(point)


def test_a_maximised_search_makes_the_same_proposals_as_the_negated_one():
    up, down = search(hill, maximize=True), search(lambda params: -hill(params))
    assert up.X_observed == down.X_observed
    assert up.y_observed == [-y for y in down.y_observed]
    assert up.best_value == max(up.y_observed) == -down.best_value
    assert up.best_params == down.best_params
    assert (np.diff(up.convergence.best_so_far) >= 0).all()


@pytest.mark.parametrize("maximize", [False, True])
def test_the_surrogate_predicts_in_the_units_and_the_sign_of_the_objective(maximize):
    result = search(hill if maximize else bowl, n_iterations=25, maximize=maximize)
    X = result.space.encode([{"x": 0.3, "y": 0.6}, {"x": 0.35, "y": 0.5}])
    mean, std = result.surrogate.predict(X, return_std=True)
    truth = [5.0, 5.0 - 0.0125] if maximize else [0.0, 0.0125]
    assert mean == pytest.approx(truth, abs=0.01)
    assert (std < 0.05).all()
    draws = result.surrogate.sample(X, 50, np.random.default_rng(0))
    assert draws.mean(axis=0) == pytest.approx(truth, abs=0.02)


def test_the_convergence_tells_the_regret_that_is_left():
    result = search(bowl, n_iterations=20)
    convergence = result.convergence
    assert convergence.best_iteration == int(np.argmin(result.y_observed)) + 1
    assert 0 <= convergence.regret_left.low <= convergence.regret_left.high
    assert convergence.regret_left.estimate < 0.02
    assert result.convergence is convergence


def test_one_seed_makes_one_search_and_a_drawn_one_can_be_repeated():
    assert search(bowl).X_observed == search(bowl).X_observed
    assert search(bowl).X_observed != search(bowl, seed=1).X_observed
    drawn = search(bowl, n_iterations=3, seed=None)
    assert search(bowl, n_iterations=3, seed=drawn.seed).X_observed == drawn.X_observed


@pytest.mark.parametrize("acquisition", ["ei", "log_ei", "ucb", "lcb", "pi"])
def test_every_acquisition_finds_the_bowl(acquisition):
    assert search(bowl, n_iterations=20, acquisition=acquisition).best_value < 0.01


@pytest.mark.parametrize("kernel", ["matern52", "matern32", "matern12", "rbf"])
@pytest.mark.parametrize("initial_design", ["latin_hypercube", "sobol", "random"])
def test_every_kernel_and_design_finds_the_bowl(kernel, initial_design):
    result = search(bowl, n_iterations=20, kernel=kernel, initial_design=initial_design)
    assert result.best_value < 0.02


def test_patience_counts_after_the_initial_points():
    result = bayesian_optimization(lambda params: 1.0, BOUNDS, n_initial=7, patience=4, seed=0)
    assert result.stopped_by is StoppedBy.PATIENCE
    assert len(result.y_observed) == 7 + 4


def test_patience_is_ten_unless_said_otherwise():
    result = bayesian_optimization(lambda params: 1.0, BOUNDS, seed=0)
    assert len(result.y_observed) == 5 + 10


@pytest.mark.parametrize("maximize", [False, True])
def test_a_value_as_good_as_the_target_stops(maximize):
    objective, target = (hill, 4.9) if maximize else (bowl, 0.1)
    result = search(objective, target=target, maximize=maximize, n_iterations=50)
    assert result.stopped_by == "target"
    reached = [y >= target if maximize else y <= target for y in result.y_observed]
    assert reached == [False] * (len(reached) - 1) + [True]


def test_a_search_stops_when_going_on_is_not_worth_it():
    result = search(bowl, n_iterations=60, min_expected_gain=1e-3)
    assert result.stopped_by is StoppedBy.MIN_EXPECTED_GAIN
    assert 5 < len(result.y_observed) < 40
    assert result.best_value < 1e-3


def test_a_search_stops_only_when_too_little_is_expected_three_times_in_a_row():
    result = search(bowl, min_expected_gain=1e9)
    assert result.stopped_by is StoppedBy.MIN_EXPECTED_GAIN
    assert len(result.y_observed) == 5 + 2


def test_a_search_goes_on_while_there_is_something_to_gain():
    result = search(bowl, n_iterations=10, min_expected_gain=1e-12)
    assert result.stopped_by is StoppedBy.ITERATIONS


def test_a_callback_sees_the_result_so_far_and_stops_by_returning_true():
    seen = []

    def callback(result):
        seen.append(result)
        return np.bool_(len(result.y_observed) == 3)

    result = search(bowl, callback=callback)
    assert result.stopped_by == "callback"
    assert [len(so_far.y_observed) for so_far in seen] == [1, 2, 3]
    assert all(so_far.stopped_by is None for so_far in seen)
    assert seen[1].X_observed == result.X_observed[:2]


def test_what_a_callback_returns_besides_true_does_not_stop():
    assert len(search(bowl, n_iterations=1, callback=lambda result: 1).y_observed) == 6


def test_points_believed_to_be_good_come_first():
    points = [{"x": 0.25, "y": 0.5}, {"x": 1.0, "y": 0.0}]
    result = search(bowl, n_iterations=1, initial_points=points)
    assert result.X_observed[:2] == points
    assert len(result.y_observed) == 6
    many = search(bowl, n_iterations=1, initial_points=points * 4)
    assert len(many.y_observed) == 9


def test_values_that_are_not_finite_are_kept_and_avoided():
    def partly(params):
        return {0: math.nan, 1: math.inf, 2: -math.inf}.get(
            int(4 * params["x"]), (params["x"] - 0.8) ** 2
        )

    result = search(partly, n_iterations=25)
    assert not np.isfinite(result.y_observed).all()
    # Three quarters of the space fail, and so would 22 of 30 random points.
    assert np.isfinite(result.y_observed).sum() >= 12
    assert result.best_params["x"] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_search_without_any_finite_value_ends_without_a_best(value):
    result = bayesian_optimization(lambda params: value, BOUNDS, seed=0, min_expected_gain=1.0)
    assert result.stopped_by == "patience"
    assert result.best_params is None
    assert math.isnan(result.best_value)
    assert result.convergence.regret_left is None
    assert "None" in str(result)


@pytest.mark.parametrize("value", [np.float32(2), np.array(2.0), np.int64(2), 2, True + 1])
def test_numbers_of_any_type_are_values(value):
    assert search(lambda params: value, n_iterations=1).y_observed == [2.0] * 6


@pytest.mark.parametrize("value", [None, True, np.bool_(False), "1.0", [1.0], np.zeros(2)])
def test_what_is_no_number_is_refused_and_the_result_so_far_kept(value):
    values = iter([1.0, 2.0, value])
    with pytest.raises(TypeError, match="must return a number, but it returned") as caught:
        search(lambda params: next(values))
    assert caught.value.result.y_observed == [1.0, 2.0]


def test_an_exception_carries_the_result_so_far():
    def failing(params):
        if params["x"] < 0.5:
            raise ZeroDivisionError("as it was")
        return 1.0

    with pytest.raises(ZeroDivisionError, match="as it was") as caught:
        search(failing, n_iterations=50)
    result = caught.value.result
    assert result.stopped_by is StoppedBy.EXCEPTION
    assert all(params["x"] >= 0.5 for params in result.X_observed)
    assert len(result.X_observed) == len(result.y_observed)


@pytest.fixture
def heeded_ctrl_c():
    """A background job of a shell ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_returns_the_result_so_far():
    def interrupted(params):
        counts.append(1)
        if len(counts) == 4:
            signal.raise_signal(signal.SIGINT)
        return bowl(params)

    counts = []
    result = search(interrupted)
    assert result.stopped_by is StoppedBy.INTERRUPTED
    assert len(result.y_observed) == 3
    counts = [1, 1, 1]
    assert search(interrupted).best_params is None


def test_the_objective_may_spoil_the_dict_it_gets():
    def spoiling(params):
        value = bowl(params)
        params.clear()
        return value

    assert search(spoiling).X_observed == search(bowl).X_observed


def test_no_point_of_a_small_space_is_evaluated_twice_before_all_are():
    result = search(lambda params: params["a"], FEW, n_iterations=1)
    assert len({repr(params) for params in result.X_observed}) == 6


LINE = "rate: a number from 0.0001 to 0.1, log scale"


def test_how_bounds_were_read_is_shown_once_and_stands_in_the_result(capfd):
    result = search(mixed, MIXED, n_iterations=1)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.count(LINE) == 1
    assert shown.err.startswith("bounds read as:\n")
    assert LINE in str(result)
    assert repr(result.best_value) in str(result)


def test_who_keeps_a_log_finds_how_bounds_were_read_there(caplog, capfd):
    with caplog.at_level(logging.INFO, logger="chromasonic"):
        search(mixed, MIXED, n_iterations=1)
    [record] = caplog.records
    assert LINE in record.getMessage()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("bounds", "others"), [(Space.from_bounds(MIXED), {}), (MIXED, {"verbose": False})]
)
def test_nothing_is_shown_of_a_space_or_to_who_wants_silence(bounds, others, caplog, capfd):
    with caplog.at_level(logging.INFO, logger="chromasonic"):
        search(mixed, bounds, n_iterations=1, **others)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_result_survives_pickling():
    result = search(bowl, n_iterations=3)
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again.convergence == result.convergence


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_iterations": 0}, "n_iterations must be a whole number of at least 1, but got 0"),
        ({"n_iterations": 2.5}, "n_iterations must be a whole number"),
        ({"n_initial": -1}, "n_initial must be a whole number of at least 1, but got -1"),
        ({"n_initial": True}, "n_initial must be a whole number"),
        ({"patience": 0}, "patience must be a whole number of at least 1, but got 0"),
        ({"target": math.nan}, "target must be a finite number, but got nan"),
        ({"xi": None}, "xi must be a finite number, but got None"),
        ({"kappa": "2"}, "kappa must be a finite number, but got '2'"),
        ({"min_expected_gain": 0}, "min_expected_gain must be a number above 0, but got 0"),
        ({"seed": -1}, "seed must be None or a whole number from 0 on, but got -1"),
        ({"kernel": "matern"}, "matern52.*but got 'matern'"),
        ({"acquisition": "best"}, "'log_ei'.*but got 'best'"),
        ({"initial_design": "grid"}, "'sobol'.*but got 'grid'"),
        ({"initial_points": [{"x": 2.0, "y": 0.0}]}, "'x'.*from 0.0 to 1.0, but got 2.0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_evaluated(arguments, message):
    def untouched(params):
        pytest.fail("the objective was called")

    with pytest.raises(ValueError, match=message):
        bayesian_optimization(untouched, BOUNDS, **arguments)


def test_wrong_bounds_are_refused():
    with pytest.raises(SpaceError, match="'x'"):
        bayesian_optimization(bowl, {"x": (1.0, 0.0)})
