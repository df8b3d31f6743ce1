"""From plain Python values, or a description in a file, to a parameter."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any

from chromasonic.bayesopt.space._choices import Categorical, Fixed, Ordinal
from chromasonic.bayesopt.space._ranges import Float, Integer
from chromasonic.bayesopt.space.parameter import Parameter
from chromasonic.bayesopt.space.values import is_integer, is_number, is_real, reprs
from chromasonic.errors import SpaceError

_TYPES: dict[str, type[Parameter]] = {
    cls.__name__.lower(): cls for cls in (Float, Integer, Ordinal, Categorical, Fixed)
}
_LOG_FROM_RATIO = 100  # two decades


def error_of(name: str, problem: object) -> SpaceError:
    """The error that says which parameter has the problem."""
    return SpaceError(f"parameter {name!r}: {problem}")


def parameter_from_bound(name: str, bound: object) -> Parameter:
    """The parameter that a plain Python value means; see `Space.from_bounds`.

    Args:
        name: What error messages call it.
        bound: A pair (low, high), a list of choices, or a parameter.

    Raises:
        SpaceError: If it is none of these, or makes no sense.
    """
    try:
        return _read_bound(bound)
    except SpaceError as error:
        raise error_of(name, error) from None


def parameter_from_dict(name: str, table: Mapping[str, Any]) -> Parameter:
    """The parameter that `Parameter.to_dict` described.

    Args:
        name: What error messages call it.
        table: A `type` (float, integer, ordinal, categorical, fixed) and its attributes.

    Raises:
        SpaceError: If a key is missing, unknown or holds something of the wrong kind.
    """
    kind = table.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise error_of(name, f"type must be one of {reprs(_TYPES)}, but got {kind!r}.")
    attributes = {key: value for key, value in table.items() if key != "type"}
    _check_keys(name, attributes, {f.name: f for f in fields(_TYPES[kind])})
    build: Callable[..., Parameter] = _TYPES[kind]
    try:
        return build(**attributes)
    except SpaceError as error:
        raise error_of(name, error) from None


def _check_keys(name: str, table: Mapping[str, Any], known: Mapping[str, Field[Any]]) -> None:
    for key in table:
        if key not in known:
            raise error_of(name, f"keys must be among {reprs(known)}, but got {key!r}. Remove it.")
    for key, attribute in known.items():
        if key not in table and attribute.default is MISSING:
            raise error_of(name, f"the key {key!r} must be there, but is missing. Add it.")


def _read_bound(bound: object) -> Parameter:
    if isinstance(bound, Parameter):
        return bound
    if isinstance(bound, list):
        ordered = all(is_number(choice) for choice in bound)
        return Ordinal(bound) if ordered else Categorical(bound)
    if isinstance(bound, tuple) and len(bound) == 2 and all(is_real(end) for end in bound):
        return _read_pair(*bound)
    raise SpaceError(
        "a bound must be a pair (low, high) of numbers, a list of choices, or a type such as "
        f"Float(low, high), but got {bound!r}. For a constant use Fixed(value)."
    )


def _read_pair(low: float, high: float) -> Parameter:
    if is_integer(low) and is_integer(high):
        return Integer(low, high)
    linear = Float(low, high)
    log = linear.low > 0 and linear.high / linear.low >= _LOG_FROM_RATIO
    return replace(linear, log=log)
