"""Numbers of any library as Python's own; child processes start with it, so it imports nothing."""

import math
from typing import Any


def python_scalar(value: Any) -> Any:
    """A scalar of numpy, PyTorch or the like as Python's own; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def as_float(number: Any) -> float:
    """The number as a float; infinite where it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
