"""Values to begin with, spread over each parameter's range.

Those of a parameter depend on its name, the seed and the trial's number alone: in a study that
shows its parameters only as it goes, they stay evenly spread whatever others come along.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from chromasonic.bayesopt import Categorical, Space
from chromasonic.bayesopt.space import Parameter
from chromasonic.tuning.sampling._axes import axis_of
from chromasonic.tuning.seeds import derive_seed


def evenly_spread(
    name: str, distribution: BaseDistribution, number: int, block_size: int, seed: int
) -> Any:
    """The middle for trial 0; of a block of later trials one value in each part of the range.

    Args:
        name: The parameter's.
        distribution: What it may be.
        number: The trial's.
        block_size: How many trials share the range of a number; that of a category is shared by
            as many as it has values.
        seed: The study's.
    """
    axis = axis_of(distribution)
    place = _place(name, axis.parameter, number, block_size, seed)
    return axis.outside(axis.parameter.from_unit(place), distribution)


def even_point(space: Space, block_size: int, seed: int, number: int) -> NDArray[np.float64]:
    """The same for all parameters of a space, in the unit cube, shape (d,)."""
    return np.array([_place(name, p, number, block_size, seed) for name, p in space.items()])


def _place(name: str, parameter: Parameter, number: int, block_size: int, seed: int) -> float:
    if number == 0:
        return 0.5
    size = parameter.n_values if isinstance(parameter, Categorical) else block_size
    block, i = divmod(number - 1, size)
    rng = np.random.default_rng(derive_seed(seed, "spread", name, block))
    return float((rng.permutation(size)[i] + rng.random(size)[i]) / size)
