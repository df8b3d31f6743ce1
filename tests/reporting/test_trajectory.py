import copy
import math
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from chromasonic.bayesopt import Convergence, bayesian_optimization, parameter_importance
from chromasonic.reporting.figures.trajectory import (
    draw_optimization_trajectory,
    draw_search_comparison,
    plot_optimization_trajectory,
    plot_search_comparison,
)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Y = [4.0, 3.0, 5.0, math.nan, 1.0, 2.0, math.inf, 1.5]


def artist(axes, label):
    handles, names = axes.get_legend_handles_labels()
    return handles[names.index(label)]


def comparison(maximize=False, **values):
    arrays = {method: np.array(rows, dtype=float) for method, rows in values.items()}
    return SimpleNamespace(values=arrays, maximize=maximize)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_so_far_runs_in_the_direction_that_is_better(sign):
    [axes] = draw_optimization_trajectory(np.multiply(sign, Y), maximize=sign < 0).axes
    line = artist(axes, "best so far")
    assert line.get_xdata().tolist() == list(range(1, 9))
    assert (sign * line.get_ydata()).tolist() == [4, 3, 3, 3, 1, 1, 1, 1]
    points = artist(axes, "observed").get_offsets()
    assert points[:, 0].tolist() == [1, 2, 3, 5, 6, 8]
    assert (sign * points[:, 1]).tolist() == [4, 3, 5, 1, 2, 1.5]
    assert artist(axes, "not finite (2)").get_xdata().tolist() == [4, 7]
    assert axes.get_title("left") == f"Best value {sign}, at evaluation 5 of 8"
    assert ("higher is better" in axes.get_ylabel()) == (sign < 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_far_worse_than_the_others_stands_at_the_bad_end(sign):
    y = sign * np.array([1e9, 3.0, 2.0, 2.5, 1.0])
    [axes] = draw_optimization_trajectory(y, maximize=sign < 0).axes
    side = "above" if sign > 0 else "below"
    [[x, height]] = artist(axes, f"observed, {side} the range (1)").get_offsets()
    low, high = axes.get_ylim()
    assert (x, height) == (1, high if sign > 0 else low)
    assert high - low < 10


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([], "Nothing has been evaluated yet."),
        ([math.nan, math.inf], "None of 2 evaluations has a finite value"),
        ([0.0], "Best value 0, at evaluation 1 of 1"),
        ([2.0] * 5, "Best value 2, at evaluation 1 of 5"),
    ],
)
def test_any_course_can_be_drawn(y, words, tmp_path):
    figure = plot_optimization_trajectory([{}] * len(y), y, path=tmp_path / "trajectory.png")
    [axes] = figure.axes
    assert words in [axes.get_title("left"), *(text.get_text() for text in axes.texts)]
    assert (tmp_path / "trajectory.png").read_bytes().startswith(PNG_SIGNATURE)


def test_points_and_values_must_be_equally_many():
    with pytest.raises(ValueError, match=r"got 2 points and values of shape \(1,\)"):
        plot_optimization_trajectory([{}, {}], [1.0])


def test_a_picture_can_be_drawn_into_axes_that_are_there():
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot_optimization_trajectory([{}] * 8, Y, ax=left) is figure
    assert plot_search_comparison(comparison(a=[[2, 1]]), ax=right) is figure
    assert left.get_legend() is not None
    assert right.get_legend() is not None
    assert not figure.legends


@pytest.mark.parametrize("sign", [1, -1])
def test_each_method_is_drawn_with_its_median_and_the_middle_half(sign):
    first = sign * np.array([[5.0, 4, 1], [3, 3, 3], [math.nan, 5, 2]])
    second = sign * np.array([[6.0, 6, math.nan]])
    figure = draw_search_comparison(comparison(sign < 0, bayesian=first, grid=second))
    [axes] = figure.axes
    line = artist(axes, f"bayesian: {2 * sign}")
    assert (sign * line.get_ydata()).tolist() == [4, 4, 2]
    assert (sign * artist(axes, f"grid: {6 * sign}").get_ydata()).tolist() == [6, 6, 6]
    assert "middle half of 3 repeats" in axes.get_title("left")


@pytest.mark.parametrize("values", [{}, {"a": [[math.nan, math.inf]]}, {"a": np.empty((2, 0))}])
def test_a_comparison_without_values_says_so(values):
    [axes] = draw_search_comparison(comparison(**values)).axes
    assert [text.get_text() for text in axes.texts] == [
        "No method has observed a finite value yet."
    ]


def test_a_comparison_is_written_where_it_is_asked_for(tmp_path):
    plot_search_comparison(comparison(a=[[3, 2, 1]], b=[[3, 3, 3]]), path=tmp_path / "c")
    assert (tmp_path / "c").read_bytes().startswith(PNG_SIGNATURE)


def test_matplotlib_is_loaded_only_when_something_is_drawn():
    code = (
        "import sys, chromasonic.reporting.figures.trajectory; print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def star(figure):
    """Evaluation and value of the star."""
    [axes] = figure.axes
    [point] = [c for c in axes.collections if c.get_sizes().tolist() == [150]]
    return tuple(point.get_offsets()[0].tolist())


def height(params):
    return 5.5 - (params["x"] - 0.3) ** 2


def test_after_a_maximisation_the_star_is_at_the_highest_value_without_a_word(tmp_path):
    result = bayesian_optimization(height, {"x": (0.0, 1.0)}, 6, 3, maximize=True, seed=0)
    X, y = result
    expected = (1.0 + int(np.argmax(y)), max(y))
    assert min(y) < max(y)
    for given in (result, (X, y), (result.X_observed, result.y_observed)):
        assert star(plot_optimization_trajectory(*given)) == expected
    again = pickle.loads(pickle.dumps(result))
    assert star(draw_optimization_trajectory(copy.deepcopy(again).y_observed)) == expected
    first = int(np.argmax(y[:4]))
    assert star(plot_optimization_trajectory(X[:4], y[:4])) == (1.0 + first, y[first])
    # What the user says counts more.
    lowest = (1.0 + int(np.argmin(y)), min(y))
    assert star(plot_optimization_trajectory(X, y, False)) == lowest
    assert star(plot_optimization_trajectory(X, list(y))) == lowest


def test_figures_of_a_run_know_the_direction_of_its_values():
    result = bayesian_optimization(height, {"x": (0.0, 1.0)}, 17, 3, maximize=True, seed=0)
    X, y = result
    assert Convergence.of(y).best_so_far[-1] == max(y)
    assert Convergence.of(list(y)).best_so_far[-1] == min(y)
    bounds = {"x": (0.0, 1.0)}
    assert parameter_importance(bounds, X, y) == parameter_importance(
        bounds, X, list(y), maximize=True
    )
