"""Hyperopt's tree-structured Parzen estimator, at its defaults (20 random points)."""

import math
from typing import Any

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_OK, Trials, hp, space_eval, tpe
from hyperopt.base import Domain

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from peers.coding import from_codes

# Half a step more at either end gives the outermost integers as much weight as the others.
HALF = 0.499


class HyperoptTPE:
    """`hyperopt.tpe.suggest`, trial by trial as `fmin` calls it."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._expressions = {name: expression(name, space[name]) for name in space}
        self._domain = Domain(lambda codes: 0.0, self._expressions)
        self._trials = Trials()
        self._rng = np.random.default_rng(seed)

    def ask(self) -> dict[str, Any]:
        """The next trial's point."""
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        seed = int(self._rng.integers(2**31 - 1))
        documents = tpe.suggest(ids, self._domain, self._trials, seed, verbose=False)
        self._trials.insert_trial_docs(documents)
        self._trials.refresh()
        values = {name: found[0] for name, found in documents[0]["misc"]["vals"].items()}
        return from_codes(self._space, space_eval(self._expressions, values))

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Finish the last trial."""
        trial = self._trials._dynamic_trials[-1]
        trial["state"] = JOB_STATE_DONE
        trial["result"] = {"loss": value, "status": STATUS_OK}
        self._trials.refresh()


def expression(name: str, parameter: Parameter) -> Any:
    """The parameter's type and scale; ordered choices by their position."""
    match parameter:
        case Float(low=low, high=high, log=True):
            return hp.loguniform(name, math.log(low), math.log(high))
        case Float(low=low, high=high):
            return hp.uniform(name, low, high)
        case Integer(low=low, high=high, log=True):
            return hp.qloguniform(name, math.log(low - HALF), math.log(high + HALF), 1)
        case Integer(low=low, high=high):
            return hp.quniform(name, low - HALF, high + HALF, 1)
        case Ordinal(choices=choices):
            return hp.quniform(name, -HALF, len(choices) - 1 + HALF, 1)
        case Categorical(choices=choices):
            return hp.choice(name, list(choices))
    raise TypeError(f"no expression for {parameter!r}.")
