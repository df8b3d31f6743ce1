"""The parent's side of a child process."""

import multiprocessing
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.processes._reports import Report, ReportError, ReportReader
from chromasonic.tuning.executors.processes.child import Command, TrialCommand, serve
from chromasonic.tuning.executors.protocol import Task

GRACE_S = 2.0
"""Time that a dismissed child has to clean up before it is killed."""

START_WITHIN_S = 300.0
"""Time that a child has to load the objective: PyTorch takes seconds on a busy machine."""

BEGIN_WITHIN_S = 30.0
"""Time that an idle child has to take a trial."""

STOP_WITHIN_S = 10.0
"""Time that a trial has to clean up after the command to stop."""

SEND_WITHIN_S = 1
"""Time in which a child has to read some of a message that its pipe cannot hold."""

FROM_OUTSIDE = {"SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"}
"""Signals from outside; all others come from the process itself."""


class Worker:
    """One child process, started here.

    Args:
        pickled: The objective.
        environment: Variables that the child sets before it loads anything.

    Attributes:
        task: The trial that it runs; None if it is idle.
        has_begun: True once the child has said that it has taken that trial.
        must_stop: True if that trial was commanded to stop.
        was_used: True if other trials have run in it before that trial.
        has_leftovers: True if a trial has left something behind in it.
        is_ready: True once it has loaded the objective.
    """

    def __init__(self, pickled: bytes, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve,
            args=(theirs, pickled, dict(environment), _start_method()),
            name="chromasonic trial",
        )
        with _without_main(), _without_ctrl_c():
            self._process.start()
        theirs.close()
        _limit_sending(self._connection)
        self._reader = ReportReader(self._connection)
        self._oom_kills = _oom_kills()
        self._dismissed_at: float | None = None
        self._deadline = time.monotonic() + START_WITHIN_S
        self.task: Task | None = None
        self.has_begun = False
        self.must_stop = False
        self.was_used = False
        self.has_leftovers = False
        self.is_ready = False
        self._n_trials = 0
        self._memory_after_first: int | None = None

    @property
    def handles(self) -> tuple[Any, ...]:
        """Handles that become readable when the child reports or dies."""
        return self._connection, self._process.sentinel

    @property
    def is_idle(self) -> bool:
        """True if it can be given a trial."""
        return self.is_ready and self.task is None

    @property
    def is_new(self) -> bool:
        """True if no trial has run in it yet."""
        return self._n_trials == 0

    @property
    def is_dead(self) -> bool:
        """True if the process has ended."""
        return not self._process.is_alive()

    @property
    def is_late(self) -> bool:
        """True if a step takes it longer than any child may take: it hangs, or is suspended."""
        waits = not self.is_ready or self.must_stop or (self.task and not self.has_begun)
        return bool(waits) and time.monotonic() > self._deadline

    def begin(self, task: Task) -> None:
        """Sends a trial to run."""
        self.task = task
        self.was_used = not self.is_new
        self._n_trials += 1
        self.has_begun = self.must_stop = False
        self._deadline = time.monotonic() + BEGIN_WITHIN_S
        self._oom_kills = _oom_kills()
        self._send(task)

    def end_trial(self, most_growth: int) -> bool:
        """Makes it idle; False if it must not run another trial.

        Args:
            most_growth: Bytes by which its memory may have grown since its first trial, which
                loads libraries and must not be counted.
        """
        self.task = None
        used = self._resident()
        if self._memory_after_first is None:
            self._memory_after_first = used
        has_grown = used - self._memory_after_first > most_growth
        return not (has_grown or self.has_leftovers)

    def command(self, command: TrialCommand) -> None:
        """Sends a command about its trial."""
        if command.command is Command.STOP:
            self.must_stop = True
            self._deadline = time.monotonic() + STOP_WITHIN_S
        self._send(command)

    def reports(self) -> Iterator[Report]:
        """Reports since the last call.

        Raises:
            ReportError: Its pipe holds something else, or a report on another trial.
        """
        with suppress(EOFError, OSError):
            for report in self._reader.read():
                number = getattr(report, "number", None)
                if number is not None and (self.task is None or number != self.task.number):
                    raise ReportError(f"a report on trial {number}")
                yield report

    def memory_above(self, limit: int) -> int | None:
        """Bytes of memory that it and its own children use; None if that is at most the limit.

        What forked processes share is counted once, where the system can tell (Linux).
        """
        resident = self._resident()
        # Proportional memory is slow to read, and never more than resident memory.
        used = (
            sum(_bytes(process, _proportional) for process in self._process_tree())
            if resident > limit
            else resident
        )
        return used if used > limit else None

    def _resident(self) -> int:
        return sum(_bytes(process, _resident) for process in self._process_tree())

    def _process_tree(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []

    def cause_of_death(self) -> tuple[Ending, str]:
        """Ending of the trial of a dead child."""
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return Ending.FAILED, f"the process of the trial ended itself with exit code {code}"
        name = _signal_name(-code)
        if name == "SIGKILL" and _oom_kills() > self._oom_kills:
            return Ending.OUT_OF_MEMORY, "the system ran out of memory and killed the process"
        if name in FROM_OUTSIDE:
            return Ending.KILLED, f"the process of the trial was killed by {name}"
        return Ending.FAILED, f"the process of the trial crashed with {name}"

    def dismiss(self) -> None:
        """Closes the pipe, upon which the child ends."""
        self._dismissed_at = time.monotonic()
        self._connection.close()

    def kill(self) -> None:
        """Kills it and all processes that it has started."""
        self._dismissed_at = time.monotonic()
        self._connection.close()
        self._end_group()
        self._process.kill()

    def gone(self) -> bool:
        """True once a dismissed child has ended; one that takes too long is killed."""
        if self.is_dead:
            self._end_group()
            self._process.close()
            return True
        if self._dismissed_at is not None and time.monotonic() - self._dismissed_at > GRACE_S:
            self.kill()
        return False

    def wait_until_gone(self) -> None:
        """Waits until it has ended."""
        while not self.gone():
            time.sleep(0.005)

    def _end_group(self) -> None:
        """Kills its process group, which outlives it."""
        if hasattr(os, "killpg") and self._process.pid:
            # PermissionError: macOS says so of a group that holds only zombies.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except BlockingIOError:
            self._deadline = time.monotonic()
        except OSError:
            # The next poll finds out that it is dead.
            return


def _start_method() -> str:
    """The way in which this process, if it were to, would start processes of its own."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]


@contextmanager
def _without_main() -> Iterator[None]:
    """Hides the main module, so that a child does not run the user's script again.

    The script then needs no `if __name__ == "__main__"`; its functions travel by cloudpickle.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Blocks Ctrl-C in a child that starts, until it has set its handler."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _limit_sending(connection: Connection) -> None:
    """Lets a message to a child that does not read fail, with BlockingIOError, in the end."""
    if os.name == "posix":
        with socket.socket(fileno=os.dup(connection.fileno())) as pipe:
            limit = struct.pack("ll", SEND_WITHIN_S, 0)
            pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _bytes(process: psutil.Process, measure: Callable[[psutil.Process], int]) -> int:
    """A measure of a process's memory; 0 if it has ended."""
    try:
        return measure(process)
    except psutil.Error:
        return 0


def _resident(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _proportional(process: psutil.Process) -> int:
    if sys.platform != "linux":
        return _resident(process)
    return int(process.memory_full_info().pss)


def _oom_kills() -> int:
    """Number of processes that Linux has killed for lack of memory."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
