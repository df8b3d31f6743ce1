"""The child process that runs trials, one after the other.

Nothing heavy is imported at the top: the number of numpy's threads must be set before it loads.
"""

import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromasonic.tuning.executors.processes._reports import Report
    from chromasonic.tuning.executors.protocol import Task
    from chromasonic.tuning.objective import Objective

ORPHAN_GRACE_S = 0.7
"""Time that a child has to end by itself once its parent is gone or has dismissed it."""

OUT_OF_MEMORY_SCORE = "500"
"""When memory runs out, Linux then kills a trial rather than the search."""


class Command(Enum):
    """Commands of the parent about the running trial."""

    GO_ON = "go on"
    STOP = "stop"
    PAUSE = "pause"


@dataclass(frozen=True)
class TrialCommand:
    """A command about one trial; it is ignored once that has ended."""

    command: Command
    number: int


def serve(
    connection: Connection, pickled: bytes, environment: Mapping[str, str], start_method: str
) -> None:
    """Runs trials until the parent closes the connection, or dies.

    Args:
        connection: To the parent; it carries tasks and commands in, events out.
        pickled: The objective, by cloudpickle.
        environment: Variables to set before anything is loaded.
        start_method: The way in which trials start processes of their own, unless they choose
            another: that of the parent, as if they ran there.
    """
    multiprocessing.set_start_method(start_method, force=True)
    os.environ.update(environment)
    _stand_alone(connection)
    commands = _Commands(connection)
    with suppress(BrokenPipeError, ConnectionResetError):  # The parent is gone.
        from chromasonic.tuning.executors.processes._leftovers import Leftovers
        from chromasonic.tuning.executors.processes._reports import (
            LeftBehind,
            Ready,
            TrialBegan,
            send_report,
        )

        objective = _load(pickled, connection)
        if objective is None:
            return
        leftovers = Leftovers()
        send_report(connection, Ready())
        while (task := commands.next_task()) is not None:
            leftovers.before_trial()
            send_report(connection, TrialBegan(task.number))
            last = _run(objective, task, connection, commands)
            if what := leftovers.after_trial():
                send_report(connection, LeftBehind(task.number, what))
            send_report(connection, last)


def _load(pickled: bytes, connection: Connection) -> "Objective | None":
    from chromasonic.errors import one_line
    from chromasonic.tuning.executors._sending import load_objective
    from chromasonic.tuning.executors.processes._reports import LoadFailed, send_report

    try:
        objective = load_objective(pickled)
    except Exception as error:  # noqa: BLE001 - the parent says what is wrong
        send_report(connection, LoadFailed(one_line(error)))
        return None
    return objective


def _run(
    objective: "Objective", task: "Task", connection: Connection, commands: "_Commands"
) -> "Report":
    """Runs one trial and returns its last report to the parent."""
    from chromasonic.tuning.executors._trial_run import TrialRun
    from chromasonic.tuning.executors.processes._reports import TrialStopped, send_report
    from chromasonic.tuning.executors.protocol import TrialEnded, TrialPaused

    run = TrialRun(objective, task, commands.breakable)
    try:
        while True:
            event = run.step()
            if isinstance(event, TrialEnded | TrialPaused):
                return event
            send_report(connection, event)
            match commands.answer(wait=task.waits):
                case Command.STOP:
                    return TrialStopped(task.number)
                case Command.PAUSE:
                    return run.pause()
    finally:
        commands.end()
        run.close()


class _Commands:
    """Commands of the parent, received while a trial runs; a closed pipe is one, too.

    A thread receives them. To stop or pause a trial it interrupts the epoch that is running, by
    a signal that raises KeyboardInterrupt in the main thread. Ctrl-C at the terminal reaches
    this process as the same signal and is ignored: the parent decides.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._answers: SimpleQueue[Command] = SimpleQueue()
        self._number: int | None = None
        self._must_break_off = False
        self._breakable = False
        signal.signal(signal.SIGINT, self._on_signal)
        if hasattr(signal, "pthread_sigmask"):
            # The parent has kept Ctrl-C from this process until now.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        threading.Thread(target=self._listen, daemon=True).start()

    def next_task(self) -> "Task | None":
        """The next trial to run; None if no more will come."""
        return self._tasks.get()

    def end(self) -> None:
        """Ignores later commands about the trial, which is over."""
        self._number = None

    def answer(self, *, wait: bool) -> Command:
        """The command after an epoch; to go on where none came and none is waited for."""
        if not wait and self._answers.empty():
            return Command.GO_ON
        return self._answers.get()

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """A block that a command may interrupt."""
        self._breakable = True
        try:
            if self._must_break_off:
                raise KeyboardInterrupt
            yield
        except KeyboardInterrupt as error:
            if self._must_break_off:
                raise
            from chromasonic.tuning.interrupt import UnaskedInterrupt

            raise UnaskedInterrupt from error
        finally:
            self._breakable = False

    def _listen(self) -> None:
        while True:
            try:
                message: Any = self._connection.recv()
            except (EOFError, OSError):
                self._parent_is_gone()
                return
            if not isinstance(message, TrialCommand):
                self._begin(message)
            elif message.number == self._number:
                self._take(message.command)

    def _begin(self, task: "Task") -> None:
        # Here, not where the trial runs: the next message may already be a command about it.
        self._answers = SimpleQueue()
        self._must_break_off = False
        self._number = task.number
        self._tasks.put(task)

    def _take(self, command: Command) -> None:
        self._answers.put(command)
        if command is not Command.GO_ON:
            self._must_break_off = True
            _wake_main_thread()

    def _parent_is_gone(self) -> None:
        self._tasks.put(None)
        self._take(Command.STOP)
        time.sleep(ORPHAN_GRACE_S)
        os._exit(1)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._must_break_off and self._breakable:
            raise KeyboardInterrupt


def _wake_main_thread() -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:
        import _thread

        _thread.interrupt_main()


def _stand_alone(connection: Connection) -> None:
    """Leaves the terminal's process group for one of its own, which ends with the parent."""
    if hasattr(os, "setsid"):
        os.setsid()
        _start_guard(connection)
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY_SCORE, encoding="ascii")


def _start_guard(connection: Connection) -> None:
    """Starts a process that kills this process group once the parent is gone.

    A thread of this process cannot do that while C code hangs, nor after a kill.
    """
    first = os.fork()
    if first != 0:
        os.waitpid(first, 0)
        return
    # A grandchild, so that the objective does not find it among its children.
    if os.fork() == 0:
        os.dup2(connection.fileno(), 0)
        os.closerange(1, 4096)
        hang_up = select.poll()
        hang_up.register(0, 0)
        hang_up.poll()
        time.sleep(ORPHAN_GRACE_S)
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
