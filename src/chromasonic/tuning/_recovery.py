"""Setbacks of trials, such as a killed worker, and how often a trial is tried again."""

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from chromasonic.tuning._checkpoints import CheckpointFolders
from chromasonic.tuning._optuna_private import storage_of, trial_id_of
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import TrialEnded
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.running_trials import RunningTrial
from chromasonic.tuning.study import PREFIX, attribute

SEARCH_DIED = "the search died while this trial ran"
OUT_OF_MEMORY = "out of memory"
BAD_CHECKPOINT = "its checkpoint could not be continued"
IN_USED_PROCESS = "failed in a process that had run other trials"

MOST_TIMES = 3
"""Largest number of setbacks of one kind in a row, without progress between."""

MOST_TIMES_OF = {OUT_OF_MEMORY: 1, BAD_CHECKPOINT: 1, IN_USED_PROCESS: 1}


class Setbacks:
    """Setbacks of a study's trials, counted in the study.

    Args:
        study: The study, which nobody else drives.
        checkpoints: A trial that has saved a further epoch since its last setback has made
            progress, after which the count begins anew.
        rules: Rules of the run: out of memory may be a setback.
    """

    def __init__(self, study: Study, checkpoints: CheckpointFolders, rules: TrialRules) -> None:
        self._study = study
        self._storage = storage_of(study)
        self._checkpoints = checkpoints
        self._rules = rules

    def had(self, trial: FrozenTrial, setback: str) -> bool:
        """True if a trial has had that setback."""
        return setback in attribute(trial, "setbacks", {})

    def recover(self) -> None:
        """Puts trials that a dead driver left running back into the queue.

        They keep their number and parameters. One that was lost too often, so that it may be
        what kills the driver, ends as lost.
        """
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if may_retry(SEARCH_DIED, self._count(SEARCH_DIED, trial)):
                self._storage.set_trial_state_values(trial_id_of(trial), TrialState.WAITING)
                continue
            reason = f"{SEARCH_DIED}, {MOST_TIMES + 1} times"
            self._storage.set_trial_user_attr(trial_id_of(trial), f"{PREFIX}ending", Ending.LOST)
            self._storage.set_trial_user_attr(trial_id_of(trial), f"{PREFIX}reason", reason)
            self._storage.set_trial_state_values(trial_id_of(trial), TrialState.FAIL)

    def register(self, running: RunningTrial, event: TrialEnded) -> str | None:
        """Registers the setback of a trial that ended by misfortune.

        Args:
            running: The trial.
            event: Its end, as its executor reports it.

        Returns:
            The reason why it is tried again; None where its ending stands.
        """
        setback = self._setback_of(running, event)
        if setback is None or not may_retry(setback, self._count(setback, running.frozen)):
            return None
        if setback is BAD_CHECKPOINT:
            self._checkpoints.discard(running.number)
        if setback in (BAD_CHECKPOINT, IN_USED_PROCESS):
            return f"{setback} ({event.reason})"
        return event.reason

    def _setback_of(self, running: RunningTrial, event: TrialEnded) -> str | None:
        ending = event.ending
        is_own_fault = ending in (Ending.FAILED, Ending.OUT_OF_MEMORY)
        if is_own_fault and event.in_used_process:
            return IN_USED_PROCESS
        if ending is Ending.OUT_OF_MEMORY and self._rules.on_oom == "retry":
            return OUT_OF_MEMORY
        if ending in (Ending.KILLED, Ending.LOST):
            return event.reason
        if ending is Ending.FAILED and running.n_rows_before > 0 and not running.made_progress:
            return BAD_CHECKPOINT
        return None

    def _count(self, setback: str, trial: FrozenTrial) -> int:
        """Stores a setback; returns how many of its kind came without progress between."""
        epoch = len(self._checkpoints.latest(trial.number)[1])
        setbacks = dict(attribute(trial, "setbacks", {}))
        before = setbacks.get(setback, {"times": 0, "epoch": epoch})
        times: int = 1 if epoch > before["epoch"] else before["times"] + 1
        setbacks[setback] = {"times": times, "epoch": epoch}
        self._storage.set_trial_user_attr(trial_id_of(trial), f"{PREFIX}setbacks", setbacks)
        return times


def may_retry(setback: str, times: int) -> bool:
    """True if a trial is tried again after so many setbacks of one kind in a row."""
    return times <= MOST_TIMES_OF.get(setback, MOST_TIMES)
