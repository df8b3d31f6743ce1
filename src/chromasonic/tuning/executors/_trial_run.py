"""Running of one trial, in any process."""

import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from chromasonic.errors import one_line
from chromasonic.tuning._checkpoints import save_checkpoint
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import EpochEnded, Task, TrialEnded, TrialPaused
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.objective import Epoch, Objective, epochs_of

CHECKPOINT_EVERY_S = 30.0
"""Longest time without a checkpoint, but for a longer epoch."""

SHARE_OF_CHECKPOINTS = 0.02
"""So much of the time may go into more frequent ones."""

LONGEST_LOG = 20_000
"""Characters of the longest traceback that is stored."""

Breakable = Callable[[], AbstractContextManager[None]]
"""A context in which a KeyboardInterrupt may interrupt an epoch."""


class TrialRun:
    """A trial's generator, its learning curve and its checkpoints."""

    def __init__(self, objective: Objective, task: Task, breakable: Breakable) -> None:
        self._task = task
        self._breakable = breakable
        self._epochs = epochs_of(objective, task.params, task.trial)
        self._rows = list(task.epochs)
        self._last: Epoch | None = None
        self._saved_at = time.monotonic()
        self._next_save_after_s = 0.0

    def step(self) -> EpochEnded | TrialEnded | TrialPaused:
        """Runs the trial to the end of its next epoch, or to its own end.

        An interrupt pauses it. What was done since the last checkpoint is then lost, which with
        small checkpoints is the part of an epoch.
        """
        try:
            return self._step()
        except BaseException as error:  # noqa: BLE001 - it must cost one trial only
            return _failed(self._task.number, error)

    def _step(self) -> EpochEnded | TrialEnded | TrialPaused:
        number = self._task.number
        started = time.monotonic()
        begun = False
        try:
            with self._breakable():
                begun = True
                epoch = self._next_epoch()
        except StopIteration as stop:
            return TrialEnded(number, stop.value, warning=self.try_to_save())
        except KeyboardInterrupt:
            # Once begun, the objective may be an epoch ahead of the learning curve.
            return TrialPaused(number, "" if begun else self.try_to_save())
        if isinstance(epoch, Exception):
            raise epoch
        self._last = epoch
        seconds = round(time.monotonic() - started, 4)
        row = EpochRow(len(self._rows) + 1, epoch.loss, epoch.train_loss, seconds, epoch.metrics)
        self._rows.append(row)
        is_due = time.monotonic() - self._saved_at >= self._next_save_after_s
        warning = self.try_to_save() if is_due else ""
        can_continue = epoch.save is not None and self._task.folder is not None
        return EpochEnded(number, row, can_continue, warning)

    def _next_epoch(self) -> Epoch | Exception:
        """The next epoch, or the objective's exception: a context writes to those it passes on.

        Some of the user's classes refuse that.
        """
        try:
            return next(self._epochs)
        except StopIteration:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised outside the context
            return error

    def pause(self) -> TrialPaused | TrialEnded:
        """Stops the trial between two epochs, after a checkpoint if it can write one."""
        try:
            return TrialPaused(self._task.number, self.try_to_save())
        except BaseException as error:  # noqa: BLE001 - it must cost one trial only
            return _failed(self._task.number, error)

    def try_to_save(self) -> str:
        """Writes a checkpoint, if the objective offers one and the trial has a folder.

        Returns:
            The reason why it could not be written, such as a full disk; empty otherwise.
        """
        folder, save = self._task.folder, self._last.save if self._last else None
        if folder is None or save is None:
            return ""
        began_at = time.monotonic()
        try:
            save_checkpoint(folder, self._rows, save)
        except (OSError, RuntimeError) as error:
            if not _is_of_the_disk(error):
                raise
            return f"trial {self._task.number} could not write its checkpoint: {one_line(error)}"
        finally:
            self._saved_at = time.monotonic()
            affordable_s = (self._saved_at - began_at) / SHARE_OF_CHECKPOINTS
            self._next_save_after_s = min(affordable_s, CHECKPOINT_EVERY_S)
        return ""

    def close(self) -> None:
        """Lets the objective clean up; an exception there is ignored."""
        with suppress(Exception):
            self._epochs.close()


def _is_of_the_disk(error: Exception) -> bool:
    # PyTorch has its own error for a full disk where it opens the file itself.
    return isinstance(error, OSError) or "inline_container.cc" in str(error)


def _failed(number: int, error: BaseException) -> TrialEnded:
    # PyTorch's own kinds are known by name and text: this part does not import PyTorch.
    reason = one_line(error)
    out_of_memory = (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in reason
    )
    return TrialEnded(
        number,
        Ending.OUT_OF_MEMORY if out_of_memory else Ending.FAILED,
        reason,
        _shortened(_traceback()),
    )


def _traceback() -> str:
    try:
        return traceback.format_exc()
    except Exception:  # noqa: BLE001 - the user's own class of error may do anything
        return ""


def _shortened(text: str) -> str:
    """The text, or where it is very long its beginning and its end."""
    if len(text) <= LONGEST_LOG:
        return text
    half = LONGEST_LOG // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
