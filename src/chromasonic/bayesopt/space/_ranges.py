"""Parameters that run from a low to a high end: real numbers and integers."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.space.parameter import Parameter, cell, clip_to_unit
from chromasonic.bayesopt.space.values import is_integer, is_number
from chromasonic.errors import SpaceError, shown
from chromasonic.scalars import python_scalar

Array = NDArray[np.float64]

# Up to here each value of a grid, logarithmic ones too, finds itself again through a float.
_LARGEST_INTEGER = 2**40
_FINEST_STEP = 2.0**-30
_STEP_TOLERANCE = 1e-6  # in steps; more than rounding does to the finest one


class _Range(Parameter):
    """Numbers from `low` to `high`, continuous or `step` apart.

    On a linear scale value i of k lies at (i + 0.5) / k. On a log scale the cells of neighbours
    meet at their geometric mean, and the outermost reach as far outwards as inwards: small
    values have wide cells, and no value falls on a border.
    """

    low: float
    high: float
    log: bool
    step: float | None

    @abstractmethod
    def value_at(self, index: int) -> float:
        """The value number `index`, counted from 0; needs a step."""

    def _check_ends(self) -> None:
        if not self.low < self.high:
            raise SpaceError(
                f"low must be below high, but got low={self.low!r} and high={self.high!r}. "
                "Swap them, or hold the parameter constant with Fixed(value)."
            )
        self._set(log=python_scalar(self.log))
        if not isinstance(self.log, bool):
            raise SpaceError(f"log must be True or False, but got {self.log!r}.")
        if self.log and self.low <= 0:
            small = "low=1" if isinstance(self.low, int) else "a small positive low such as 1e-6"
            raise SpaceError(
                f"a log range must start above 0, but got low={self.low!r}. "
                f"Use {small}, or log=False."
            )

    def _check_step(self, step: float) -> None:
        if step <= 0:
            raise SpaceError(f"step must be above 0, but got {step!r}. Make it positive.")
        if self.low + step > self.high:
            raise SpaceError(
                "step must fit at least once between low and high, but got "
                f"{step!r} for {self.low!r} to {self.high!r}. Use a smaller step."
            )

    def snap(self, u: Array) -> Array:
        """The places of the values whose cells hold each u: `to_unit(from_unit(u))` at once.

        Args:
            u: Places in [0, 1], any shape; needs a step.
        """
        k, step = self.n_values or 1, self.step or 1.0
        if not self.log:
            cells: Array = np.minimum(np.floor(u * k), k - 1)
            return (cells + 0.5) / k
        start, end = self._log_borders(k)
        target = np.exp(np.minimum(start + u * (end - start), np.log(self.high)))
        below = self.low + step * np.clip(np.floor((target - self.low) / step), 0, k - 2)
        border = np.sqrt(below) * np.sqrt(below + step)
        places: Array = (np.log(np.where(target > border, below + step, below)) - start) / (
            end - start
        )
        return places

    def _describe_range(self, kind: str, step: float | None) -> str:
        words = f"{kind} from {self.low!r} to {self.high!r}"
        scale = ", log scale" if self.log else ""
        return f"{words}{scale}" if step is None else f"{words}{scale}, in steps of {step!r}"

    def _place(self, index: int, k: int) -> float:
        if not self.log:
            return (index + 0.5) / k
        start, end = self._log_borders(k)
        return (math.log(self.value_at(index)) - start) / (end - start)

    def _index_at(self, u: float, k: int) -> int:
        if not self.log:
            return cell(u, k)
        start, end = self._log_borders(k)
        # The last cell may end beyond the largest float.
        target = math.exp(min(start + clip_to_unit(u) * (end - start), math.log(self.high)))
        spacing = (self.high - self.low) / (k - 1)
        below = min(max(int((target - self.low) / spacing), 0), k - 2)
        # Two roots, for the product of two large values overflows.
        border = math.sqrt(self.value_at(below)) * math.sqrt(self.value_at(below + 1))
        return below + (target > border)

    def _log_borders(self, k: int) -> tuple[float, float]:
        """Start of the first cell and end of the last one."""
        first, last = math.log(self.low), math.log(self.high)
        second, last_but_one = math.log(self.value_at(1)), math.log(self.value_at(k - 2))
        return first - (second - first) / 2, last + (last - last_but_one) / 2


@final
@dataclass(frozen=True)
class Float(_Range):
    """Real numbers from `low` to `high`, both included.

    Attributes:
        low: Smallest value.
        high: Largest value; moved to the last one that `step` reaches, give or take rounding.
        log: Whether equal ratios, not equal differences, are equally far apart.
        step: Distance of neighbouring values; None: continuous.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(low=_as_float("low", self.low), high=_as_float("high", self.high))
        self._check_ends()
        self._check_width()
        if self.step is not None:
            self._set(step=_as_float("step", self.step))
            self._lower_high(self.step)

    def _check_width(self) -> None:
        narrowest = _FINEST_STEP * max(abs(self.low), abs(self.high))
        if not narrowest <= self.high - self.low < math.inf:
            raise SpaceError(
                "a range must be wider than 2**-30 of its larger end and narrower than the "
                f"largest float, but got low={self.low!r} and high={self.high!r}. Move an end."
            )

    def _lower_high(self, step: float) -> None:
        self._check_step(step)
        if step < _FINEST_STEP * max(abs(self.low), abs(self.high)):
            raise SpaceError(
                f"step must not be finer than 2**-30 of the range's larger end, but got {step!r} "
                f"for {self.low!r} to {self.high!r}. Use step=None."
            )
        # Without the tolerance rounding could lose the last step each time a space is read.
        self._set(high=self.value_at(int((self.high - self.low) / step + _STEP_TOLERANCE)))

    @property
    def n_values(self) -> int | None:
        """Number of values; None without a step."""
        return None if self.step is None else 1 + round((self.high - self.low) / self.step)

    def value_at(self, index: int) -> float:
        """The value number `index`, counted from 0; needs a step."""
        # In decimals three times 0.1 is 0.3; in binary floats it is a little more.
        return float(Decimal(repr(self.low)) + index * Decimal(repr(self.step)))

    def describe(self) -> str:
        """The range in words."""
        return self._describe_range("a number", self.step)

    def contains(self, value: object) -> bool:
        """True if the value lies in the range and, given a step, on a step."""
        if not is_number(value):
            return False
        if self.step is None:
            return self.low <= float(value) <= self.high
        index, tolerance = self._nearest(value), _STEP_TOLERANCE * self.step
        inside = 0 <= index <= self._nearest(self.high)
        return inside and abs(float(value) - self.value_at(index)) <= tolerance

    def to_unit(self, value: Any) -> float:
        """The number's place in [0, 1]."""
        self.check(value)
        if (k := self.n_values) is not None:
            return self._place(self._nearest(value), k)
        if not self.log:
            return (float(value) - self.low) / (self.high - self.low)
        start, end = math.log(self.low), math.log(self.high)
        return (math.log(value) - start) / (end - start)

    def from_unit(self, u: float) -> float:
        """The number at `u`."""
        if (k := self.n_values) is not None:
            return self.value_at(self._index_at(u, k))
        u = clip_to_unit(u)
        if u in (0.0, 1.0):
            return self.low if u == 0.0 else self.high
        if self.log:
            start, end = math.log(self.low), math.log(self.high)
            value = math.exp(start + u * (end - start))
        else:
            value = self.low + u * (self.high - self.low)
        # Rounding can lead past either end, and would miss both ends of a log scale.
        return min(max(value, self.low), self.high)

    def _nearest(self, value: float) -> int:
        return round((float(value) - self.low) / (self.step or 1.0))


