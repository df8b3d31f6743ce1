"""Ours, at its defaults."""

from typing import Any

from chromasonic.bayesopt import Space
from chromasonic.bayesopt._optimizer import Optimizer, Proposal


class Chromasonic:
    """`chromasonic.bayesopt._optimizer.Optimizer`."""

    def __init__(self, space: Space, seed: int) -> None:
        self._optimizer = Optimizer(space, seed=seed)
        self._proposal: Proposal | None = None

    def ask(self) -> dict[str, Any]:
        """The optimizer's next proposal."""
        self._proposal = self._optimizer.ask()
        return dict(self._proposal.params)

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Tell the value of the last proposal."""
        assert self._proposal is not None
        self._optimizer.tell(self._proposal, value)
