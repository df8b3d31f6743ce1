"""Ctrl-C as a request: the first one ends the search in good order, a second one at once.

A time limit breaks off what runs in the same way.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

LONGEST_ALARM_S = 1e8
"""Three years; no system takes an infinite one."""


class UnaskedInterrupt(Exception):
    """The failure of an objective that has raised KeyboardInterrupt by itself."""

    def __init__(self) -> None:
        super().__init__("the objective raised KeyboardInterrupt, but nobody has pressed Ctrl-C")


class Interrupt:
    """Turns SIGINT and SIGTERM into a request while it is entered.

    Outside the main thread, where Python allows no signal handlers, it changes nothing.

    Args:
        time_limit_s: After so many seconds what is breakable is broken off, too; None for never.
    """

    def __init__(self, time_limit_s: float | None = None) -> None:
        self.signal_number: int | None = None
        self._time_limit_s = time_limit_s
        self._out_of_time = False
        self._breakable = False
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """True once the search was asked to end."""
        return self.signal_number is not None

    def request(self) -> None:
        """Asks the search to end, as a signal does."""
        self.signal_number = self.signal_number or signal.SIGINT

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
            if self._time_limit_s is not None and hasattr(signal, "setitimer"):
                self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
                # A little late rather than early: whoever asks must find the time used up.
                limit_s = min(self._time_limit_s + 0.02, LONGEST_ALARM_S)
                signal.setitimer(signal.ITIMER_REAL, limit_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._time_limit_s is not None and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Lets a request break off what happens inside, by raising KeyboardInterrupt there."""
        self._breakable = True
        try:
            if self.requested or self._out_of_time:
                raise KeyboardInterrupt
            yield
        except KeyboardInterrupt as error:
            if self.requested or self._out_of_time:
                raise
            raise UnaskedInterrupt from error
        finally:
            self._breakable = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(128 + number)
        self.signal_number = number
        if self._breakable:
            raise KeyboardInterrupt

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        self._out_of_time = True
        if self._breakable:
            raise KeyboardInterrupt
