"""When a search has had enough."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chromasonic.tuning.records import TrialRecord


@dataclass(frozen=True)
class Budget:
    """How long a search may go on.

    Attributes:
        n_trials: The total of trials, those of earlier runs included.
        timeout_s: Seconds for this run alone; None for no limit.
        patience: Trials in a row without a better value, those of an earlier search not
            counted; None for no limit.
        target: Enough is a value no larger than this; None for never.
    """

    n_trials: int
    timeout_s: float | None = None
    patience: int | None = None
    target: float | None = None
    _started: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        _require_count("n_trials", self.n_trials)
        if self.patience is not None:
            _require_count("patience", self.patience)
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ValueError(f"timeout must be more than 0 seconds, but got {self.timeout_s!r}.")

    @property
    def elapsed_s(self) -> float:
        """Seconds since this run began."""
        return time.monotonic() - self._started

    @property
    def left_s(self) -> float | None:
        """Seconds left to this run, at least a moment; None for no limit."""
        return None if self.timeout_s is None else max(0.001, self.timeout_s - self.elapsed_s)

    @property
    def out_of_time(self) -> bool:
        """Whether this run has used up its seconds."""
        return self.timeout_s is not None and self.elapsed_s >= self.timeout_s

    def spent(self, n_begun: int, ended: Callable[[], Sequence[TrialRecord]]) -> str | None:
        """Why no further trial should begin, or None if one should.

        Args:
            n_begun: How many have ended or are on their way.
            ended: Gives the trials that have ended, by number, where they are needed.
        """
        if n_begun >= self.n_trials:
            return "n_trials"
        if self.out_of_time:
            return "timeout"
        if self.target is None and self.patience is None:
            return None
        since_best, best = _standing(ended())
        if self.target is not None and best <= self.target:
            return "target"
        if self.patience is not None and since_best >= self.patience:
            return "patience"
        return None


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, but got {value!r}.")


def _standing(ended: Sequence[TrialRecord]) -> tuple[int, float]:
    """How many trials ended since the best value, and that value."""
    since, best = 0, float("inf")
    for trial in ended:
        since += trial.origin is None
        if trial.counts and trial.value is not None and trial.value < best:
            since, best = 0, trial.value
    return since, best
