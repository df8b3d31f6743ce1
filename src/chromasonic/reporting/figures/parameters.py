"""Each hyperparameter against the value."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chromasonic.bayesopt import Fixed, Parameter
from chromasonic.reporting.figures.canvas import (
    INK,
    dress,
    legend_below,
    message,
    new_figure,
    plain,
    save,
    shortened,
    value_label,
)
from chromasonic.reporting.figures.endings import Endings
from chromasonic.reporting.figures.limits import value_limits
from chromasonic.reporting.figures.marks import mark_best, mark_trials
from chromasonic.reporting.figures.parameter_axis import places_on, set_axis
from chromasonic.tuning.records import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_COLUMNS = 4


def plot_parameters(result: SearchResult, path: Path) -> Path:
    """Writes the picture of `draw_parameters` and returns where it is.

    Args:
        result: What is drawn.
        path: Where it goes; the ending chooses the format, PNG without one.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return save(draw_parameters(result), path)


def draw_parameters(result: SearchResult) -> "Figure":
    """A panel for each parameter that is varied: its values against those of the trials."""
    space: Mapping[str, Parameter] = result.space or {}
    names = [name for name in space if not isinstance(space[name], Fixed)]
    if not names or not result.trials:
        figure = new_figure(7.5, 4.4)
        message(figure.add_subplot(), _why_empty(result, names))
        return figure
    figure, panels = _panels(len(names))
    endings = Endings.of(result.trials)
    values = [trial.value for trial in (*endings.finished, *endings.pruned)]
    limits = value_limits(values, maximize=result.maximize)
    places_of = {name: places_on(space[name], name, result.trials) for name in names}
    for axes, (name, places) in zip(panels, places_of.items(), strict=True):
        dress(axes)
        mark_trials(axes, endings, places, limits)
        best = result.best_trial
        if best is not None and best.number in places:
            mark_best(axes, best, places[best.number], "best")
        set_axis(axes, space[name])
        axes.set_xlabel(plain(shortened(name, 30)), color=INK)
    figure.supylabel(value_label(result), color=INK, fontsize=10)
    # A conditional parameter's panel may lack marks that others have.
    fullest = max(range(len(names)), key=lambda i: len(places_of[names[i]]))
    legend_below(figure, panels[fullest])
    return figure


def _panels(count: int) -> "tuple[Figure, list[Axes]]":
    """A figure with so many axes in rows, which share their vertical axis."""
    n_columns = min(count if count <= 3 else math.ceil(math.sqrt(count)), _MOST_COLUMNS)
    n_rows = math.ceil(count / n_columns)
    figure = new_figure(1.2 + 2.7 * max(n_columns, 2), 0.9 + 2.4 * n_rows)
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).flatten().tolist()
    for surplus in panels[count:]:
        surplus.remove()
    return figure, panels[:count]


def _why_empty(result: SearchResult, names: Sequence[str]) -> str:
    if result.space is None:
        return "The result does not say which parameters were searched."
    return "No trial has ended yet." if names else "The search varies no parameter."
