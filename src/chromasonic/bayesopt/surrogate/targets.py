"""Objective values as the surrogate sees them: robust, standardised, none of them missing.

Symbols:
    y   values as told, smaller is better, (n,)
    z   winsorized and standardized values, mean 0 and variance 1, (n,)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Where bad values are cut off, in half widths of the good side beyond the median.
_CEILING = 2.5
# A value this many times as large as the good ones is one that exploded: where to look next, and
# where all values are to be seen.
_EXPLODED, _EXPLODED_WHOLE = 1e4, 1e8


@dataclass(frozen=True)
class Outcomes:
    """Winsorized and standardized objective values.

    Attributes:
        z: Standardised values, shape (n,); what was not finite has the worst.
        shift: Objective value at z = 0.
        spread: Objective units in one unit of z.
    """

    z: Array
    shift: float
    spread: float


def winsorize_and_standardize(y: Array, winsorize: bool = True) -> Outcomes:
    """The values with the bad side cut off, standardised.

    Losses above a ceiling differ in ways that do not matter; how good the good ones are is what
    the model must get right. What is not finite counts as bad as the worst that is.

    Args:
        y: Shape (n,); inf and nan allowed.
        winsorize: Whether to cut off the bad side; without it only values that exploded are.
    """
    usable = np.isfinite(y)
    if not usable.any():
        return Outcomes(np.zeros_like(y), 0.0, 1.0)
    # Differences and squares of the largest floats would overflow.
    clipped = np.clip(np.where(usable, y, np.inf), -1e150, 1e150)
    ordered = np.sort(clipped[usable])
    ordered = ordered[ordered <= _largest_sane(ordered, winsorize)]
    z = np.minimum(clipped, _ceiling(ordered) if winsorize else ordered[-1])
    shift, spread = float(z.mean()), float(z.std())
    if not spread > 1e-12 * max(abs(shift), 1e-300):
        return Outcomes(np.zeros_like(y), shift, 1.0)
    return Outcomes((z - shift) / spread, shift, spread)


def _largest_sane(ordered: Array, winsorize: bool) -> float:
    """Values above have nothing to do with the good ones; `ordered` is ascending."""
    best, good = ordered[0], ordered[min(max(2, len(ordered) // 10), len(ordered) - 1)]
    ratio = _EXPLODED if winsorize else _EXPLODED_WHOLE
    return float(best + ratio * max(abs(best), abs(good), good - best))


def _ceiling(ordered: Array) -> float:
    """From where on bad values are all the same; `ordered` is ascending."""
    n = len(ordered)
    low, quarter, median, upper, high = ordered[[0, n // 4, n // 2, (3 * n) // 4, n - 1]]
    half_width = max(median - quarter, (median - low) / 3.0, (upper - median) / 10.0)
    # Where most values are equal, the others must not become so too.
    if not half_width > 0:
        half_width = (high - median) / 10.0
    return float(min(median + _CEILING * half_width, high))
