import numpy as np
import pytest

from chromasonic.bayesopt import Float, Space
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.surrogate._surrogate import (
    MOST_MODELLED,
    SurrogateModel,
    _informative,
    fitted_length,
)
from chromasonic.bayesopt.surrogate.observations import Observation, Outcome
from chromasonic.bayesopt.surrogate.targets import targets_of

LINE = Space({"x": Float(0.0, 1.0)})


def done(number, value, curve=None):
    return Observation(number, {}, Outcome.COMPLETED, value=value, curve=curve or {})


def pruned(number, curve):
    return Observation(number, {}, Outcome.PRUNED, curve=curve)


def failed(number):
    return Observation(number, {}, Outcome.FAILED)


def test_a_failure_counts_as_bad_as_the_worst_value_and_is_not_measured():
    targets = targets_of([done(0, 1.0), failed(1), done(2, 3.0), done(3, float("inf"))])
    assert targets.z[1] == targets.z[3] == targets.z.max() == targets.z[2]
    assert targets.measured.tolist() == [True, False, True, False]
    assert targets.extra_noise.tolist() == [0.0] * 4


def test_a_pruned_trial_has_more_noise_than_a_finished_one_and_is_no_better_than_the_best():
    finished = [done(i, v, {1: v + 1, 2: v}) for i, v in enumerate([1.0, 1.5, 2.0, 3.0])]
    targets = targets_of([*finished, pruned(4, {1: 0.1}), pruned(5, {1: 9.0})])
    assert (targets.extra_noise[4:] > 0).all()
    assert (targets.extra_noise[:4] == 0).all()
    assert targets.z[4] >= targets.z[0]
    assert targets.z[5] > targets.z[4]


def test_where_everything_was_pruned_losses_at_a_common_epoch_are_compared():
    targets = targets_of([pruned(0, {1: 3.0, 2: 0.0}), pruned(1, {1: 2.0}), pruned(2, {1: 4.0})])
    assert np.argsort(targets.z).tolist() == [1, 0, 2]
    assert not targets.measured.any()


def test_nothing_but_failures_teaches_no_value():
    targets = targets_of([failed(0), failed(1)])
    assert targets.z.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 50, 57, 200, 1000, 5000])
def test_hyperparameters_are_fitted_to_lengths_that_depend_on_nothing_but_n(n):
    m = fitted_length(n)
    assert 0 < m <= n <= max(m * 1.1 + 1, m + 1)
    assert fitted_length(m) == m


def test_a_model_answers_the_same_whatever_it_was_asked_before():
    rng = np.random.default_rng(0)
    observations = [done(i, float(rng.normal())) for i in range(40)]
    Z = rng.random((40, 1))
    grown, fresh = SurrogateModel(Features(LINE)), SurrogateModel(Features(LINE))
    for n in range(1, 41):
        grown.posterior(Z[:n], lambda m, n=n: targets_of(observations[:n][:m]))
    at = rng.random((5, 1))
    told = grown.posterior(Z, lambda m: targets_of(observations[:m])).mean(at)
    np.testing.assert_array_equal(
        told, fresh.posterior(Z, lambda m: targets_of(observations[:m])).mean(at)
    )


def test_of_a_long_history_the_best_and_their_neighbours_are_modelled():
    rng = np.random.default_rng(1)
    Z, z = rng.random((1000, 3)), rng.normal(size=1000)
    kept = _informative(Z, z, MOST_MODELLED)
    assert len(kept) == len(set(kept)) == MOST_MODELLED
    assert set(np.argsort(z)[: MOST_MODELLED // 3]) <= set(kept)
    nearest = np.argsort(((Z - Z[z.argmin()]) ** 2).sum(axis=1))[:20]
    assert set(nearest) <= set(kept)
    assert (np.diff(kept) > 0).all()


def test_a_short_history_is_modelled_whole():
    assert _informative(np.zeros((7, 2)), np.zeros(7), MOST_MODELLED).tolist() == list(range(7))
