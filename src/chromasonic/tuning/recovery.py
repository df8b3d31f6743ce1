"""What keeps a trial from its end through no fault of its own, and how often it tries again."""

from collections.abc import Callable

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.study import PREFIX, attribute

SEARCH_DIED = "the search died while this trial ran"
OUT_OF_MEMORY = "out of memory"
BAD_CHECKPOINT = "its checkpoint could not be continued"

MOST_TIMES = 3
"""How often in a row one kind of setback may hit a trial without any progress between."""

MOST_TIMES_OF = {OUT_OF_MEMORY: 1, BAD_CHECKPOINT: 1}


def may_try_again(storage: BaseStorage, trial: FrozenTrial, setback: str, epoch: int) -> bool:
    """Whether a trial is to run once more after a setback, which is noted.

    Args:
        storage: Where the trial is.
        trial: The trial.
        setback: What happened.
        epoch: The last epoch that a checkpoint keeps; each further one than last time is
            progress, after which the count begins anew.
    """
    setbacks = dict(attribute(trial, "setbacks", {}))
    before = setbacks.get(setback, {"times": 0, "epoch": epoch})
    times = 1 if epoch > before["epoch"] else before["times"] + 1
    setbacks[setback] = {"times": times, "epoch": epoch}
    storage.set_trial_user_attr(trial._trial_id, f"{PREFIX}setbacks", setbacks)
    return times <= MOST_TIMES_OF.get(setback, MOST_TIMES)


def has_met(trial: FrozenTrial, setback: str) -> bool:
    """Whether a trial has had that setback."""
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
        if may_try_again(storage, trial, SEARCH_DIED, saved_epoch(trial.number)):
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            continue
        reason = f"{SEARCH_DIED}, {MOST_TIMES + 1} times"
        storage.set_trial_user_attr(trial._trial_id, f"{PREFIX}ending", Ending.LOST)
        storage.set_trial_user_attr(trial._trial_id, f"{PREFIX}reason", reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
