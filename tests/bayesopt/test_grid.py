import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.bayesopt._grid import (
    EvaluationsToReach,
    SearchComparison,
    compare_searches,
    grid_points,
)

CONDITIONAL = Space(
    {
        "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"]}),
        "optimizer": Categorical(["adam", "sgd", None]),
        "nesterov": Categorical([True, False, 1], when={"optimizer": ["sgd"]}),
        "rate": Float(1e-4, 1e-2, log=True),
        "epochs": Fixed(20),
    }
)


def levels_of(points, name):
    return {repr(point[name]) for point in points if name in point}


def test_a_grid_has_as_even_a_number_of_values_as_fits():
    space = Space({name: Float(0, 1) for name in "abcdef"})
    points = grid_points(space, 50)
    assert len(points) == 3 * 2**4
    assert [len(levels_of(points, name)) for name in "abcdef"] == [3, 2, 2, 2, 2, 1]


def test_a_grid_spreads_values_from_end_to_end():
    points = grid_points(Space({"a": Float(1e-4, 1, log=True), "b": Integer(0, 10)}), 9)
    assert sorted({point["a"] for point in points}) == pytest.approx([1e-4, 1e-2, 1])
    assert sorted({point["b"] for point in points}) == [0, 5, 10]


def test_a_grid_with_one_point_is_the_middle():
    assert grid_points(Space({"a": Float(0, 1), "b": Ordinal([1, 2, 4])}), 1) == [
        {"a": 0.5, "b": 2}
    ]
    with pytest.raises(ValueError, match="at least 1 point, but got n=0"):
        grid_points(CONDITIONAL, 0)


@pytest.mark.parametrize("parameter", [Integer(1, 40, log=True), Float(0, 1, step=0.1)])
def test_a_grid_of_a_discrete_parameter_has_all_its_values_when_they_fit(parameter):
    points = grid_points(Space({"a": parameter}), parameter.n_values + 5)
    assert [point["a"] for point in points] == [
        parameter.value_at(i) for i in range(parameter.n_values)
    ]


@given(n=st.integers(1, 120))
def test_a_grid_of_a_conditional_space_has_each_point_once_and_at_most_n(n):
    points = grid_points(CONDITIONAL, n)
    assert 1 <= len(points) <= n
    assert len(points) > 0.5 * n or n < 10
    assert len({repr(point) for point in points}) == len(points)
    for point in points:
        CONDITIONAL.validate(point)


def test_a_grid_is_complete_when_the_space_is_small():
    space = CONDITIONAL.with_parameter("rate", Ordinal([1, 2]))
    space = space.with_parameter("momentum", Float(0.0, 0.9, step=0.3, when={"nesterov": [1]}))
    # adam, None; sgd with True and False; sgd with 1 and one of 4 momenta
    assert len(grid_points(space, 1000)) == 2 * (2 + 2 + 4)


def test_a_grid_of_a_parameter_that_is_never_active_ends():
    space = Space({"a": Fixed("x"), "b": Float(0, 1, when={"a": ["y"]}), "c": Float(0, 1)})
    assert len(grid_points(space, 7)) == 7


def test_a_grid_of_a_thousand_parameters_is_found():
    space = Space({f"x{i}": Float(0, 1) for i in range(1000)})
    assert len(grid_points(space, 20)) == 16


