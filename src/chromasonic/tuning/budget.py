"""Budgets: the trials, seconds, patience and target that end a search."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chromasonic.scalars import python_scalar
from chromasonic.tuning.records import TrialRecord


class StopReason(StrEnum):
    """The reason why a run of a search ended."""

    N_TRIALS = "n_trials"
    TIMEOUT = "timeout"
    PATIENCE = "patience"
    TARGET = "target"
    EXHAUSTED = "exhausted"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Budget:
    """Limits of a search.

    Attributes:
        n_trials: The total of trials, those of earlier runs included.
        timeout_s: Seconds for this run alone; None for no limit.
        patience: Trials in a row without a better value, those of an earlier search not
            counted; None for no limit.
        target: A value as good as this ends the search; None for no target.
        maximize: True if larger values are better.
    """

    n_trials: int
    timeout_s: float | None = None
    patience: int | None = None
    target: float | None = None
    maximize: bool = False
    _started: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_trials", python_scalar(self.n_trials))
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
        """True once this run has used up its seconds."""
        return self.timeout_s is not None and self.elapsed_s >= self.timeout_s

    def spent(self, n_begun: int, ended: Callable[[], Sequence[TrialRecord]]) -> StopReason | None:
        """The limit that lets no further trial begin; None if there is room for one.

        Args:
            n_begun: How many trials have ended or are running.
            ended: Gives the trials that have ended, by number; called where they are needed.
        """
        if n_begun >= self.n_trials:
            return StopReason.N_TRIALS
        if self.out_of_time:
            return StopReason.TIMEOUT
        if self.target is None and self.patience is None:
            return None
        sign = -1.0 if self.maximize else 1.0
        since_best, lowest = _since_best(ended(), sign)
        if self.target is not None and lowest <= sign * self.target:
            return StopReason.TARGET
        if self.patience is not None and since_best >= self.patience:
            return StopReason.PATIENCE
        return None


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, but got {value!r}.")


def _since_best(ended: Sequence[TrialRecord], sign: float) -> tuple[int, float]:
    """The number of trials that ended since the best value, and `sign` times that value."""
    since, lowest = 0, float("inf")
    for trial in ended:
        since += trial.origin is None
        if trial.counts and trial.value is not None and sign * trial.value < lowest:
            since, lowest = 0, sign * trial.value
    return since, lowest
