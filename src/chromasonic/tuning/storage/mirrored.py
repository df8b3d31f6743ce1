"""Storage that reads trials from memory, since nobody else writes them."""

import copy
import json
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from chromasonic.tuning.storage.proxy import StorageProxy


class MirroredStorage(StorageProxy):
    """Answers what is asked of trials from memory, and writes them through.

    A database reads every unfinished trial each time that a sampler or pruner asks for all of
    them; with 64 slots that takes longer than everything else. What it is told reaches the other
    storage first, so the mirror never knows more than that.

    Args:
        storage: What is written; as long as this lives nobody else writes its trials.
    """

    def __init__(self, storage: BaseStorage) -> None:
        super().__init__(storage)
        self._trials: dict[int, list[FrozenTrial]] = {}
        self._places: dict[int, tuple[int, int]] = {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The id of a new trial."""
        known = self._of_study(study_id)
        trial_id = super().create_new_trial(study_id, template_trial)
        created = super().get_trial(trial_id)
        if created.number == len(known):
            self._add(study_id, created)
        else:
            # Storage that went away in between may hold one more, which nobody knows of yet.
            for trial in super().get_all_trials(study_id)[len(known) :]:
                self._add(study_id, trial)
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Sets a parameter of a trial."""
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

        def change(trial: FrozenTrial) -> None:
            if param_name in trial.params:
                # Set twice, it is the first value in a database and the last one in memory.
                stored = StorageProxy.get_trial(self, trial_id)
                trial.params, trial.distributions = stored.params, stored.distributions
                return
            value = distribution.to_external_repr(param_value_internal)
            trial.params = {**trial.params, param_name: value}
            trial.distributions = {**trial.distributions, param_name: distribution}

        self._change(trial_id, change)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Sets the state of a trial, and its values; whether it did."""
        if not super().set_trial_state_values(trial_id, state, values):
            return False

        def change(trial: FrozenTrial) -> None:
            trial.state = state
            if values is not None:
                trial.values = list(values)
            if state is TrialState.RUNNING:
                trial.datetime_start = datetime.now()
            if state.is_finished():
                trial.datetime_complete = datetime.now()

        self._change(trial_id, change)
        return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Sets a point of a trial's learning curve."""
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

        def change(trial: FrozenTrial) -> None:
            trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}

        self._change(trial_id, change)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a trial."""
        super().set_trial_user_attr(trial_id, key, value)

        def change(trial: FrozenTrial) -> None:
            trial.user_attrs = {**trial.user_attrs, key: _as_stored(value)}

        self._change(trial_id, change)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a trial that samplers and pruners keep there."""
        super().set_trial_system_attr(trial_id, key, value)

        def change(trial: FrozenTrial) -> None:
            trial.system_attrs = {**trial.system_attrs, key: _as_stored(value)}

        self._change(trial_id, change)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial."""
        if trial_id not in self._places:
            return super().get_trial(trial_id)
        study_id, number = self._places[trial_id]
        return copy.copy(self._trials[study_id][number])

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials of a study, by number."""
        known = self._of_study(study_id)
        chosen = [trial for trial in known if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The id of the trial of that number."""
        known = self._of_study(study_id)
        if trial_number < len(known):
            return known[trial_number]._trial_id
        return super().get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def delete_study(self, study_id: int) -> None:
        """Deletes a study."""
        super().delete_study(study_id)
        for trial in self._trials.pop(study_id, []):
            del self._places[trial._trial_id]

    def _of_study(self, study_id: int) -> list[FrozenTrial]:
        if study_id not in self._trials:
            read = super().get_all_trials(study_id)
            self._trials[study_id] = []
            for trial in read:
                self._add(study_id, trial)
        return self._trials[study_id]

    def _add(self, study_id: int, trial: FrozenTrial) -> None:
        self._places[trial._trial_id] = study_id, trial.number
        self._trials[study_id].append(trial)

    def _change(self, trial_id: int, change: Callable[[FrozenTrial], None]) -> None:
        """Changes a copy: whoever was given the trial before keeps what he was given."""
        if trial_id in self._places:
            study_id, number = self._places[trial_id]
            changed = copy.copy(self._trials[study_id][number])
            change(changed)
            self._trials[study_id][number] = changed


def _as_stored(value: Any) -> Any:
    """A value as a database gives it back, tuples as lists."""
    return json.loads(json.dumps(value))
