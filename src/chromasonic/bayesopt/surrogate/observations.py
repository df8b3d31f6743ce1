"""Observations of one point: a value, a failure, or part of a learning curve."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from chromasonic.bayesopt.space import Params


class Outcome(StrEnum):
    """Outcome of an evaluation."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Observation:
    """One evaluated point.

    Attributes:
        number: Its place in the order of proposals.
        params: Its values.
        outcome: How it ended.
        value: The objective, smaller is better; nan where there is none.
        curve: The loss at each epoch that was reported.
        constraints: Each at most 0 where it is kept.
    """

    number: int
    params: Params
    outcome: Outcome
    value: float = float("nan")
    curve: Mapping[int, float] = field(default_factory=dict)
    constraints: tuple[float, ...] = ()

    @property
    def succeeded(self) -> bool:
        """True if it has a finite value; one that is not finite is a failure."""
        return self.outcome is Outcome.COMPLETED and math.isfinite(self.value)

    @property
    def failed(self) -> bool:
        """True for a failure, which only tells that its place is bad."""
        return not self.succeeded and self.outcome is not Outcome.PRUNED
