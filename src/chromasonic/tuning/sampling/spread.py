"""A value for a parameter that nothing is known of."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from chromasonic.tuning.sampling.axes import axis_of
from chromasonic.tuning.seeds import derive_seed


def evenly_spread(
    name: str, distribution: BaseDistribution, number: int, block_size: int, seed: int
) -> Any:
    """The middle for trial 0; of a block of later trials one value in each part of the range.

    Args:
        name: The parameter's.
        distribution: What it may be.
        number: The trial's.
        block_size: How many trials share the range.
        seed: The study's.
    """
    axis = axis_of(distribution)
    if number == 0:
        return axis.outside(axis.parameter.from_unit(0.5), distribution)
    block, i = divmod(number - 1, block_size)
    rng = np.random.default_rng(derive_seed(seed, "spread", name, block))
    place = (rng.permutation(block_size)[i] + rng.random(block_size)[i]) / block_size
    return axis.outside(axis.parameter.from_unit(float(place)), distribution)
