"""Conversion of one parameter's values between Optuna, the space of the model and the objective.

Symbols:
    internal  Optuna's own number for a value; for a choice its index
    inside    the value in the space: an index, an integer, or a float in [0, 1]
    outside   the value that the objective gets
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
    """The axis for numbers of a range; a step too small for floats is ignored."""
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is None or low == high:
        return ContinuousAxis(distribution)
    if max(abs(low), abs(high), (high - low) / step) >= _LARGEST_INTEGER:
        return ContinuousAxis(distribution)
    return LogIntegerAxis(distribution) if distribution.log else StepAxis(distribution)


@final
class StepAxis:
    """Numbers in steps, as their index from the low end."""

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
    """Integers on a log scale, as themselves."""

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
    """Real numbers as their position in the range, linear or logarithmic."""

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
        """The number at that position."""
        scaled = self._low + value * self._width
        return _fitting(math.exp(scaled) if self._log else scaled, asked)

    def _scaled(self, number: float) -> float:
        return math.log(number) if self._log else number


def _fitting(number: float, asked: BaseDistribution) -> float:
    """The nearest number of a distribution, in its type."""
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
        """The value in the space for Optuna's internal number, moved into the range."""

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The value for the objective, within the distribution it asks for."""


def axis_of(distribution: BaseDistribution) -> Axis:
    """The axis for values of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return ChoiceAxis(distribution)
    assert isinstance(distribution, Number)
    return number_axis(distribution)


@final
class ChoiceAxis:
    """Choices as their index: numbers in ascending order, anything else without an order.

    Indices, since choices may be equal without being the same (1 and True), or unequal to
    themselves (nan).
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
        """The index of a choice."""
        return self._place[int(internal)]

    def outside(self, value: Any, asked: BaseDistribution) -> Any:
        """The choice with an index."""
        assert isinstance(asked, CategoricalDistribution)
        return asked.choices[self._order[value]]


@final
class MovingAxis:
    """A range that changes from trial to trial; a value is its position in its own range.

    Such a range mostly depends on other values of the trial. All positions are possible in every
    trial, whereas a model of the numbers would propose many that are not.
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
        """The number at that position of the range that is asked for."""
        axis = axis_of(asked)
        return axis.outside(axis.parameter.from_unit(value), asked)


def _is_number(choice: object) -> bool:
    return isinstance(choice, Real) and not isinstance(choice, bool) and not math.isnan(choice)
