"""Melodies as piano rolls: time to the right, pitch upwards, a bar for each note."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.reporting.figures._canvas import (
    BLUE,
    FRAME,
    INK,
    message,
    new_figure,
    shortened,
    style_axes,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 8

Melody = tuple[ArrayLike, ArrayLike]
"""MIDI pitches and durations in ticks, both of shape (n,)."""

_TICKS_PER_QUARTER = 480
_WIDTH = 10.0
_SEMITONE = 0.07  # inches
_TALLEST = 14.0
_AROUND_A_ROW = 0.55
_WIDEST_GAP = 0.6  # points
_POINTS_PER_INCH = 72
_BLACK_KEYS = (1, 3, 6, 8, 10)
_BLACK_KEY_GREY = "#F4F4F4"
_OCTAVE = 12
_MIDDLE_C = 60
_MOST_TIME_LABELS = 14
_LONGEST_TITLE = 100


@own_error_state()
def draw_piano_roll(melodies: Sequence[Melody], titles: Sequence[str] | None = None) -> "Figure":
    """A row for each melody, all on one scale of time and of pitch.

    Args:
        melodies: Pairs of MIDI pitches and durations, 480 ticks to a quarter, at most 8 pairs;
            each note begins where the one before it ends.
        titles: What stands over each of them; nothing if None.

    Raises:
        ValueError: There are more than 8 melodies, not as many titles, or not as many
            durations as pitches.
    """
    _check(melodies, titles)
    rows = [_Row.of(melody) for melody in melodies]
    if not rows:
        figure = new_figure(_WIDTH, 2.0)
        message(figure.add_subplot(), "There is no melody to draw.")
        return figure
    spans = [row.highest - row.lowest + 2 for row in rows]
    around = _AROUND_A_ROW * len(rows)
    semitone = min(_SEMITONE, (_TALLEST - around) / sum(spans))
    figure = new_figure(_WIDTH, around + semitone * sum(spans))
    end = max(row.end for row in rows)
    grid = figure.subplots(len(rows), sharex=True, squeeze=False, height_ratios=spans)
    for i, (axes, row) in enumerate(zip(grid[:, 0], rows, strict=True)):
        _draw_row(axes, row, gap=_gap(semitone, end))
        if titles is not None:
            title(axes, shortened(titles[i], _LONGEST_TITLE))
    _label_time_axis(grid[-1, 0], end)
    return figure


def _check(melodies: Sequence[Melody], titles: Sequence[str] | None) -> None:
    if len(melodies) > MOST_ROWS:
        raise ValueError(
            f"one picture must have at most {MOST_ROWS} melodies, but got {len(melodies)}. "
            "Draw several pictures."
        )
    if titles is not None and len(titles) != len(melodies):
        raise ValueError(
            f"there must be as many titles as melodies, but got {len(titles)} and {len(melodies)}."
        )


@dataclass(frozen=True)
class _Row:
    """One melody as it is drawn.

    Attributes:
        pitches: MIDI pitches, shape (n,).
        bounds: Where each note begins, and the last one ends, in quarters, shape (n + 1,).
    """

    pitches: NDArray[np.int64]
    bounds: NDArray[np.float64]

    @classmethod
    def of(cls, melody: Melody) -> Self:
        pitches, durations = np.asarray(melody[0], dtype=int), np.asarray(melody[1], dtype=int)
        if pitches.ndim != 1 or pitches.shape != durations.shape:
            raise ValueError(
                "a melody must have as many durations as pitches, "
                f"but got shapes {durations.shape} and {pitches.shape}."
            )
        return cls(pitches, np.concatenate([[0], np.cumsum(durations)]) / _TICKS_PER_QUARTER)

    @property
    def end(self) -> float:
        """End of the last note, in quarters."""
        return float(self.bounds[-1])

    @property
    def lowest(self) -> int:
        """The lowest pitch that is shown: from it an octave at least, so that a C is among it."""
        if not len(self.pitches):
            return _MIDDLE_C
        missing = max(_OCTAVE - int(np.ptp(self.pitches)), 0)
        return int(self.pitches.min()) - missing // 2

    @property
    def highest(self) -> int:
        """The highest pitch that is shown."""
        return max(int(self.pitches.max(initial=0)), self.lowest + _OCTAVE)


def _gap(semitone: float, end: float) -> float:
    """Points between bars that touch: little against the smallest of them.

    Args:
        semitone: Height of one, in inches.
        end: Where time ends, in quarters; a sixteenth note is taken for the shortest.
    """
    sixteenth = 0.25 * _WIDTH / max(end, 1)
    return min(_WIDEST_GAP, _POINTS_PER_INCH * 0.1 * semitone, _POINTS_PER_INCH * 0.2 * sixteenth)


def _draw_row(axes: "Axes", row: _Row, gap: float) -> None:
    style_axes(axes, grid="x")
    shown = range(row.lowest, row.highest + 1)
    for pitch in shown:
        if pitch % _OCTAVE in _BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=_BLACK_KEY_GREY, linewidth=0, zorder=0)
    names = {pitch: f"C{pitch // _OCTAVE - 1}" for pitch in shown if pitch % _OCTAVE == 0}
    for pitch in names:
        # Between the keys B and C, where an octave begins.
        axes.axhline(pitch - 0.5, color=FRAME, linewidth=0.6, zorder=0.5)
    axes.set_yticks(list(names), list(names.values()))
    axes.set_ylim(row.lowest - 1, row.highest + 1)
    # The white edge tells a repeated note from a long one.
    axes.barh(
        row.pitches,
        np.diff(row.bounds),
        left=row.bounds[:-1],
        height=0.9,
        color=BLUE,
        edgecolor="white",
        linewidth=gap,
    )


def _label_time_axis(axes: "Axes", end: float) -> None:
    """Labels the axis of time, by a power of two of quarters."""
    from matplotlib.ticker import MultipleLocator

    step = 2 ** math.ceil(math.log2(max(end / _MOST_TIME_LABELS, 1)))
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.set_xlim(0, max(end, 1))
    axes.set_xlabel("quarters", color=INK)
