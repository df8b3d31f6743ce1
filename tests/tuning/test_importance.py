import math

import numpy as np
import pytest

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.tuning.importance import (
    MAX_TRIALS,
    MIN_TRIALS,
    _centred_ranks,
    _features,
    _left_out_errors,
    _score,
    parameter_importance,
)
from chromasonic.tuning.records import TrialRecord

# One parameter decides, five do nothing.
STRONG = Float(1e-5, 1e-1, log=True)
NOISE = {
    "dropout": Float(0.0, 0.5),
    "hidden_size": Integer(32, 512, log=True),
    "batch_size": Ordinal([16, 32, 64, 128]),
    "optimizer": Categorical(["adam", "sgd", None]),
    "bias": Categorical([True, False]),
}
PROBLEM = Space({"learning_rate": STRONG, **NOISE})


def record(number, params, value, state="COMPLETE"):
    return TrialRecord(
        number=number,
        state=state,
        ending="completed" if state == "COMPLETE" else "pruned",
        reason="",
        params=params,
        value=value,
        val_loss=value,
        train_loss=None,
        best_epoch=1,
        training_time=1.0,
        n_parameters=None,
        learning_curve=[],
    )


def random_trials(space, value_of, n, seed):
    rng = np.random.default_rng(seed)
    points = [space.sample(rng) for _ in range(n)]
    return [record(i, params, float(value_of(params, rng))) for i, params in enumerate(points)]


def problem_value(params, rng):
    return 2 + 0.3 * (math.log10(params["learning_rate"]) + 2.5) ** 2 + rng.normal(0, 0.1)


def pure_noise(params, rng):
    return rng.normal()


def importance_by_name(trials, space):
    return {effect.name: effect for effect in parameter_importance(trials, space)}


@pytest.mark.parametrize("name", NOISE)
def test_noise_explains_nothing_in_nine_of_ten_searches_of_50_trials(name):
    effects = [
        importance_by_name(random_trials(PROBLEM, problem_value, 50, seed), PROBLEM)[name]
        for seed in range(10)
    ]
    assert sum(effect.low == 0 for effect in effects) >= 9
    assert sum(effect.estimate <= 0.05 for effect in effects) >= 9


@pytest.mark.parametrize("seed", range(10))
def test_the_parameter_that_decides_is_found(seed):
    first, *others = parameter_importance(random_trials(PROBLEM, problem_value, 50, seed), PROBLEM)
    assert first.name == "learning_rate"
    assert first.low > 0.5
    assert all(other.high < first.high for other in others)


@pytest.mark.parametrize("n_trials", [MIN_TRIALS, 50])
def test_intervals_on_noise_leave_out_0_in_no_more_than_one_of_40(n_trials):
    effects = [
        effect
        for seed in range(150)
        for effect in parameter_importance(
            random_trials(PROBLEM, pure_noise, n_trials, seed), PROBLEM
        )
    ]
    assert sum(effect.low > 0 for effect in effects) <= len(effects) / 40


# With a coin and a uniform number, coin / 2 + number / 2 is itself uniform on [0, 1], so that
# ranks and values are the same but for scale. Their variances are 1/16 and 1/48.
COIN_AND_NUMBER = Space({"coin": Categorical([0, 1]), "number": Float(0.0, 1.0)})


def coin_and_number(params, rng):
    return params["coin"] / 2 + params["number"] / 2


@pytest.mark.parametrize(("name", "share"), [("coin", 3 / 4), ("number", 1 / 4)])
def test_shares_of_an_additive_function_are_those_of_its_variance(name, share):
    estimates = [
        importance_by_name(
            random_trials(COIN_AND_NUMBER, coin_and_number, MAX_TRIALS, seed), COIN_AND_NUMBER
        )[name].estimate
        for seed in range(40)
    ]
    # A little below, for what is foretold from some trials is less than what there is.
    assert np.mean(estimates) == pytest.approx(share, abs=0.05)


def test_intervals_are_as_wide_as_estimates_scatter():
    scores = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        u = rng.random(200)
        y = _centred_ranks(rng.integers(0, 2, 200) / 2 + u / 2)
        scores.append(_score(*_features(Float(0.0, 1.0), u), y))
    score, std_error = np.array(scores).T
    # Of 200 draws the scatter itself is known to 5 %.
    assert std_error.mean() == pytest.approx(score.std(), rel=0.15)


@pytest.mark.parametrize(("name", "share"), [("coin", 3 / 4), ("number", 1 / 4)])
def test_intervals_hold_the_true_share_about_as_often_as_they_say(name, share):
    effects = [
        importance_by_name(
            random_trials(COIN_AND_NUMBER, coin_and_number, 50, seed), COIN_AND_NUMBER
        )[name]
        for seed in range(200)
    ]
    # The share foretold from 50 trials is a little less than the true one: 0.90 and 0.93 held it.
    assert sum(effect.low <= share <= effect.high for effect in effects) >= 0.85 * 200


