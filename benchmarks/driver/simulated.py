"""An executor whose trials take no time of this machine: what is left is the driver's own."""

import heapq
import random
from collections import deque

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import (
    EpochEnded,
    Event,
    Task,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from chromasonic.tuning.learning_curve import EpochRow


class SimulatedExecutor:
    """Trials of a given length on a clock of their own, which jumps from event to event.

    Args:
        slots: How many run at the same time.
        n_epochs: Epochs of a trial.
        epoch_s: Simulated seconds of an epoch, on average.
        seed: Of how long epochs take.
    """

    def __init__(self, slots: int, n_epochs: int, epoch_s: float, seed: int = 0) -> None:
        self.slots = slots
        self.now = 0.0
        self._n_epochs = n_epochs
        self._epoch_s = epoch_s
        self._random = random.Random(seed)
        self._due: list[tuple[float, int, int]] = []
        self._running: dict[int, float] = {}
        self._untold: deque[Event] = deque()

    def submit(self, task: Task) -> None:
        """Starts a trial."""
        self._running[task.number] = task.params["x"]
        self._untold.append(TrialStarted(task.number))
        self._next_epoch(task.number, 1)

    def poll(self, timeout_s: float) -> list[Event]:
        """The next event; the clock jumps to it."""
        events = list(self._untold)
        self._untold.clear()
        if events or not self._due:
            return events
        self.now, number, epoch = heapq.heappop(self._due)
        if number not in self._running:
            return []
        if epoch > self._n_epochs:
            del self._running[number]
            return [TrialEnded(number, Ending.COMPLETED)]
        self._next_epoch(number, epoch + 1)
        loss = self._running[number] + 1.0 / epoch + 0.1 * self._random.random()
        return [EpochEnded(number, EpochRow(epoch, loss))]

    def go_on(self, number: int) -> None:
        """Changes nothing."""

    def stop(self, number: int) -> None:
        """Ends a trial."""
        self._running.pop(number, None)

    kill = stop

    def pause(self, number: int) -> None:
        """Ends a trial, and says so."""
        self.stop(number)
        self._untold.append(TrialPaused(number))

    def close(self) -> None:
        """Ends all trials."""
        self._running.clear()

    def _next_epoch(self, number: int, epoch: int) -> None:
        seconds = self._epoch_s * self._random.uniform(0.5, 1.5)
        heapq.heappush(self._due, (self.now + seconds, number, epoch))
