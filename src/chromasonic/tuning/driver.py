"""The driver of a search: asks, submits, listens, stops and tells.

It alone writes the study. Trials run in an executor, which knows nothing of the study; files and
progress displays are observers, which the driver knows nothing of.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from chromasonic.bayesopt import Space
from chromasonic.errors import StudyError, StudyInUse
from chromasonic.tuning.budget import Budget, StopReason
from chromasonic.tuning.checkpoints import CheckpointFolders
from chromasonic.tuning.deterministic_view import VisibleStudy
from chromasonic.tuning.earlier import n_trials_from_earlier
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Executor,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.ledger import Ledger
from chromasonic.tuning.objective import Trial, diverged
from chromasonic.tuning.observers import Observer, Observers
from chromasonic.tuning.records import TrialRecord, best_row
from chromasonic.tuning.recovery import (
    BAD_CHECKPOINT,
    OUT_OF_MEMORY,
    count_setback,
    had_setback,
    may_retry,
    recover,
    setback_of,
)
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.scheduling import (
    Curves,
    QueueAndPruner,
    RunningTrial,
    Scheduler,
    Turn,
    Verdict,
    Visibility,
)
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.study import attribute, identity
from chromasonic.tuning.watchdog import Watchdog

POLL_S = 0.2
"""Longest time between two checks of limits and cancellations."""

PAUSE_GRACE_S = 20.0
"""Time that a pausing trial has to write its checkpoint."""


class Driver:
    """Drives one study to the end of its budget.

    Args:
        study: The study; its sampler proposes.
        space: The search space.
        executor: Where trials run.
        budget: The limits of the search.
        seed: The study's seed; each trial gets one derived from it.
        rules: Limits of a single trial, and whether scheduling is deterministic.
        scheduler: Decides which trial gets the next epochs; by default each runs to its end
            unless the study's pruner stops it.
        observers: Told of every epoch and every ended trial.
        interrupt: Asked between epochs whether to end.
        checkpoints: The folder that keeps a folder of checkpoints for each unfinished trial.
        settings: Stored with each trial: settings that may differ from run to run.
        cancelled: Returns the numbers of trials that the user wants to end.
        require_lease: Raises StudyInUse if another driver holds the study.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        executor: Executor,
        budget: Budget,
        *,
        seed: int,
        rules: TrialRules | None = None,
        scheduler: Scheduler | None = None,
        observers: Sequence[Observer] = (),
        interrupt: Interrupt | None = None,
        checkpoints: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        cancelled: Callable[[], set[int]] = set,
        require_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self._study = study
        self._storage = study._storage
        self._space = space
        self._executor = executor
        self._budget = budget
        self._seed = seed
        self._rules = rules or TrialRules()
        self._observers = Observers(observers)
        self._interrupt = interrupt or Interrupt()
        self._checkpoints = CheckpointFolders(checkpoints, identity(study))
        self._cancelled = cancelled
        self._require_lease = require_lease
        n_given = n_trials_from_earlier(study)
        n_slots = executor.slots if self._rules.deterministic else None
        self._visibility = Visibility(n_slots, n_given)
        view = VisibleStudy(study, n_slots, n_given)
        self._scheduler = scheduler or QueueAndPruner(study, view.seen_by)
        self._open_ledger = partial(Ledger, study, view, space, settings or {})
        self._ledger: Ledger
        self._running: dict[int, RunningTrial] = {}
        # Trials that the executor will report on; others have stopped but are not stored yet.
        self._at_work: set[int] = set()
        self._scheduled_pauses: set[int] = set()
        self._next_check = 0.0
        self._watchdog = Watchdog(self._rules)
        self._is_pausing = False

    def run(self) -> StopReason:
        """Runs trials until the budget is spent, and returns why it stopped.

        Raises:
            StudyError: The study cannot be written any more. Running trials are run again when
                the search goes on.
            ExecutorError: Trials cannot be run.
        """
        try:
            self._take_over()
            while True:
                stop_reason = self._fill_slots()
                if stop_reason is not None and not self._running:
                    self._ledger.store_total_time(self._budget.elapsed_s, at_once=True)
                    return stop_reason
                self._listen()
                self._enforce_limits()
                if self._interrupt.requested or self._budget.out_of_time:
                    self._pause_all()
        except StudyError as error:
            self._abandon(may_save=not isinstance(error, StudyInUse))
            raise
        finally:
            with ExitStack() as stack:
                stack.callback(self._executor.close)
                stack.callback(self._pause_all)

    def _take_over(self) -> None:
        """Requeues and announces trials that a driver left when it died."""
        recover(self._study, lambda number: len(self._checkpoints.latest(number)[1]))
        self._ledger = self._open_ledger()
        for record in self._ledger.ended.values():
            if self._checkpoints.hold(record.number):
                self._announce_end(record)

    # Ask and submit

    def _fill_slots(self) -> StopReason | None:
        """Starts trials in free slots; returns the reason if no further one is to begin."""
        while True:
            number = self._ledger.next_number
            if (stop_reason := self._stop_reason(number)) is not None:
                return stop_reason
            has_free_slot = len(self._running) < self._executor.slots
            if not has_free_slot or self._visibility.must_wait(number, self._running):
                return None
            turn = self._scheduler.next_turn(self._curves())
            if turn is None:
                return StopReason.EXHAUSTED
            self._submit(turn)

    def _stop_reason(self, number: int) -> StopReason | None:
        """The reason why that trial should not begin, by budget and Ctrl-C."""
        n_begun = len(self._ledger.ended) + len(self._running)
        spent = self._budget.spent(
            n_begun, lambda: self._visibility.known(number, self._ledger.ended)
        )
        interrupted = StopReason.INTERRUPTED if self._interrupt.requested else None
        return spent or interrupted

    def _curves(self) -> Curves:
        ledger = self._ledger
        return Curves(ledger.waiting, self._running, ledger.ended, ledger.next_number)

    def _submit(self, turn: Turn) -> None:
        frozen = self._ledger.begin(turn.number)
        number = frozen.number
        checkpoint, rows = self._checkpoints.latest(number)
        params = attribute(frozen, "params")
        frozen.intermediate_values = {row["epoch"]: row["loss"] for row in rows}
        running = RunningTrial(frozen, list(rows), len(rows), turn.n_epochs)
        self._running[number] = running
        self._watchdog.watch(number)
        self._observers.on_trial_start(number, params)
        # A driver may have died between the last epoch's checkpoint and its verdict.
        if rows:
            verdict, ending, reason = self._verdict(running)
            if verdict is Verdict.STOP:
                self._end(number, ending, reason)
                return
        out_of_memory_before = had_setback(frozen, OUT_OF_MEMORY)
        seed = derive_seed(self._seed, "trial", number)
        trial = Trial(number, seed, checkpoint, out_of_memory_before=out_of_memory_before)
        folder = self._checkpoints.of(number)
        self._executor.submit(Task(trial, params, list(rows), folder, self._rules.deterministic))
        self._at_work.add(number)

    # Listen, stop and tell

    def _listen(self) -> None:
        self._watchdog.exclude_driver_time()
        events = self._executor.poll(POLL_S)
        self._watchdog.on_poll()
        self._at_work -= {e.number for e in events if isinstance(e, TrialEnded | TrialPaused)}
        for event in events:
            self._handle(event)

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.number)
        if running is None:
            # It was ended by what came just before.
            return
        self._watchdog.on_event(event.number)
        match event:
            case TrialStarted(number):
                self._watchdog.start(number)
            case EpochEnded(number, row, warning):
                self._observers.warn(warning)
                self._on_epoch(number, row)
            case TrialEnded(number, ending, reason, log, warning):
                self._observers.warn(warning)
                if self._retries(running, ending, reason):
                    self._put_back(number)
                else:
                    self._end(number, ending, reason, log)
            case TrialPaused(number, warning):
                self._observers.warn(warning)
                if not (
                    number in self._scheduled_pauses
                    or self._is_pausing
                    or self._budget.out_of_time
                ):
                    # Nobody else has asked for that: it was Ctrl-C.
                    self._interrupt.request()
                self._put_back(number)

    def _on_epoch(self, number: int, row: dict[str, Any]) -> None:
        running = self._running[number]
        running.rows.append(row)
        running.frozen.intermediate_values[row["epoch"]] = row["loss"]
        self._observers.on_epoch(number, row)
        verdict, ending, reason = self._verdict(running)
        if verdict is Verdict.STOP:
            self._executor.stop(number)
            self._at_work.discard(number)
            self._end(number, ending, reason)
            return
        if verdict is Verdict.PAUSE or running.turn_is_over:
            self._scheduled_pauses.add(number)
            self._executor.pause(number)
        else:
            self._executor.go_on(number)
        self._ledger.store_curve(running.frozen, running.rows)

    def _verdict(self, running: RunningTrial) -> tuple[Verdict, Ending, str]:
        """The verdict on a trial after its last epoch, with ending and reason if it stops."""
        number, row = running.frozen.number, running.rows[-1]
        if diverged(row["loss"], running.rows[0]["loss"]):
            return Verdict.STOP, Ending.DIVERGED, f"the loss became {row['loss']:g}"
        verdict = self._scheduler.after_epoch(self._curves(), number)
        return verdict, Ending.PRUNED, f"worse than others after epoch {row['epoch']}"

    def _retries(self, running: RunningTrial, ending: Ending, reason: str) -> bool:
        """Counts the setback of a trial that ended by misfortune; True if it runs once more."""
        frozen = running.frozen
        if ending is Ending.KILLED and self._interrupt.requested:
            # Whoever ends the search may have ended all of its processes.
            return True
        setback = setback_of(ending, reason, running, retry_oom=self._rules.on_oom == "retry")
        if setback is None:
            return False
        _, saved = self._checkpoints.latest(frozen.number)
        if not may_retry(setback, count_setback(self._storage, frozen, setback, len(saved))):
            return False
        if setback is BAD_CHECKPOINT:
            self._checkpoints.discard(frozen.number)
            reason = f"{BAD_CHECKPOINT} ({reason})"
        self._observers.warn(f"trial {frozen.number} is tried again: {reason}")
        return True

    def _end(self, number: int, ending: Ending, reason: str = "", log: str = "") -> None:
        running = self._running[number]
        if ending.finished and best_row(running.rows) is None:
            ending, reason = Ending.DIVERGED, "no epoch had a finite loss"
        record = self._ledger.end(running.frozen, running.rows, ending, reason, log)
        del self._running[number]
        self._watchdog.drop(number)
        self._ledger.store_total_time(self._budget.elapsed_s)
        self._announce_end(record)

    def _announce_end(self, record: TrialRecord) -> None:
        checkpoint, _ = self._checkpoints.latest(record.number)
        # If one could not keep it, the checkpoint stays, and the next run announces this again.
        if self._observers.on_trial_end(record, checkpoint):
            self._checkpoints.discard(record.number)

    # Break off

    def _enforce_limits(self) -> None:
        """Ends trials that have exceeded a limit or that the user has cancelled."""
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + POLL_S
        self._watchdog.exclude_driver_time()
        self._require_lease()
        for number in self._cancelled() & self._running.keys():
            self._kill(number)
            self._end(number, Ending.CANCELLED, "cancelled by the user")
        for number, reason in self._watchdog.exceeded_limit().items():
            self._kill(number)
            self._end(number, Ending.TIMED_OUT, reason)

    def _kill(self, number: int) -> None:
        self._executor.kill(number)
        self._at_work.discard(number)

    def _pause_all(self) -> None:
        """Requeues all running trials, with a checkpoint where there can be one."""
        self._is_pausing = True
        try:
            for number in self._at_work:
                self._executor.pause(number)
            deadline = time.monotonic() + PAUSE_GRACE_S
            while self._at_work and time.monotonic() < deadline:
                self._listen()
        finally:
            for number in list(self._running):
                self._kill(number)
                self._put_back(number)
            self._is_pausing = False

    def _put_back(self, number: int) -> None:
        self._ledger.put_back(self._running.pop(number).frozen)
        self._scheduled_pauses.discard(number)
        self._watchdog.drop(number)

    def _abandon(self, *, may_save: bool) -> None:
        """Leaves the study alone; trials may still write their checkpoints."""
        self._running.clear()
        if may_save:
            self._pause_all()
        self._at_work.clear()
