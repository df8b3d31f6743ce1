"""Schedulers: which trial gets the next epochs.

A driver asks for a turn whenever a slot is free, and for a verdict after every epoch. A scheduler
decides by the learning curves alone and knows nothing of the driver.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import optuna

from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.tuning._optuna_private import storage_of, trial_id_of
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import TrialRecord
from chromasonic.tuning.running_trials import RunningTrial


@dataclass(frozen=True)
class Turn:
    """The next work of a free slot.

    Attributes:
        number: The waiting trial to go on with; None to begin a new one.
        n_epochs: How many epochs it gets before it is paused; None for all that remain.
    """

    number: int | None = None
    n_epochs: int | None = None


class Verdict(Enum):
    """The fate of a trial after an epoch."""

    GO_ON = "go on"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Curves:
    """The trials of a search with their learning curves, to read and not to change.

    Attributes:
        waiting: The numbers of trials in the queue: not begun, paused or interrupted.
        paused: The curves of those in the queue that have begun.
        running: Trials on their way, by number.
        ended: Trials that have ended, by number.
        next_number: The first waiting trial; where none waits, the number of a new one.
        n_left: How many further trials may begin.
    """

    waiting: Sequence[int]
    paused: Mapping[int, Sequence[EpochRow]]
    running: Mapping[int, RunningTrial]
    ended: Mapping[int, TrialRecord]
    next_number: int
    n_left: int


@dataclass(frozen=True)
class Visibility:
    """Visibility of trials: with n slots, trial k sees those up to k - n.

    What a trial is told then does not depend on which of the others was faster.

    Attributes:
        n_slots: How many trials run at the same time; None to let each trial know all that ended.
        n_given: How many of the first had ended before any of them began.
    """

    n_slots: int | None
    n_given: int = 0

    def must_wait(self, number: int, running: Iterable[int]) -> bool:
        """True while a trial that this one must know of still runs."""
        return self.n_slots is not None and any(n <= number - self.n_slots for n in running)

    def known(self, number: int, ended: Mapping[int, TrialRecord]) -> list[TrialRecord]:
        """The ended trials that this one may know of, by number."""
        if self.n_slots is None:
            return [ended[n] for n in sorted(ended)]
        n_known = max(self.n_given, number - self.n_slots + 1)
        return [ended[n] for n in sorted(ended) if n < n_known]


class Scheduler(Protocol):
    """Decides which trial gets the next epochs."""

    def next_turn(self, seen: Curves) -> Turn | None:
        """The next work of a free slot; None if nothing is left to try."""

    def after_epoch(self, seen: Curves, number: int) -> Verdict:
        """The fate of a running trial whose last row is new."""


class QueueAndPruner:
    """Runs each trial to its end, waiting ones first, unless the study's pruner stops it.

    Args:
        study: Its sampler says when a finite space is exhausted, its pruner which trial stops.
        study_visible_to: The study as the trial of that number may see it.
    """

    def __init__(
        self, study: optuna.Study, study_visible_to: Callable[[int], optuna.Study]
    ) -> None:
        self._study = study
        self._storage = storage_of(study)
        self._study_visible_to = study_visible_to

    def next_turn(self, seen: Curves) -> Turn | None:
        """The first waiting trial, else a new one, to its end; None if the space is exhausted."""
        is_exhausted = getattr(self._study.sampler, "is_exhausted", None)
        if is_exhausted and is_exhausted(self._study_visible_to(seen.next_number)):
            return None
        return Turn(seen.waiting[0] if seen.waiting else None)

    @own_arithmetic()
    def after_epoch(self, seen: Curves, number: int) -> Verdict:
        """`STOP` where the pruner says so, comparing with the trials that this one may see."""
        trial = seen.running[number].frozen
        # Some pruners remember in the storage which of their rungs a trial has passed.
        trial.system_attrs = self._storage.get_trial_system_attrs(trial_id_of(trial))
        is_worse = self._study.pruner.prune(self._study_visible_to(number), trial)
        return Verdict.STOP if is_worse else Verdict.GO_ON
