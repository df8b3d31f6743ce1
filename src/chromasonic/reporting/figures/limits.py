"""The range of losses that a picture shows."""

import math
from collections.abc import Iterable

# The better three quarters of the losses keep at least a third of the height.
_KEPT_SHARE = 0.75
_LARGEST_STRETCH = 3.0
_MARGIN = 0.05


def loss_limits(losses: Iterable[float | None]) -> tuple[float, float] | None:
    """The lower and upper end of an axis where no single bad loss squashes the rest.

    What lies above the upper end is meant to be marked there. nan and infinities are left out.

    Returns:
        None if there is no finite loss.
    """
    finite = sorted(loss for loss in losses if loss is not None and math.isfinite(loss))
    if not finite:
        return None
    lowest, highest = finite[0], finite[-1]
    kept = finite[int(_KEPT_SHARE * (len(finite) - 1))]
    if kept > lowest:
        highest = min(highest, lowest + _LARGEST_STRETCH * (kept - lowest))
    margin = _MARGIN * (highest - lowest) or _MARGIN * abs(lowest) or _MARGIN
    return lowest - margin, highest + margin
