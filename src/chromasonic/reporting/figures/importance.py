"""How much each hyperparameter explains of the loss, and how sure that is."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chromasonic.bayesopt import Fixed, Parameter
from chromasonic.reporting.figures.canvas import (
    BLUE,
    INK,
    dress,
    message,
    new_figure,
    plain,
    save,
    shortened,
    title,
)
from chromasonic.tuning.importance import MIN_TRIALS
from chromasonic.tuning.records import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_importance(result: SearchResult, path: Path) -> Path:
    """Writes the picture of `draw_importance` and returns where it is.

    Args:
        result: What is drawn; the numbers are its `importance`.
        path: Where it goes; the ending chooses the format, PNG without one.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return save(draw_importance(result), path)


def draw_importance(result: SearchResult) -> "Figure":
    """A bar with its 95 % interval for each parameter, or that there is not enough data."""
    effects: Sequence[Mapping[str, Any]] = result["importance"] or ()
    figure = new_figure(7.5, max(1.6 + 0.36 * len(effects), 3.0))
    axes = figure.add_subplot()
    if not effects:
        message(axes, _not_enough(result))
        return figure
    dress(axes, grid="x")
    _draw_bars(axes, effects)
    title(axes, "What each hyperparameter alone explains of the loss")
    axes.set_xlabel(
        "share of the variance of ranked losses, with 95 % interval", color=INK, fontsize=9.5
    )
    if unknown := _unknown(result, effects):
        note = textwrap.fill(f"Not enough data on: {', '.join(unknown)}", 90)
        figure.supxlabel(plain(note), color=INK, fontsize=8.5)
    return figure


def _draw_bars(axes: "Axes", effects: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import PercentFormatter

    rows = np.arange(len(effects))
    estimate, low, high = (
        np.array([effect[key] for effect in effects]) for key in ("estimate", "low", "high")
    )
    axes.barh(rows, estimate, height=0.55, color=BLUE, alpha=0.75)
    axes.errorbar(
        estimate,
        rows,
        xerr=(estimate - low, high - estimate),
        fmt="o",
        markersize=4,
        color=INK,
        elinewidth=1.2,
        capsize=3,
    )
    axes.set_yticks(rows, [plain(shortened(effect["name"], 30)) for effect in effects])
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="y", length=0)


def _not_enough(result: SearchResult) -> str:
    n_different = len({trial.value for trial in result.ranking()})
    return (
        "Not enough data yet to say what matters.\n"
        f"That takes {MIN_TRIALS} finished trials with different losses; so far {n_different}."
    )


def _unknown(result: SearchResult, effects: Sequence[Mapping[str, Any]]) -> list[str]:
    """The varied parameters that could not be judged."""
    space: Mapping[str, Parameter] = result.space or {}
    known = {effect["name"] for effect in effects}
    return [n for n in space if n not in known and not isinstance(space[n], Fixed)]
