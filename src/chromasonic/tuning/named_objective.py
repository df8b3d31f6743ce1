"""Objectives known by name: what they are called, and where they are imported from."""

import ast
import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import Any

from chromasonic.errors import ObjectiveError, one_line
from chromasonic.tuning.objective import Objective, Trial, outcome_of


def objective_named(name: str) -> Objective:
    """The objective `module:function`, to be imported where it runs.

    Raises:
        ObjectiveError: There is none of that name.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ObjectiveError(
            f"an objective must be named module:function, but got {name!r}. "
            "Use, say, my_module:objective for the function objective in my_module.py."
        )
    named = _Named(module, function)
    if not callable(named.function):
        raise ObjectiveError(f"{name} must be a function, but it is {named.function!r:.80}.")
    return named


@dataclass(frozen=True)
class _Named:
    """A function known by where it can be imported from."""

    module: str
    name: str

    @cached_property
    def function(self) -> Any:
        try:
            found: Any = import_module(self.module)
            for part in self.name.split("."):
                found = getattr(found, part)
        except Exception as error:  # A module of the user's may raise anything.
            raise ObjectiveError(
                f"{self.module}:{self.name} must be importable, but: {one_line(error)}. "
                "Run the command where the module is, or put its folder on PYTHONPATH."
            ) from error
        return found

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Any:
        return outcome_of(self.function, params, trial)

    def __getstate__(self) -> dict[str, str]:
        return {"module": self.module, "name": self.name}


def identity_of(objective: Any) -> tuple[str, str]:
    """The name of an objective, and a hash of its source; `unknown` where there is none."""
    function = objective.function if isinstance(objective, _Named) else objective
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{named.__module__}.{named.__qualname__}"
    try:
        source = _source_of(inspect.unwrap(named))
    except (OSError, TypeError):
        # Typed in at a prompt: there is no source to compare.
        return name, "unknown"
    return name, hashlib.sha256(source.encode()).hexdigest()


def _source_of(named: Any) -> str:
    """The source of a function or class; of a lambda without the call in which it stands."""
    whole = inspect.getsource(named)
    if named.__name__ != "<lambda>":
        return whole
    text = "".join(inspect.findsource(named)[0])
    try:
        nodes = ast.walk(ast.parse(text))
    except SyntaxError:  # A notebook allows more than Python does.
        return whole
    line = named.__code__.co_firstlineno
    lambdas = [node for node in nodes if isinstance(node, ast.Lambda) and node.lineno == line]
    return "\n".join(ast.get_source_segment(text, node) or "" for node in lambdas) or whole
