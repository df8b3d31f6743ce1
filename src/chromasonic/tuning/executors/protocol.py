"""What the driver asks of a place where trials run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.objective import Trial


@dataclass(frozen=True)
class Task:
    """A trial to run.

    Attributes:
        trial: Its number, seed and the checkpoint to continue from.
        params: What it tries.
        epochs: The learning curve up to the checkpoint; empty for a new trial.
        folder: Where its checkpoints go, or None to write none.
    """

    trial: Trial
    params: Mapping[str, Any]
    epochs: list[dict[str, Any]]
    folder: Path | None


@dataclass(frozen=True)
class EpochEnded:
    """A trial has a further point of its learning curve.

    Attributes:
        number: The trial's number.
        row: `epoch` (from 1), `loss`, `train_loss`, `seconds` and the objective's metrics.
    """

    number: int
    row: dict[str, Any]


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended by itself.

    Attributes:
        number: The trial's number.
        ending: Why.
        reason: One line for people; empty where the ending says it all.
        log: More about a failure, such as its traceback.
    """

    number: int
    ending: Ending
    reason: str = ""
    log: str = ""


@dataclass(frozen=True)
class TrialInterrupted:
    """A trial was broken off in the middle of an epoch, by Ctrl-C."""

    number: int


Event = EpochEnded | TrialEnded | TrialInterrupted


class Executor(Protocol):
    """Runs trials and reports on them. It knows nothing of the study."""

    slots: int

    def submit(self, task: Task) -> None:
        """Starts a trial in a free slot."""

    def poll(self) -> list[Event]:
        """Waits until a trial has something to say, and returns that.

        After an `EpochEnded` a trial goes on to its next epoch unless it is stopped or paused
        before the next `poll`.
        """

    def stop(self, number: int) -> None:
        """Ends a running trial and forgets it."""

    def pause(self, number: int) -> None:
        """Saves a checkpoint of a running trial, if it can, and forgets it."""

    def close(self) -> None:
        """Ends all that runs."""
