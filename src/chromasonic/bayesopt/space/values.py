"""Values of parameters: types and equality."""

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import TypeGuard

import numpy as np

from chromasonic.errors import SpaceError, shown
from chromasonic.scalars import python_scalar

Value = str | bool | int | float | None
Params = Mapping[str, Value]


def is_real(value: object) -> bool:
    """True for a real number, even nan or infinite; False for a boolean."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """True for a finite real number that a float can hold; False for a boolean."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_integer(value: object) -> TypeGuard[int]:
    """True for an integer by type; False for 2.0 and for a boolean."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def as_native(value: object) -> Value:
    """The value as Python's own type.

    Raises:
        SpaceError: If it is neither text, a boolean, a finite number nor None.
    """
    value = python_scalar(value)
    if value is None or isinstance(value, str | bool):
        return value
    if is_number(value):
        return int(value) if isinstance(value, Integral) else float(value)
    raise SpaceError(
        f"a value must be text, a boolean, a finite number or None, but got {shown(value)}."
    )


def same(value: object, choice: Value) -> bool:
    """True if both are the same value: 1 and 1.0 are, 1 and True are not."""
    value = python_scalar(value)
    comparable = value is None or isinstance(value, str | Real)
    return comparable and isinstance(value, bool) == isinstance(choice, bool) and value == choice


def among(value: object, choices: Iterable[Value]) -> bool:
    """True if the value is one of the choices."""
    return any(same(value, choice) for choice in choices)


def read_values(values: object, what: str) -> tuple[Value, ...]:
    """The values of a list as Python's own types: at least one, none twice.

    Args:
        values: A list, tuple or array.
        what: What error messages call it.

    Raises:
        SpaceError: If it is no list, empty, or holds a value twice or an impossible one.
    """
    if not isinstance(values, list | tuple | np.ndarray):
        raise SpaceError(f"{what} must be a list, but got {shown(values)}. Put it in brackets.")
    natives = tuple(as_native(value) for value in values)
    if not natives:
        raise SpaceError(f"{what} must hold at least one value, but the list is empty. Add one.")
    seen = set()
    for value in natives:
        # 1 and 1.0 are the same, 1 and True are not.
        identity = isinstance(value, bool), value
        if identity in seen:
            raise SpaceError(f"{what} must differ, but {value!r} comes twice. Leave one out.")
        seen.add(identity)
    return natives


def reprs(values: Iterable[object]) -> str:
    """The values in a row, as Python writes them."""
    return ", ".join(repr(value) for value in values)
