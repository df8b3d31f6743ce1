"""Ranges of numbers: in steps, on a log scale, or continuous."""

import math
from typing import Any, final

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from chromasonic.bayesopt import Float, Integer
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
        """How many steps lie below a number."""
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
        """Where in the range a number lies."""
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
