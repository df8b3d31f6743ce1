"""Executor protocol: tasks, events, and the calls of the driver."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.objective import Trial


@dataclass(frozen=True)
class Task:
    """A trial to run.

    Attributes:
        trial: Its number, seed and the checkpoint to continue from.
        params: Its parameters.
        epochs: The learning curve up to the checkpoint; empty for a new trial.
        folder: Where its checkpoints go, or None to write none.
        waits: True if the trial waits after each epoch for the command to go on; False if it
            runs until the command to stop.
        needs_new_process: True if no other trial may have run before in its process.
    """

    trial: Trial
    params: Mapping[str, Any]
    epochs: Sequence[EpochRow]
    folder: Path | None
    waits: bool = True
    needs_new_process: bool = False

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number


@dataclass(frozen=True)
class TrialStarted:
    """A worker has begun a trial."""

    number: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a trial has ended.

    Attributes:
        number: The trial's number.
        row: The epoch.
        can_continue: True if a checkpoint can be written after it, so that the trial could be
            paused here and go on later.
        warning: A problem that has cost nothing so far, such as a checkpoint not written.
    """

    number: int
    row: EpochRow
    can_continue: bool = False
    warning: str = ""


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended by itself, not by a command of the driver.

    Attributes:
        number: The trial's number.
        ending: Its ending; `KILLED` and `LOST` if its worker is gone through no fault of its own.
        reason: One line for people; empty where the ending says it all.
        log: More about a failure, such as its traceback.
        warning: Another problem that has cost nothing so far.
        in_used_process: True if other trials had run before in the same process, so that one of
            them may be to blame.
    """

    number: int
    ending: Ending
    reason: str = ""
    log: str = ""
    warning: str = ""
    in_used_process: bool = False


@dataclass(frozen=True)
class TrialPaused:
    """A trial has stopped where it was, after a checkpoint if it could write one.

    Attributes:
        number: The trial's number.
        warning: A problem that has cost nothing so far, such as a checkpoint not written.
    """

    number: int
    warning: str = ""


Event = TrialStarted | EpochEnded | TrialEnded | TrialPaused


class Executor(Protocol):
    """Runs trials and reports on them. It knows nothing of the study."""

    slots: int
    """How many trials run at the same time."""

    def submit(self, task: Task) -> None:
        """Starts a trial, as soon as a slot is ready for it."""

    def poll(self, timeout_s: float) -> list[Event]:
        """Waits for events, `timeout_s` at most, and returns them.

        There are none of a trial that was stopped or killed.

        Raises:
            ExecutorError: Trials cannot be run here.
        """

    def go_on(self, number: int) -> None:
        """Lets a trial that waits after an epoch begin the next one."""

    def stop(self, number: int) -> None:
        """Ends a trial and forgets it."""

    def kill(self, number: int) -> None:
        """Kills a trial, even one that hangs, and forgets it."""

    def pause(self, number: int) -> None:
        """Asks a trial to stop where it is; `TrialPaused` follows, unless it ends before."""

    def close(self) -> None:
        """Ends all that runs, and frees what it holds."""
