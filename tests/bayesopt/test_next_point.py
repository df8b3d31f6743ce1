import math

import numpy as np
import pytest

from chromasonic.bayesopt import (
    Fixed,
    Float,
    Space,
    find_next_point,
    sample_random_point,
)
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


def bowl(params):
    return (params["x"] - 0.3) ** 2 + (params["y"] - 0.6) ** 2


def test_wrong_bounds_are_refused():
    with pytest.raises(SpaceError, match="'x'"):
        sample_random_point({"x": 3})


def test_random_points_are_points_of_the_space_and_repeat_with_a_seed():
    space = Space.from_bounds(MIXED)
    generator = np.random.default_rng(0)
    for _ in range(50):
        space.validate(sample_random_point(MIXED, generator))
    assert sample_random_point(MIXED, 3) == sample_random_point(MIXED, 3)
    assert sample_random_point(MIXED) != sample_random_point(MIXED)


class Bowl:
    """A regressor that knows the bowl, a little unsure everywhere."""

    def predict(self, X, return_std=False):
        mean = ((X - [0.3, 0.6]) ** 2).sum(axis=1)
        return (mean, np.full(len(X), 0.01)) if return_std else mean


@pytest.mark.parametrize("acquisition", ["ei", "log_ei", "ucb", "lcb", "pi"])
def test_the_next_point_is_the_best_of_a_model_that_is_equally_unsure_everywhere(acquisition):
    point = find_next_point(Bowl(), BOUNDS, [1.0, math.nan, 0.02], acquisition, rng=0)
    # The chance of an improvement is 1, rounded, in a wide circle around the minimum.
    assert (point["x"], point["y"]) == pytest.approx((0.3, 0.6), abs=0.15)
    if acquisition != "pi":
        assert (point["x"], point["y"]) == pytest.approx((0.3, 0.6), abs=0.01)


def test_the_next_point_is_found_where_an_improvement_is_next_to_impossible():
    point = find_next_point(Bowl(), BOUNDS, [-100.0], rng=0)
    assert (point["x"], point["y"]) == pytest.approx((0.3, 0.6), abs=0.01)


def test_the_next_point_needs_a_finite_loss_and_a_known_acquisition():
    with pytest.raises(ValueError, match="at least one finite loss, but got \\[nan\\]"):
        find_next_point(Bowl(), BOUNDS, [math.nan])
    with pytest.raises(ValueError, match="but got 'best'"):
        find_next_point(Bowl(), BOUNDS, [1.0], "best")


class Remembering(Bowl):
    def __init__(self, X):
        self.X_train_ = X


def test_the_next_point_is_not_one_that_the_model_was_fitted_on():
    bounds = {"x": [0.0, 0.3, 1.0], "y": [0.0, 0.6]}
    space = Space.from_bounds(bounds)
    X_observed = []
    for _ in range(6):
        gp = Remembering(space.encode(X_observed))
        point = find_next_point(gp, bounds, [1.0], rng=0)
        assert point not in X_observed
        X_observed.append(point)
    again = find_next_point(Remembering(space.encode(X_observed)), bounds, [1.0], rng=0)
    assert again in X_observed


def test_the_loop_of_the_founding_document_runs_with_scikit_learn():
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    gp = gaussian_process.GaussianProcessRegressor(
        kernel=gaussian_process.kernels.Matern(length_scale=0.5, nu=2.5),
        optimizer=None,
        alpha=1e-8,
        normalize_y=True,
    )
    space, generator = Space.from_bounds(BOUNDS), np.random.default_rng(0)
    X_observed = [sample_random_point(BOUNDS, generator) for _ in range(5)]
    y_observed = [bowl(params) for params in X_observed]
    for _ in range(10):
        gp.fit(space.encode(X_observed), y_observed)
        next_x = find_next_point(gp, BOUNDS, y_observed, rng=generator)
        X_observed.append(next_x)
        y_observed.append(bowl(next_x))
    assert min(y_observed) < 0.01
