"""The Ray actor that runs trials, one after the other.

Ray calls a worker from threads of its own: one runs the trial, one hands out its news, one takes
orders. Nothing here knows Ray.
"""

import ctypes
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

import cloudpickle

from chromasonic.errors import one_line
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.on_ray.parcel import (
    Files,
    Parcel,
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
from chromasonic.tuning.executors.trial_run import TrialRun
from chromasonic.tuning.objective import Objective


class ThreadBreak:
    """Raises KeyboardInterrupt in another thread, once, and only where that allows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._thread: int | None = None

    def request(self) -> None:
        """Breaks off what is breakable now, between two of its bytecodes, or else next time."""
        with self._lock:
            if not self._requested and self._thread is not None:
                _raise_in(self._thread, KeyboardInterrupt)
            self._requested = True

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Lets a request break off what happens inside."""
        try:
            with self._lock:
                if self._requested:
                    raise KeyboardInterrupt
                self._thread = threading.get_ident()
            yield
        finally:
            with self._lock:
                # One that comes too late must not strike elsewhere.
                if self._thread is not None:
                    _raise_in(self._thread, None)
                self._thread = None


def _raise_in(thread: int, exception: type[BaseException] | None) -> None:
    """Has a thread raise an exception as soon as it can; None takes back the last one."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(exception) if exception else None
    )


@dataclass
class Report:
    """Report of a trial to its driver.

    Attributes:
        events: In their order.
        checkpoint: The newest one, if it is new.
        unfit: Why this worker cannot run any trial; empty if it can.
        over: Whether that was all, and the worker is free.
    """

    events: list[Event] = field(default_factory=list)
    checkpoint: Parcel | None = None
    unfit: str = ""
    over: bool = False

    def add(self, later: "Report") -> None:
        """Appends what was said later."""
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
        self._talks: dict[int, _RunChannel] = {}
        self._lock = threading.Lock()

    def run(self, ticket: int, task: Task, checkpoint: Files | None) -> None:
        """Runs a trial to its end.

        Args:
            ticket: What this run is called by; no two are equal.
            task: The trial; its folders are the driver's.
            checkpoint: What its checkpoint holds.
        """
        talk = self._talk(ticket)
        try:
            objective = self._load()
            talk.say(Report([TrialStarted(task.number)]))
            with scratch_folder() as scratch:
                for news in _run(objective, _unpack_into(scratch, task, checkpoint), talk):
                    talk.say(news)
        except _CannotLoad as error:
            talk.say(Report(unfit=str(error)))
        except Exception as error:  # noqa: BLE001 - such as a full disk: it costs one trial only
            end = TrialEnded(task.number, Ending.FAILED, one_line(error), traceback.format_exc())
            talk.say(Report([end]))
        finally:
            talk.say(Report(over=True))

    def news(self, ticket: int) -> Report:
        """Waits until there is news of a run, and returns all that there is."""
        news = self._talk(ticket).listen()
        if news.over:
            del self._talks[ticket]
        return news

    def tell(self, ticket: int, word: Command) -> None:
        """Tells a run what to do; one that is over hears nothing."""
        talk = self._talks.get(ticket)
        if talk is not None:
            talk.tell(word)

    def _load(self) -> Objective:
        if self._objective is None:
            try:
                self._objective = cloudpickle.loads(self._pickled)
            except Exception as error:
                raise _CannotLoad(one_line(error)) from error
        return self._objective

    def _talk(self, ticket: int) -> "_RunChannel":
        # Whether a run begins or is asked for news first is a matter of chance.
        with self._lock:
            return self._talks.setdefault(ticket, _RunChannel())


class _CannotLoad(Exception):
    """The objective cannot be loaded here."""


class _RunChannel:
    """Commands and reports of one run."""

    def __init__(self) -> None:
        self._news: SimpleQueue[Report] = SimpleQueue()
        self._words: SimpleQueue[Command] = SimpleQueue()
        self._break = ThreadBreak()
        self.breakable = self._break.breakable

    def say(self, news: Report) -> None:
        """Leaves news for the driver."""
        self._news.put(news)

    def listen(self) -> Report:
        """All the news there is, or else the next."""
        news = self._news.get()
        while not self._news.empty():
            news.add(self._news.get())
        return news

    def tell(self, word: Command) -> None:
        """Has the run go on, or end, in the middle of an epoch if need be."""
        self._words.put(word)
        if word is not Command.GO_ON:
            self._break.request()

    def answer(self, *, wait: bool) -> Command:
        """The command after an epoch; to go on where none came and none is waited for."""
        return self._words.get() if wait or not self._words.empty() else Command.GO_ON


def _unpack_into(scratch: Path, task: Task, checkpoint: Files | None) -> Task:
    """The task with folders of this machine."""
    trial = replace(task.trial, checkpoint=None)
    if checkpoint is not None:
        trial = replace(trial, checkpoint=scratch / "received")
        unpack(checkpoint, scratch / "received")
    return replace(task, trial=trial, folder=task.folder and scratch / "checkpoints")


def _run(objective: Objective, task: Task, talk: _RunChannel) -> Iterator[Report]:
    run = TrialRun(objective, task, talk.breakable)
    n_saved = 0
    try:
        for event in _events(run, task.waits, talk):
            checkpoint = pack_checkpoint(task.folder, after=n_saved) if task.folder else None
            n_saved = len(checkpoint.epochs) if checkpoint else n_saved
            yield Report([event], checkpoint)
    finally:
        run.close()


def _events(run: TrialRun, waits: bool, talk: _RunChannel) -> Iterator[Event]:
    while True:
        event = run.step()
        yield event
        if not isinstance(event, EpochEnded):
            return
        match talk.answer(wait=waits):
            case Command.STOP:
                return
            case Command.PAUSE:
                yield run.pause()
                return
