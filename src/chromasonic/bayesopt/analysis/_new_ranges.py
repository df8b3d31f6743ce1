"""Ranges continued beyond one of their ends, as far as makes sense.

About as much is added as there was, on a log scale at most a decade. Steps and ratios go on, so
that what was a value stays one. What starts above 0 stays above it, what starts at 0 never falls
below, and a share, which lies within [0, 1], stays below 1.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from chromasonic.bayesopt.space import Float, Integer, Ordinal, Parameter
from chromasonic.bayesopt.space.parameter import clip_to_unit
from chromasonic.errors import SpaceError


def narrow_range(parameter: Parameter, low: float, high: float) -> Parameter | None:
    """The parameter from its value at `low` to that at `high`; None if nothing is left out.

    At least two values stay. Ends of a continuous range are rounded outwards, to be readable.

    Args:
        parameter: A range or ordered choices; of others nothing is left out.
        low: A place in the unit interval, or before it.
        high: A larger one, or behind it.
    """
    try:
        narrow = _narrow_bounds(parameter, low, high)
    except SpaceError:
        # Finer than a range can be.
        return None
    return None if narrow == parameter else narrow


def _narrow_bounds(parameter: Parameter, low: float, high: float) -> Parameter:
    match parameter:
        case Float(step=None):
            return _shorter(parameter, clip_to_unit(low), clip_to_unit(high))
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
    if not start < end:
        # Outside the range, or finer than floats: there is nothing narrower to be had.
        return parameter
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


_MOST_RATIO = 10.0
# Twice the high end is taken where that is nearly as much again: 64 to 512 becomes 64 to 1024.
_NEARLY = 0.15
# What of the way to a natural end is taken, where it could be reached.
_SHARE_OF_ROOM = 0.9
# Ratios of neighbours that differ by no more are meant to be one, as in 1, 3, 10, 30.
_ALIKE = 1.25
_ROUNDING = 1.0 + 1e-9


def widen_range(parameter: Parameter, *, upwards: bool) -> Parameter | None:
    """The parameter with more values beyond its upper or its lower end; None if it has none.

    Args:
        parameter: A range or ordered choices; others have no ends.
        upwards: Whether beyond the upper end.
    """
    try:
        match parameter:
            case Float(step=None):
                return _longer(parameter, upwards)
            case Float() | Integer():
                return _with_more_steps(parameter, upwards)
            case Ordinal():
                return _with_more_choices(parameter, upwards)
    except (ValueError, OverflowError):
        # Beyond the largest number that a range can have.
        pass
    return None


def _longer(parameter: Float, upwards: bool) -> Float | None:
    room = _room(parameter.low, parameter.high, upwards)
    distance = _as_much_again(parameter, upwards)
    # Rounding must not lead to the natural end.
    distance = distance if _ROUNDING * distance < room else _SHARE_OF_ROOM * room
    if distance <= 0:
        return None
    if upwards:
        return replace(parameter, high=_round_off(parameter.high + distance))
    low = _round_off(parameter.low - distance)
    # There is no smaller number above 0 than the smallest one.
    return None if low <= 0 < parameter.low else replace(parameter, low=low)


def _with_more_steps(parameter: Float | Integer, upwards: bool) -> Parameter | None:
    low, high, step = (_exact(n) for n in (parameter.low, parameter.high, parameter.step or 1))
    count = max(1, int(_exact(_round_off(_as_much_again(parameter, upwards))) / step))
    room = _room(low, high, upwards)
    if room != math.inf:
        count = min(count, math.ceil(Fraction(room) / step) - 1)
    if count <= 0:
        return None
    kind = int if isinstance(parameter, Integer) else float
    moved: Any = kind(high + count * step if upwards else low - count * step)
    return replace(parameter, high=moved) if upwards else replace(parameter, low=moved)


def _with_more_choices(parameter: Ordinal, upwards: bool) -> Ordinal | None:
    choices = [_exact(choice) for choice in parameter.choices]
    if len(choices) < 2:
        return None
    end = choices[-1] if upwards else choices[0]
    room = _room(choices[0], choices[-1], upwards)
    beyond = _by_ratio(choices, upwards) or _by_step(choices, upwards)
    kind = int if all(isinstance(choice, int) for choice in parameter.choices) else float
    new = [kind(value) for value in beyond if abs(value - end) < room]
    return replace(parameter, choices=[*parameter.choices, *new]) if new else None


def _room(low: float | Fraction, high: float | Fraction, upwards: bool) -> float | Fraction:
    """Distance by which an end may move at most."""
    if upwards:
        return 1 - high if low >= 0 and high <= 1 else math.inf
    return low if low >= 0 else math.inf


def _as_much_again(parameter: Float | Integer, upwards: bool) -> float:
    """Distance by which an end moves if no limit is in the way."""
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        ratio = min(high / low, _MOST_RATIO)
        return high * (ratio - 1.0) if upwards else low * (1.0 - 1.0 / ratio)
    span = high - low
    is_near = low >= 0.0 and abs(high - span) <= _NEARLY * (high + span)
    return high if upwards and is_near else span


def _by_ratio(choices: Sequence[Fraction], upwards: bool) -> list[Fraction]:
    """Each the same multiple of the one before; none where the choices do not grow so."""
    if choices[0] <= 0:
        return []
    ratios = [after / before for before, after in pairwise(choices)]
    steps = {after - before for before, after in pairwise(choices)}
    is_exact = len(set(ratios)) == 1
    is_meant = len(steps) > 1 and min(ratios) >= 2 and max(ratios) <= _ALIKE * min(ratios)
    if not (is_exact or is_meant):
        return []
    ratio = ratios[0] if is_exact else Fraction(math.prod(ratios) ** (1 / len(ratios)))
    most = _MOST_RATIO * _ROUNDING
    factors = [ratio**n for n in range(1, len(choices)) if n == 1 or ratio**n <= most]
    new = [choices[-1] * factor if upwards else choices[0] / factor for factor in factors]
    if not is_exact:
        new = [Fraction(f"{float(value):.0e}") for value in new]
    are_whole = all(choice.denominator == 1 for choice in choices)
    return [value for value in new if value.denominator == 1 or not are_whole]


def _by_step(choices: Sequence[Fraction], upwards: bool) -> list[Fraction]:
    """As far apart as the two outermost."""
    end, inner = (choices[-1], choices[-2]) if upwards else (choices[0], choices[1])
    return [end + n * (end - inner) for n in range(1, len(choices))]


def _exact(number: float) -> Fraction:
    """The number as it is written: a tenth, not the float that is nearest to it."""
    return Fraction(repr(number))


def _round_off(number: float) -> float:
    """The number without what rounding has left on it: 0.3, not 0.1 + 0.2."""
    return float(f"{number:.12g}")
