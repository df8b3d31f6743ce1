"""Points as the peers see them: ordered choices by their position, all else by value."""

from typing import Any

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space


def to_codes(space: Space, params: dict[str, Any]) -> dict[str, Any]:
    """The params with each ordered choice's position, counted from 0, in place of its value."""
    return {name: _code(space[name], value) for name, value in params.items()}


def from_codes(space: Space, codes: dict[str, Any]) -> dict[str, Any]:
    """The params that codes stand for, as plain Python values within their ranges."""
    return {name: _value(space[name], codes[name]) for name in space if name in codes}


def unit_values(parameter: Integer | Ordinal) -> list[float]:
    """The places of all its values in the unit interval."""
    if isinstance(parameter, Ordinal):
        return [parameter.to_unit(value) for value in parameter.choices]
    return [parameter.to_unit(parameter.value_at(i)) for i in range(parameter.n_values)]


def _code(parameter: Parameter, value: Any) -> Any:
    return parameter.index(value) if isinstance(parameter, Ordinal) else value


def _value(parameter: Parameter, code: Any) -> Any:
    match parameter:
        case Ordinal(choices=choices):
            return choices[round(code)]
        case Float(low=low, high=high):
            return min(max(float(code), low), high)
        case Integer(low=low, high=high):
            return min(max(round(code), low), high)
        case Categorical():
            return str(code)
    raise TypeError(f"no peer is told of {parameter!r}.")
