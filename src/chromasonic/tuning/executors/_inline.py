"""Trials in this process, one at a time."""

from contextlib import nullcontext

from chromasonic.tuning.executors._trial_run import Breakable, TrialRun
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Task,
    TrialStarted,
)
from chromasonic.tuning.objective import Objective


class InlineExecutor:
    """Runs one trial at a time in this process.

    It cannot survive what kills this process, nor end a trial in the middle of an epoch.

    Args:
        objective: What is tuned.
        breakable: A context in which Ctrl-C may break an epoch off.
    """

    slots = 1

    def __init__(self, objective: Objective, breakable: Breakable = nullcontext) -> None:
        self._objective = objective
        self._breakable = breakable
        self._run: TrialRun | None = None
        self._pending: list[Event] = []

    def submit(self, task: Task) -> None:
        """Starts a trial."""
        self._run = TrialRun(self._objective, task, self._breakable)
        self._pending.append(TrialStarted(task.number))

    def poll(self, timeout_s: float) -> list[Event]:
        """Runs the trial to the end of its next epoch, however long that takes."""
        if self._run is None or self._pending:
            pending, self._pending = self._pending, []
            return pending
        event = self._run.step()
        if not isinstance(event, EpochEnded):
            self._run = None
        return [event]

    def go_on(self, number: int) -> None:
        """Changes nothing: the next epoch begins with the next `poll`."""

    def stop(self, number: int) -> None:
        """Ends the trial."""
        self._pending.clear()
        self.close()

    def kill(self, number: int) -> None:
        """Ends the trial."""
        self.stop(number)

    def pause(self, number: int) -> None:
        """Saves a checkpoint of the trial, if it can, and ends it."""
        if self._run is not None:
            self._pending.append(self._run.pause())
        self.close()

    def close(self) -> None:
        """Ends the trial, if there is one."""
        if self._run is not None:
            self._run.close()
        self._run = None