def test_the_interval_of_a_median_comes_from_order_statistics():
    """Of 10 values the 2nd and 9th hold the median with 1 - 2 * 11 / 1024 = 97.9 %."""
    needed = EvaluationsToReach.of([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert (needed.median, needed.low, needed.high) == (5.5, 2, 9)
    # Five values allow none: their range holds it with 1 - 2 / 32 = 93.75 %.
    assert math.isnan(EvaluationsToReach.of([1, 2, 3, 4, 5]).low)
    needed = EvaluationsToReach.of([1, 2, 3, 4, 5, 6])
    assert (needed.low, needed.high) == (1, 6)


def test_the_interval_holds_the_true_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    needed = [EvaluationsToReach.of(rng.exponential(size=15).tolist()) for _ in range(2000)]
    held = np.mean([one.low <= math.log(2) <= one.high for one in needed])
    assert 0.95 <= held < 0.98


def test_what_is_not_reached_counts_as_longer_than_all_evaluations():
    values = {"a": np.array([[3.0, math.nan, 1.0]] * 3 + [[3.0, 2.0, 2.0]] * 4)}
    needed = SearchComparison(values, maximize=False).evaluations_to_reach(1.0)["a"]
    assert (needed.median, needed.n_reached, needed.n_repeats) == (math.inf, 3, 7)
    assert (needed.low, needed.high) == (3, math.inf)
    text = str(SearchComparison(values, maximize=False))
    assert "to reach 2, the median best of a search after 3:" in text
    needed = SearchComparison(values, maximize=False)._evaluations_text(needed)
    assert needed == "not reached in 3, 95 % interval [3, not reached in 3]; by 3 of 7 repeats"


def test_a_maximised_comparison_is_the_mirror_of_the_minimised_one():
    values = np.random.default_rng(0).normal(size=(6, 9))
    down = SearchComparison({"a": values}, maximize=False)
    up = SearchComparison({"a": -values}, maximize=True)
    np.testing.assert_array_equal(up.best_so_far["a"], -down.best_so_far["a"])
    assert up.targets["a"] == -down.targets["a"]
    assert up.evaluations_to_reach(-0.5) == down.evaluations_to_reach(0.5)


def ridge(params):
    return abs(params["a"] - 0.37) + 0.1 * abs(params["b"] - 0.8)


BOUNDS = {"a": (0.0, 1.0), "b": (0.0, 1.0)}


def test_bayesian_optimization_reaches_the_others_best_in_fewer_evaluations():
    comparison = compare_searches(ridge, BOUNDS, 20, n_repeats=6)
    assert set(comparison.values) == {"bayesian", "grid", "random"}
    assert all(values.shape == (6, 20) for values in comparison.values.values())
    for rival in ("grid", "random"):
        needed = comparison.evaluations_to_reach(comparison.targets[rival])
        assert needed["bayesian"].high < 15
        assert needed[rival].median > needed["bayesian"].median
    assert "by 6 of 6 repeats" in str(comparison)


def test_every_repeat_of_a_grid_has_the_same_points_in_another_order():
    values = compare_searches(ridge, BOUNDS, 17, 3, methods=["grid"]).values["grid"]
    assert np.isnan(values[:, 16]).all()
    np.testing.assert_array_equal(np.sort(values[0]), np.sort(values[1]))
    assert not np.array_equal(values[0, :16], values[1, :16])


@pytest.mark.parametrize("method", ["bayesian", "grid", "random"])
def test_a_method_s_searches_depend_on_the_seed_alone(method):
    together = compare_searches(ridge, BOUNDS, 7, 2, seed=3).values[method]
    alone = compare_searches(ridge, BOUNDS, 7, 2, seed=3, methods=[method]).values[method]
    np.testing.assert_array_equal(together, alone)
    other = compare_searches(ridge, BOUNDS, 7, 2, seed=4, methods=[method]).values[method]
    assert not np.array_equal(together, other)


def test_a_maximised_objective_keeps_its_sign():
    comparison = compare_searches(lambda params: 5 - ridge(params), BOUNDS, 8, 2, maximize=True)
    assert all((5 - values <= 1.2).all() for values in comparison.values.values())
    assert comparison.targets["bayesian"] > 4.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_evaluations": 1}, "n_evaluations must be at least 2"),
        ({"n_evaluations": 5, "n_repeats": 0}, "n_repeats at least 1"),
        ({"n_evaluations": 5, "methods": ["tpe"]}, "among 'bayesian', .* but got 'tpe'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_searches(ridge, BOUNDS, **arguments)


def test_an_objective_that_returns_nothing_is_refused():
    with pytest.raises(TypeError, match="it returned None"):
        compare_searches(lambda params: None, BOUNDS, 5, methods=["random"])
