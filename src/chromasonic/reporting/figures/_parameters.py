"""Each hyperparameter against the value."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Parameter
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.reporting.figures._canvas import (
    INK,
    legend_below,
    message,
    new_figure,
    plain,
    shortened,
    style_axes,
    value_label,
    value_limits,
)
from chromasonic.reporting.figures._marks import Endings, mark_best, mark_trials
from chromasonic.tuning.records import SearchResult, TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 8
_FEW_STEPS = 10
_LONGEST_LABEL = 14
_LETTERS_IN_A_ROW = 26
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def places_on(parameter: Parameter, name: str, trials: Sequence[TrialRecord]) -> dict[int, float]:
    """Position on the parameter's axis of each trial that has it, by number.

    Trials that share a choice, or one of few steps, stand beside each other, not on one spot.
    """
    having = {trial.number: trial.params[name] for trial in trials if name in trial.params}
    if isinstance(parameter, Ordinal | Categorical):
        return {n: parameter.index(value) + _aside(n) for n, value in having.items()}
    spread = _spread(parameter)
    return {number: float(value) + spread * _aside(number) for number, value in having.items()}


def set_axis(axes: "Axes", parameter: Parameter) -> None:
    """Gives the horizontal axis the parameter's scale, whole range and tick labels."""
    match parameter:
        case Ordinal(choices=choices) | Categorical(choices=choices):
            _set_choices(axes, [shortened(str(choice), _LONGEST_LABEL) for choice in choices])
        case Float(low=low, high=high, log=True) | Integer(low=low, high=high, log=True):
            _set_log(axes, low, high)
        case Float(low=low, high=high) | Integer(low=low, high=high):
            margin = max(0.05 * (high - low), 0.5 * _spread(parameter))
            _set_linear(axes, low - margin, high + margin, whole=isinstance(parameter, Integer))


def _set_choices(axes: "Axes", labels: Sequence[str]) -> None:
    every = math.ceil(len(labels) / _MOST_TICKS)
    shown = range(0, len(labels), every)
    axes.set_xticks(list(shown), [plain(labels[i]) for i in shown])
    axes.set_xlim(-0.5, len(labels) - 0.5)
    if sum(len(labels[i]) for i in shown) > _LETTERS_IN_A_ROW:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")


def _set_linear(axes: "Axes", low: float, high: float, *, whole: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=whole, min_n_ticks=1))


def _set_log(axes: "Axes", low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    margin = (high / low) ** 0.05
    axes.set_xlim(low / margin, high * margin)
    axes.xaxis.set_minor_locator(NullLocator())
    decades = math.log10(high / low)
    if decades < 2:
        # Powers of ten alone would leave a short range with one label or none.
        fine = MaxNLocator(nbins=4) if decades < 1 else LogLocator(subs=(1, 2, 5))
        axes.xaxis.set_major_locator(fine)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _spread(parameter: Parameter) -> float:
    """The step of a number line with few of them, where many trials share a value; else 0."""
    match parameter:
        case Float(step=step, log=False) | Integer(step=step, log=False):
            return step or 0.0 if (parameter.n_values or math.inf) <= _FEW_STEPS else 0.0
    return 0.0


def _aside(number: int) -> float:
    """Shift between -0.5 and 0.5 that spreads any run of trial numbers evenly."""
    return 0.5 * ((number * _GOLDEN_RATIO) % 1 - 0.5)


_MOST_COLUMNS = 4


@own_error_state()
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
        style_axes(axes)
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
