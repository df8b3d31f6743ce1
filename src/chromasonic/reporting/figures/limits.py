"""The range of values that a picture shows, and which of its ends is the bad one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The better three quarters of the values keep at least a third of the height.
_KEPT_SHARE = 0.75
_LARGEST_STRETCH = 3.0
_MARGIN = 0.05


@dataclass(frozen=True)
class Limits:
    """What an axis of values shows; all that depends on their direction is asked here.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        maximize: Whether larger values are better.
    """

    low: float
    high: float
    maximize: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """The lower and the upper end."""
        return self.low, self.high

    @property
    def bad_end(self) -> float:
        """Where values stand that are too bad to be shown in their place."""
        return self.low if self.maximize else self.high

    @property
    def side(self) -> str:
        """Where those lie: `above` or `below` the range."""
        return "below" if self.maximize else "above"

    @property
    def marker(self) -> str:
        """A triangle that points to them."""
        return "v" if self.maximize else "^"

    def are_beyond(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which of the values are too bad to be shown; infinities are, nan is not."""
        found = np.asarray(values, dtype=float)
        return np.asarray(found < self.low if self.maximize else found > self.high)

    def within_reach(self, values: ArrayLike) -> NDArray[np.float64]:
        """The values, none further than ten heights beyond the bad end; nan stays."""
        reach = 10 * (self.high - self.low)
        if self.maximize:
            return np.maximum(values, self.low - reach)
        return np.minimum(values, self.high + reach)


def value_limits(values: Iterable[float | None], *, maximize: bool = False) -> Limits | None:
    """The ends of an axis where no single bad value squashes the rest.

    What lies beyond the bad end is meant to be marked there. nan and infinities are left out.

    Args:
        values: What is drawn.
        maximize: Whether larger values are better.

    Returns:
        None if there is no finite value.
    """
    sign = -1.0 if maximize else 1.0
    finite = sorted(sign * y for y in values if y is not None and math.isfinite(y))
    if not finite:
        return None
    best, worst = finite[0], finite[-1]
    kept = finite[int(_KEPT_SHARE * (len(finite) - 1))]
    if kept > best:
        worst = min(worst, best + _LARGEST_STRETCH * (kept - best))
    margin = _MARGIN * (worst - best) or _MARGIN * abs(best) or _MARGIN
    low, high = sorted((sign * (best - margin), sign * (worst + margin)))
    return Limits(low, high, maximize)
