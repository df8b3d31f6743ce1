"""What a driver that died leaves behind, mended."""

from optuna import Study
from optuna.trial import TrialState

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.study import PREFIX, attribute

MAX_TIMES_LOST = 3


def recover(study: Study) -> None:
    """Puts trials that a dead driver left running back into the queue.

    They keep their number and parameters. One that was lost too often, so that it may be what
    kills the driver, ends as lost.
    """
    storage = study._storage
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        times_lost = attribute(trial, "times_lost", 0) + 1
        storage.set_trial_user_attr(trial._trial_id, PREFIX + "times_lost", times_lost)
        if times_lost <= MAX_TIMES_LOST:
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            continue
        reason = f"the search died {times_lost} times while this trial ran"
        storage.set_trial_user_attr(trial._trial_id, PREFIX + "ending", Ending.LOST)
        storage.set_trial_user_attr(trial._trial_id, PREFIX + "reason", reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
