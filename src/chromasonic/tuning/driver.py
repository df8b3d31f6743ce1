"""The driver of a search: asks, submits, listens, stops and tells.

It alone writes the study. Trials run in an executor, which knows nothing of the study; files and
progress displays are observers, which the driver knows nothing of.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from chromasonic.bayesopt import Space
from chromasonic.errors import StudyError, StudyInUse
from chromasonic.tuning._checkpoints import CheckpointFolders
from chromasonic.tuning._deterministic_view import VisibleStudy
from chromasonic.tuning._earlier import n_trials_from_earlier
from chromasonic.tuning._ledger import Ledger
from chromasonic.tuning._recovery import IN_USED_PROCESS, OUT_OF_MEMORY, Setbacks
from chromasonic.tuning.budget import Budget, StopReason
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Executor,
    Task,
    TrialEnded,
    TrialPaused,
)
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.learning_curve import best_row, has_diverged
from chromasonic.tuning.objective import Trial
from chromasonic.tuning.observers import Observer, Observers
from chromasonic.tuning.records import TrialRecord
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.running_trials import RunningTrial, RunningTrials
from chromasonic.tuning.scheduling import (
    Curves,
    QueueAndPruner,
    Scheduler,
    Turn,
    Verdict,
    Visibility,
)
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.study import attribute, identity


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
        require_study: Raises StudyInUse if another driver holds the study, and StudyError if its
            files are no longer there.
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
        require_study: Callable[[], None] = lambda: None,
    ) -> None:
        self._study = study
        self._budget = budget
        self._seed = seed
        self._rules = rules or TrialRules()
        self._observers = Observers(observers)
        self._interrupt = interrupt or Interrupt()
        self._checkpoints = CheckpointFolders(checkpoints, identity(study))
        self._setbacks = Setbacks(study, self._checkpoints, self._rules)
        self._cancelled = cancelled
        self._require_study = require_study
        n_given = n_trials_from_earlier(study)
        n_slots = executor.slots if self._rules.deterministic else None
        self._visibility = Visibility(n_slots, n_given)
        view = VisibleStudy(study, n_slots, n_given)
        self._scheduler = scheduler or QueueAndPruner(study, view.seen_by)
        self._open_ledger = partial(Ledger, study, view, space, settings or {})
        self._ledger: Ledger
        self._running = RunningTrials(executor, self._rules)
        self._close_executor = executor.close
        self._is_ending = False

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
                for running, event in self._running.events():
                    self._handle(running, event)
                self._enforce_limits()
                if self._interrupt.requested or self._budget.out_of_time:
                    self._pause_all()
        except StudyError as error:
            self._running.abandon(may_save=not isinstance(error, StudyInUse))
            raise
        finally:
            with ExitStack() as stack:
                stack.callback(self._close_executor)
                stack.callback(self._pause_all)

    def _take_over(self) -> None:
        """Requeues and announces trials that a driver left when it died."""
        self._setbacks.recover()
        self._ledger = self._open_ledger()
        for number in self._ledger.paused:
            self._ledger.forget_rungs(number, self._checkpoints.latest(number)[1])
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
            if not self._running.has_free_slot:
                return None
            if self._visibility.must_wait(number, self._running):
                return None
            turn = self._scheduler.next_turn(self._curves())
            if turn is None:
                return StopReason.EXHAUSTED
            self._submit(turn)

    def _stop_reason(self, number: int) -> StopReason | None:
        """The reason why that trial should not begin, by budget and Ctrl-C."""
        ended = self._ledger.ended
        spent = self._budget.spent(
            len(ended) + len(self._running), lambda: self._visibility.known(number, ended)
        )
        return spent or (StopReason.INTERRUPTED if self._interrupt.requested else None)

    def _curves(self) -> Curves:
        return self._ledger.curves(self._running, self._budget.n_trials)

    def _submit(self, turn: Turn) -> None:
        frozen = self._ledger.begin(turn.number)
        number, params = frozen.number, attribute(frozen, "params")
        checkpoint, rows = self._checkpoints.latest(number)
        self._ledger.forget_rungs(number, rows)
        running = RunningTrial(frozen, list(rows), turn.n_epochs)
        self._running.add(running)
        self._observers.on_trial_start(number, params)
        # A driver may have died between the last epoch's checkpoint and its verdict.
        if rows and self._verdict(running) is Verdict.STOP:
            return
        trial = Trial(
            number,
            derive_seed(self._seed, "trial", number),
            checkpoint,
            out_of_memory_before=self._setbacks.had(frozen, OUT_OF_MEMORY),
        )
        task = Task(
            trial,
            params,
            rows,
            self._checkpoints.of(number),
            waits=self._rules.deterministic,
            needs_new_process=self._setbacks.had(frozen, IN_USED_PROCESS)
            or trial.out_of_memory_before,
        )
        self._running.submit(task)

    # Listen, stop and tell

    def _handle(self, running: RunningTrial, event: Event) -> None:
        match event:
            case EpochEnded(warning=warning):
                self._observers.warn(warning)
                self._on_epoch(running, event)
            case TrialEnded(warning=warning):
                self._observers.warn(warning)
                if self._register_setback(running, event):
                    self._put_back(running)
                else:
                    self._end(running, event.ending, event.reason, event.log)
            case TrialPaused(warning=warning):
                self._observers.warn(warning)
                if not (running.pauses_by_plan or self._is_ending or self._budget.out_of_time):
                    # Nobody else has asked for that: it was Ctrl-C.
                    self._interrupt.request()
                self._put_back(running)

    def _on_epoch(self, running: RunningTrial, event: EpochEnded) -> None:
        running.add(event.row)
        self._observers.on_epoch(event.number, event.row)
        verdict = self._verdict(running)
        if verdict is Verdict.STOP:
            return
        may_pause = verdict is Verdict.PAUSE or running.turn_is_over
        if may_pause and event.can_continue:
            self._running.pause(event.number)
        else:
            self._running.go_on(event.number)
        self._ledger.store_curve(running)

    def _verdict(self, running: RunningTrial) -> Verdict:
        """The verdict on a trial after its last epoch; a trial that is to stop is ended."""
        row = running.rows[-1]
        if has_diverged(running.rows):
            verdict, ending, reason = (
                Verdict.STOP,
                Ending.DIVERGED,
                f"the loss became {row.loss:g}",
            )
        else:
            verdict = self._scheduler.after_epoch(self._curves(), running.number)
            ending, reason = Ending.PRUNED, f"worse than others after epoch {row.epoch}"
        if verdict is Verdict.STOP:
            self._running.stop(running.number)
            self._end(running, ending, reason)
        return verdict

    def _register_setback(self, running: RunningTrial, event: TrialEnded) -> bool:
        """Registers the setback of a trial that ended by misfortune; True if it is tried again."""
        if event.ending is Ending.KILLED and self._interrupt.requested:
            # Whoever ends the search may have ended all of its processes.
            return True
        retry_reason = self._setbacks.register(running, event)
        if retry_reason is not None:
            self._observers.warn(f"trial {running.number} is tried again: {retry_reason}")
        return retry_reason is not None

    def _end(self, running: RunningTrial, ending: Ending, reason: str = "", log: str = "") -> None:
        if ending.finished and best_row(running.rows) is None:
            ending, reason = Ending.DIVERGED, "no epoch had a finite loss"
        record = self._ledger.end(running, ending, reason, log)
        self._running.drop(running.number)
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
        if not self._running.is_check_due():
            return
        self._require_study()
        for number in self._cancelled() & self._running.keys():
            self._kill(number, Ending.CANCELLED, "cancelled by the user")
        for number, reason in self._running.exceeded_limit().items():
            self._kill(number, Ending.TIMED_OUT, reason)

    def _kill(self, number: int, ending: Ending, reason: str) -> None:
        self._running.kill(number)
        self._end(self._running[number], ending, reason)

    def _pause_all(self) -> None:
        """Requeues all running trials, with a checkpoint where there can be one."""
        self._is_ending = True
        try:
            for running, event in self._running.pause_all():
                self._handle(running, event)
        finally:
            for running in list(self._running.values()):
                self._running.kill(running.number)
                self._put_back(running)
            self._is_ending = False

    def _put_back(self, running: RunningTrial) -> None:
        self._running.drop(running.number)
        self._ledger.put_back(running)
