"""Objectives as bytes, for other processes."""

import io
import sys
from contextlib import suppress
from operator import attrgetter
from types import FunctionType
from typing import Any

import cloudpickle

from chromasonic.errors import ExecutorError, one_line
from chromasonic.tuning.objective import Objective


def pickled_objective(objective: Objective) -> bytes:
    """The objective by cloudpickle, so that lambdas and functions of notebooks can be sent.

    `load_objective` reads it.

    Raises:
        ExecutorError: It holds something that cannot be pickled.
    """
    buffer = io.BytesIO()
    try:
        pickler = _NotingMain(buffer)
        # In this order: the names are complete once the objective has been written.
        pickler.dump((objective, pickler.of_main))
    except Exception as error:  # noqa: BLE001 - whatever hides in the objective
        raise ExecutorError(
            "the objective must be such that it can be sent to another process, but: "
            f"{one_line(error)}. Open files, locks and connections inside it, or run it in this "
            "process with executor='inline'."
        ) from None
    return buffer.getvalue()


def load_objective(pickled: bytes) -> Objective:
    """The objective that `pickled_objective` has written.

    The classes and functions of the user's script that it needs become those of the main module
    here, so that the objective can pickle them in its turn, as `torch.save` does.
    """
    objective: Objective
    objective, of_main = cloudpickle.loads(pickled)
    main = sys.modules["__main__"]
    for name, thing in of_main.items():
        # Of a class inside another one cloudpickle forgets that it is.
        thing.__qualname__ = name
        if "." not in name and not hasattr(main, name):
            setattr(main, name, thing)
    return objective


class _NotingMain(cloudpickle.Pickler):  # type: ignore[misc]
    """Notes the classes and functions of the main module that are pickled."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.of_main: dict[str, Any] = {}

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, type | FunctionType) and thing.__module__ == "__main__":
            name = thing.__qualname__
            with suppress(AttributeError):
                if attrgetter(name)(sys.modules["__main__"]) is thing:
                    self.of_main[name] = thing
        return super().reducer_override(thing)
