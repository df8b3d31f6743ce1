"""Single parameters: a value as Optuna has it inside, as a space has it, and as users get it.

Symbols:
    internal  Optuna's own number for a value: of a choice its place in the list
    inside    what the space has: a place in a list or a range, or a float in [0, 1]
    outside   what the objective gets
"""

import math
from numbers import Real
from typing import Any, Protocol, final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from chromasonic.bayesopt import Categorical, Float, Integer
from chromasonic.bayesopt.space import Parameter, Value

Number = FloatDistribution | IntDistribution

# Beyond, floats no longer tell neighbouring integers apart when they are scaled.
_LARGEST_INTEGER = 2**40


def number_axis(distribution: Number) -> "StepAxis | LogIntegerAxis | ContinuousAxis":
    """The axis for numbers of a range; a step too small to be told is none."""
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is None or low == high:
        return ContinuousAxis(distribution)
    if max(abs(low), abs(high), (high - low) / step) >= _LARGEST_INTEGER:
        return ContinuousAxis(distribution)
    return LogIntegerAxis(distribution) if distribution.log else StepAxis(distribution)


@final
class StepAxis:
    """Numbers in steps, which are counted from the low end."""

    def __init__(self, distribution: Number) -> None:
        self.distribution: BaseDistribution | None = distribution
        self._low, self._step = distribution.low, distribution.step or 1
        self._n_steps = round((distribution.high - distribution.low) / self._step)
        self.parameter: Parameter = Integer(0, self._n_steps)

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """Number of steps below a number."""
        return min(max(round((internal - self._low) / self._step), 0), self._n_steps)

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The number after so many steps."""
        return _fitting(self._low + value * self._step, asked)


@final
class LogIntegerAxis:
    """Integers on a log scale, which stay what they are."""

    def __init__(self, distribution: Number) -> None:
        self.distribution: BaseDistribution | None = distribution
        self._low, self._high = int(distribution.low), int(distribution.high)
        self.parameter: Parameter = Integer(self._low, self._high, log=True)

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """The integer."""
        return min(max(round(internal), self._low), self._high)

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The integer, within what is asked for."""
        return _fitting(float(value), asked)


@final
class ContinuousAxis:
    """Numbers so dense that [0, 1] stands for their range, linear or logarithmic."""

    def __init__(self, distribution: Number) -> None:
        self.distribution: BaseDistribution | None = distribution
        self._log = distribution.log
        self._low = self._scaled(distribution.low)
        self._width = self._scaled(distribution.high) - self._low
        self.parameter: Parameter = Float(0.0, 1.0)

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """Position of a number in the range, between 0 and 1."""
        return min(max((self._scaled(internal) - self._low) / self._width, 0.0), 1.0)

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The number that lies there."""
        scaled = self._low + value * self._width
        return _fitting(math.exp(scaled) if self._log else scaled, asked)

    def _scaled(self, number: float) -> float:
        return math.log(number) if self._log else number


def _fitting(number: float, asked: BaseDistribution) -> float:
    """The nearest number that is asked for, of its type."""
    assert isinstance(asked, Number)
    fitting = min(max(number, asked.low), asked.high)
    if asked.step is not None:
        n_steps = round((fitting - asked.low) / asked.step)
        fitting = min(asked.low + n_steps * asked.step, asked.high)
    return int(fitting) if isinstance(asked, IntDistribution) else float(fitting)


class Axis(Protocol):
    """One parameter of a study in a space.

    Attributes:
        distribution: All values it may have in the study; None if each trial has its own.
        parameter: What it is in the space.
    """

    distribution: BaseDistribution | None
    parameter: Parameter

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """In the space what Optuna has of what was asked for; of a number beyond it the end."""

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """A value of the space for the objective, within what it asks for."""


def axis_of(distribution: BaseDistribution) -> Axis:
    """The axis for values of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return ChoiceAxis(distribution)
    assert isinstance(distribution, Number)
    return number_axis(distribution)


@final
class ChoiceAxis:
    """A list to choose from: numbers by their order, anything else without one.

    It works on the places of choices in the list, for choices may be equal to each other without
    being the same, or unequal to themselves.
    """

    def __init__(self, distribution: CategoricalDistribution) -> None:
        choices: Any = distribution.choices
        # Optuna finds the first of equal choices again, and never another.
        distinct = [i for i, c in enumerate(choices) if distribution.to_internal_repr(c) == i]
        ordered = len(distinct) > 1 and all(_is_number(choice) for choice in choices)
        self._order = sorted(distinct, key=lambda i: choices[i]) if ordered else distinct
        self._place = {choice: place for place, choice in enumerate(self._order)}
        self.distribution: BaseDistribution | None = distribution
        self.parameter: Parameter = (
            Integer(0, len(distinct) - 1) if ordered else Categorical(tuple(range(len(distinct))))
        )

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """The place of a choice."""
        return self._place[int(internal)]

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The choice at a place."""
        assert isinstance(asked, CategoricalDistribution)
        return asked.choices[self._order[value]]


@final
class MovingAxis:
    """A range that is another one from trial to trial; a value is where it lies in its own.

    Such a range mostly depends on other values of the trial. In the space of the places all
    points can be had; in that of the numbers many could not, and a model would long for them.
    """

    distribution: BaseDistribution | None = None
    parameter: Parameter = Float(0.0, 1.0)

    def inside(self, internal: float, asked: BaseDistribution) -> Value:
        """Position of a number in the range that was asked for."""
        if asked.single():
            return 0.5
        axis = axis_of(asked)
        return axis.parameter.to_unit(axis.inside(internal, asked))

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The number that lies there in the range that is asked for."""
        axis = axis_of(asked)
        return axis.outside(axis.parameter.from_unit(value), asked)


def _is_number(choice: object) -> bool:
    return isinstance(choice, Real) and not isinstance(choice, bool) and not math.isnan(choice)
