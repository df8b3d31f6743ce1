"""Parameters whose values are written out: ordered, unordered, or a single one."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from chromasonic.bayesopt.space.parameter import Parameter, cell
from chromasonic.bayesopt.space.values import (
    Value,
    among,
    as_native,
    is_number,
    read_values,
    reprs,
    same,
)
from chromasonic.errors import SpaceError


class _Listed(Parameter):
    """A parameter with a list of values; number i of k lies at (i + 0.5) / k."""

    @property
    @abstractmethod
    def values(self) -> Sequence[Value]:
        """All values, in the order of their places."""

    @property
    def n_values(self) -> int:
        """Number of values."""
        return len(self.values)

    def contains(self, value: object) -> bool:
        """True if the value is listed; 1 and True are different values."""
        return among(value, self.values)

    def index(self, value: object) -> int:
        """The value's position in the list, counted from 0.

        Raises:
            SpaceError: If it is not listed.
        """
        self.check(value)
        return next(i for i, choice in enumerate(self.values) if same(value, choice))

    def to_unit(self, value: Any) -> float:
        """The value's place, the middle of its cell."""
        return (self.index(value) + 0.5) / self.n_values

    def from_unit(self, u: float) -> Value:
        """The value whose cell holds `u`."""
        return self.values[cell(u, self.n_values)]


@final
@dataclass(frozen=True)
class Ordinal(_Listed):
    """One of some numbers whose order means something, such as powers of two.

    Attributes:
        choices: The numbers; kept in ascending order. Neighbours are equally far apart.
    """

    choices: Sequence[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        choices = read_values(self.choices, "choices")
        numbers = [choice for choice in choices if is_number(choice)]
        if len(numbers) < len(choices):
            raise SpaceError(
                f"ordered choices must be numbers, but got {reprs(choices)}. Use Categorical."
            )
        self._set(choices=tuple(sorted(numbers)))

    @property
    def values(self) -> Sequence[float]:
        """The numbers in ascending order."""
        return self.choices

    def describe(self) -> str:
        """The numbers in words."""
        return f"one of {reprs(self.choices)} (in this order)"


@final
@dataclass(frozen=True)
class Categorical(_Listed):
    """One of some values without an order.

    Attributes:
        choices: Text, booleans, numbers or None. `index` gives a value's position for one-hot.
    """

    choices: Sequence[Value]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(choices=read_values(self.choices, "choices"))

    @property
    def values(self) -> Sequence[Value]:
        """The categories as given."""
        return self.choices

    def describe(self) -> str:
        """The categories in words."""
        return f"one of {reprs(self.choices)} (in no order)"


@final
@dataclass(frozen=True)
class Fixed(_Listed):
    """A parameter held constant.

    Attributes:
        value: Text, a boolean, a number or None.
    """

    value: Value

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(value=as_native(self.value))

    @property
    def values(self) -> Sequence[Value]:
        """The one value."""
        return (self.value,)

    def describe(self) -> str:
        """The value in words."""
        return f"{self.value!r} (held constant)"
