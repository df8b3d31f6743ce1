"""Estimates with their intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval.

    Attributes:
        estimate: Point estimate.
        low: Lower end; nan where there is no interval.
        high: Upper end; nan where there is no interval.
    """

    estimate: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Values for JSON."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.estimate:.4f} ({self.low:.4f} to {self.high:.4f})"


def student_interval(values: ArrayLike) -> Interval:
    """The mean of independent values with Student's interval; nan values are left out.

    mean +- t(n - 1) * std / sqrt(n); one value alone has no interval.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    n = len(known)
    if n < 2:
        return Interval(float(known[0]) if n else np.nan, np.nan, np.nan)
    quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    mean, margin = float(known.mean()), quantile * float(known.std(ddof=1)) / np.sqrt(n)
    return Interval(mean, mean - margin, mean + margin)
