"""Learning curves of all trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.reporting.figures._canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    RED,
    Limits,
    legend_below,
    message,
    new_figure,
    style_axes,
    title,
    value_label,
    value_limits,
)
from chromasonic.reporting.figures._marks import Endings
from chromasonic.tuning.records import SearchResult, TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HIGHLIGHTS = (BLUE, PURPLE, GREEN)
_QUIET_BLUE = "#9DB4CE"

Curve = NDArray[np.float64]
"""Epochs and values, shape (n, 2); the value is nan where it was not finite."""


@own_error_state()
def draw_learning_curves(result: SearchResult) -> "Figure":
    """The value of every trial after each epoch, with the best few in colour."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(7.5, 4.4)
    axes = figure.add_subplot()
    curves = {trial.number: _curve(trial) for trial in result.trials if trial.learning_curve}
    every = np.concatenate([*curves.values(), np.empty((0, 2))])
    limits = value_limits(every[:, 1].tolist(), maximize=result.maximize)
    if limits is None:
        message(axes, "No trial has a learning curve yet.")
        return figure
    style_axes(axes)
    _draw_all(axes, result, {n: _drawable(curve, limits) for n, curve in curves.items()})
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(value_label(result), color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    margin = max(0.2, 0.02 * np.ptp(every[:, 0]))
    axes.set_xlim(every[:, 0].min() - margin, every[:, 0].max() + margin)
    axes.set_ylim(limits.ends)
    title(axes, f"Learning curves of {len(curves)} {'trial' if len(curves) == 1 else 'trials'}")
    legend_below(figure, axes)
    return figure


def _draw_all(axes: "Axes", result: SearchResult, curves: dict[int, Curve]) -> None:
    endings = Endings.of(result.trials)
    best = result.ranking()[: len(_HIGHLIGHTS)]
    others = [trial for trial in endings.finished if trial not in best]
    for trials, label, colour, dashes in (
        (endings.failed, "failed", RED, "solid"),
        (endings.pruned, "pruned", GREY, "dashed"),
        (others, "other finished", _QUIET_BLUE, "solid"),
    ):
        group = [curves[trial.number] for trial in trials if trial.number in curves]
        _draw_group(axes, group, f"{label} ({len(group)})", colour, dashes)
    for rank, trial in enumerate(best):
        if trial.number in curves:
            _highlight(axes, trial, curves[trial.number], rank)


def _draw_group(
    axes: "Axes", curves: Sequence[Curve], label: str, colour: str, dashes: str
) -> None:
    """Thin lines, the fainter the more there are."""
    from matplotlib.collections import LineCollection

    if not curves:
        return
    alpha = float(np.clip(25 / len(curves), 0.15, 0.7))
    lines = LineCollection(curves, colors=colour, linestyles=dashes, linewidths=1.0)
    lines.set(alpha=alpha, label=label)
    axes.add_collection(lines)
    points = np.concatenate([_lone_points(curve) for curve in curves])
    axes.scatter(points[:, 0], points[:, 1], s=9, c=colour, alpha=alpha, linewidths=0)


def _highlight(axes: "Axes", trial: TrialRecord, curve: Curve, rank: int) -> None:
    """A thick line with a point at its best epoch; better ones lie on top."""
    axes.plot(
        curve[:, 0],
        curve[:, 1],
        color=_HIGHLIGHTS[rank],
        linewidth=2.0,
        marker="o",
        markersize=5,
        markevery=np.flatnonzero(curve[:, 0] == trial.best_epoch).tolist(),
        label=f"trial {trial.number}: {trial.value:.4f}",
        zorder=5 - rank,
    )


def _curve(trial: TrialRecord) -> Curve:
    rows = [(row.epoch, row.loss) for row in trial.learning_curve]
    curve = np.array(rows, dtype=float)
    curve[~np.isfinite(curve)] = np.nan
    return curve


def _drawable(curve: Curve, limits: Limits) -> Curve:
    """The losses, cut far beyond the limits, where a line would lose its direction."""
    return np.column_stack([curve[:, 0], limits.within_reach(curve[:, 1])])


def _lone_points(curve: Curve) -> Curve:
    """The points that no line reaches, since they have no neighbour."""
    there = np.concatenate([[False], np.isfinite(curve[:, 1]), [False]])
    lone: Curve = curve[there[1:-1] & ~there[:-2] & ~there[2:]]
    return lone