@final
@dataclass(frozen=True)
class Integer(_Range):
    """Whole numbers from `low` to `high`, both included.

    Attributes:
        low: Smallest value.
        high: Largest value; lowered to the last one that `step` reaches.
        log: Whether equal ratios, not equal differences, are equally far apart.
        step: Distance of neighbouring values.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("low", "high", "step"):
            self._set(**{key: _as_int(key, getattr(self, key))})
        self._check_ends()
        self._check_step(self.step)
        self._set(high=self.value_at(self.n_values - 1))

    @property
    def n_values(self) -> int:
        """Number of values."""
        return 1 + (self.high - self.low) // self.step

    def value_at(self, index: int) -> int:
        """The value number `index`, counted from 0."""
        return self.low + index * self.step

    def describe(self) -> str:
        """The range in words."""
        return self._describe_range("an integer", None if self.step == 1 else self.step)

    def contains(self, value: object) -> bool:
        """True if the value is an integer of the range and lies on a step."""
        if not is_integer(value):
            return False
        return self.low <= int(value) <= self.high and (int(value) - self.low) % self.step == 0

    def to_unit(self, value: Any) -> float:
        """The integer's place in (0, 1)."""
        self.check(value)
        return self._place((int(value) - self.low) // self.step, self.n_values)

    def from_unit(self, u: float) -> int:
        """The integer whose cell holds `u`."""
        return self.value_at(self._index_at(u, self.n_values))


def _as_float(key: str, value: object) -> float:
    if not is_number(value):
        raise SpaceError(f"{key} must be a finite number, but got {shown(value)}.")
    return float(value)


def _as_int(key: str, value: object) -> int:
    if not is_integer(value):
        raise SpaceError(
            f"{key} must be an integer, but got {shown(value)}. Round it, or use Float."
        )
    if abs(int(value)) > _LARGEST_INTEGER:
        raise SpaceError(
            f"{key} must be within -2**40 and 2**40, but got {shown(value)}. Use Float."
        )
    return int(value)
