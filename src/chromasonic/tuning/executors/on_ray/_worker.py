"""The Ray actor that runs trials, one after the other.

Ray calls a worker from several threads: one runs the trial, one returns its reports, one passes
commands on. Nothing here imports Ray.
"""

import ctypes
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

from chromasonic.errors import one_line
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors._sending import load_objective
from chromasonic.tuning.executors._trial_run import TrialRun
from chromasonic.tuning.executors.on_ray._packing import (
    Files,
    PackedCheckpoint,
    pack_checkpoint,
    scratch_folder,
    unpack,
)
from chromasonic.tuning.executors.processes.child import Command
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Task,
    TrialEnded,
    TrialStarted,
)
from chromasonic.tuning.interrupt import UnaskedInterrupt
from chromasonic.tuning.objective import Objective


class ThreadInterrupt:
    """Raises KeyboardInterrupt in another thread, once, and only where that allows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._thread: int | None = None

    def request(self) -> None:
        """Interrupts the breakable block that runs, or else the next one."""
        with self._lock:
            if not self._requested and self._thread is not None:
                _raise_in(self._thread, KeyboardInterrupt)
            self._requested = True

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """A block that a request may interrupt."""
        try:
            with self._lock:
                if self._requested:
                    raise KeyboardInterrupt
                self._thread = threading.get_ident()
            yield
        except KeyboardInterrupt as error:
            with self._lock:
                if self._requested:
                    raise
            raise UnaskedInterrupt from error
        finally:
            with self._lock:
                # An exception that comes too late must not be raised outside the block.
                if self._thread is not None:
                    _raise_in(self._thread, None)
                self._thread = None


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    """Raises an exception in another thread at its next bytecode; None takes back the last."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(exception) if exception else None
    )


@dataclass
class Report:
    """Report of a trial to its driver.

    Attributes:
        events: Events since the last report, in order.
        checkpoint: The newest checkpoint, if it was written since the last report.
        unfit: Reason why this worker cannot run any trial; empty if it can.
        over: True if this is the last report of its run; the worker is then free.
    """

    events: list[Event] = field(default_factory=list)
    checkpoint: PackedCheckpoint | None = None
    unfit: str = ""
    over: bool = False

    def add(self, later: "Report") -> None:
        """Adds a later report to this one."""
        self.events += later.events
        self.checkpoint = later.checkpoint or self.checkpoint
        self.unfit = later.unfit or self.unfit
        self.over = later.over


class RayWorker:
    """Runs one trial at a time.

    Args:
        pickled: The objective, by cloudpickle.
    """

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self._objective: Objective | None = None
        self._channels: dict[int, _RunChannel] = {}
        self._lock = threading.Lock()

    def run(self, ticket: int, task: Task, checkpoint: Files | None) -> None:
        """Runs a trial to its end.

        Args:
            ticket: Unique number of this run.
            task: The trial; its folders are those of the driver's machine.
            checkpoint: Contents of the checkpoint to continue from.
        """
        channel = self._channel(ticket)
        try:
            objective = self._load()
            channel.send(Report([TrialStarted(task.number)]))
            with scratch_folder() as scratch:
                for report in _run(objective, _unpack_into(scratch, task, checkpoint), channel):
                    channel.send(report)
        except _CannotLoad as error:
            channel.send(Report(unfit=str(error)))
        except Exception as error:  # noqa: BLE001 - such as a full disk: it costs one trial only
            end = TrialEnded(task.number, Ending.FAILED, one_line(error), traceback.format_exc())
            channel.send(Report([end]))
        finally:
            channel.send(Report(over=True))

    def report(self, ticket: int) -> Report:
        """Waits for a report of a run, and returns all that there are as one."""
        report = self._channel(ticket).receive()
        if report.over:
            del self._channels[ticket]
        return report

    def command(self, ticket: int, command: Command) -> None:
        """Passes a command to a run; nothing happens if it is over."""
        channel = self._channels.get(ticket)
        if channel is not None:
            channel.command(command)

    def _load(self) -> Objective:
        if self._objective is None:
            try:
                self._objective = load_objective(self._pickled)
            except Exception as error:
                raise _CannotLoad(one_line(error)) from error
        return self._objective

    def _channel(self, ticket: int) -> "_RunChannel":
        # Either a run begins first, or it is asked for a report.
        with self._lock:
            return self._channels.setdefault(ticket, _RunChannel())


class _CannotLoad(Exception):
    """The objective cannot be loaded here."""


class _RunChannel:
    """Commands and reports of one run."""

    def __init__(self) -> None:
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._interrupt = ThreadInterrupt()
        self.breakable = self._interrupt.breakable

    def send(self, report: Report) -> None:
        """Queues a report for the driver."""
        self._reports.put(report)

    def receive(self) -> Report:
        """All reports in the queue as one; waits for the first."""
        report = self._reports.get()
        while not self._reports.empty():
            report.add(self._reports.get())
        return report

    def command(self, command: Command) -> None:
        """Queues a command; to stop and to pause interrupt the epoch that runs."""
        self._commands.put(command)
        if command is not Command.GO_ON:
            self._interrupt.request()

    def answer(self, *, wait: bool) -> Command:
        """The command after an epoch; to go on where none came and none is waited for."""
        return self._commands.get() if wait or not self._commands.empty() else Command.GO_ON


def _unpack_into(scratch: Path, task: Task, checkpoint: Files | None) -> Task:
    """The task with folders of this machine."""
    trial = replace(task.trial, checkpoint=None)
    if checkpoint is not None:
        trial = replace(trial, checkpoint=scratch / "received")
        unpack(checkpoint, scratch / "received")
    return replace(task, trial=trial, folder=task.folder and scratch / "checkpoints")


def _run(objective: Objective, task: Task, channel: _RunChannel) -> Iterator[Report]:
    run = TrialRun(objective, task, channel.breakable)
    n_saved = 0
    try:
        for event in _events(run, task.waits, channel):
            checkpoint = pack_checkpoint(task.folder, after=n_saved) if task.folder else None
            n_saved = len(checkpoint.epochs) if checkpoint else n_saved
            yield Report([event], checkpoint)
    finally:
        run.close()


def _events(run: TrialRun, waits: bool, channel: _RunChannel) -> Iterator[Event]:
    while True:
        event = run.step()
        yield event
        if not isinstance(event, EpochEnded):
            return
        match channel.answer(wait=waits):
            case Command.STOP:
                return
            case Command.PAUSE:
                yield run.pause()
                return
