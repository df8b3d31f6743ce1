"""Identity of the data that an objective carries: arguments, closures, attributes.

Two objectives of one source may measure different things. Their data are told apart by a hash
that is the same in every process: nothing of it depends on addresses, on the order of sets, or on
what cannot be read, such as locks and open files, of which only the type counts.
"""

import hashlib
import inspect
import random
import weakref
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
# Where a random stream stands is no part of what is measured.
_BY_TYPE = (random.Random, np.random.Generator, np.random.BitGenerator, np.random.RandomState)

_known: list[tuple[weakref.ref[Any], str, str | None]] = []
"""Objectives of earlier searches in this process: themselves, their data before the search and
after it; None after it for a function, which is the same as long as it is the same object."""


def bound_data(objective: Any) -> str | None:
    """A hash of the data bound to an objective; None for a function that carries none.

    An objective that has changed its data while it ran in this process, such as one that counts
    its calls, has the hash from before. So has a function whose closure has changed since.
    """
    now = _hash_of(objective)
    for known, before, after in _known:
        if known() is _owner(objective) and after in (None, now):
            return before
    return now


def note_changes(objective: Any, before: str | None) -> None:
    """Notes that the data of an objective that has been searched were these before."""
    _known[:] = [entry for entry in _known if not _is_gone_or(_owner(objective), entry[0])]
    if before is None:
        return
    after = None if isinstance(objective, FunctionType) else _hash_of(objective)
    # A class may have no room for references; then a change is one for good.
    with suppress(TypeError):
        _known.append((weakref.ref(_owner(objective)), before, after))


def _is_gone_or(owner: Any, known: weakref.ref[Any]) -> bool:
    # By identity: an objective may have an equality of its own.
    return known() is None or known() is owner


def _owner(objective: Any) -> Any:
    # A bound method is made anew each time it is asked for.
    return objective.__self__ if isinstance(objective, MethodType) else objective


def _hash_of(objective: Any) -> str | None:
    if isinstance(objective, FunctionType) and not any(map(len, _parts(objective))):
        return None
    if isinstance(objective, type | BuiltinFunctionType):
        return None
    walk = _Walk()
    try:
        walk.take(objective)
    except RecursionError:
        return "nested too deeply"
    return walk.digest()


def _parts(function: FunctionType) -> tuple[tuple[Any, ...], tuple[Any, ...], dict[str, Any]]:
    """Closure variables, defaults and keyword defaults of a function."""
    cells = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # It is not filled yet.
            cells.append(cell.cell_contents)
    return tuple(cells), function.__defaults__ or (), function.__kwdefaults__ or {}


class _Walk:
    """A hash fed with an object and all that it refers to, each once."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        # With the objects themselves: of one that is gone the next has the address.
        self._seen: dict[int, tuple[int, Any]] = {}

    def digest(self) -> str:
        return self._hash.hexdigest()

    def take(self, value: Any) -> None:
        """Feeds the hash with a value."""
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            self._say(
                type(value).__name__, repr(value) if not isinstance(value, int) else hex(value)
            )
            return
        if id(value) in self._seen:
            self._say("again", str(self._seen[id(value)][0]))
            return
        self._seen[id(value)] = (len(self._seen), value)
        self._say("of", f"{type(value).__module__}.{type(value).__qualname__}")
        self._take_object(value)

    def _take_object(self, value: Any) -> None:
        match value:
            case list() | tuple() if type(value) in (list, tuple):
                self._take_all(value)
            case dict() if type(value) is dict:
                self._take_dict(value)
            case set() | frozenset() if type(value) in (set, frozenset):
                self._take_all(sorted(_digest(item) for item in value))
            case np.ndarray() if value.dtype != object:
                self._say(value.dtype.str, str(value.shape))
                self._hash.update(np.ascontiguousarray(value).tobytes())
            case _ if hasattr(value, "untyped_storage"):
                self._take_all(_tensor(value))
            case partial():
                self._take_all((value.func, value.args, value.keywords))
            case MethodType():
                self._take_all((value.__func__, value.__self__))
            case FunctionType():
                self._say(value.__qualname__, _source_of(value))
                self._take_all(_parts(value))
            case type() | BuiltinFunctionType():
                self._say(str(value.__module__), value.__qualname__)
            case ModuleType():
                self._say("module", value.__name__)
            case PurePath():
                self._say("path", str(value))
            case _ if not (isinstance(value, _BY_TYPE) or _is_of_torch(value, "Generator")):
                self._take_reduced(value)

    def _take_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.take(value)
        self._say("end", "")

    def _take_dict(self, values: dict[Any, Any]) -> None:
        names = list(values)
        if all(isinstance(name, str) for name in names):
            names.sort()
        for name in names:
            self.take(name)
            self.take(values[name])
        self._say("end", "")

    def _take_reduced(self, value: Any) -> None:
        """Feeds the hash with what pickle would keep of an object."""
        try:
            reduced = value.__reduce_ex__(4)
            if isinstance(reduced, str):
                self._say("name", reduced)
                return
            make, arguments, *rest = reduced
            parts = [list(part) if hasattr(part, "__next__") else part for part in rest[:3]]
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - what cannot be pickled may say so in any way
            return
        self._say("made by", str(getattr(make, "__qualname__", "")))
        self._take_all([arguments, *parts])

    def _say(self, kind: str, text: str) -> None:
        self._hash.update(f"{kind}\x1f{text}\x1e".encode(errors="surrogatepass"))


def _tensor(value: Any) -> tuple[Any, ...]:
    """Type and numbers of a PyTorch tensor, whose pickles differ from process to process."""
    about = str(getattr(value, "dtype", "")), tuple(getattr(value, "shape", ()))
    try:
        there = value.detach().cpu()
        # Numpy has no bfloat16.
        return (*about, (there.double() if there.is_floating_point() else there).numpy())
    except (AttributeError, RuntimeError, TypeError):
        return about


def _is_of_torch(value: Any, name: str) -> bool:
    kind = type(value)
    return kind.__module__.partition(".")[0] == "torch" and kind.__qualname__ == name


def _digest(value: Any) -> str:
    walk = _Walk()
    walk.take(value)
    return walk.digest()


def _source_of(function: FunctionType) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        # Typed in at a prompt.
        return ""
