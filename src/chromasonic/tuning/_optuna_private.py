"""The private names of Optuna that this project needs; nothing else here uses one."""

from optuna.storages import BaseStorage, _CachedStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

RUNG = "completed_rung_"
"""System attributes, with a number from 0, in which halving pruners keep the value at a rung."""


def storage_of(study: Study) -> BaseStorage:
    """The storage of a study."""
    return study._storage


def study_id_of(study: Study) -> int:
    """The number by which its storage knows a study."""
    return study._study_id


def trial_id_of(trial: FrozenTrial) -> int:
    """The number by which its storage knows a trial; unlike `trial.number` unique in it."""
    return trial._trial_id


def without_cache(storage: BaseStorage) -> BaseStorage:
    """The database storage behind Optuna's cache; any other storage as it is."""
    return storage._backend if isinstance(storage, _CachedStorage) else storage


def drop_cached_trials(study: Study) -> None:
    """Makes a study read its trials again; it keeps those it has read until its next `tell`."""
    study._thread_local.cached_all_trials = None
