"""The part of a parameter that holds an interval of its places."""

import math
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from chromasonic.bayesopt.space import Float, Integer, Ordinal, Parameter
from chromasonic.bayesopt.space.parameter import clipped
from chromasonic.errors import SpaceError


def narrowed(parameter: Parameter, low: float, high: float) -> Parameter | None:
    """The parameter from its value at `low` to that at `high`; None if nothing is left out.

    At least two values stay. Ends of a continuous range are rounded outwards, to be readable.

    Args:
        parameter: A range or ordered choices; of others nothing is left out.
        low: A place in the unit interval, or before it.
        high: A larger one, or behind it.
    """
    try:
        narrow = _narrowed(parameter, low, high)
    except SpaceError:
        # Finer than a range can be.
        return None
    return None if narrow == parameter else narrow


def _narrowed(parameter: Parameter, low: float, high: float) -> Parameter:
    match parameter:
        case Float(step=None):
            return _shorter(parameter, clipped(low), clipped(high))
        case Float() | Integer():
            step = parameter.step or 1
            start, end = (
                round((parameter.from_unit(u) - parameter.low) / step) for u in (low, high)
            )
            first, last = _two_apart(start, end, parameter.n_values or 2)
            ends: dict[str, Any] = {
                "low": parameter.value_at(first),
                "high": parameter.value_at(last),
            }
            return replace(parameter, **ends)
        case Ordinal(choices=choices):
            start, end = (parameter.index(parameter.from_unit(u)) for u in (low, high))
            first, last = _two_apart(start, end, len(choices))
            return replace(parameter, choices=choices[first : last + 1])
    return parameter


def _shorter(parameter: Float, low: float, high: float) -> Float:
    start, end = parameter.from_unit(low), parameter.from_unit(high)
    sizes = (start, end) if parameter.log else (end - start, end - start)
    below, above = (Decimal(1).scaleb(math.floor(math.log10(size)) - 1) for size in sizes)
    # Through twelve digits, or a tenth, whose float is a little more, would become 0.11.
    first, last = (Decimal(f"{value:.12g}") for value in (start, end))
    start = float(first.quantize(below, rounding=ROUND_FLOOR))
    end = float(last.quantize(above, rounding=ROUND_CEILING))
    return replace(parameter, low=max(parameter.low, start), high=min(parameter.high, end))


def _two_apart(first: int, last: int, n: int) -> tuple[int, int]:
    """The numbers of the outermost of n values to stay: neighbours, if they were one."""
    last = max(last, min(first + 1, n - 1))
    return max(0, min(first, last - 1)), last
