"""Things that a trial leaves behind in its process, where they may harm the next trial."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

JOIN_WITHIN_S = 0.2
"""Time that threads have to end after their trial."""

TIMERS = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
KEPT_FOR_THE_PROCESS = ("resource_tracker", "forkserver")
"""Processes of multiprocessing's own, which stay."""


class Leftovers:
    """Finds what trials leave behind: threads, timers, open files and processes.

    It must be made before the first trial. Libraries open files when they are first used, so
    only those are counted that come after the first trial.
    """

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()
        self._folder = Path.cwd()
        self._n_files: int | None = None

    def before_trial(self) -> None:
        """Notes what is there, and goes back to the folder where the process began."""
        self._threads = set(threading.enumerate())
        with suppress(OSError):
            os.chdir(self._folder)

    def after_trial(self) -> str:
        """The first thing found that the trial has left, in a few words; empty if there is none.

        A timer that is left is turned off.
        """
        return _timer() or self._thread() or self._process() or self._file()

    def _thread(self) -> str:
        ends_at = time.monotonic() + JOIN_WITHIN_S
        for thread in set(threading.enumerate()) - self._threads:
            with suppress(RuntimeError):
                thread.join(max(0.0, ends_at - time.monotonic()))
            if thread.is_alive():
                return f"the thread {thread.name}"
        return ""

    def _process(self) -> str:
        with suppress(psutil.Error):
            for process in psutil.Process().children():
                words = " ".join(process.cmdline())
                if words and not any(name in words for name in KEPT_FOR_THE_PROCESS):
                    return f"the process {process.name()}"
        return ""

    def _file(self) -> str:
        with suppress(psutil.Error):
            n_files = len(psutil.Process().open_files())
            if self._n_files is None:
                self._n_files = n_files
            if n_files > self._n_files:
                return f"{n_files - self._n_files} open files"
        return ""


def _timer() -> str:
    found = ""
    for name in TIMERS:
        if hasattr(signal, name) and signal.getitimer(number := getattr(signal, name))[0] > 0:
            signal.setitimer(number, 0)
            found = "a timer"
    return found
