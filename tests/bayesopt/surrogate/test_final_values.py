import numpy as np
import pytest

from chromasonic.bayesopt.surrogate.observations import Observation, Outcome
from chromasonic.bayesopt.surrogate.targets import best_until, estimate_final_values

RNG = np.random.default_rng(0)


def finished(early, end):
    curves = [{1: a, 2: b} for a, b in zip(early, end, strict=True)]
    return [
        Observation(i, {}, Outcome.COMPLETED, value=curve[2], curve=curve)
        for i, curve in enumerate(curves)
    ]


def stopped(*losses):
    return [Observation(100 + i, {}, Outcome.PRUNED, curve={1: x}) for i, x in enumerate(losses)]


def test_where_early_losses_foretell_the_end_a_bad_start_is_a_bad_end():
    end = RNG.normal(size=20)
    good, bad = estimate_final_values(stopped(-1.0, 5.0), finished(end, end))[0]
    assert bad > good + 1.0


def test_where_they_foretell_nothing_the_estimate_is_the_mean_and_unsure():
    end = RNG.normal(size=40)
    early = np.random.default_rng(5).permutation(40).astype(float)
    estimates, variances = estimate_final_values(stopped(100.0), finished(early, end))
    slope = max(np.cov(early, end)[0, 1] / early.var(), 0.0)
    assert abs(estimates[0] - end.mean()) < 0.3 + 30 * slope
    assert variances[0] > 0.7 * end.var()


def test_where_slow_starters_end_well_a_bad_start_is_not_held_against_them():
    end = RNG.normal(size=20)
    estimates, variances = estimate_final_values(stopped(50.0), finished(-end, end))
    assert estimates[0] == pytest.approx(end.mean(), abs=0.15)
    assert variances[0] > 0.8 * end.var()


def test_with_a_single_finished_trial_worse_starts_are_expected_to_end_worse():
    estimates, _ = estimate_final_values(stopped(2.0, 3.0, 4.0), finished([1.0], [0.5]))
    assert 0.5 < estimates[0] < estimates[1] < estimates[2]


def test_with_none_finished_losses_at_the_epoch_that_all_reached_stand_for_values():
    trials = [
        Observation(0, {}, Outcome.PRUNED, curve={1: 3.0, 2: 0.1}),
        Observation(1, {}, Outcome.PRUNED, curve={1: 2.0}),
        Observation(2, {}, Outcome.PRUNED, curve={1: 4.0}),
    ]
    estimates, variances = estimate_final_values(trials, [])
    np.testing.assert_allclose(estimates, [3.0, 2.0, 4.0])
    assert (variances > 0).all()


def test_a_loss_that_exploded_early_is_just_bad():
    end = RNG.normal(size=10)
    estimates, _ = estimate_final_values(stopped(1e30, float("nan"), 3.0), finished(end, end))
    assert np.isfinite(estimates).all()
    assert estimates[0] < 20


def test_no_estimate_is_better_than_the_best():
    end = RNG.normal(size=20)
    estimates, _ = estimate_final_values(stopped(-1e9, -2e9), finished(end, end))
    assert estimates.min() >= end.min()


def test_without_anything_to_compare_with_an_estimate_is_as_wide_as_all_values():
    bare = [Observation(i, {}, Outcome.COMPLETED, value=float(i)) for i in range(3)]
    estimates, variances = estimate_final_values(stopped(1.0), bare)
    assert (estimates[0], variances[0]) == (1.0, np.var([0, 1, 2]))
    nothing = [Observation(1, {}, Outcome.PRUNED)]
    estimates, variances = estimate_final_values(nothing, finished([1.0, 2.0], [1.0, 2.0]))
    assert (estimates[0], variances[0]) == (1.5, 0.25)
    assert np.isnan(estimate_final_values(nothing, [])[0]).all()


def test_the_more_a_start_tells_the_less_noise_an_estimate_has():
    end = RNG.normal(size=30)
    rough = end + RNG.normal(size=30)
    sure = estimate_final_values(stopped(0.0), finished(end, end))[1]
    unsure = estimate_final_values(stopped(0.0), finished(rough, end))[1]
    assert 0 < sure[0] < unsure[0]


def test_each_trial_is_compared_at_the_epoch_it_reached():
    ends = np.linspace(0, 1, 10)
    # What starts worst ends best, so that the first epoch foretells nothing good of the last.
    runs = [
        Observation(i, {}, Outcome.COMPLETED, value=v, curve={1: 3 - v, 5: v})
        for i, v in enumerate(ends)
    ]
    late = Observation(90, {}, Outcome.PRUNED, curve={1: 3.0, 5: 1.5})
    early = Observation(91, {}, Outcome.PRUNED, curve={1: 4.0})
    (of_late, of_early), variances = estimate_final_values([late, early], runs)
    assert of_late > 0.9
    assert of_early == pytest.approx(ends.mean(), abs=0.15)
    assert variances[0] < variances[1]


def test_the_best_until_an_epoch_ignores_what_is_not_a_number():
    trial = Observation(0, {}, Outcome.PRUNED, curve={1: 3.0, 2: float("nan"), 3: 1.0})
    assert best_until(trial, 2) == 3.0
    assert best_until(trial, 3) == 1.0
    assert best_until(trial, 0) == float("inf")
