"""Endings of trials, and the Optuna state of each."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import TrialState


class Ending(StrEnum):
    """Reason why a trial ended."""

    COMPLETED = "completed"
    STOPPED_EARLY = "stopped_early"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    KILLED = "killed"
    LOST = "lost"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """True if the trial ran to its own end, so that its value counts."""
        return self in (Ending.COMPLETED, Ending.STOPPED_EARLY)

    @property
    def state(self) -> "TrialState":
        """The state Optuna knows the trial by."""
        # Worker processes know endings, too, and start faster without Optuna.
        from optuna.trial import TrialState

        if self.finished:
            return TrialState.COMPLETE
        return TrialState.PRUNED if self is Ending.PRUNED else TrialState.FAIL
