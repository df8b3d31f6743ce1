"""scikit-optimize at the settings of its `gp_minimize`: Matern 5/2, gp_hedge, 10 random points."""

import warnings
from typing import Any

import numpy as np
from skopt import Optimizer
from skopt.space import Categorical as SkoptCategorical
from skopt.space import Dimension
from skopt.space import Integer as SkoptInteger
from skopt.space import Real as SkoptReal

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from peers.coding import from_codes, to_codes

# Kernel parameters at their bounds, and points proposed again.
warnings.filterwarnings("ignore", module="sklearn")
warnings.filterwarnings("ignore", module="skopt")


class ScikitOptimize:
    """`skopt.Optimizer` with `base_estimator="GP"`."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        dimensions = [dimension(space[name]) for name in space]
        self._optimizer = Optimizer(dimensions, "GP", random_state=seed)

    def ask(self) -> dict[str, Any]:
        """The optimizer's next point."""
        values = self._optimizer.ask()
        codes = {name: _native(value) for name, value in zip(self._space, values, strict=True)}
        return from_codes(self._space, codes)

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Tell the value, and let it fit."""
        codes = to_codes(self._space, params)
        self._optimizer.tell([codes[name] for name in self._space], value)


def dimension(parameter: Parameter) -> Dimension:
    """The parameter's type and scale; ordered choices by their position."""
    match parameter:
        case Float(low=low, high=high, log=log):
            return SkoptReal(low, high, prior="log-uniform" if log else "uniform")
        case Integer(low=low, high=high, log=log):
            return SkoptInteger(low, high, prior="log-uniform" if log else "uniform")
        case Ordinal(choices=choices):
            return SkoptInteger(0, len(choices) - 1)
        case Categorical(choices=choices):
            return SkoptCategorical(choices)
    raise TypeError(f"no dimension for {parameter!r}.")


def _native(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
