"""Observed values that know whether higher is better."""

from collections.abc import Iterable
from typing import Any, SupportsIndex, final, overload


@final
class ObservedValues(list[float]):
    """Values in the order of evaluation, in the user's units and sign.

    Args:
        values: The values.
        maximize: True if higher is better.
    """

    def __init__(self, values: Iterable[float] = (), maximize: bool = False) -> None:
        super().__init__(values)
        self.maximize = maximize

    @overload
    def __getitem__(self, index: SupportsIndex) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> "ObservedValues": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "float | ObservedValues":
        if isinstance(index, slice):
            return ObservedValues(super().__getitem__(index), self.maximize)
        return super().__getitem__(index)

    def copy(self) -> "ObservedValues":
        """The same values and direction."""
        return self[:]


def is_maximized(y: Any, maximize: bool | None) -> bool:
    """The direction that a user has told, else that of the values, else False.

    Args:
        y: Observed values.
        maximize: True if higher is better; None if the user has not said so.
    """
    return bool(getattr(y, "maximize", False) if maximize is None else maximize)
