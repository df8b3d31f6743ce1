"""Functions with a known minimum, none of them in the middle of the box.

Several methods begin at the centre, where Ackley and Levy would have their minimum or come near;
these two are shifted.
"""

from collections.abc import Callable

import numpy as np

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Space
from problems.functions import (
    ackley,
    branin,
    hartmann3,
    hartmann6,
    learning_rate_valley,
    levy,
    mixed_network,
    rosenbrock,
)
from problems.problem import Params, Problem

ACKLEY_OPTIMUM = np.array([2.3, -6.1, 4.7, -3.4, 7.2])
LEVY_OPTIMUM = np.array([-4.6, 6.3, 3.1, -7.4])


def on_box(
    name: str,
    function: Callable[[np.ndarray], float],
    box: list[tuple[float, float]],
    best: float,
) -> Problem:
    """A function of real numbers as a problem; `box` holds each dimension's ends."""
    space = Space({f"x{i}": Float(low, high) for i, (low, high) in enumerate(box)})

    def noiseless(params: Params) -> float:
        return function(np.array([params[key] for key in space]))

    return Problem(name, "synthetic", space, noiseless, best)


VALLEY_SPACE = Space(
    {
        "learning_rate": Float(1e-6, 1.0, log=True),
        "weight_decay": Float(1e-8, 1e-1, log=True),
        "momentum": Float(0.0, 0.99),
        "batch_size": Ordinal([4, 8, 16, 32, 64, 128, 256, 512]),
    }
)
NETWORK_SPACE = Space(
    {
        "learning_rate": Float(1e-6, 1.0, log=True),
        "dropout": Float(0.0, 0.6),
        "units": Integer(8, 1024, log=True),
        "layers": Integer(1, 8),
        "optimizer": Categorical(["sgd", "momentum", "adam", "rmsprop"]),
        "activation": Categorical(["tanh", "relu", "gelu"]),
    }
)

PROBLEMS = [
    on_box("branin", branin, [(-5, 10), (0, 15)], 0.39788736),
    on_box("hartmann3", hartmann3, [(0, 1)] * 3, -3.8627798),
    on_box("hartmann6", hartmann6, [(0, 1)] * 6, -3.3223680),
    on_box("ackley5", lambda x: ackley(x - ACKLEY_OPTIMUM), [(-10, 10)] * 5, 0.0),
    on_box("levy4", lambda x: levy(x - LEVY_OPTIMUM + 1), [(-10, 10)] * 4, 0.0),
    on_box("rosenbrock4", rosenbrock, [(-2.048, 2.048)] * 4, 0.0),
    Problem("learning_rate_valley", "synthetic", VALLEY_SPACE, learning_rate_valley, 0.4),
    Problem("mixed_network", "synthetic", NETWORK_SPACE, mixed_network, 0.2),
]
