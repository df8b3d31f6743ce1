"""Base class of all parameters."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from chromasonic.bayesopt.space.values import Value, read_values
from chromasonic.errors import SpaceError, shown


@dataclass(frozen=True)
class Parameter(ABC):
    """One parameter: the values it can take and their places in the unit interval.

    Attributes:
        when: The parameter is active only while each parent named here is active and has one
            of the values listed for it; None: always.
    """

    when: Mapping[str, Sequence[Value]] | None = field(default=None, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        self._set(when=_read_when(self.when))

    @property
    @abstractmethod
    def n_values(self) -> int | None:
        """Number of values; None where they are continuous."""

    @abstractmethod
    def describe(self) -> str:
        """The possible values in words, fit to stand after "must be"."""

    @abstractmethod
    def contains(self, value: object) -> bool:
        """True if the parameter can take this value."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """The value's place in [0, 1].

        Raises:
            SpaceError: If the parameter cannot take the value.
        """

    @abstractmethod
    def from_unit(self, u: float) -> Value:
        """The value at `u`; beyond 0 and 1 the outermost ones go on.

        Raises:
            SpaceError: If `u` is nan.
        """

    def check(self, value: object) -> None:
        """Raise unless the parameter can take the value.

        Raises:
            SpaceError: If it cannot.
        """
        if not self.contains(value):
            raise SpaceError(f"the value must be {self.describe()}, but got {shown(value)}.")

    def to_dict(self) -> dict[str, Any]:
        """Its type and attributes, as JSON can hold them."""
        attributes = {f.name: _listable(getattr(self, f.name)) for f in fields(self)}
        when = attributes.pop("when")
        if when is not None:
            attributes["when"] = {parent: list(values) for parent, values in when.items()}
        return {"type": type(self).__name__.lower(), **attributes}

    def describe_with_conditions(self) -> str:
        """The possible values in words, and when they count."""
        conditions = " and ".join(
            f"{parent} is {' or '.join(repr(value) for value in values)}"
            for parent, values in (self.when or {}).items()
        )
        return self.describe() + (f", only when {conditions}" if conditions else "")

    def _set(self, **attributes: Any) -> None:
        """Change a frozen instance while it is being made."""
        for name, value in attributes.items():
            object.__setattr__(self, name, value)


def clip_to_unit(u: float) -> float:
    """The place in [0, 1] nearest to `u`.

    Raises:
        SpaceError: If `u` is nan.
    """
    if math.isnan(u):
        raise SpaceError("a place in the unit interval must be a number, but got nan.")
    return min(max(float(u), 0.0), 1.0)


def cell(u: float, k: int) -> int:
    """Index of the one of k equal cells of the unit interval that holds `u`, from 0."""
    return min(int(clip_to_unit(u) * k), k - 1)


def _listable(attribute: object) -> Any:
    return list(attribute) if isinstance(attribute, tuple) else attribute


def _read_when(when: object) -> dict[str, tuple[Value, ...]] | None:
    if when is None:
        return None
    if not isinstance(when, Mapping) or not all(isinstance(parent, str) for parent in when):
        raise SpaceError(
            f"when must map names of parents to lists of values, but got {when!r}. "
            'Write it like when={"optimizer": ["sgd"]}.'
        )
    conditions = {
        parent: read_values(values, f"the values of {parent!r} in when")
        for parent, values in when.items()
    }
    return conditions or None
