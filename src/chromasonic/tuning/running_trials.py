"""Running trials: what their driver knows of each, and the executor they are in."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial

from chromasonic.tuning._watchdog import Watchdog
from chromasonic.tuning.executors.protocol import (
    Event,
    Executor,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.rules import TrialRules

POLL_S = 0.2
"""Longest time between two checks of limits and cancellations."""

PAUSE_GRACE_S = 20.0
"""Time that a pausing trial has to write its checkpoint."""


@dataclass
class RunningTrial:
    """A trial on its way.

    Attributes:
        frozen: The trial as Optuna knows it.
        rows: Its learning curve so far.
        n_epochs: How many epochs this turn has; None for all that remain.
        n_rows_before: How many rows it had when it was submitted.
        pauses_by_plan: True once a scheduler has asked it to pause.
    """

    frozen: FrozenTrial
    rows: list[EpochRow]
    n_epochs: int | None = None
    n_rows_before: int = field(init=False)
    pauses_by_plan: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.n_rows_before = len(self.rows)
        # Optuna's pruners read them there.
        self.frozen.intermediate_values = {row.epoch: row.loss for row in self.rows}

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.frozen.number

    @property
    def turn_is_over(self) -> bool:
        """True once it has had the epochs of its turn."""
        return self.n_epochs is not None and len(self.rows) - self.n_rows_before >= self.n_epochs

    @property
    def made_progress(self) -> bool:
        """True once an epoch has ended since it was submitted."""
        return len(self.rows) > self.n_rows_before

    def add(self, row: EpochRow) -> None:
        """Adds an epoch."""
        self.rows.append(row)
        self.frozen.intermediate_values[row.epoch] = row.loss


class RunningTrials(Mapping[int, RunningTrial]):
    """The running trials of a search by number, and the executor that runs them.

    Args:
        executor: Where they run.
        rules: How long a trial may take.
    """

    def __init__(self, executor: Executor, rules: TrialRules) -> None:
        self._trials: dict[int, RunningTrial] = {}
        self._executor = executor
        self._watchdog = Watchdog(rules)
        # Trials that the executor will report on; others have stopped but are not stored yet.
        self._at_work: set[int] = set()
        self._next_check = 0.0

    def __getitem__(self, number: int) -> RunningTrial:
        return self._trials[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def has_free_slot(self) -> bool:
        """True if the executor can run one more trial."""
        return len(self) < self._executor.slots

    def add(self, trial: RunningTrial) -> None:
        """Adds a trial that is about to be submitted."""
        self._trials[trial.number] = trial
        self._watchdog.watch(trial.number)

    def submit(self, task: Task) -> None:
        """Starts a trial in the executor."""
        self._executor.submit(task)
        self._at_work.add(task.number)

    def events(self) -> Iterator[tuple[RunningTrial, Event]]:
        """Waits for the executor and yields what it reports on trials that still run.

        Raises:
            ExecutorError: Trials cannot be run.
        """
        self._watchdog.exclude_driver_time()
        events = self._executor.poll(POLL_S)
        self._watchdog.on_poll()
        self._at_work -= {e.number for e in events if isinstance(e, TrialEnded | TrialPaused)}
        for event in events:
            # It may have been ended by what came just before.
            if (trial := self.get(event.number)) is None:
                continue
            self._watchdog.on_event(event.number)
            if isinstance(event, TrialStarted):
                self._watchdog.start(event.number)
            yield trial, event

    def go_on(self, number: int) -> None:
        """Lets a trial begin its next epoch."""
        self._executor.go_on(number)

    def pause(self, number: int) -> None:
        """Asks a trial to stop after a checkpoint, by plan."""
        self[number].pauses_by_plan = True
        self._executor.pause(number)

    def stop(self, number: int) -> None:
        """Ends a trial between two epochs."""
        if number in self._at_work:
            self._executor.stop(number)
            self._at_work.discard(number)

    def kill(self, number: int) -> None:
        """Ends a trial at once."""
        self._executor.kill(number)
        self._at_work.discard(number)

    def drop(self, number: int) -> RunningTrial:
        """Removes a trial that has ended or goes back into the queue."""
        self._watchdog.drop(number)
        return self._trials.pop(number)

    def pause_all(self) -> Iterator[tuple[RunningTrial, Event]]:
        """Asks all to pause and yields what they report until none is left, or for 20 s."""
        for number in self._at_work:
            self._executor.pause(number)
        deadline = time.monotonic() + PAUSE_GRACE_S
        while self._at_work and time.monotonic() < deadline:
            yield from self.events()

    def is_check_due(self) -> bool:
        """True where limits were last checked `POLL_S` ago; the clock then begins anew."""
        now = time.monotonic()
        is_due = now >= self._next_check
        if is_due:
            self._next_check = now + POLL_S
        return is_due

    def exceeded_limit(self) -> dict[int, str]:
        """The trials over a time limit, each with the limit in words."""
        self._watchdog.exclude_driver_time()
        return self._watchdog.exceeded_limit()

    def abandon(self, *, may_save: bool) -> None:
        """Forgets all trials; where they may save, they first write their checkpoints."""
        self._trials.clear()
        if may_save:
            for _ in self.pause_all():
                pass
        self._at_work.clear()
