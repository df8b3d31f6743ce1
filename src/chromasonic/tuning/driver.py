"""The driver of a search: asks, submits, listens, prunes and tells.

It alone writes the study. Trials run in an executor, which knows nothing of the study; files and
progress displays are observers, which the driver knows nothing of.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from chromasonic.bayesopt import Space
from chromasonic.errors import StudyError, StudyInUse, one_line
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.checkpoints import CheckpointFolders
from chromasonic.tuning.deterministic_view import StudyAsOf
from chromasonic.tuning.earlier import n_taken_over
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
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import TrialRecord, best_row
from chromasonic.tuning.recovery import (
    BAD_CHECKPOINT,
    OUT_OF_MEMORY,
    has_met,
    may_try_again,
    recover,
)
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.study import attribute, identity
from chromasonic.tuning.watchdog import Watchdog

POLL_S = 0.2
"""The longest time between two looks at limits and wishes."""

PAUSE_GRACE_S = 20.0
"""So long a trial that is to pause may take to write its checkpoint."""


@dataclass
class _Running:
    """A trial on its way: what Optuna knows of it, and its learning curve so far."""

    frozen: FrozenTrial
    rows: list[dict[str, Any]]
    n_rows_before: int


class Driver:
    """Drives one study to the end of its budget.

    Args:
        study: What it reads and writes; its sampler and pruner decide.
        space: What is searched.
        executor: Where trials run.
        budget: How long.
        seed: The study's seed; every trial gets one of its own from it.
        rules: How trials are treated.
        observers: Told of every epoch and every ended trial.
        interrupt: Asked between epochs whether to end.
        checkpoints: The folder that keeps a folder of checkpoints for each unfinished trial.
        settings: Kept with each trial: what may differ from run to run.
        cancelled: The numbers of trials that the user wants to end; asked again and again.
        require_lease: Raises StudyInUse if somebody else drives the study now.
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
        self._observers = observers
        self._interrupt = interrupt or Interrupt()
        self._checkpoints = CheckpointFolders(checkpoints, identity(study))
        self._cancelled = cancelled
        self._require_lease = require_lease
        self._n_given = n_taken_over(study)
        slots = executor.slots if self._rules.deterministic else None
        self._view = StudyAsOf(study, slots, self._n_given)
        self._open_ledger = partial(Ledger, study, self._view, space, settings or {})
        self._ledger: Ledger
        self._running: dict[int, _Running] = {}
        # What the executor has and will speak of; others may run no more but not be stored yet.
        self._at_work: set[int] = set()
        self._last_trouble = ""
        self._next_look = 0.0
        self._watchdog = Watchdog(self._rules)
        self._is_pausing = False

    def run(self) -> str:
        """Why it ended: see `SearchResult.stopped_by`.

        Raises:
            StudyError: The study cannot be written any more. Trials that were on their way are
                run again when the search goes on.
            ExecutorError: Trials cannot be run.
        """
        try:
            self._take_over()
            while True:
                stopped_by = self._fill_slots()
                if not self._running:
                    self._ledger.keep_total_time(self._budget.elapsed_s, at_once=True)
                    return stopped_by
                self._listen()
                self._look_around()
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
        """Puts in order what a driver that died left behind."""
        recover(self._study, lambda number: len(self._checkpoints.latest(number)[1]))
        self._ledger = self._open_ledger()
        for record in self._ledger.ended.values():
            if self._checkpoints.hold(record.number):
                self._announce_end(record)

    # Ask and submit

    def _fill_slots(self) -> str:
        while True:
            reason = self._reason_to_wait(self._ledger.next_number)
            if reason is not None:
                return reason
            self._submit(self._ledger.begin())

    def _reason_to_wait(self, number: int) -> str | None:
        """Why that trial should not begin now; the reason to end if it is none to wait."""
        n_begun = len(self._ledger.ended) + len(self._running)
        spent = self._budget.spent(n_begun, lambda: self._ended_for(number))
        if spent is not None:
            return spent
        if self._interrupt.requested:
            return "interrupted"
        if len(self._running) >= self._executor.slots:
            return "no free slot"
        if self._must_wait_for_others(number):
            return "an earlier trial has not ended"
        is_exhausted = getattr(self._study.sampler, "is_exhausted", None)
        if is_exhausted and is_exhausted(self._view.seen_by(number)):
            return "exhausted"
        return None

    def _must_wait_for_others(self, number: int) -> bool:
        """Whether a trial that this one must learn from is still on its way."""
        first_unknown = number - self._executor.slots + 1
        return self._rules.deterministic and any(n < first_unknown for n in self._running)

    def _ended_for(self, number: int) -> list[TrialRecord]:
        """The trials that have ended, as far as that one may know."""
        ended = self._ledger.ended
        n_known = max(self._n_given, number - self._executor.slots + 1)
        known = [n for n in ended if n < n_known] if self._rules.deterministic else list(ended)
        return [ended[n] for n in sorted(known)]

    def _submit(self, frozen: FrozenTrial) -> None:
        number = frozen.number
        checkpoint, rows = self._checkpoints.latest(number)
        trial = Trial(
            number,
            derive_seed(self._seed, "trial", number),
            checkpoint,
            out_of_memory_before=has_met(frozen, OUT_OF_MEMORY),
        )
        params = attribute(frozen, "params")
        frozen.intermediate_values = {row["epoch"]: row["loss"] for row in rows}
        self._running[number] = _Running(frozen, list(rows), len(rows))
        self._watchdog.watch(number)
        for observer in self._observers:
            observer.on_trial_start(number, params)
        # A driver may have died between the last epoch's checkpoint and its verdict.
        verdict = self._verdict(self._running[number]) if rows else None
        if verdict is None:
            waits = self._rules.deterministic
            folder = self._checkpoints.of(number)
            self._executor.submit(Task(trial, params, list(rows), folder, waits))
            self._at_work.add(number)
        else:
            self._end(number, *verdict)

    # Listen, prune and tell

    def _listen(self) -> None:
        self._watchdog.excuse()
        events = self._executor.poll(POLL_S)
        self._watchdog.has_listened()
        self._at_work -= {e.number for e in events if isinstance(e, TrialEnded | TrialPaused)}
        for event in events:
            self._handle(event)

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.number)
        if running is None:
            # It was ended by what came just before.
            return
        self._watchdog.hear(event.number)
        match event:
            case TrialStarted(number):
                self._watchdog.start(number)
            case EpochEnded(number, row, trouble):
                self._report(trouble)
                self._on_epoch(number, row)
            case TrialEnded(number, ending, reason, log, trouble):
                self._report(trouble)
                if self._tries_again(running, ending, reason):
                    self._put_back(number)
                else:
                    self._end(number, ending, reason, log)
            case TrialPaused(number, trouble):
                self._report(trouble)
                self._put_back(number)
                if not (self._is_pausing or self._budget.out_of_time):
                    # Nobody else has asked for that: it was Ctrl-C.
                    self._interrupt.request()

    def _on_epoch(self, number: int, row: dict[str, Any]) -> None:
        running = self._running[number]
        running.rows.append(row)
        running.frozen.intermediate_values[row["epoch"]] = row["loss"]
        self._tell("the search", lambda observer: observer.on_epoch(number, row))
        if verdict := self._verdict(running):
            self._executor.stop(number)
            self._at_work.discard(number)
            self._end(number, *verdict)
        else:
            self._executor.go_on(number)
            self._ledger.keep_curve(running.frozen, running.rows)

    def _verdict(self, running: _Running) -> tuple[Ending, str] | None:
        """How and why a trial is to end after its last epoch; None if it may go on."""
        frozen, row = running.frozen, running.rows[-1]
        if diverged(row["loss"], running.rows[0]["loss"]):
            return Ending.DIVERGED, f"the loss became {row['loss']:g}"
        # Some pruners remember in the storage which of their rungs a trial has passed.
        frozen.system_attrs = self._storage.get_trial_system_attrs(frozen._trial_id)
        if self._study.pruner.prune(self._view.seen_by(frozen.number), frozen):
            return Ending.PRUNED, f"worse than others after epoch {row['epoch']}"
        return None

    def _tries_again(self, running: _Running, ending: Ending, reason: str) -> bool:
        """Whether a trial that ended by misfortune is to run once more."""
        frozen = running.frozen
        if ending is Ending.KILLED and self._interrupt.requested:
            # Whoever ends the search may have ended all of its processes.
            return True
        made_progress = len(running.rows) > running.n_rows_before
        has_continued = running.n_rows_before > 0
        if ending is Ending.OUT_OF_MEMORY and self._rules.on_oom == "retry":
            setback = OUT_OF_MEMORY
        elif ending in (Ending.KILLED, Ending.LOST):
            setback = reason
        elif ending is Ending.FAILED and has_continued and not made_progress:
            setback = BAD_CHECKPOINT
        else:
            return False
        _, saved = self._checkpoints.latest(frozen.number)
        if not may_try_again(self._storage, frozen, setback, len(saved)):
            return False
        if setback is BAD_CHECKPOINT:
            self._checkpoints.discard(frozen.number)
            reason = f"{BAD_CHECKPOINT} ({reason})"
        self._report(f"trial {frozen.number} is tried again: {reason}")
        return True

    def _end(self, number: int, ending: Ending, reason: str = "", log: str = "") -> None:
        running = self._running[number]
        if ending.finished and best_row(running.rows) is None:
            ending, reason = Ending.DIVERGED, "no epoch had a finite loss"
        record = self._ledger.end(running.frozen, running.rows, ending, reason, log)
        del self._running[number]
        self._watchdog.forget(number)
        self._ledger.keep_total_time(self._budget.elapsed_s)
        self._announce_end(record)

    def _announce_end(self, record: TrialRecord) -> None:
        checkpoint, _ = self._checkpoints.latest(record.number)
        # If one could not keep it, the checkpoint stays, and the next run announces this again.
        name = f"trial {record.number}"
        if self._tell(name, lambda observer: observer.on_trial_end(record, checkpoint)):
            self._checkpoints.discard(record.number)

    def _tell(self, name: str, tell: Callable[[Observer], None]) -> bool:
        """Tells all observers; whether none failed, as on a full disk, which ends no search."""
        all_well = True
        for observer in self._observers:
            try:
                tell(observer)
            except OSError as error:
                all_well = False
                self._report(f"what {name} leaves cannot be kept: {one_line(error)}")
        return all_well

    def _report(self, trouble: str) -> None:
        """Tells of trouble, once as long as it stays the same."""
        if trouble and trouble != self._last_trouble:
            for observer in self._observers:
                observer.on_trouble(trouble)
        self._last_trouble = trouble or self._last_trouble

    # Break off

    def _look_around(self) -> None:
        """Ends what has taken too long or is not wanted any more."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + POLL_S
        self._watchdog.excuse()
        self._require_lease()
        for number in self._cancelled() & self._running.keys():
            self._kill(number)
            self._end(number, Ending.CANCELLED, "cancelled by the user")
        for number, reason in self._watchdog.overstayed().items():
            self._kill(number)
            self._end(number, Ending.TIMED_OUT, reason)

    def _kill(self, number: int) -> None:
        self._executor.kill(number)
        self._at_work.discard(number)

    def _pause_all(self) -> None:
        """Puts all that runs back into the queue, with a checkpoint where there can be one."""
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
        self._watchdog.forget(number)

    def _abandon(self, *, may_save: bool) -> None:
        """Leaves the study alone; trials may still write their checkpoints."""
        self._running.clear()
        if may_save:
            self._pause_all()
        self._at_work.clear()
