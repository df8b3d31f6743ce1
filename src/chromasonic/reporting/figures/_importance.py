"""Importance plot: share of variance that each hyperparameter explains, with intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chromasonic.bayesopt.analysis.importance import MIN_POINTS
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.reporting.figures._canvas import (
    BLUE,
    INK,
    YELLOW,
    legend_below,
    message,
    new_figure,
    plain,
    shortened,
    style_axes,
    title,
)
from chromasonic.reporting.text import value_name
from chromasonic.tuning.records import Importance, SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@own_error_state()
def draw_importance(result: SearchResult) -> "Figure":
    """A bar with its 95 % interval for each parameter, or that there is not enough data.

    The bar is the total effect; a mark within tells how much of it the parameter has alone.
    """
    effects = result.importance or []
    figure = new_figure(7.5, max(2.0 + 0.36 * len(effects), 3.0))
    axes = figure.add_subplot()
    if not effects:
        message(axes, _not_enough(result))
        return figure
    style_axes(axes, grid="x")
    _draw_bars(axes, effects)
    name = value_name(result)
    title(axes, f"What each hyperparameter explains of the {name}")
    axes.set_xlabel(f"share of the variance of the {name} over the space", color=INK, fontsize=9.5)
    legend_below(figure, axes)
    return figure


def _draw_bars(axes: "Axes", effects: Sequence[Importance]) -> None:
    from matplotlib.ticker import PercentFormatter

    rows = np.arange(len(effects))
    total = [effect.total for effect in effects]
    estimate, low, high = np.array([[t.estimate, t.low, t.high] for t in total]).T
    axes.barh(
        rows,
        estimate,
        height=0.55,
        color=BLUE,
        alpha=0.75,
        label="alone and together with others",
    )
    axes.errorbar(
        estimate,
        rows,
        xerr=(estimate - low, high - estimate),
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=3,
        label="95 % interval",
    )
    axes.scatter(
        [effect.main.estimate for effect in effects],
        rows,
        s=34,
        marker="D",
        c=YELLOW,
        edgecolors=INK,
        linewidths=0.8,
        zorder=4,
        clip_on=False,
        label="alone",
    )
    axes.set_yticks(rows, [plain(shortened(effect.name, 30)) for effect in effects])
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="y", length=0, pad=8)


def _not_enough(result: SearchResult) -> str:
    n_finished = len(result.ranking())
    if n_finished < MIN_POINTS:
        return (
            "Not enough data yet to say what matters.\n"
            f"That takes {MIN_POINTS} finished trials; so far {n_finished}."
        )
    return (
        "Not enough data yet to say what matters.\n"
        f"The differences between {n_finished} finished trials may be chance."
    )
