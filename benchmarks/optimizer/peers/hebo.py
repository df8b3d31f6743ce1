"""HEBO at its defaults."""

import contextlib
import io
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from peers import pymoo_speed
from peers.coding import from_codes

pymoo_speed.install()
torch.set_num_threads(1)
warnings.filterwarnings("ignore", module="hebo")
warnings.filterwarnings("ignore", module="gpytorch")
warnings.filterwarnings("ignore", module="linear_operator")


class HEBOPeer:
    """`hebo.optimizers.hebo.HEBO`.

    It draws from the global generators of NumPy and PyTorch, which are seeded here: one run of
    it at a time in a process.
    """

    def __init__(self, space: Space, seed: int) -> None:
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        self._space = space
        design = DesignSpace().parse([described(name, space[name]) for name in space])
        self._optimizer = HEBO(design, scramble_seed=seed)

    def ask(self) -> dict[str, Any]:
        """The optimizer's next point."""
        # It prints how much it had to add to a kernel's diagonal.
        with contextlib.redirect_stdout(io.StringIO()):
            self._frame: pd.DataFrame = self._optimizer.suggest(n_suggestions=1)
        return from_codes(self._space, self._frame.iloc[0].to_dict())

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Tell the value of the last point."""
        self._optimizer.observe(self._frame, np.array([[value]]))


def described(name: str, parameter: Parameter) -> dict[str, Any]:
    """The parameter's type and scale; ordered choices by their position."""
    match parameter:
        case Float(low=low, high=high, log=log):
            return {"name": name, "type": "pow" if log else "num", "lb": low, "ub": high}
        case Integer(low=low, high=high, log=log):
            kind = "pow_int" if log else "int"
            return {"name": name, "type": kind, "lb": low, "ub": high}
        case Ordinal(choices=choices):
            return {"name": name, "type": "int", "lb": 0, "ub": len(choices) - 1}
        case Categorical(choices=choices):
            return {"name": name, "type": "cat", "categories": list(choices)}
    raise TypeError(f"no description for {parameter!r}.")
