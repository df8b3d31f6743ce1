"""The driver of a search: asks, submits, listens, prunes and tells.

It alone writes the study. Trials run in an executor, which knows nothing of the study; files and
progress displays are observers, which the driver knows nothing of.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt import Space
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.checkpoints import discard_checkpoints, latest_checkpoint
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Executor,
    Task,
    TrialEnded,
    TrialInterrupted,
)
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.objective import Trial, diverged
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import TrialRecord, best_row, has_ended, record_of
from chromasonic.tuning.recovery import recover
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.study import PREFIX, attribute, identity, set_attribute

STORE_EPOCHS_EVERY_S = 1.0


@dataclass
class _Running:
    """A trial on its way: what Optuna knows of it, and its learning curve so far."""

    frozen: FrozenTrial
    rows: list[dict[str, Any]]
    stored_at: float


class Driver:
    """Drives one study to the end of its budget.

    Args:
        study: What it reads and writes; its sampler and pruner decide.
        space: What is searched.
        executor: Where trials run.
        budget: How long.
        seed: The study's seed; every trial gets one of its own from it.
        observers: Told of every epoch and every ended trial.
        interrupt: Asked between epochs whether to end.
        checkpoints: The folder that keeps a folder of checkpoints for each unfinished trial.
        settings: Kept with each trial: what may differ from run to run.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        executor: Executor,
        budget: Budget,
        *,
        seed: int,
        observers: Sequence[Observer] = (),
        interrupt: Interrupt | None = None,
        checkpoints: Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._study = study
        self._storage = study._storage
        self._space = space
        self._executor = executor
        self._budget = budget
        self._seed = seed
        self._observers = observers
        self._interrupt = interrupt or Interrupt()
        self._checkpoints = checkpoints
        self._settings = dict(settings or {})
        self._identity = identity(study)
        self._running: dict[int, _Running] = {}
        self._ended: dict[int, TrialRecord] = {}
        self._earlier_s = float(attribute(study, "total_time", 0.0))

    def run(self) -> str:
        """Why it ended: see `SearchResult.stopped_by`."""
        self._take_over()
        try:
            while True:
                stopped_by = self._fill_slots()
                if not self._running:
                    return stopped_by
                for event in self._executor.poll():
                    self._handle(event)
                if self._must_break_off():
                    self._pause_all()
        finally:
            with ExitStack() as stack:
                stack.callback(self._store_total_time)
                stack.callback(self._executor.close)
                self._pause_all()

    def _take_over(self) -> None:
        """Puts in order what a driver that died left behind."""
        recover(self._study)
        for trial in self._study.get_trials(deepcopy=False):
            if has_ended(trial):
                self._ended[trial.number] = record_of(trial)
                folder = self._folder(trial.number)
                if folder is not None and folder.exists():
                    self._announce_end(self._ended[trial.number])

    # Ask and submit

    def _fill_slots(self) -> str:
        while True:
            reason = self._reason_to_wait()
            if reason is not None:
                return reason
            self._submit(self._next_trial())

    def _reason_to_wait(self) -> str | None:
        ended = [self._ended[number] for number in sorted(self._ended)]
        spent = self._budget.spent(ended, len(self._running))
        if spent is not None:
            return spent
        if self._interrupt.requested:
            return "interrupted"
        if len(self._running) >= self._executor.slots:
            return "no free slot"
        is_exhausted = getattr(self._study.sampler, "is_exhausted", None)
        return "exhausted" if is_exhausted and is_exhausted(self._study) else None

    def _next_trial(self) -> FrozenTrial:
        """The trial to run next, with parameters: one from the queue, or a new proposal."""
        # Asked for waiting trials alone, storage in memory forgets those put back into the queue.
        trials = self._study.get_trials(deepcopy=False)
        waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
        if waiting:
            trial_id = min(waiting, key=lambda trial: trial.number)._trial_id
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        else:
            trial_id = self._storage.create_new_trial(self._study._study_id)
        if attribute(self._storage.get_trial(trial_id), "params") is None:
            params = suggest_params(self._space, optuna.Trial(self._study, trial_id))
            self._store(trial_id, params=params)
        self._store(trial_id, settings=self._settings)
        return self._storage.get_trial(trial_id)

    def _submit(self, frozen: FrozenTrial) -> None:
        number = frozen.number
        folder = self._folder(number)
        checkpoint, rows = (folder and latest_checkpoint(folder)) or (None, [])
        trial = Trial(number, derive_seed(self._seed, "trial", number), checkpoint)
        params = attribute(frozen, "params")
        frozen.intermediate_values = {row["epoch"]: row["loss"] for row in rows}
        self._running[number] = _Running(frozen, list(rows), time.monotonic())
        for observer in self._observers:
            observer.on_trial_start(number, params)
        # A driver may have died between the last epoch's checkpoint and its verdict.
        verdict = self._verdict(frozen, rows[-1]) if rows else None
        if verdict is None:
            self._executor.submit(Task(trial, params, list(rows), folder))
        else:
            self._end(number, *verdict)

    # Listen, prune and tell

    def _handle(self, event: Event) -> None:
        match event:
            case EpochEnded(number, row):
                self._on_epoch(number, row)
            case TrialEnded(number, ending, reason, log):
                self._end(number, ending, reason, log)
            case TrialInterrupted(number):
                self._requeue(number)
                self._interrupt.request()

    def _on_epoch(self, number: int, row: dict[str, Any]) -> None:
        running = self._running[number]
        running.rows.append(row)
        running.frozen.intermediate_values[row["epoch"]] = row["loss"]
        for observer in self._observers:
            observer.on_epoch(number, row)
        if verdict := self._verdict(running.frozen, row):
            self._executor.stop(number)
            self._end(number, *verdict)
        elif time.monotonic() - running.stored_at >= STORE_EPOCHS_EVERY_S:
            self._store(running.frozen._trial_id, epochs=running.rows)
            running.stored_at = time.monotonic()

    def _verdict(self, frozen: FrozenTrial, row: dict[str, Any]) -> tuple[Ending, str] | None:
        """How and why a trial is to end after this epoch; None if it may go on."""
        if diverged(row["loss"]):
            return Ending.DIVERGED, f"the loss became {row['loss']}"
        # Some pruners remember in the storage which of their rungs a trial has passed.
        frozen.system_attrs = self._storage.get_trial_system_attrs(frozen._trial_id)
        if self._study.pruner.prune(self._study, frozen):
            return Ending.PRUNED, f"worse than others after epoch {row['epoch']}"
        return None

    def _end(self, number: int, ending: Ending, reason: str = "", log: str = "") -> None:
        running = self._running.pop(number)
        trial_id = running.frozen._trial_id
        best = best_row(running.rows)
        if ending.state is TrialState.COMPLETE and best is None:
            ending, reason = Ending.DIVERGED, "no epoch had a finite loss"
        for epoch, loss in running.frozen.intermediate_values.items():
            self._storage.set_trial_intermediate_value(trial_id, epoch, loss)
        self._store(trial_id, epochs=running.rows, ending=ending, reason=reason, log=log)
        value = best["loss"] if best and ending.state is TrialState.COMPLETE else None
        self._study.tell(number, value, ending.state)
        self._store_total_time()
        self._ended[number] = record_of(self._storage.get_trial(trial_id))
        self._announce_end(self._ended[number])

    def _announce_end(self, record: TrialRecord) -> None:
        folder = self._folder(record.number)
        checkpoint, _ = (folder and latest_checkpoint(folder)) or (None, [])
        for observer in self._observers:
            observer.on_trial_end(record, checkpoint)
        if folder is not None:
            discard_checkpoints(folder)
            with suppress(OSError):  # It is not there, or holds a trial of another study.
                folder.parent.rmdir()

    # Break off

    def _must_break_off(self) -> bool:
        return self._interrupt.requested or self._budget.out_of_time

    def _pause_all(self) -> None:
        for number in list(self._running):
            try:
                self._executor.pause(number)
            finally:
                self._requeue(number)

    def _requeue(self, number: int) -> None:
        """Back into the queue, under its own number and with its own parameters."""
        running = self._running.pop(number)
        self._storage.set_trial_state_values(running.frozen._trial_id, TrialState.WAITING)

    # Keep

    def _folder(self, number: int) -> Path | None:
        # Another study in the same directory has trials of the same numbers.
        return self._checkpoints and self._checkpoints / str(number) / self._identity

    def _store(self, trial_id: int, **attributes: Any) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, PREFIX + name, value)

    def _store_total_time(self) -> None:
        set_attribute(self._study, "total_time", self._earlier_s + self._budget.elapsed_s)
