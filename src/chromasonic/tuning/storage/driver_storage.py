"""The storage of a study's one driver."""
# ruff: noqa: D102 - Optuna's BaseStorage says what each method does.

import copy
import json
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from chromasonic.tuning._optuna_private import trial_id_of
from chromasonic.tuning.storage.forwarding import ForwardingStorage
from chromasonic.tuning.storage.retry import Retry

P = ParamSpec("P")
T = TypeVar("T")


class DriverStorage(ForwardingStorage):
    """Reads trials from memory, and writes through to a storage that is retried while away.

    A database reads every unfinished trial each time that a sampler or pruner asks for all of
    them; with 64 slots that takes longer than everything else. What is written reaches the
    database first, so the memory never knows more than that.

    A connection may be lost after the database has kept what it was told and before it said so.
    The repeated call then finds its own work done, which counts as success. Only a trial that is
    begun again leaves one behind that nobody knows of: empty and running, or queued twice.

    Args:
        storage: What is written; as long as this lives nobody else writes its trials.
        retry: Repeats calls that fail for a while.
    """

    def __init__(self, storage: BaseStorage, retry: Retry) -> None:
        super().__init__(storage)
        self._retry = retry
        self._trials: dict[int, list[FrozenTrial]] = {}
        self._places: dict[int, tuple[int, int]] = {}

    def _pass(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._retry(lambda attempt: call(*args, **kwargs))

    # Studies: calls that would fail when their work is done already

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        def create(attempt: int) -> int:
            try:
                return self._storage.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                if attempt == 1 or study_name is None:
                    raise
                return self._storage.get_study_id_from_name(study_name)

        return self._retry(create)

    def delete_study(self, study_id: int) -> None:
        def delete(attempt: int) -> None:
            try:
                self._storage.delete_study(study_id)
            except KeyError:
                if attempt == 1:
                    raise

        self._retry(delete)
        for trial in self._trials.pop(study_id, []):
            del self._places[trial_id_of(trial)]

    # Trials: written to the database, then to memory

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        def create(attempt: int) -> int:
            if attempt > 1 and template_trial is not None and template_trial.state.is_finished():
                newest = self._storage.get_all_trials(study_id, deepcopy=False)[-1:]
                if newest and _is_made_from(newest[0], template_trial):
                    return trial_id_of(newest[0])
            return self._storage.create_new_trial(study_id, template_trial)

        known = self._of_study(study_id)
        trial_id = self._retry(create)
        created = self._pass(self._storage.get_trial, trial_id)
        if created.number == len(known):
            self._add(study_id, created)
        else:
            # Storage that went away in between may hold one more, which nobody knows of yet.
            for trial in self._pass(self._storage.get_all_trials, study_id)[len(known) :]:
                self._add(study_id, trial)
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._pass(
            self._storage.set_trial_param, trial_id, param_name, param_value_internal, distribution
        )

        def change(trial: FrozenTrial) -> None:
            if param_name in trial.params:
                # Set twice, it is the first value in a database and the last one in memory.
                stored = self._pass(self._storage.get_trial, trial_id)
                trial.params, trial.distributions = stored.params, stored.distributions
                return
            value = distribution.to_external_repr(param_value_internal)
            trial.params = {**trial.params, param_name: value}
            trial.distributions = {**trial.distributions, param_name: distribution}

        self._change(trial_id, change)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def store(attempt: int) -> bool:
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

        def change(trial: FrozenTrial) -> None:
            trial.state = state
            if values is not None:
                trial.values = list(values)
            if state is TrialState.RUNNING:
                trial.datetime_start = datetime.now()
            if state.is_finished():
                trial.datetime_complete = datetime.now()

        is_stored = self._retry(store)
        if is_stored:
            self._change(trial_id, change)
        return is_stored

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._pass(self._storage.set_trial_intermediate_value, trial_id, step, intermediate_value)

        def change(trial: FrozenTrial) -> None:
            trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}

        self._change(trial_id, change)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._pass(self._storage.set_trial_user_attr, trial_id, key, value)

        def change(trial: FrozenTrial) -> None:
            trial.user_attrs = {**trial.user_attrs, key: _as_stored(value)}

        self._change(trial_id, change)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._pass(self._storage.set_trial_system_attr, trial_id, key, value)

        def change(trial: FrozenTrial) -> None:
            trial.system_attrs = {**trial.system_attrs, key: _as_stored(value)}

        self._change(trial_id, change)

    def forget_system_attrs(self, trial_id: int, keys: Container[str]) -> None:
        """Forgets system attributes of a trial; the database, which cannot, keeps them."""

        def change(trial: FrozenTrial) -> None:
            kept = {key: value for key, value in trial.system_attrs.items() if key not in keys}
            trial.system_attrs = kept

        self._change(trial_id, change)

    # Trials: read from memory

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id not in self._places:
            return self._pass(self._storage.get_trial, trial_id)
        study_id, number = self._places[trial_id]
        return copy.copy(self._trials[study_id][number])

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        known = self._of_study(study_id)
        chosen = [trial for trial in known if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        known = self._of_study(study_id)
        if trial_number < len(known):
            return trial_id_of(known[trial_number])
        method = self._storage.get_trial_id_from_study_id_trial_number
        return self._pass(method, study_id, trial_number)

    def _of_study(self, study_id: int) -> list[FrozenTrial]:
        if study_id not in self._trials:
            read = self._pass(self._storage.get_all_trials, study_id)
            self._trials[study_id] = []
            for trial in read:
                self._add(study_id, trial)
        return self._trials[study_id]

    def _add(self, study_id: int, trial: FrozenTrial) -> None:
        self._places[trial_id_of(trial)] = study_id, trial.number
        self._trials[study_id].append(trial)

    def _change(self, trial_id: int, change: Callable[[FrozenTrial], None]) -> None:
        """Replaces a trial by a changed copy; trials returned before stay as they were."""
        if trial_id in self._places:
            study_id, number = self._places[trial_id]
            changed = copy.copy(self._trials[study_id][number])
            change(changed)
            self._trials[study_id][number] = changed


def _is_made_from(trial: FrozenTrial, template: FrozenTrial) -> bool:
    # As text, since nan equals nothing.
    texts = {json.dumps(t.user_attrs, sort_keys=True) for t in (trial, template)}
    return trial.state == template.state and len(texts) == 1


def _holds(trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> bool:
    return trial.state == state and (values is None or list(values) == trial.values)


def _as_stored(value: Any) -> Any:
    """A value as a database gives it back, tuples as lists."""
    return json.loads(json.dumps(value))
