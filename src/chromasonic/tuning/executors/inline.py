"""Trials in this process, one at a time."""

import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from chromasonic.errors import one_line
from chromasonic.tuning.checkpoints import save_checkpoint
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Task,
    TrialEnded,
    TrialInterrupted,
)
from chromasonic.tuning.objective import Epoch, Objective, epochs_of

CHECKPOINT_EVERY_S = 30.0

Breakable = Callable[[], AbstractContextManager[None]]


class TrialRun:
    """One trial on its way: its generator, its learning curve and its checkpoints."""

    def __init__(self, objective: Objective, task: Task, breakable: Breakable) -> None:
        self._task = task
        self._breakable = breakable
        self._epochs = epochs_of(objective, task.params, task.trial)
        self._rows = list(task.epochs)
        self._last: Epoch | None = None
        self._saved_at = time.monotonic()

    def step(self) -> Event:
        """Runs the trial to the end of its next epoch, or to its own end."""
        try:
            return self._step()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must cost one trial only
            return _failed(self._task.trial.number, error)

    def _step(self) -> Event:
        number = self._task.trial.number
        started = time.monotonic()
        begun = False
        try:
            with self._breakable():
                begun = True
                self._last = next(self._epochs)
        except StopIteration as stop:
            self.save()
            return TrialEnded(number, stop.value)
        except KeyboardInterrupt:
            # Once begun, the objective may be an epoch ahead of the learning curve.
            if not begun:
                self.save()
            return TrialInterrupted(number)
        row = _row(len(self._rows) + 1, self._last, time.monotonic() - started)
        self._rows.append(row)
        if time.monotonic() - self._saved_at >= CHECKPOINT_EVERY_S:
            self.save()
        return EpochEnded(number, row)

    def save(self) -> None:
        """Writes a checkpoint, if the objective offers one and the trial has a folder."""
        if self._last is None or self._last.save is None or self._task.folder is None:
            return
        save_checkpoint(self._task.folder, self._rows, self._last.save)
        self._saved_at = time.monotonic()

    def close(self) -> None:
        """Lets the objective clean up."""
        self._epochs.close()


class InlineExecutor:
    """Runs one trial at a time in this process.

    Args:
        objective: What is tuned.
        breakable: A context in which Ctrl-C may break an epoch off.
    """

    slots = 1

    def __init__(
        self,
        objective: Objective,
        breakable: Breakable = nullcontext,
    ) -> None:
        self._objective = objective
        self._breakable = breakable
        self._run: TrialRun | None = None

    def submit(self, task: Task) -> None:
        """Starts a trial."""
        self._run = TrialRun(self._objective, task, self._breakable)

    def poll(self) -> list[Event]:
        """Runs the trial to the end of its next epoch."""
        assert self._run is not None
        event = self._run.step()
        if not isinstance(event, EpochEnded):
            self._run = None
        return [event]

    def stop(self, number: int) -> None:
        """Ends the trial."""
        self.close()

    def pause(self, number: int) -> None:
        """Saves a checkpoint of the trial, if it can, and ends it."""
        try:
            if self._run is not None:
                self._run.save()
        finally:
            self.close()

    def close(self) -> None:
        """Ends the trial, if there is one."""
        if self._run is not None:
            self._run.close()
        self._run = None


def _row(number: int, epoch: Epoch, seconds: float) -> dict[str, Any]:
    return {
        "epoch": number,
        "loss": epoch.loss,
        "train_loss": epoch.train_loss,
        **epoch.metrics,
        "seconds": round(seconds, 4),
    }


def _failed(number: int, error: Exception) -> TrialEnded:
    # PyTorch's own kinds, told by their words: this part does not know PyTorch.
    out_of_memory = (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
    return TrialEnded(
        number,
        Ending.OUT_OF_MEMORY if out_of_memory else Ending.FAILED,
        one_line(error),
        traceback.format_exc(),
    )
