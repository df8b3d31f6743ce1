import numpy as np
import pytest

from chromasonic.bayesopt import Categorical, Float, Integer, Space
from chromasonic.bayesopt.acquisition.maximize import best_point, farthest_point, gradient_ascent
from chromasonic.bayesopt.space.encoded import EncodedSpace

NONE = np.empty((0, 3))
CUBE = EncodedSpace(Space({name: Float(0.0, 1.0) for name in "abc"}))
GRID = EncodedSpace(Space({name: Integer(0, 15) for name in "abc"}))
TOP = np.array([0.31, 0.77, 0.52])


class Peak:
    """Highest at `TOP`, with a gradient."""

    def __call__(self, U):
        return -np.sum((U - TOP) ** 2, axis=1)

    def with_gradient(self, U):
        return self(U), -2 * (U - TOP)


@pytest.mark.parametrize("seed", range(5))
def test_with_a_gradient_the_top_is_reached_exactly(seed):
    ascend = gradient_ascent(Peak(), CUBE, 20)
    u = best_point(CUBE, Peak(), NONE, set(), np.random.default_rng(seed), ascend=ascend)
    np.testing.assert_allclose(u, TOP, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_hill_climbing_finds_the_best_of_thousands_of_discrete_points(seed):
    u = best_point(GRID, Peak(), NONE, set(), np.random.default_rng(seed))
    everything = GRID.all_points()
    np.testing.assert_allclose(u, everything[np.argmax(Peak()(everything))])


def test_the_search_looks_closely_around_anchors():
    def needle(U):
        return -(np.abs(U - TOP).max(axis=1) ** 0.25)

    u = best_point(CUBE, needle, TOP[None] + 0.02, set(), np.random.default_rng(0))
    assert np.abs(u - TOP).max() < 0.02


def test_taken_points_never_come_back():
    encoded, taken = EncodedSpace(Space({"n": Integer(1, 7)})), set()
    for _ in range(7):
        u = best_point(encoded, lambda U: U[:, 0], NONE[:, :1], taken, np.random.default_rng(1))
        taken |= set(encoded.keys(u[None]))
    assert len(taken) == 7
    assert (
        best_point(encoded, lambda U: U[:, 0], NONE[:, :1], taken, np.random.default_rng(1))
        is None
    )


def test_the_last_points_of_a_larger_space_are_found_by_counting():
    everything = GRID.all_points()
    taken = set(GRID.keys(everything[1:]))
    u = best_point(GRID, Peak(), NONE, taken, np.random.default_rng(2))
    np.testing.assert_array_equal(u, everything[0])


def test_a_score_of_nan_is_the_worst():
    def broken(U):
        return np.where(U[:, 0] > 0.2, np.nan, U[:, 1])

    u = best_point(CUBE, broken, NONE, set(), np.random.default_rng(3))
    assert u[0] <= 0.2


def test_gradients_move_only_continuous_columns_that_are_there():
    space = Space(
        {
            "kind": Categorical(["a", "b"]),
            "x": Float(0.0, 1.0, when={"kind": ["b"]}),
            "y": Float(0.0, 1.0),
        }
    )

    class Uphill:
        def with_gradient(self, U):
            filled = np.nan_to_num(U)
            return filled.sum(axis=1), np.ones_like(U)

    U = np.array([[0.25, np.nan, 0.2], [0.75, 0.3, 0.2]])
    moved = gradient_ascent(Uphill(), EncodedSpace(space), 10)(U)
    np.testing.assert_array_equal(moved, [[0.25, np.nan, 1.0], [0.75, 1.0, 1.0]])


def test_the_farthest_point_lies_far():
    known = np.array([[0.0, 0.0, 0.0]])

    def distance(U):
        return np.sum((U - known) ** 2, axis=1)

    u = farthest_point(CUBE, distance, set(), np.random.default_rng(4))
    assert np.sum(u**2) > 1.5
