"""A storage that forwards every call to another one, for subclasses that change a part."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from optuna.storages import BaseStorage, get_storage

P = ParamSpec("P")
T = TypeVar("T")


def _forward(name: str) -> Any:
    def method(self: "ForwardingStorage", *args: Any, **kwargs: Any) -> Any:
        return self._pass(getattr(self.forwards_to, name), *args, **kwargs)

    method.__name__ = name
    return method


class ForwardingStorage(BaseStorage):
    """Forwards to another storage; all calls go through `_pass`.

    What Optuna derives from `get_trial` and `get_all_trials` (the best trial, how many there
    are, the parameters and attributes of one) is derived here as well, so that a subclass that
    overrides these two changes all that can be read of trials.

    Args:
        storage: The other one; an `RDBStorage` with Optuna's cache before it.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = get_storage(storage)

    @property
    def forwards_to(self) -> BaseStorage:
        """The other storage."""
        return self._storage

    def _pass(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a method of the other storage."""
        return call(*args, **kwargs)

    create_new_study = _forward("create_new_study")
    delete_study = _forward("delete_study")
    set_study_user_attr = _forward("set_study_user_attr")
    set_study_system_attr = _forward("set_study_system_attr")
    get_study_id_from_name = _forward("get_study_id_from_name")
    get_study_name_from_id = _forward("get_study_name_from_id")
    get_study_directions = _forward("get_study_directions")
    get_study_user_attrs = _forward("get_study_user_attrs")
    get_study_system_attrs = _forward("get_study_system_attrs")
    get_all_studies = _forward("get_all_studies")
    create_new_trial = _forward("create_new_trial")
    set_trial_param = _forward("set_trial_param")
    set_trial_state_values = _forward("set_trial_state_values")
    set_trial_intermediate_value = _forward("set_trial_intermediate_value")
    set_trial_user_attr = _forward("set_trial_user_attr")
    set_trial_system_attr = _forward("set_trial_system_attr")
    get_trial = _forward("get_trial")
    get_all_trials = _forward("get_all_trials")
    # It could be derived, too, but `Study.tell` asks it every time, and a cache answers.
    get_trial_id_from_study_id_trial_number = _forward("get_trial_id_from_study_id_trial_number")
    remove_session = _forward("remove_session")
