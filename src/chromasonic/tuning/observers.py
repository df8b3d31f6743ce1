"""Who is told how a search goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chromasonic.tuning.records import TrialRecord


class Observer:
    """Is told how a search goes and does nothing about it; others override what they need."""

    def on_trial_start(self, number: int, params: Mapping[str, Any]) -> None:
        """A trial begins, or continues."""

    def on_epoch(self, number: int, row: Mapping[str, Any]) -> None:
        """A trial has a further point of its learning curve."""

    def on_trouble(self, message: str) -> None:
        """Something went wrong that has cost nothing so far."""

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """A trial has ended and is stored.

        Args:
            record: What became of it.
            checkpoint: Its last checkpoint, which is deleted after this call, if it has one.
        """
