"""Which trials have taken too long, by their own doing."""

import time
from dataclasses import dataclass

from chromasonic.tuning.rules import TrialRules

EXCUSED_FROM_S = 0.05
"""What takes the driver less is no excuse."""


@dataclass
class _Times:
    """When a trial began to run, if it has, and when it was last heard of."""

    heard_at: float
    started_at: float | None = None


class Watchdog:
    """Watches over the trials on their way; the time a driver is busy itself counts for none.

    They may have waited for it meanwhile, and a storage that is away may keep it busy for minutes.

    Args:
        rules: How long a trial may take.
    """

    def __init__(self, rules: TrialRules) -> None:
        self._rules = rules
        self._times: dict[int, _Times] = {}
        self._listened_at = time.monotonic()

    def watch(self, number: int) -> None:
        """A trial is on its way; until it starts nothing is held against it."""
        self._times[number] = _Times(time.monotonic())

    def start(self, number: int) -> None:
        """A worker is at a trial."""
        now = time.monotonic()
        self._times[number] = _Times(now, now)

    def hear(self, number: int) -> None:
        """A trial has said something."""
        self._times[number].heard_at = time.monotonic()

    def forget(self, number: int) -> None:
        """A trial is on its way no more."""
        self._times.pop(number, None)

    def has_listened(self) -> None:
        """The driver has just heard what trials have to say; whatever it does now is its own."""
        self._listened_at = time.monotonic()

    def excuse(self) -> None:
        """Counts for no trial what the driver has done since it listened."""
        now = time.monotonic()
        own_s = now - self._listened_at
        self._listened_at = now
        for times in self._times.values() if own_s >= EXCUSED_FROM_S else ():
            times.heard_at += own_s
            if times.started_at is not None:
                times.started_at += own_s

    def exceeded_limit(self) -> dict[int, str]:
        """The trials that must be ended, and why."""
        now = time.monotonic()
        found = {
            number: self._rules.exceeded_limit(now - times.started_at, now - times.heard_at)
            for number, times in self._times.items()
            if times.started_at is not None
        }
        return {number: why for number, why in found.items() if why}
