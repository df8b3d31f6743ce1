"""Surrogate of the objective: a Gaussian process fitted to the observations of a search.

Symbols:
    n   observations that are modelled
    z   their standardised values, (n,)
    Z   their features, (n, f)
"""

from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.gp.covariance import StationaryFamily
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.hyperparameters import Prior, TrainingData, best_hyperparameters
from chromasonic.bayesopt.gp.kernels import kernel_named
from chromasonic.bayesopt.gp.posterior import Posterior
from chromasonic.bayesopt.surrogate.targets import Targets, TargetsUntil

Array = NDArray[np.float64]

# With more than these, some are left out: the search looks where the good ones are.
MOST_MODELLED = 200
_MOST_FITTED = 100
_FIT_ITERATIONS = 40
# Observations crowd where values are good, so that their mean says little of the whole space.
_MEAN_VARIANCE = 10.0


class SurrogateModel:
    """Fits surrogates to a growing history, at fixed lengths of it.

    Hyperparameters are kept between calls as a cache: the answer depends on the arguments alone.

    Args:
        features: From points of the cube to the features that the kernel compares.
        kernel: Name of the kernel.
    """

    def __init__(self, features: Features, kernel: str = "matern52") -> None:
        self._family = StationaryFamily(kernel_named(kernel), features.groups, _MEAN_VARIANCE)
        self._prior = Prior(features.n_groups)
        self._thetas: dict[bytes, Array] = {}

    def posterior(
        self, Z: Array, targets: TargetsUntil, pending: Array | None = None
    ) -> Posterior:
        """The posterior of the function after these observations.

        Args:
            Z: Features of the observed points, shape (n, f), in the order of proposals.
            targets: Gives the targets that the first so many of them make.
            pending: Features of points under evaluation, shape (p, f).
        """
        m = fitted_length(len(Z))
        theta = self._theta(Z[:m], targets(m))
        data = _training_data(Z, targets(len(Z)), MOST_MODELLED)
        return Posterior(self._family.at(theta[:-1]), float(np.exp(theta[-1])), data, pending)

    def _theta(self, Z: Array, targets: Targets) -> Array:
        key = Z.tobytes() + targets.z.tobytes() + targets.extra_noise.tobytes()
        if key not in self._thetas:
            data = _training_data(Z, targets, _MOST_FITTED)
            start = self._prior.start.theta
            theta = best_hyperparameters(self._family, data, self._prior, [start], _FIT_ITERATIONS)
            self._thetas = {key: theta}
        return self._thetas[key]


def fitted_length(n: int) -> int:
    """Number of the first n observations that hyperparameters are fitted to."""
    fitted = length = 1
    while length <= n:
        fitted = length
        length += max(1, length // 10)
    return fitted


def _training_data(Z: Array, targets: Targets, at_most: int) -> TrainingData:
    kept = _informative(Z, targets.z, at_most)
    return TrainingData(Z[kept], targets.z[kept], targets.extra_noise[kept])


def _informative(Z: Array, z: Array, at_most: int) -> NDArray[np.intp]:
    """Indices of the observations that say most about where to go.

    A third are the best, a third their nearest neighbours, the rest spread over the values.
    """
    n = len(z)
    if n <= at_most:
        return np.arange(n)
    order = np.argsort(z, kind="stable")
    third = at_most // 3
    best = order[:third]
    rest = order[third:]
    gaps = ((Z[rest] - Z[best[0]]) ** 2).sum(axis=1)
    near = rest[np.argsort(gaps, kind="stable")[:third]]
    left = np.setdiff1d(rest, near)
    # The same ones each time, evenly over the values, so that the picture stays whole.
    others = left[np.linspace(0, len(left) - 1, at_most - 2 * third).astype(np.intp)]
    return np.sort(np.concatenate([best, near, others]))


@final
class FittedSurrogate:
    """The model of an objective, in its own units.

    Args:
        features: From points of the cube to what the posterior knows.
        posterior: Of standardised values.
        shift: Objective value at 0.
        spread: Objective units in 1.
    """

    def __init__(
        self, features: Features, posterior: Posterior, shift: float, spread: float
    ) -> None:
        self._features = features
        self._posterior = posterior
        self._shift = shift
        self._spread = spread

    @own_arithmetic()
    def predict(self, X: ArrayLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """The expected objective, without noise, and how sure that is.

        Args:
            X: Points as `Space.encode` gives them, shape (n, d).
            return_std: Also return the standard deviation, shape (n,).
        """
        mean, std = self._posterior.mean_and_std(self._features(np.asarray(X, dtype=float)))
        expected = self._shift + self._spread * mean
        return (expected, abs(self._spread) * std) if return_std else expected

    @own_arithmetic()
    def sample(self, X: ArrayLike, n_samples: int, rng: np.random.Generator) -> Array:
        """Joint draws of the objective at X, without noise, shape (n_samples, n)."""
        Z = self._features(np.asarray(X, dtype=float))
        return self._shift + self._spread * self._posterior.sample(Z, n_samples, rng)

    def negate(self) -> "FittedSurrogate":
        """The model of the objective with the other sign."""
        return FittedSurrogate(self._features, self._posterior, -self._shift, -self._spread)
