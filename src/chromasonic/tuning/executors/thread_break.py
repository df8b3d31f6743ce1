"""Breaks off what a thread does, as Ctrl-C does with the main thread."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
