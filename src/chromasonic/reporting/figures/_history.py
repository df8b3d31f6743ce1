"""The course of a search: each trial's value, and the best so far."""

from typing import TYPE_CHECKING

import numpy as np

from chromasonic.bayesopt.analysis.convergence import best_so_far
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.reporting.figures._canvas import (
    INK,
    PURPLE,
    legend_below,
    message,
    new_figure,
    plain,
    style_axes,
    title,
    value_label,
    value_limits,
)
from chromasonic.reporting.figures._marks import Endings, mark_best, mark_trials
from chromasonic.reporting.text import best_baseline, value_name
from chromasonic.tuning.records import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@own_error_state()
def draw_history(result: SearchResult) -> "Figure":
    """Each trial's value by its number, the best so far, and the best n-gram beside them."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(7.5, 4.4)
    axes = figure.add_subplot()
    if not result.trials:
        message(axes, "No trial has ended yet.")
        return figure
    style_axes(axes)
    endings = Endings.of(result.trials)
    baseline = best_baseline(result)
    values = [trial.value for trial in (*endings.finished, *endings.pruned)]
    if values and baseline:
        values.append(baseline[1])
    limits = value_limits(values, maximize=result.maximize)
    if baseline and limits:
        _draw_baseline(axes, *baseline)
    mark_trials(axes, endings, {trial.number: trial.number for trial in result.trials}, limits)
    _draw_best_so_far(axes, result)
    axes.set_xlabel("trial", color=INK)
    axes.set_ylabel(value_label(result), color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(*_number_limits(result))
    title(axes, _headline(result))
    legend_below(figure, axes)
    return figure


def _draw_best_so_far(axes: "Axes", result: SearchResult) -> None:
    counted = [trial for trial in result.trials if trial.counts]
    best = result.best_trial
    if best is None:
        return
    numbers = [trial.number for trial in counted]
    values = np.array([trial.value for trial in counted], dtype=float)
    best_values = best_so_far(values, maximize=result.maximize)
    axes.step(
        [*numbers, result.trials[-1].number],
        [*best_values, best_values[-1]],
        where="post",
        color=INK,
        linewidth=1.4,
        label="best so far",
        zorder=3,
    )
    mark_best(axes, best, best.number)


def _draw_baseline(axes: "Axes", name: str, loss: float) -> None:
    axes.axhline(
        loss,
        color=PURPLE,
        linestyle=(0, (5, 3)),
        linewidth=1.4,
        label=plain(f"best n-gram ({name}): {loss:.4f}"),
    )


def _number_limits(result: SearchResult) -> tuple[float, float]:
    first, last = result.trials[0].number, result.trials[-1].number
    margin = max(0.5, 0.02 * (last - first))
    return first - margin, last + margin


def _headline(result: SearchResult) -> str:
    best = result.best_trial
    if best is None:
        return "No trial has been trained to its end yet"
    unit = f" {result['unit']}" if result.get("unit") else ""
    found = f"Best {value_name(result)} {best.value:.4f}{unit}"
    return f"{found}, by trial {best.number} of {len(result.trials)}"
