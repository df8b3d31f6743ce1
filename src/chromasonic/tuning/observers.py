"""Observers of a search: told of trials and epochs by the driver."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chromasonic.errors import one_line
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import TrialRecord


class Observer:
    """Follows a search without changing it; subclasses override what they need."""

    def on_trial_start(self, number: int, params: Mapping[str, Any]) -> None:
        """A trial begins, or continues."""

    def on_epoch(self, number: int, row: EpochRow) -> None:
        """A trial has a further point of its learning curve."""

    def on_warning(self, message: str) -> None:
        """Something went wrong that has cost nothing so far."""

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """A trial has ended and is stored.

        Args:
            record: The trial.
            checkpoint: Its last checkpoint, which is deleted after this call, if it has one.
        """


class Observers:
    """All observers of a search as one; a full disk of theirs ends no search.

    Args:
        observers: Told in this order.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._last_warning = ""

    def on_trial_start(self, number: int, params: Mapping[str, Any]) -> None:
        """Tells all that a trial begins, or continues."""
        for observer in self._observers:
            observer.on_trial_start(number, params)

    def on_epoch(self, number: int, row: EpochRow) -> None:
        """Tells all of a further point of a learning curve."""
        self._tell("the search", lambda observer: observer.on_epoch(number, row))

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> bool:
        """Tells all that a trial has ended; False if one of them could not write its files."""
        name = f"trial {record.number}"
        return self._tell(name, lambda observer: observer.on_trial_end(record, checkpoint))

    def warn(self, message: str) -> None:
        """Passes a warning on, once as long as it stays the same."""
        if message and message != self._last_warning:
            for observer in self._observers:
                observer.on_warning(message)
        self._last_warning = message or self._last_warning

    def _tell(self, name: str, tell: Callable[[Observer], None]) -> bool:
        is_written = True
        for observer in self._observers:
            try:
                tell(observer)
            except OSError as error:
                is_written = False
                self.warn(f"cannot write the files of {name}: {one_line(error)}")
        return is_written
