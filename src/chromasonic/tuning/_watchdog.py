"""Time limits of running trials, not counting time that the driver itself takes."""

import time
from dataclasses import dataclass

from chromasonic.tuning.rules import TrialRules

EXCUSED_FROM_S = 0.05
"""Shorter times of the driver are not taken off."""


@dataclass
class _Times:
    """Times of a trial's begin, if it has begun, and of its last event."""

    heard_at: float
    started_at: float | None = None


class Watchdog:
    """Finds running trials over their time limits; the driver's own time counts for none.

    A storage that is away may keep the driver busy for minutes, while trials wait for it.

    Args:
        rules: How long a trial may take.
    """

    def __init__(self, rules: TrialRules) -> None:
        self._rules = rules
        self._times: dict[int, _Times] = {}
        self._listened_at = time.monotonic()

    def watch(self, number: int) -> None:
        """Adds a submitted trial; its time counts from its start."""
        self._times[number] = _Times(time.monotonic())

    def start(self, number: int) -> None:
        """Starts the clock of a trial."""
        now = time.monotonic()
        self._times[number] = _Times(now, now)

    def on_event(self, number: int) -> None:
        """Notes an event of a trial."""
        self._times[number].heard_at = time.monotonic()

    def drop(self, number: int) -> None:
        """Drops a trial that no longer runs."""
        self._times.pop(number, None)

    def on_poll(self) -> None:
        """Notes that the driver has just polled: from now on it is busy by itself."""
        self._listened_at = time.monotonic()

    def exclude_driver_time(self) -> None:
        """Takes the time since the last poll off the clocks of all trials."""
        now = time.monotonic()
        own_s = now - self._listened_at
        self._listened_at = now
        for times in self._times.values() if own_s >= EXCUSED_FROM_S else ():
            times.heard_at += own_s
            if times.started_at is not None:
                times.started_at += own_s

    def exceeded_limit(self) -> dict[int, str]:
        """The trials over a limit, each with the limit in words."""
        now = time.monotonic()
        found = {
            number: self._rules.exceeded_limit(now - times.started_at, now - times.heard_at)
            for number, times in self._times.items()
            if times.started_at is not None
        }
        return {number: why for number, why in found.items() if why}
