"""Recommendations for one parameter: widen, narrow, fix or keep its range.

The best fifth of the points, but at least five, decide. With few points nothing is narrowed or
held constant, and with fewer still nothing changes. What is more likely not to matter than to
matter is left as it is: where its best values lie is chance, or the habit of an optimizer that
looks at ends first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from scipy.special import bdtrc

from chromasonic.bayesopt.analysis._new_ranges import narrow_range, widen_range
from chromasonic.bayesopt.analysis.importance import MIN_POINTS
from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.bayesopt.space import (
    Categorical,
    Fixed,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Params,
    Value,
)
from chromasonic.bayesopt.space.values import among, reprs, same

DOES_NOT_MATTER = 0.05
"""What surely explains no more of the variance may have any value."""

_FEWEST_BEST = 5
_SHARE_OF_BEST = 0.2
# Of fewer points the best ones are too large a part.
_FEWEST_POINTS = 2 * _FEWEST_BEST
# So much of the unit interval is an end, or its outermost value where that takes more.
_END = 0.1
# So rarely may chance alone look like a finding.
_CHANCE = 0.05
_LEAST_MARGIN = 0.1
_LEAST_WIDTH = 0.2
# To leave out less gains nothing.
_MOST_WIDTH = 0.75
_FEWEST_BEYOND = 2
_FEWEST_TRIES = 5
_N_PLACES = 200


class Action(StrEnum):
    """Action on a parameter."""

    NARROW = "narrow"
    WIDEN = "widen"
    FIX = "fix"
    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True)
class Values:
    """The values of one parameter at the points where it was active.

    Attributes:
        finished: Those of points with a loss, best first.
        unfinished: Those of other points.
    """

    finished: Sequence[Value]
    unfinished: Sequence[Value]

    @classmethod
    def of(cls, name: str, points: Sequence[Params], losses: Sequence[float]) -> "Values":
        """Those of the parameter of that name; a loss that is not finite is none."""
        tried = [
            (loss, point[name])
            for loss, point in zip(losses, points, strict=True)
            if name in point
        ]
        finished = sorted((t for t in tried if math.isfinite(t[0])), key=lambda t: t[0])
        unfinished = [value for loss, value in tried if not math.isfinite(loss)]
        return cls([value for _, value in finished], unfinished)

    @property
    def best(self) -> Sequence[Value]:
        """Those of the best points."""
        return self.finished[: self._n_best]

    @property
    def others(self) -> Sequence[Value]:
        """Those of all others."""
        return [*self.finished[self._n_best :], *self.unfinished]

    @property
    def _n_best(self) -> int:
        return max(_FEWEST_BEST, round(_SHARE_OF_BEST * len(self.finished)))


Judgement = tuple[Action, str, Parameter]
"""What becomes of a parameter, why, and what it is then."""


def recommend(
    parameter: Parameter, values: Values, effect: Interval | None, *, has_children: bool
) -> Judgement:
    """Recommends an action on a parameter, by where its best values lie.

    Args:
        parameter: What it was.
        values: What was tried of it.
        effect: Its total effect; None where there are not enough data.
        has_children: Whether others depend on it.
    """
    n, kept = len(values.finished), describe_range(parameter)
    if parameter.n_values == 1:
        return Action.KEEP, f"there is no other value; keep {kept}", parameter
    if n < _FEWEST_POINTS:
        return Action.KEEP, f"{n} finished trials are too few to judge; keep {kept}", parameter
    if effect is None or n < MIN_POINTS:
        few = f"not enough data ({n} finished trials) to narrow or fix it; keep {kept}"
        return _widen(parameter, values) or (Action.KEEP, few, parameter)
    if effect.high <= DOES_NOT_MATTER and not has_children:
        fixed = Fixed(values.best[0], when=parameter.when)
        why = f"it explains at most {effect.high:.1%} of the variance"
        return Action.FIX, f"{why}; fix at {describe_range(fixed)}", fixed
    if effect.estimate == 0.0:
        why = f"it may not matter (it explains 0 to {effect.high:.0%} of the variance)"
        return Action.KEEP, f"{why}; keep {kept}", parameter
    if isinstance(parameter, Categorical):
        found = _leave_out(parameter, values)
    else:
        found = _widen(parameter, values) or _narrow(parameter, values)
    return found or (Action.KEEP, f"{_standing(parameter, values)}; keep {kept}", parameter)


def _widen(parameter: Parameter, values: Values) -> Judgement | None:
    """The range with more beyond the end where most of the best are, if so many are no chance."""
    if isinstance(parameter, Categorical):
        return None
    k = len(values.best)
    places = [parameter.from_unit((i + 0.5) / _N_PLACES) for i in range(_N_PLACES)]
    for upwards in (True, False):
        at_end = sum(_is_at_end(parameter, value, upwards) for value in values.best)
        share = sum(_is_at_end(parameter, value, upwards) for value in places) / _N_PLACES
        wide = widen_range(parameter, upwards=upwards)
        if wide and 2 * at_end > k and bdtrc(at_end - 1, k, share) <= _CHANCE:
            end = _number(wide.from_unit(1.0 if upwards else 0.0))
            side = "upper" if upwards else "lower"
            reason = f"{at_end} of the best {k} are at the {side} end; widen to {end}"
            return Action.WIDEN, reason, wide
    return None


def _is_at_end(parameter: Parameter, value: Value, upwards: bool) -> bool:
    outermost = parameter.to_unit(parameter.from_unit(1.0 if upwards else 0.0))
    place = parameter.to_unit(value)
    return place >= min(outermost, 1.0 - _END) if upwards else place <= max(outermost, _END)


def _narrow(parameter: Parameter, values: Values) -> Judgement | None:
    """The range around the best, with what is beyond left out where that has been tried."""
    best = sorted(parameter.to_unit(value) for value in values.best)
    others = [parameter.to_unit(value) for value in values.others]
    width = best[-1] - best[0]
    margin = max(_LEAST_MARGIN, width / 4, 1.0 / (parameter.n_values or math.inf))
    # The margins alone are as wide, but for a part beyond an end.
    low = min(max(0.0, best[0] - margin), 1.0 - _LEAST_WIDTH)
    high = max(min(1.0, best[-1] + margin), _LEAST_WIDTH)
    sides = []
    if sum(place < low for place in others) >= _FEWEST_BEYOND:
        sides.append("below")
    else:
        low = 0.0
    if sum(place > high for place in others) >= _FEWEST_BEYOND:
        sides.append("above")
    else:
        high = 1.0
    narrow = narrow_range(parameter, low, high) if high - low <= _MOST_WIDTH else None
    if narrow is None:
        return None
    standing = f"{_standing(parameter, values)}, others {' and '.join(sides)}"
    return Action.NARROW, f"{standing}; narrow to {describe_range(narrow)}", narrow


def _leave_out(parameter: Categorical, values: Values) -> Judgement | None:
    """The categories without those that should be among the best by now, but never are."""
    n, k = len(values.best) + len(values.others), len(values.best)
    missing = []
    for choice in parameter.choices:
        tries = sum(same(value, choice) for value in values.others)
        # How likely it is that k of n points drawn at random hold none of these.
        chance = math.comb(n - tries, k) / math.comb(n, k)
        if (
            not among(choice, values.best)
            and tries >= _FEWEST_TRIES
            and chance * parameter.n_values <= _CHANCE
        ):
            missing.append((choice, tries))
    if not missing:
        return None
    left = [c for c in parameter.choices if not among(c, [choice for choice, _ in missing])]
    tried = ", ".join(f"{choice!r} (tried {tries} times)" for choice, tries in missing)
    why = f"never among the best {k}: {tried}"
    if len(left) == 1:
        fixed = Fixed(left[0], when=parameter.when)
        return Action.FIX, f"{why}; fix at {describe_range(fixed)}", fixed
    fewer = replace(parameter, choices=left)
    return Action.NARROW, f"{why}; narrow to {describe_range(fewer)}", fewer


def _standing(parameter: Parameter, values: Values) -> str:
    """Reason to keep a parameter as it is."""
    best = f"the best {len(values.best)}"
    if not isinstance(parameter, Categorical):
        low, high = (pick(values.best, key=parameter.to_unit) for pick in (min, max))
        return f"{best} lie from {_number(low)} to {_number(high)}"
    missing = [choice for choice in parameter.choices if not among(choice, values.best)]
    if missing:
        return f"{reprs(missing)} not among {best}, but not tried often enough to leave out"
    return f"every choice is among {best}"


def describe_range(parameter: Parameter) -> str:
    """The possible values, as short as they can be told."""
    match parameter:
        case Float(low=low, high=high) | Integer(low=low, high=high):
            return f"{_number(low)} to {_number(high)}"
        case Ordinal(choices=choices):
            return ", ".join(_number(choice) for choice in choices)
        case Categorical(choices=choices):
            return reprs(choices)
        case Fixed(value=value):
            return _number(value)
    raise TypeError(f"no such parameter: {parameter!r}")


def _number(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
