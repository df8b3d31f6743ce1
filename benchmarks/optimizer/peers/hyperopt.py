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
OWN = ""  # in a branch, the choice that it belongs to


class HyperoptTPE:
    """`hyperopt.tpe.suggest`, trial by trial as `fmin` calls it."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._expressions = {n: tree(space, n) for n, p in space.items() if not p.when}
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
        found = documents[0]["misc"]["vals"].items()
        values = {name: value for name, values in found for value in values}
        return from_codes(self._space, flattened(space_eval(self._expressions, values)))

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Finish the last trial."""
        trial = self._trials._dynamic_trials[-1]
        trial["state"] = JOB_STATE_DONE
        trial["result"] = {"loss": value, "status": STATUS_OK}
        self._trials.refresh()


def tree(space: Space, name: str) -> Any:
    """The parameter's expression; of one that others depend on, a choice between those."""
    children = {child: p.when[name] for child, p in space.items() if name in (p.when or {})}
    parameter = space[name]
    if not children:
        return expression(name, parameter)
    assert isinstance(parameter, Categorical)
    branches = [
        {OWN: choice, **{c: tree(space, c) for c, values in children.items() if choice in values}}
        for choice in parameter.choices
    ]
    return hp.choice(name, branches)


def flattened(codes: dict[str, Any]) -> dict[str, Any]:
    """The codes of a point that has branches."""
    flat: dict[str, Any] = {}
    for name, code in codes.items():
        if isinstance(code, dict):
            code = dict(code)
            flat |= {name: code.pop(OWN), **flattened(code)}
        else:
            flat[name] = code
    return flat


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
