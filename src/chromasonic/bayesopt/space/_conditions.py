"""Conditional parameters: which are active at a point."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from chromasonic.bayesopt.space._choices import Categorical, Fixed
from chromasonic.bayesopt.space._reading import error_of
from chromasonic.bayesopt.space.parameter import Parameter
from chromasonic.bayesopt.space.values import Params, among, reprs
from chromasonic.errors import SpaceError


def parents_first(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """The names, every parent before its children.

    Raises:
        SpaceError: If a condition names an unknown parent, a value its parent cannot take, or,
            through others, its own parameter.
    """
    for name, parameter in parameters.items():
        for parent in parameter.when or {}:
            _check_condition(name, parent, parameters)
    graph = TopologicalSorter({name: p.when or {} for name, p in parameters.items()})
    try:
        return tuple(graph.static_order())
    except CycleError as error:
        cycle = " -> ".join(repr(name) for name in error.args[1])
        raise SpaceError(
            f"conditions must not run in a circle, but got {cycle}. Remove one of them."
        ) from None


def active_names(
    parameters: Mapping[str, Parameter], order: Iterable[str], params: Params
) -> set[str]:
    """The names of the parameters that count at this point.

    Args:
        parameters: All of the space.
        order: Their names, parents first.
        params: Values by name; only those of parents matter.
    """
    active: set[str] = set()
    for name in order:
        conditions = parameters[name].when or {}
        if all(
            parent in active and parent in params and among(params[parent], values)
            for parent, values in conditions.items()
        ):
            active.add(name)
    return active


def most_branches(parameters: Mapping[str, Parameter]) -> int:
    """Into how many parts the values of a category divide the space, at most; 1: into none.

    Values that bring the same parameters along belong to one part.
    """
    return max(len(set(_brought_along(parameters, name))) for name in parameters)


def _brought_along(parameters: Mapping[str, Parameter], parent: str) -> list[frozenset[str]]:
    """For each value of a category the parameters that depend on it and may be active then."""
    above = parameters[parent]
    if not isinstance(above, Categorical):
        return [frozenset()]
    conditions = {
        name: parameter.when[parent]
        for name, parameter in parameters.items()
        if parameter.when and parent in parameter.when
    }
    return [
        frozenset(name for name, values in conditions.items() if among(choice, values))
        for choice in above.choices
    ]


def unknown_name(name: object, names: Iterable[str]) -> SpaceError:
    """The error for a name that the space does not have."""
    close = get_close_matches(str(name), names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "Check the name."
    return SpaceError(f"a name must be one of {reprs(names)}, but got {name!r}. {hint}")


def _check_condition(name: str, parent: str, parameters: Mapping[str, Parameter]) -> None:
    if parent not in parameters:
        raise error_of(name, f"in when, {unknown_name(parent, parameters)}")
    above = parameters[parent]
    # A constant may once have had other values: then the condition just never holds.
    if isinstance(above, Fixed):
        return
    if above.n_values is None:
        raise error_of(
            name,
            "a parent must have separate values, but "
            f"{parent!r} is continuous. Give it a step or choices.",
        )
    for value in (parameters[name].when or {})[parent]:
        if not above.contains(value):
            raise error_of(
                name, f"in when, {parent!r} must be {above.describe()}, but got {value!r}."
            )
