"""A search space: named parameters, and points between values and the unit cube."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.bayesopt.space._choices import Fixed
from chromasonic.bayesopt.space._conditions import (
    active_names,
    most_branches,
    parents_first,
    unknown_name,
)
from chromasonic.bayesopt.space._reading import (
    error_of,
    parameter_from_bound,
    parameter_from_dict,
)
from chromasonic.bayesopt.space.parameter import Parameter
from chromasonic.bayesopt.space.values import Params, Value, as_native, reprs
from chromasonic.errors import SpaceError, is_utf8, shown
from chromasonic.scalars import python_scalar


@final
class Space(Mapping[str, Parameter]):
    """Named parameters in the order of their columns; a mapping from name to parameter."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        """Keep the parameters, once their conditions are known to make sense.

        Args:
            parameters: Each name with its parameter; a parent may stand behind its children.

        Raises:
            SpaceError: If there are none, or a condition names an unknown parent, a value its
                parent cannot take, or, through others, its own parameter.
        """
        if not parameters:
            raise SpaceError("a space must have at least one parameter, but got none. Add one.")
        for name, parameter in parameters.items():
            _check_entry(name, parameter)
        self._parameters = dict(parameters)
        self._parents_first = parents_first(self._parameters)
        self._parents = {parent for p in self._parameters.values() for parent in p.when or {}}

    @property
    def n_branches(self) -> int:
        """Into how many parts with parameters of their own a category divides it; 1: into none.

        Of several such categories, that of the most parts.
        """
        return most_branches(self._parameters)

    @classmethod
    def from_bounds(cls, bounds: Mapping[str, object]) -> Self:
        """The space that plain Python values mean.

        Args:
            bounds: For each name a pair `(low, high)` (two integers: whole numbers; else real
                numbers, on a log scale if they span two decades or more), a list of choices
                (all numbers: ordered; else categories) or a parameter type.

        Raises:
            SpaceError: If a bound is none of these, or makes no sense.
        """
        if not isinstance(bounds, Mapping):
            raise SpaceError(
                f"bounds must map names to bounds, but got {bounds!r}. "
                'Write them like {"units": (16, 256)}.'
            )
        return cls({name: parameter_from_bound(name, bound) for name, bound in bounds.items()})

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """The space that `to_dict` described.

        Raises:
            SpaceError: If the description is not of that form.
        """
        tables = description.get("parameters")
        if not isinstance(tables, list) or not all(_has_name(table) for table in tables):
            raise SpaceError(
                "a described space must hold a list 'parameters' of tables with a 'name', "
                f"but got {dict(description)!r}. Use what Space.to_dict() returned."
            )
        parameters: dict[str, Parameter] = {}
        for table in tables:
            attributes = dict(table)
            name = attributes.pop("name")
            if name in parameters:
                raise error_of(name, "its name must be unique, but comes twice. Rename one.")
            parameters[name] = parameter_from_dict(name, attributes)
        return cls(parameters)

    def to_dict(self) -> dict[str, Any]:
        """The space as JSON can hold it; equal spaces give equal text.

        Parameters stand in a list, so that a file that sorts its keys keeps their order.
        """
        return {"parameters": [{"name": name, **self[name].to_dict()} for name in self]}

    def describe(self) -> list[str]:
        """One line a parameter that tells how it was read."""
        return [f"{name}: {self[name].describe_with_conditions()}" for name in self]

    def active(self, params: Params) -> tuple[str, ...]:
        """The names of the parameters that count at this point, in the order of the space.

        Args:
            params: Values by name; only those of parents matter.
        """
        active = active_names(self._parameters, self._parents_first, params)
        return tuple(name for name in self if name in active)

    def validate(self, params: Params) -> None:
        """Raise unless this is a point of the space.

        Args:
            params: A value for each active parameter, those held constant included.

        Raises:
            SpaceError: If a name is unknown, missing or inactive, or a value impossible.
        """
        self._row(params)

    def as_point(self, params: Params) -> dict[str, Value]:
        """The same point with values of Python's own types.

        Raises:
            SpaceError: If it is not a point of the space.
        """
        point = {name: python_scalar(value) for name, value in params.items()}
        self.validate(point)
        return {name: as_native(value) for name, value in point.items()}

    def contains(self, params: Params) -> bool:
        """True if this is a point of the space."""
        try:
            self.validate(params)
        except SpaceError:
            return False
        return True

    def with_constants(self, params: Params) -> dict[str, Value]:
        """The same values, but of each parameter that is held constant the one it is held at.

        What was tried before a parameter was held constant is a point of the space this way.
        """
        held = {name: p.value for name, p in self.items() if isinstance(p, Fixed)}
        return {name: held.get(name, value) for name, value in params.items()}

    def encode(self, points: Iterable[Params]) -> NDArray[np.float64]:
        """The points as rows of the unit cube.

        Args:
            points: For each a value for every active parameter.

        Returns:
            Shape (n, d), in [0, 1]; nan where a parameter is inactive.

        Raises:
            SpaceError: If one of them is not a point of the space.
        """
        rows = [self._row(params) for params in points]
        return np.array(rows, dtype=float).reshape(len(rows), len(self))

    def decode(self, X: ArrayLike) -> list[dict[str, Value]]:
        """The points that rows of the unit cube stand for.

        Args:
            X: Shape (n, d). What lies outside [0, 1] is moved to its border; what stands in the
                column of an inactive parameter is ignored.

        Returns:
            n dicts, each with the active parameters in the order of the space.

        Raises:
            ValueError: If X is not a matrix with one column a parameter.
            SpaceError: If an active parameter has nan.
        """
        rows = np.asarray(X, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != len(self):
            raise ValueError(
                f"X must have one column for each of {len(self)} parameters, "
                f"but got shape {rows.shape}. Pass a single point as X[None]."
            )
        return [self._point(row) for row in rows.tolist()]

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A random point, uniform in the unit cube; takes d numbers from `rng` each time."""
        return self._point(rng.random(len(self)).tolist())

    def fix(self, /, **values: Value) -> Self:
        """A new space that holds these parameters constant; their conditions stay.

        Raises:
            SpaceError: If a name is unknown or its parameter cannot take the value.
        """
        fixed = dict(self._parameters)
        for name, value in values.items():
            if name not in self:
                raise unknown_name(name, self)
            if not self[name].contains(value):
                raise error_of(
                    name,
                    f"it must be {self[name].describe()}, but got {value!r}. To leave that "
                    f"range use with_parameter({name!r}, Fixed({value!r})).",
                )
            fixed[name] = Fixed(value, when=self[name].when)
        return type(self)(fixed)

    def with_parameter(self, name: str, parameter: Parameter) -> Self:
        """A new space where `name` is this parameter: in its old place, or as the last."""
        return type(self)({**self._parameters, name: parameter})

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._canonical() == other._canonical()

    def __hash__(self) -> int:
        return hash(self._canonical())

    def __repr__(self) -> str:
        return f"Space({self._parameters!r})"

    def _canonical(self) -> str:
        # Dicts compare 1 and True as equal, text does not.
        return json.dumps(self.to_dict())

    def _row(self, params: Params) -> list[float]:
        """The point's places, nan where inactive."""
        active = active_names(self._parameters, self._parents_first, params)
        if params.keys() != active:
            raise self._wrong_names(params, active)
        return [self._place(name, params[name]) if name in active else math.nan for name in self]

    def _place(self, name: str, value: Value) -> float:
        try:
            return self[name].to_unit(value)
        except SpaceError as error:
            raise error_of(name, error) from None

    def _point(self, row: Sequence[float]) -> dict[str, Value]:
        """The active values at these places."""
        places = dict(zip(self, row, strict=True))
        # An inactive parent may be nan; what it then means is not asked for.
        parent_values = {
            name: self[name].from_unit(u)
            for name, u in places.items()
            if name in self._parents and not math.isnan(u)
        }
        return {name: self._value(name, places[name]) for name in self.active(parent_values)}

    def _value(self, name: str, u: float) -> Value:
        try:
            return self[name].from_unit(u)
        except SpaceError as error:
            raise error_of(name, error) from None

    def _wrong_names(self, params: Params, active: set[str]) -> SpaceError:
        for name in params:
            if name not in self:
                return unknown_name(name, self)
            if name not in active:
                return error_of(
                    name,
                    f"it is {self[name].describe_with_conditions()}, but got "
                    f"{params[name]!r} where that does not hold. Leave it out.",
                )
        missing = [name for name in self if name in active and name not in params]
        return SpaceError(
            f"a point must have a value for every active parameter, but lacks {reprs(missing)}. "
            "Add what is missing."
        )


def _has_name(table: object) -> bool:
    return isinstance(table, Mapping) and isinstance(table.get("name"), str)


def _check_entry(name: object, parameter: object) -> None:
    if not isinstance(name, str) or not name:
        raise SpaceError(f"a parameter's name must be text, but got {shown(name)}. Rename it.")
    if not is_utf8(name):
        raise SpaceError(
            f"a parameter's name must be valid UTF-8, but got {shown(name)}. Rename it."
        )
    if not isinstance(parameter, Parameter):
        raise error_of(
            name,
            f"it must be a Float, Integer, Ordinal, Categorical or Fixed, but got {parameter!r}. "
            "Space.from_bounds reads plain pairs and lists.",
        )
