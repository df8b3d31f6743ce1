"""Storage that retries while its database is away."""

import json
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError, IntegrityError

from chromasonic.errors import StudyError
from chromasonic.tuning.storage.errors import describe, is_transient
from chromasonic.tuning.storage.proxy import StorageProxy

PATIENCE_S = 300.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
LONGEST_SLEEP_S = 0.1

P = ParamSpec("P")
T = TypeVar("T")


def _tell_nobody(line: str) -> None:
    pass


def _never() -> bool:
    return False


class PatientStorage(StorageProxy):
    """Tries each call again, with growing pauses, while the database is away.

    A connection may be lost after the database has kept what it was told and before it said so.
    The repeated call then finds its own work done, which counts as success. Only a trial that is
    begun again leaves one behind that nobody knows of: empty and running, or queued twice.

    Args:
        storage: What is asked.
        name: What it is called in messages, without a password.
        patience_s: How long a call is tried again before it fails.
        on_warning: Told in one line when the database is away, and again when it is back. This
            and `should_give_up` are attributes that may be set later.
        should_give_up: Asked while waiting whether to fail at once.
        sleep: Waits for so many seconds.
        clock: The time in seconds.
    """

    def __init__(
        self,
        storage: BaseStorage,
        *,
        name: str,
        patience_s: float = PATIENCE_S,
        on_warning: Callable[[str], None] = _tell_nobody,
        should_give_up: Callable[[], bool] = _never,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(storage)
        self.on_warning = on_warning
        self.should_give_up = should_give_up
        self._name = name
        self._patience_s = patience_s
        self._sleep = sleep
        self._clock = clock
        self._gave_up = False

    def _pass(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls until the database answers, and returns the result.

        Raises:
            StudyError: The database was away for too long, or can no longer be used.
        """
        began_at, pause_s = None, FIRST_PAUSE_S
        while True:
            try:
                result = call(*args, **kwargs)
            except (StorageInternalError, DBAPIError) as error:
                self._require_hope(error)
                if began_at is None:
                    began_at = self._clock()
                    self._tell_of(error)
                self._wait(pause_s, began_at, error)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._gave_up = False
                if began_at is not None:
                    away_s = self._clock() - began_at
                    self.on_warning(f"the storage {self._name} is back after {away_s:.0f} s")
                return result

    def _require_hope(self, error: Exception) -> None:
        if isinstance(error, IntegrityError):
            raise error
        if not is_transient(error):
            raise StudyError(
                f"the storage {self._name} can no longer be used: {describe(error)}. "
                "Mend it, or choose another --storage."
            ) from error

    def _tell_of(self, error: Exception) -> None:
        # Who has given up once is not told again by what is tidied up afterwards.
        if not self._gave_up:
            self.on_warning(
                f"the storage {self._name} is away ({describe(error)}): "
                f"trying again for up to {self._patience_s:.0f} s"
            )

    def _wait(self, pause_s: float, began_at: float, error: Exception) -> None:
        ends_at = self._clock() + pause_s
        while True:
            now = self._clock()
            if self._gave_up or self.should_give_up() or now - began_at >= self._patience_s:
                self._gave_up = True
                raise StudyError(
                    f"the storage {self._name} must answer, but has not for {now - began_at:.0f} s"
                    f": {describe(error)}. All trials stored so far are safe. "
                    "Run the same command again once it is back."
                ) from error
            if now >= ends_at:
                return
            # In short naps, as a signal does not end a sleep.
            self._sleep(min(LONGEST_SLEEP_S, ends_at - now))

    # Calls that would fail when their work is done already

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """The number of the study, also of one that a lost attempt has made already."""
        attempt = 0

        def create() -> int:
            nonlocal attempt
            attempt += 1
            try:
                return self._storage.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                if attempt == 1 or study_name is None:
                    raise
                return self._storage.get_study_id_from_name(study_name)

        return self._pass(create)

    def delete_study(self, study_id: int) -> None:
        """Deletes a study, unless a lost attempt has done so already."""
        attempt = 0

        def delete() -> None:
            nonlocal attempt
            attempt += 1
            try:
                self._storage.delete_study(study_id)
            except KeyError:
                if attempt == 1:
                    raise

        self._pass(delete)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The id of the trial; of one that had ended before, also what a lost attempt has made."""
        attempt = 0

        def create() -> int:
            nonlocal attempt
            attempt += 1
            if attempt > 1 and template_trial is not None and template_trial.state.is_finished():
                newest = self._storage.get_all_trials(study_id, deepcopy=False)[-1:]
                if newest and _is_made_from(newest[0], template_trial):
                    return newest[0]._trial_id
            return self._storage.create_new_trial(study_id, template_trial)

        return self._pass(create)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """True if the trial is in that state now, by this attempt or by a lost one."""
        attempt = 0

        def store() -> bool:
            nonlocal attempt
            attempt += 1
            try:
                stored = self._storage.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if attempt == 1 or not _holds(self._storage.get_trial(trial_id), state, values):
                    raise
                return True
            # A trial that is running already cannot be started, which returns False.
            return stored or (
                attempt > 1 and _holds(self._storage.get_trial(trial_id), state, values)
            )

        return self._pass(store)


def _is_made_from(trial: FrozenTrial, template: FrozenTrial) -> bool:
    # As text, since nan equals nothing.
    texts = {json.dumps(t.user_attrs, sort_keys=True) for t in (trial, template)}
    return trial.state == template.state and len(texts) == 1


def _holds(trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> bool:
    return trial.state == state and (values is None or list(values) == trial.values)
