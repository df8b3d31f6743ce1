"""Setbacks of trials, such as a killed worker, and how often a trial is tried again."""

from collections.abc import Callable

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.scheduling import RunningTrial
from chromasonic.tuning.study import PREFIX, attribute

SEARCH_DIED = "the search died while this trial ran"
OUT_OF_MEMORY = "out of memory"
BAD_CHECKPOINT = "its checkpoint could not be continued"

MOST_TIMES = 3
"""How often in a row one kind of setback may hit a trial without any progress between."""

MOST_TIMES_OF = {OUT_OF_MEMORY: 1, BAD_CHECKPOINT: 1}


def setback_of(ending: Ending, reason: str, trial: RunningTrial, *, retry_oom: bool) -> str | None:
    """The setback after which a trial may be tried again; None where its ending stands.

    Args:
        ending: The ending that its executor reports.
        reason: One line more on that.
        trial: The trial.
        retry_oom: Whether running out of memory is a setback.
    """
    if ending is Ending.OUT_OF_MEMORY and retry_oom:
        return OUT_OF_MEMORY
    if ending in (Ending.KILLED, Ending.LOST):
        return reason
    if ending is Ending.FAILED and trial.n_rows_before > 0 and not trial.made_progress:
        return BAD_CHECKPOINT
    return None


def count_setback(storage: BaseStorage, trial: FrozenTrial, setback: str, epoch: int) -> int:
    """Stores a setback with its trial; returns how many came in a row without progress between.

    Args:
        storage: Where the trial is.
        trial: The trial.
        setback: One of the constants above, or the reason of a lost worker.
        epoch: The last epoch that a checkpoint keeps; each further one than last time is
            progress, after which the count begins anew.
    """
    setbacks = dict(attribute(trial, "setbacks", {}))
    before = setbacks.get(setback, {"times": 0, "epoch": epoch})
    times: int = 1 if epoch > before["epoch"] else before["times"] + 1
    setbacks[setback] = {"times": times, "epoch": epoch}
    storage.set_trial_user_attr(trial._trial_id, f"{PREFIX}setbacks", setbacks)
    return times


def may_retry(setback: str, times: int) -> bool:
    """True if a trial is tried again after so many setbacks of one kind in a row."""
    return times <= MOST_TIMES_OF.get(setback, MOST_TIMES)


def had_setback(trial: FrozenTrial, setback: str) -> bool:
    """True if a trial has had that setback."""
    return setback in attribute(trial, "setbacks", {})


def recover(study: Study, saved_epoch: Callable[[int], int]) -> None:
    """Puts trials that a dead driver left running back into the queue.

    They keep their number and parameters. One that was lost too often, so that it may be what
    kills the driver, ends as lost.

    Args:
        study: The study, which nobody else drives.
        saved_epoch: The last epoch that a checkpoint keeps, by the number of its trial.
    """
    storage = study._storage
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        times = count_setback(storage, trial, SEARCH_DIED, saved_epoch(trial.number))
        if may_retry(SEARCH_DIED, times):
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            continue
        reason = f"{SEARCH_DIED}, {MOST_TIMES + 1} times"
        storage.set_trial_user_attr(trial._trial_id, f"{PREFIX}ending", Ending.LOST)
        storage.set_trial_user_attr(trial._trial_id, f"{PREFIX}reason", reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
