import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Float, Integer, Space
from chromasonic.bayesopt.analysis.stopping import (
    ExpectedGain,
    candidates,
    evaluations_without_improvement,
    expected_gain,
    gains,
)
from chromasonic.bayesopt.space.encoded import EncodedSpace

PLACES = np.linspace(0, 1, 60)[:, None]


class Exact:
    """A Gaussian process whose kernel is known, after some values without noise."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    @staticmethod
    def kernel(A, B):
        return np.exp(-0.5 * (A - B.T) ** 2 / 0.15**2)

    def posterior(self, X):
        K = self.kernel(self.X, self.X) + 1e-10 * np.eye(len(self.X))
        W = np.linalg.solve(K, self.kernel(self.X, X)).T
        return W @ self.y, self.kernel(X, X) - W @ self.kernel(self.X, X)

    def predict(self, X, return_std):
        mean, covariance = self.posterior(X)
        return mean, np.sqrt(np.maximum(np.diagonal(covariance), 0))

    def sample(self, X, n_samples, rng):
        return rng.multivariate_normal(*self.posterior(X), size=n_samples, method="eigh")


class Flat:
    """Knows the objective: it is the first column, give or take `doubt` everywhere at once."""

    def __init__(self, doubt=0.0):
        self.doubt = doubt

    def predict(self, X, return_std):
        return X[:, 0], np.full(len(X), self.doubt)

    def sample(self, X, n_samples, rng):
        return X[:, 0] + self.doubt * rng.normal(size=(n_samples, 1))


def evaluate_best(values, seen, n):
    """Decrease of the lowest value by n evaluations, each of the highest improvement."""
    seen = list(seen)
    best = values[seen].min()
    for i in range(n):
        model = Exact(PLACES[seen], values[seen])
        order = [*seen, *(j for j in range(len(PLACES)) if j not in seen)]
        drawn = gains(model, PLACES[order], len(seen), np.random.default_rng(i))
        seen.append(order[np.maximum(drawn, 0).mean(axis=0).argmax()])
    return best - values[seen].min()


def test_the_expected_gains_are_the_mean_gains_on_functions_the_model_is_right_about():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(150):
        values = Exact(PLACES[:1], np.zeros(1)).sample(PLACES, 1, rng)[0]
        seen = rng.choice(len(PLACES), size=3, replace=False)
        order = [*seen, *(i for i in range(len(PLACES)) if i not in seen)]
        model = Exact(PLACES[seen], values[seen])
        gain = expected_gain(model, PLACES[order], len(seen), rng)
        truth = [evaluate_best(values, seen, n) for n in (1, 3)]
        everything = values[seen].min() - values.min()
        found.append([gain.of_next, truth[0], gain.of(3), truth[1], gain.of_all, everything])
    found = np.array(found)
    error = 3 * found.std(axis=0) / np.sqrt(len(found))
    of_next, by_next, of_three, by_three, of_all, by_all = found.mean(axis=0)
    assert of_next == pytest.approx(by_next, abs=error[1])
    assert of_all == pytest.approx(by_all, abs=error[5])
    assert by_next < by_three < by_all
    assert of_three > by_three - error[3]
    assert of_three < 1.5 * by_three


def test_nothing_is_gained_where_the_best_is_known_for_sure():
    X = np.array([[0.0], [0.2], [1.0]])
    gain = expected_gain(Flat(), X, 2, np.random.default_rng(0))
    assert gain == ExpectedGain(0.0, 0.0)


def test_doubt_that_all_points_share_is_no_gain():
    X = np.array([[0.1], [0.2], [1.0]])
    gain = expected_gain(Flat(doubt=5.0), X, 3, np.random.default_rng(0))
    assert gain.of_all == pytest.approx(0, abs=1e-12)


def test_a_better_point_not_yet_evaluated_is_a_gain_by_one_evaluation():
    X = np.array([[0.5], [0.7], [0.2]])
    gain = expected_gain(Flat(), X, 2, np.random.default_rng(0))
    assert (gain.of_next, gain.of_all) == pytest.approx((0.3, 0.3))


def test_few_evaluations_gain_at_most_as_much_as_so_many_best_ones():
    gain = ExpectedGain(of_next=0.1, of_all=0.35)
    assert [gain.of(n) for n in (0, 1, 3, 4, 100)] == pytest.approx([0, 0.1, 0.3, 0.35, 0.35])


@pytest.mark.parametrize(
    ("losses", "n_initial", "count"),
    [
        ([], 0, 0),
        ([3.0], 0, 0),
        ([3.0, 2.0, 2.0, 2.5], 0, 2),
        ([3.0, 2.0, 2.0, 2.5], 3, 1),
        ([3.0, 2.0, 2.0, 2.5], 5, 0),
        ([3.0, 2.0, 2.0, 1.5], 3, 0),
        ([math.nan, math.inf, -math.inf], 1, 2),
        ([2.0, -math.inf, math.nan, 1.0, 1.0], 1, 1),
    ],
)
def test_evaluations_without_improvement_are_counted_after_the_initial_ones(
    losses, n_initial, count
):
    assert evaluations_without_improvement(losses, n_initial) == count


@given(st.lists(st.floats(-10, 10), max_size=30), st.integers(0, 10))
def test_evaluations_without_improvement_agree_with_a_plain_count(losses, n_initial):
    count = 0
    for i, loss in enumerate(losses):
        improved = loss < min(losses[:i], default=math.inf)
        count = 0 if improved or i < n_initial else count + 1
    assert evaluations_without_improvement(losses, n_initial) == count


def test_candidates_of_a_small_space_are_all_its_points():
    space = Space({"a": Integer(1, 3), "b": Categorical(["x", "y"])})
    X_observed = space.encode([{"a": 2, "b": "y"}])
    X = candidates(EncodedSpace(space), Flat(), X_observed, np.random.default_rng(0))
    np.testing.assert_array_equal(X[:1], X_observed)
    assert len({repr(point) for point in space.decode(X[1:])}) == 6


def test_candidates_of_a_large_space_gather_where_the_model_is_low():
    space = Space(
        {
            "a": Float(0, 1),
            "b": Integer(1, 10**6),
            "c": Float(0, 1, when={"d": [1]}),
            "d": Integer(1, 2),
        }
    )
    X_observed = space.encode([space.sample(np.random.default_rng(1)) for _ in range(4)])
    X = candidates(EncodedSpace(space), Flat(), X_observed, np.random.default_rng(0))
    np.testing.assert_array_equal(X[:4], X_observed)
    assert len(X) == 804
    assert np.isnan(X[:, 2]).any()
    assert (X[:, 0] < 0.05).sum() > 300