def test_errors_of_trials_left_out_are_those_of_fits_and_ranks_without_them():
    rng = np.random.default_rng(0)
    n, penalty = 12, np.array([0.0, 0.5, 2.0])
    F = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    values = rng.integers(0, 8, n).astype(float)

    def squared_errors(rows):
        y = _centred_ranks(values[rows])
        for i, row in enumerate(rows):
            kept = [other for other in rows if other != row]
            A = np.vstack([F[kept], np.diag(np.sqrt(penalty))])
            coefficients = np.linalg.lstsq(A, np.append(np.delete(y, i), np.zeros(3)))[0]
            yield (y[i] - F[row] @ coefficients) ** 2

    total, total_without = _left_out_errors(F, penalty, _centred_ranks(values))
    assert total == pytest.approx(sum(squared_errors(list(range(n)))))
    for j in range(n):
        others = [row for row in range(n) if row != j]
        assert total_without[j] == pytest.approx(sum(squared_errors(others)))


def test_the_plain_mean_scores_exactly_0_against_itself():
    y = np.random.default_rng(0).normal(size=20)
    assert _score(np.ones((20, 1)), np.zeros(1), y) == pytest.approx((0, 0))


def test_fewer_trials_than_needed_are_not_enough_data():
    trials = random_trials(PROBLEM, problem_value, MIN_TRIALS, 0)
    assert parameter_importance(trials, PROBLEM) is not None
    assert parameter_importance(trials[1:], PROBLEM) is None
    assert parameter_importance([], PROBLEM) is None


def test_trials_that_do_not_count_are_left_out():
    trials = random_trials(PROBLEM, problem_value, 30, 0)
    pruned = [record(t.number + 30, t.params, 9.0, "PRUNED") for t in trials]
    failed = [record(t.number + 60, t.params, None, "FAIL") for t in trials]
    with_others = parameter_importance([*trials, *pruned, *failed], PROBLEM)
    assert with_others == parameter_importance(trials, PROBLEM)
    assert parameter_importance([*pruned, *failed], PROBLEM) is None


def test_equal_values_are_not_enough_data():
    trials = random_trials(PROBLEM, lambda params, rng: 2.0, 50, 0)
    assert parameter_importance(trials, PROBLEM) is None


def test_constants_and_parameters_with_one_value_tried_are_left_out():
    space = Space({"x": Float(0, 1), "fixed": Fixed(3), "stuck": Integer(1, 4)})
    trials = random_trials(space.fix(stuck=2), lambda params, rng: params["x"], 20, 0)
    assert list(importance_by_name(trials, space)) == ["x"]


def test_a_conditional_parameter_is_judged_by_the_trials_that_have_it():
    space = Space(
        {
            "optimizer": Categorical(["adam", "sgd"]),
            "momentum": Float(0, 1, when={"optimizer": ["sgd"]}),
            "x": Float(0, 1),
        }
    )
    trials = random_trials(space, lambda p, rng: p.get("momentum", 5 + rng.normal()), 60, 0)
    having = [trial for trial in trials if "momentum" in trial.params]
    assert importance_by_name(trials, space)["momentum"].low > 0.9
    few = [t for t in trials if t not in having] + having[: MIN_TRIALS - 1]
    assert "momentum" not in importance_by_name(few, space)


def test_only_the_order_of_values_matters():
    trials = random_trials(PROBLEM, problem_value, 40, 0)
    stretched = [record(t.number, t.params, math.exp(5 * t.value)) for t in trials]
    assert parameter_importance(stretched, PROBLEM) == parameter_importance(trials, PROBLEM)


def test_every_number_stays_between_0_and_1_and_in_order():
    for seed in range(20):
        trials = random_trials(PROBLEM, problem_value, MIN_TRIALS, seed)
        for effect in parameter_importance(trials, PROBLEM):
            assert 0 <= effect.low <= effect.estimate <= effect.high <= 1


def test_the_most_important_come_first():
    trials = random_trials(PROBLEM, problem_value, 40, 1)
    estimates = [effect.estimate for effect in parameter_importance(trials, PROBLEM)]
    assert estimates == sorted(estimates, reverse=True)


def test_of_very_many_trials_evenly_picked_ones_are_used():
    trials = random_trials(PROBLEM, problem_value, 2 * MAX_TRIALS, 0)
    assert parameter_importance(trials, PROBLEM) == parameter_importance(trials[::2], PROBLEM)
