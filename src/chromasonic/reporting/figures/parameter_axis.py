"""The horizontal axis of a parameter: a number line, a log scale, or a place for each choice."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter
from chromasonic.reporting.figures.canvas import plain, shortened
from chromasonic.tuning.records import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 8
_FEW_STEPS = 10
_LONGEST_LABEL = 14
_LETTERS_IN_A_ROW = 26
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def places_on(parameter: Parameter, name: str, trials: Sequence[TrialRecord]) -> dict[int, float]:
    """Where on the parameter's axis each trial that has it stands, by number.

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
    """A small shift that spreads any run of trial numbers evenly."""
    return 0.5 * ((number * _GOLDEN_RATIO) % 1 - 0.5)
