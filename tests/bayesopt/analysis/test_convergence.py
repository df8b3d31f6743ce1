import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chromasonic.bayesopt import Float, Space
from chromasonic.bayesopt.analysis.convergence import (
    AverageConvergence,
    Convergence,
    best_so_far,
    estimate_regret_left,
)
from chromasonic.bayesopt.analysis.interval import Interval, student_interval

# The total improvement is 10; 4.05 is within 1 % of it, 4.5 within 10 %.
COURSE = [14.0, 16.0, 9.0, 4.5, 5.0, 4.05, 7.0, 4.0, 6.0]
ANY = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])


def test_the_figures_of_a_run_count_evaluations_from_one():
    run = Convergence.of(COURSE)
    assert run.best_so_far.tolist() == [14, 14, 9, 4.5, 4.5, 4.05, 4.05, 4, 4]
    assert run.best_iteration == 8
    assert run.iterations_to_convergence == 6
    assert run.improvement_per_iteration == pytest.approx(10 / 7)
    assert run.improvements == pytest.approx([0, 0, 5, 4.5, 0, 0.45, 0, 0.05, 0])
    # Five times the same share leave 1 % of the distance.
    assert (1 - run.improvement_rate) ** 5 == pytest.approx(0.01)
    assert Convergence.of(COURSE, tolerance=0.1).iterations_to_convergence == 4


def test_a_maximised_run_has_the_same_figures_with_the_other_sign():
    run, mirrored = Convergence.of(COURSE), Convergence.of(np.negative(COURSE), maximize=True)
    assert mirrored == run
    np.testing.assert_array_equal(mirrored.best_so_far, -run.best_so_far)
    np.testing.assert_array_equal(mirrored.improvements, run.improvements)


@given(st.lists(ANY, max_size=30), st.booleans())
@example([0.0, -0.0], False)
def test_the_best_so_far_is_the_best_finite_value_up_to_each_evaluation(y, maximize):
    best = best_so_far(y, maximize=maximize)
    assert len(best) == len(y)
    for i in range(len(y)):
        finite = [value for value in y[: i + 1] if math.isfinite(value)]
        expected = (max if maximize else min)(finite, default=math.nan)
        # Unlike assert_equal this takes 0 and -0 for what they are, the same number.
        np.testing.assert_array_equal(best[i], expected)


@given(st.lists(ANY, min_size=1, max_size=30), st.booleans())
def test_convergence_comes_no_later_than_the_best_and_improvements_add_up(y, maximize):
    run = Convergence.of(y, maximize=maximize)
    if run.best_iteration is None:
        assert not np.isfinite(y).any()
        return
    assert 1 <= run.iterations_to_convergence <= run.best_iteration <= len(y)
    assert y[run.best_iteration - 1] == run.best_so_far[-1]
    assert (run.improvements >= 0).all()
    finite = run.best_so_far[np.isfinite(run.best_so_far)]
    assert run.improvements.sum() == pytest.approx(abs(finite[-1] - finite[0]))
    assert 0 <= run.improvement_rate < 1


def test_a_run_whose_first_value_is_the_best_converged_at_once():
    run = Convergence.of([math.nan, 1.0, 2.0, math.inf, 1.0])
    assert run.best_iteration == run.iterations_to_convergence == 2
    assert run.improvement_per_iteration == run.improvement_rate == 0


@pytest.mark.parametrize("y", [[], [math.nan], [math.inf, -math.inf]])
def test_a_run_without_a_finite_value_has_no_figures(y):
    run = Convergence.of(y)
    assert run.best_iteration is run.iterations_to_convergence is None
    assert run.improvements.tolist() == [0] * len(y)


@pytest.mark.parametrize("tolerance", [0, 1, -0.1, math.nan])
def test_a_tolerance_must_be_a_proper_share(tolerance):
    with pytest.raises(ValueError, match="tolerance must lie between 0 and 1"):
        Convergence.of(COURSE, tolerance=tolerance)


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    estimates = [student_interval(rng.exponential(size=8)) for _ in range(2000)]
    held = np.mean([estimate.low <= 1 <= estimate.high for estimate in estimates])
    # Of a skewed distribution with 8 values Student's interval holds a little less.
    assert 0.88 < held < 0.96


def test_the_interval_of_five_values_is_that_of_the_tables():
    """Student's t for 4 degrees of freedom is 2.7764; the values' deviation is sqrt(2.5)."""
    estimate = student_interval([1, 2, 3, 4, 5])
    assert estimate.estimate == 3
    assert (estimate.low, estimate.high) == pytest.approx((1.0368, 4.9632), abs=1e-4)


def test_an_average_of_runs_keeps_the_last_value_of_those_that_ended_early():
    runs = [Convergence.of(y) for y in ([3, 2, 1], [5, 4], [math.nan, math.nan, math.nan])]
    average = AverageConvergence.of(runs)
    assert average.n_runs == 3
    assert average.best_so_far[0].tolist() == [4, 3, 2.5]
    assert average.best_value.estimate == 2.5
    assert average.best_iteration.estimate == 2.5
    assert average.regret_left is None
    assert average.best_so_far[1, 0] < 4 < average.best_so_far[2, 0]


def test_an_average_of_one_run_has_no_interval():
    average = AverageConvergence.of([Convergence.of(COURSE, regret_left=Interval(2.0, 1.0, 3.0))])
    assert average.iterations_to_convergence.estimate == 6
    assert math.isnan(average.iterations_to_convergence.low)
    assert average.regret_left.estimate == 2.0
    with pytest.raises(ValueError, match="at least one run"):
        AverageConvergence.of([])


class Line:
    """A model that expects x, with a doubt about its slope."""

    def predict(self, X, return_std):
        return X[:, 0], X[:, 0]

    def sample(self, X, n_samples, rng):
        return X[:, 0] * rng.normal(1.0, 0.1, size=(n_samples, 1))


def test_the_regret_left_is_the_distance_to_the_minimum_the_model_expects():
    space = Space({"x": Float(0.0, 1.0)})
    regret = estimate_regret_left(
        Line(), space, [{"x": 0.5}, {"x": 0.8}], np.random.default_rng(0)
    )
    assert regret.estimate == pytest.approx(0.5, abs=0.01)
    assert (regret.low, regret.high) == pytest.approx((0.4, 0.6), abs=0.02)
    with pytest.raises(ValueError, match="at least one point"):
        estimate_regret_left(Line(), space, [], np.random.default_rng(0))
