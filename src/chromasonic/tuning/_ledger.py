"""Trials of a study as its driver reads and writes them."""

import bisect
import time
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt import Space
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.tuning._deterministic_view import VisibleStudy
from chromasonic.tuning._optuna_private import RUNG, storage_of, study_id_of, trial_id_of
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import (
    EpochRow,
    best_row,
    curve_from_json,
    curve_to_json,
)
from chromasonic.tuning.records import TrialRecord, has_ended, record_of
from chromasonic.tuning.running_trials import RunningTrial
from chromasonic.tuning.scheduling import Curves
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.study import PREFIX, attribute, set_attribute

LARGEST_SHARE_OF_TIME = 0.02
"""So much of the time may go into keeping the curves of trials that still run."""


class Ledger:
    """Begins, ends and requeues the trials of a study; nothing else writes them.

    Args:
        study: The study; nobody else drives it.
        view: The study as its trials may see it.
        space: The search space.
        settings: Kept with each trial: what may differ from run to run.

    Attributes:
        ended: The record of each trial that counts, by number.
        paused: The curve of each trial in the queue that has begun, by number.
    """

    def __init__(
        self,
        study: optuna.Study,
        view: VisibleStudy,
        space: Space,
        settings: Mapping[str, Any],
    ) -> None:
        self._study = study
        self._storage = storage_of(study)
        self._view = view
        self._space = space
        self._settings = dict(settings)
        self._ids: list[int] = []
        self._waiting: list[int] = []
        self._next_store = 0.0
        self._next_time_s = 0.0
        self._earlier_s = float(attribute(study, "total_time", 0.0))
        self._maximize = study.direction is StudyDirection.MAXIMIZE
        self.ended: dict[int, TrialRecord] = {}
        self.paused: dict[int, Sequence[EpochRow]] = {}
        for trial in study.get_trials(deepcopy=False):
            self._ids.append(trial_id_of(trial))
            if not trial.state.is_finished():
                bisect.insort(self._waiting, trial.number)
                if attribute(trial, "params") is not None:
                    self.paused[trial.number] = curve_from_json(attribute(trial, "epochs", []))
            elif has_ended(trial):
                self.ended[trial.number] = record_of(trial, maximize=self._maximize)

    @property
    def next_number(self) -> int:
        """The first trial of the queue; where it is empty, the number of a new one."""
        return self._waiting[0] if self._waiting else len(self._ids)

    def curves(self, running: Mapping[int, RunningTrial], n_trials: int) -> Curves:
        """The curves of all trials for a scheduler.

        Args:
            running: The trials that run.
            n_trials: The total of trials that may begin.
        """
        n_begun = len(self.ended) + len(running) + len(self.paused)
        return Curves(
            waiting=self._waiting,
            paused=self.paused,
            running=running,
            ended=self.ended,
            next_number=self.next_number,
            n_left=max(0, n_trials - n_begun),
        )

    def begin(self, number: int | None = None) -> FrozenTrial:
        """Starts a waiting trial, or a new one if None, with its parameters or a new proposal."""
        if number is None:
            number = self._create()
        self._waiting.remove(number)
        self.paused.pop(number, None)
        trial_id = self._ids[number]
        trial = self._storage.get_trial(trial_id)
        if trial.state == TrialState.WAITING:
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        if attribute(trial, "params") is None:
            study = self._view.seen_by(number)
            with own_arithmetic():
                params = suggest_params(self._space, optuna.Trial(study, trial_id))
            self._set_attributes(trial_id, params=params)
        self._set_attributes(trial_id, settings=self._settings)
        return self._storage.get_trial(trial_id)

    def forget_rungs(self, number: int, rows: Sequence[EpochRow]) -> None:
        """Forgets what halving pruners noted of a trial after it had come this far.

        A trial that goes on from an earlier epoch, or whose last verdict is asked for again, is
        then judged as if it had never gone further.

        Args:
            number: The trial.
            rows: The epochs that it goes on from.
        """
        trial_id = self._ids[number]
        attributes = self._storage.get_trial_system_attrs(trial_id)
        losses = iter([row.loss for row in rows[:-1]])
        rung = 0
        # A rung holds the loss of the epoch at which it was reached; the epochs go up.
        while (key := f"{RUNG}{rung}") in attributes and attributes[key] in losses:
            rung += 1
        late = set()
        while (key := f"{RUNG}{rung}") in attributes:
            late.add(key)
            rung += 1
        if late and isinstance(self._storage, DriverStorage):
            self._storage.forget_system_attrs(trial_id, late)

    def store_curve(self, running: RunningTrial) -> None:
        """Stores the learning curve of a running trial, where that costs little."""
        started = time.monotonic()
        if started < self._next_store:
            return
        self._set_attributes(trial_id_of(running.frozen), epochs=curve_to_json(running.rows))
        now = time.monotonic()
        self._next_store = now + (now - started) / LARGEST_SHARE_OF_TIME

    def end(self, running: RunningTrial, ending: Ending, reason: str, log: str) -> TrialRecord:
        """Stores the end of a trial and returns its record."""
        trial_id = trial_id_of(running.frozen)
        for row in running.rows:
            self._storage.set_trial_intermediate_value(trial_id, row.epoch, row.loss)
        texts = {name: text for name, text in (("reason", reason), ("log", log)) if text}
        self._set_attributes(trial_id, epochs=curve_to_json(running.rows), ending=ending, **texts)
        best = best_row(running.rows, maximize=self._maximize)
        value = best.loss if best and ending.finished else None
        self._study.tell(running.number, value, ending.state)
        stored = self._storage.get_trial(trial_id)
        record = record_of(stored, maximize=self._maximize)
        if has_ended(stored):
            self.ended[running.number] = record
        return record

    def put_back(self, running: RunningTrial) -> None:
        """Requeues a trial under its own number, with its parameters and its curve so far."""
        self._set_attributes(trial_id_of(running.frozen), epochs=curve_to_json(running.rows))
        self._storage.set_trial_state_values(trial_id_of(running.frozen), TrialState.WAITING)
        bisect.insort(self._waiting, running.number)
        self.paused[running.number] = tuple(running.rows)

    def store_total_time(self, elapsed_s: float, *, at_once: bool = False) -> None:
        """Stores the seconds of all runs together, once a second unless `at_once`."""
        if at_once or elapsed_s >= self._next_time_s:
            self._next_time_s = elapsed_s + 1.0
            set_attribute(self._study, "total_time", self._earlier_s + elapsed_s)

    def _create(self) -> int:
        """Adds a trial to the queue; returns its number.

        If the storage went away in between, there may be one more, which nobody knows of yet.
        """
        number = len(self._ids)
        self._storage.create_new_trial(study_id_of(self._study))
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials[len(self._ids) :]:
            self._ids.append(trial_id_of(trial))
            bisect.insort(self._waiting, trial.number)
        return number

    def _set_attributes(self, trial_id: int, **attributes: Any) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, PREFIX + name, value)
