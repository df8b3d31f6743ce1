"""A search space as TOML: one table a parameter.

[learning_rate]
low = 1e-4
high = 1e-1
log = true

[optimizer]
choices = ["adam", "sgd"]

[momentum]
low = 0.0
high = 0.99
when = { optimizer = ["sgd"] }

[epochs]
value = 20
"""

import json
import re
import tomllib
from collections.abc import Mapping
from os import PathLike
from typing import Any

from chromasonic.bayesopt.space import Parameter, Space, parameter_from_dict
from chromasonic.bayesopt.space._reading import error_of
from chromasonic.bayesopt.space.values import is_integer, is_number
from chromasonic.errors import SpaceError, is_utf8, shown
from chromasonic.paths import expand_home

_FORM = "low and high, or choices, or value"


def read_space(path: str | PathLike[str]) -> Space:
    """The space that a TOML file describes.

    Raises:
        SpaceError: If the file cannot be read or does not describe a space; it names the file.
    """
    try:
        return space_from_toml(expand_home(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        problem = f"the file must be readable, but: {error.strerror}. Check the path."
    except UnicodeDecodeError:
        problem = "the file must be UTF-8 text, but is not. Save it as such."
    except SpaceError as error:
        problem = str(error)
    raise SpaceError(f"{path}: {problem}")


def space_from_toml(text: str) -> Space:
    """The space that a TOML text describes.

    Args:
        text: One table a parameter. `low`, `high` (two integers: whole numbers; else real ones),
            `log`, `step`; or `choices` and `ordered` (by default whether all are numbers);
            or `value`. With each, `when = {parent = [values]}`.

    Raises:
        SpaceError: If it is not TOML or does not describe a space.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"a space must be valid TOML, but: {error}.") from None
    except RecursionError:
        raise SpaceError("a space must be valid TOML, but is nested too deeply.") from None
    return Space({name: _read_table(name, table) for name, table in tables.items()})


def space_to_toml(space: Space, comments: Mapping[str, str] | None = None) -> str:
    """The space as TOML text that `space_from_toml` reads back equal.

    Args:
        space: What is written.
        comments: What stands above the tables of some parameters, by name.

    Raises:
        SpaceError: If a value is None, which TOML cannot hold.
    """
    above = {name: _comment((comments or {}).get(name, "")) for name in space}
    return "\n".join(above[name] + _write_table(name, space[name]) for name in space)


def _read_table(name: str, table: object) -> Parameter:
    if not isinstance(table, dict):
        raise error_of(name, f"it must be a table, but got {table!r}. {_hint(name, table)}")
    kinds = [kind for kind in ("low", "high", "choices", "value") if kind in table]
    if not kinds or (len(kinds) > 1 and kinds != ["low", "high"]):
        found = " and ".join(kinds) or "none of these"
        raise error_of(
            name, f"a table must hold {_FORM}, but has {found}. Use one of these forms."
        )
    if "type" in table:
        raise error_of(
            name, "the type follows from the other keys, but got a key 'type'. Remove it."
        )
    if "choices" in table:
        return parameter_from_dict(name, _typed_choices(name, table))
    kind = "fixed" if "value" in table else _kind_of_range(table)
    return parameter_from_dict(name, {**table, "type": kind})


def _kind_of_range(table: Mapping[str, Any]) -> str:
    whole = all(is_integer(table[key]) for key in ("low", "high") if key in table)
    return "integer" if whole else "float"


def _typed_choices(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    choices = table["choices"]
    numbers = isinstance(choices, list) and all(is_number(choice) for choice in choices)
    ordered = table.get("ordered", numbers)
    if not isinstance(ordered, bool):
        raise error_of(name, f"ordered must be true or false, but got {ordered!r}.")
    kept = {key: value for key, value in table.items() if key != "ordered"}
    return {**kept, "type": "ordinal" if ordered else "categorical"}


def _hint(name: str, bare: object) -> str:
    """Hint for a bare value or list, in the form of a table."""
    key = _key(name)
    if not isinstance(bare, list):
        return f"Write {key} = {{ value = ... }}."
    choices = f"{key} = {{ choices = [...] }}"
    if len(bare) == 2 and all(is_number(end) for end in bare):
        return f"Write {choices} for these two, or {key} = {{ low = ..., high = ... }}."
    return f"Write {choices}."


def _write_table(name: str, parameter: Parameter) -> str:
    attributes = parameter.to_dict()
    kind = attributes.pop("type")
    if kind in ("ordinal", "categorical"):
        attributes["ordered"] = kind == "ordinal"
    if kind == "float" and attributes["step"] is None:
        del attributes["step"]
    lines = [f"{key} = {_written(name, value)}" for key, value in attributes.items()]
    return "\n".join([f"[{_key(name)}]", *lines, ""])


def _comment(text: str) -> str:
    """The text behind signs of a comment, line by line, without what TOML forbids there."""
    lines = (
        "".join(c for c in line if c == "\t" or c.isprintable()) for line in text.splitlines()
    )
    return "".join(f"# {line}\n" for line in lines)


def _written(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_written(name, item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(_written(name, item) for item in value)}]"
    if value is None:
        raise error_of(name, "a value in TOML must not be None. Use a word such as 'none'.")
    if isinstance(value, str) and not is_utf8(value):
        raise error_of(name, f"a text in TOML must be valid UTF-8, but got {shown(value)}.")
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # JSON leaves the delete character as it is, TOML forbids it.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
