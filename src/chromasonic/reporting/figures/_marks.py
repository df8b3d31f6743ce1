"""Marks of trials in figures, one look for each way of ending."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from chromasonic.reporting.figures._canvas import BLUE, GREY, INK, RED, YELLOW, Limits
from chromasonic.tuning.records import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Endings:
    """Trials in three groups, each by number.

    Attributes:
        finished: Trained to their own end, stopping early included.
        pruned: Ended for being worse than others, with a loss.
        failed: All others: they have no loss that means anything.
    """

    finished: Sequence[TrialRecord]
    pruned: Sequence[TrialRecord]
    failed: Sequence[TrialRecord]

    @classmethod
    def of(cls, trials: Sequence[TrialRecord]) -> Self:
        """The groups of these trials."""
        finished = [trial for trial in trials if trial.counts and _has_loss(trial)]
        pruned = [trial for trial in trials if trial.ending == "pruned" and _has_loss(trial)]
        numbers = {trial.number for trial in (*finished, *pruned)}
        return cls(finished, pruned, [trial for trial in trials if trial.number not in numbers])


def _has_loss(trial: TrialRecord) -> bool:
    return trial.value is not None and math.isfinite(trial.value)


_LARGEST, _SMALLEST, _ALL_TOGETHER = 32.0, 8.0, 2500.0  # areas in square points


def mark_trials(
    axes: "Axes", endings: Endings, places: dict[int, float], limits: Limits | None
) -> None:
    """Draws trials as points at their values, and those that failed as ticks at the bottom.

    Args:
        axes: Their vertical axis is set to `limits`.
        endings: The trials.
        places: Where each trial stands horizontally, by number; those without are left out.
        limits: What the vertical axis shows; worse values stand as triangles at its bad end.
            None if no trial has a value.
    """
    _fail_ticks(axes, [trial for trial in endings.failed if trial.number in places], places)
    if limits is None:
        axes.set_yticks([])
        return
    size = float(np.clip(_ALL_TOGETHER / max(len(places), 1), _SMALLEST, _LARGEST))
    for trials, label, colour, alpha in (
        (endings.pruned, "pruned", GREY, 0.55),
        (endings.finished, "finished", BLUE, 0.8),
    ):
        shown = [trial for trial in trials if trial.number in places]
        beyond = [trial for trial in shown if limits.are_beyond(_value(trial))]
        inside = [trial for trial in shown if not limits.are_beyond(_value(trial))]
        axes.scatter(
            [places[trial.number] for trial in inside],
            [_value(trial) for trial in inside],
            s=size,
            c=colour,
            alpha=alpha,
            linewidths=0,
            label=f"{label} ({len(shown)})" if shown else None,
        )
        axes.scatter(
            [places[trial.number] for trial in beyond],
            [limits.bad_end] * len(beyond),
            s=size,
            marker=limits.marker,
            facecolors="none",
            edgecolors=colour,
            alpha=alpha,
            linewidths=1.0,
            clip_on=False,
            label=f"{label}, {limits.side} the range ({len(beyond)})" if beyond else None,
        )
    axes.set_ylim(limits.ends)


def mark_best(axes: "Axes", trial: TrialRecord, place: float, label: str | None = None) -> None:
    """Draws the best trial as a star, which `label` explains in the legend."""
    axes.scatter(
        [place],
        [_value(trial)],
        s=150,
        marker="*",
        c=YELLOW,
        edgecolors=INK,
        linewidths=0.8,
        zorder=4,
        label=label,
    )


def _fail_ticks(axes: "Axes", failed: Sequence[TrialRecord], places: dict[int, float]) -> None:
    if failed:
        axes.plot(
            [places[trial.number] for trial in failed],
            [0.025] * len(failed),
            linestyle="none",
            marker="|",
            markersize=9,
            markeredgewidth=1.2,
            color=RED,
            alpha=0.7,
            clip_on=False,
            transform=axes.get_xaxis_transform(),
            label=f"failed ({len(failed)})",
        )


def _value(trial: TrialRecord) -> float:
    return float("nan") if trial.value is None else trial.value
