"""Trials by how they ended, as pictures tell them apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from chromasonic.tuning.records import TrialRecord


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
