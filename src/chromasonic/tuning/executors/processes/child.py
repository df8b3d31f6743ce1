"""The child process that runs trials, one after the other.

Nothing heavy is imported above: how many threads numpy uses must be said before it is loaded.
"""

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
    from chromasonic.tuning.executors.protocol import Task
    from chromasonic.tuning.objective import Objective

ORPHAN_GRACE_S = 0.7
"""So long a child whose parent is gone, or done with it, may take to end in good order."""

OUT_OF_MEMORY_SCORE = "500"
"""When memory runs out, Linux should end a trial rather than the search."""


class Command(Enum):
    """Commands of the parent about the running trial."""

    GO_ON = "go on"
    STOP = "stop"
    PAUSE = "pause"


@dataclass(frozen=True)
class TrialCommand:
    """A word about one trial; it means nothing once that has ended."""

    word: Command
    number: int


@dataclass(frozen=True)
class Ready:
    """A child can take trials."""


@dataclass(frozen=True)
class LoadFailed:
    """A child cannot load what it is to run."""

    reason: str


@dataclass(frozen=True)
class TrialStopped:
    """A trial has ended because the parent said so."""

    number: int


def serve(connection: Connection, pickled: bytes, environment: Mapping[str, str]) -> None:
    """Runs trials until the parent closes the connection, or dies.

    Args:
        connection: To the parent; it carries tasks and orders in, events out.
        pickled: The objective, by cloudpickle.
        environment: Variables to set before anything is loaded.
    """
    os.environ.update(environment)
    _stand_alone(connection)
    orders = _Orders(connection)
    with suppress(BrokenPipeError, ConnectionResetError):  # The parent is gone.
        objective = _load(pickled, connection)
        if objective is None:
            return
        connection.send(Ready())
        while (task := orders.next_task()) is not None:
            connection.send(_run(objective, task, connection, orders))


def _load(pickled: bytes, connection: Connection) -> "Objective | None":
    import cloudpickle

    from chromasonic.errors import one_line

    try:
        objective: Objective = cloudpickle.loads(pickled)
    except Exception as error:  # noqa: BLE001 - the parent says what is wrong
        connection.send(LoadFailed(one_line(error)))
        return None
    return objective


def _run(
    objective: "Objective", task: "Task", connection: Connection, orders: "_Orders"
) -> object:
    """Runs one trial; what the parent must be told last."""
    from chromasonic.tuning.executors.protocol import TrialEnded, TrialPaused
    from chromasonic.tuning.executors.trial_run import TrialRun

    run = TrialRun(objective, task, orders.breakable)
    try:
        while True:
            event = run.step()
            if isinstance(event, TrialEnded | TrialPaused):
                return event
            connection.send(event)
            match orders.answer(wait=task.waits):
                case Command.STOP:
                    return TrialStopped(task.number)
                case Command.PAUSE:
                    return run.pause()
    finally:
        orders.end()
        run.close()


class _Orders:
    """Commands of the parent, received while a trial runs; a closed pipe is one, too.

    A thread listens. To stop or pause a trial it breaks off the epoch that is running, by a
    signal that raises KeyboardInterrupt in the main thread. Ctrl-C at the terminal reaches
    this process as the same signal and is ignored: the parent says what is to be done.
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
        """The next trial to run; None when there will be no more."""
        return self._tasks.get()

    def end(self) -> None:
        """The trial is over: no order about it means anything any more."""
        self._number = None

    def answer(self, *, wait: bool) -> Command:
        """The command after an epoch; to go on where none came and none is waited for."""
        if not wait and self._answers.empty():
            return Command.GO_ON
        return self._answers.get()

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Lets an order break off what happens inside."""
        self._breakable = True
        try:
            if self._must_break_off:
                raise KeyboardInterrupt
            yield
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
                self._take(message.word)

    def _begin(self, task: "Task") -> None:
        # Here, not where the trial runs: the next message may already be an order about it.
        self._answers = SimpleQueue()
        self._must_break_off = False
        self._number = task.number
        self._tasks.put(task)

    def _take(self, word: Command) -> None:
        self._answers.put(word)
        if word is not Command.GO_ON:
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
    """Leaves the terminal's group of processes for one that ends with the parent."""
    if hasattr(os, "setsid"):
        os.setsid()
        _start_guard(connection)
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY_SCORE, encoding="ascii")


def _start_guard(connection: Connection) -> None:
    """Starts a process that ends this one, and all it has started, once the parent is gone.

    No thread of this process can while C code hangs; and who is killed ends nobody.
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
