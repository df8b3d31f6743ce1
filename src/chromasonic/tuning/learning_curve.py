"""Learning curves: a row for each epoch of a trial, from the worker to the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROW_KEYS = ("epoch", "loss", "train_loss", "seconds")
"""Keys of a row in the files besides its metrics."""

EXPLODED = 1e6
"""Factor over its first size, and size at least, from which a loss has exploded."""


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a trial.

    Attributes:
        epoch: Counted from 1.
        loss: What the objective yielded, in its own units and sign.
        train_loss: The loss on the training data; None if the objective gave none.
        seconds: Duration of the epoch.
        metrics: The objective's other values, by name; what JSON can hold.
    """

    epoch: int
    loss: float
    train_loss: float | None = None
    seconds: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The row as one flat dictionary, as the files and the study hold it."""
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "train_loss": self.train_loss,
            **self.metrics,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> "EpochRow":
        """The row with this dictionary; a loss of None, JSON's nan and infinity, becomes nan.

        Raises:
            KeyError: It has no epoch or no loss.
        """
        return cls(
            epoch=read["epoch"],
            loss=math.nan if read["loss"] is None else read["loss"],
            train_loss=read.get("train_loss"),
            seconds=read.get("seconds", 0.0),
            metrics={name: value for name, value in read.items() if name not in ROW_KEYS},
        )


def curve_to_json(curve: Sequence[EpochRow]) -> list[dict[str, Any]]:
    """The rows as JSON holds them."""
    return [row.to_dict() for row in curve]


def curve_from_json(read: Sequence[Mapping[str, Any]]) -> tuple[EpochRow, ...]:
    """The inverse of `curve_to_json`."""
    return tuple(EpochRow.from_dict(row) for row in read)


def best_row(curve: Sequence[EpochRow], *, maximize: bool = False) -> EpochRow | None:
    """The row with the best finite loss, the first of equals; None if no loss is finite."""
    sign = -1.0 if maximize else 1.0
    finite = [row for row in curve if math.isfinite(row.loss)]
    return min(finite, key=lambda row: sign * row.loss, default=None)


def has_diverged(curve: Sequence[EpochRow]) -> bool:
    """True if the last loss is nan, infinite, or has exploded since the first."""
    first, last = abs(curve[0].loss), abs(curve[-1].loss)
    return not math.isfinite(last) or last > EXPLODED * max(1.0, first)
