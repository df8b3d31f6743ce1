"""A storage that asks another one, for subclasses that change a part of what it does."""
# ruff: noqa: D102 - Optuna's BaseStorage says what each method does.

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, get_storage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna.study._frozen import FrozenStudy

P = ParamSpec("P")
T = TypeVar("T")


class StorageProxy(BaseStorage, BaseHeartbeat):
    """Passes what it is asked on to another storage.

    Every call goes through `_pass`, which a subclass overrides to change all of them. What Optuna
    derives from `get_trial` and `get_all_trials` (the best trial, how many there are, the
    parameters and attributes of one) is derived here as well, so that a subclass that overrides
    these two changes all that can be read of trials.

    Args:
        storage: What is asked; an `RDBStorage` with Optuna's cache before it.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = get_storage(storage)

    def _pass(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a method of the other storage."""
        return call(*args, **kwargs)

    # Studies

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._pass(self._storage.create_new_study, directions, study_name)

    def delete_study(self, study_id: int) -> None:
        self._pass(self._storage.delete_study, study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._pass(self._storage.set_study_user_attr, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._pass(self._storage.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._pass(self._storage.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._pass(self._storage.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._pass(self._storage.get_study_directions, study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._pass(self._storage.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._pass(self._storage.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._pass(self._storage.get_all_studies)

    # Trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        return self._pass(self._storage.create_new_trial, study_id, template_trial)

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

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        return self._pass(self._storage.set_trial_state_values, trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._pass(self._storage.set_trial_intermediate_value, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._pass(self._storage.set_trial_user_attr, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._pass(self._storage.set_trial_system_attr, trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._pass(self._storage.get_trial, trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return self._pass(self._storage.get_all_trials, study_id, deepcopy, states)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        # It could be derived, too, but `Study.tell` asks it every time, and a cache answers.
        method = self._storage.get_trial_id_from_study_id_trial_number
        return self._pass(method, study_id, trial_number)

    def remove_session(self) -> None:
        self._pass(self._storage.remove_session)

    # Heartbeats, which not every storage has

    @property
    def _heartbeat(self) -> BaseHeartbeat | None:
        return self._storage if isinstance(self._storage, BaseHeartbeat) else None

    def record_heartbeat(self, trial_id: int) -> None:
        if self._heartbeat is not None:
            self._pass(self._heartbeat.record_heartbeat, trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        if self._heartbeat is None:
            return []
        return self._pass(self._heartbeat._get_stale_trial_ids, study_id)

    def get_heartbeat_interval(self) -> int | None:
        return self._heartbeat.get_heartbeat_interval() if self._heartbeat else None

    def get_heartbeat_stale_trial_callback(
        self,
    ) -> Callable[[Study, FrozenTrial], None] | None:
        return self._heartbeat.get_heartbeat_stale_trial_callback() if self._heartbeat else None
