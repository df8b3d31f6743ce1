"""Which columns of the unit cube the variance of functions comes from.

Symbols:
    A, B  two samples of the cube, (n, d)
    M     A with some columns from B, (n, d)
    f     one or more functions: from points, (n, d), to their values, (k, n)
"""

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.initial_design import latin_hypercube

Array = NDArray[np.float64]


@final
class Sensitivity:
    """Sobol indices of functions, by correlations over samples of the cube.

    Args:
        f: The functions.
        n: Size of each sample; errors fall with its root.
        d: Number of columns.
        rng: Draws the samples.
    """

    def __init__(
        self, f: Callable[[Array], Array], n: int, d: int, rng: np.random.Generator
    ) -> None:
        self._f = f
        self._A, self._B = np.hsplit(latin_hypercube(n, 2 * d, rng), 2)
        self._f_A, self._f_B = f(self._A), f(self._B)

    def indices(self, columns: list[int]) -> Array:
        """Main and total effect of these columns together on each function, shape (2, k).

        Points that share these columns alone correlate by the main effect, points that share
        all others by 1 less the total one. A and B have something in common by chance; as in a
        regression of f(M) on f(A) and f(B), what each gives is what the other does not.

        Source: Janon et al. (2014), Asymptotic normality and efficiency of two Sobol index
            estimators, equation 6.
        """
        M = self._A.copy()
        M[:, columns] = self._B[:, columns]
        f_M = self._f(M)
        own, others = _correlation(self._f_B, f_M), _correlation(self._f_A, f_M)
        chance = _correlation(self._f_A, self._f_B)
        left = 1.0 - chance**2
        return np.array([(own - others * chance) / left, 1.0 - (others - own * chance) / left])


def _correlation(a: Array, b: Array) -> Array:
    """Of values with the same distribution, along the last axis."""
    mean = 0.5 * (a.mean(axis=-1) + b.mean(axis=-1))
    variance = 0.5 * (a**2 + b**2).mean(axis=-1) - mean**2
    covariance = (a * b).mean(axis=-1) - mean**2
    ratio: Array = covariance / variance
    return ratio
