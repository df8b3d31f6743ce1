"""Posterior of a Gaussian process with a given covariance and noise.

Symbols:
    A       features of the observations, (n, f); A* of new points, (m, f)
    L       lower Cholesky factor of K, (n, n)
    alpha   K^-1 y, (n,)
    V       L^-1 k(A, A*), (n, m), or its transpose

Source: Rasmussen and Williams (2006), algorithm 2.1.
"""

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.linalg import lapack

from chromasonic.bayesopt.gp.covariance import Covariance
from chromasonic.bayesopt.gp.hyperparameters import TrainingData

Array = NDArray[np.float64]

_JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4)


@final
class Posterior:
    """Mean and variance of the function, without noise, at any point.

    Args:
        covariance: Prior covariance of the function.
        noise: Variance of the noise of an observation.
        data: The observations.
        pending: Features of points under evaluation, shape (p, f). They make the function
            certain where they are and leave its mean alone (Desautels, Krause and Burdick
            (2014), Parallelizing Exploration-Exploitation Tradeoffs).
    """

    def __init__(
        self,
        covariance: Covariance,
        noise: float,
        data: TrainingData,
        pending: Array | None = None,
    ) -> None:
        self._covariance = covariance
        self._n = n = len(data.y)
        self._y, self._noise = data.y, noise + data.extra_noise
        self._A, noises = data.features, self._noise
        if pending is not None and len(pending):
            self._A = np.vstack([self._A, pending])
            noises = np.concatenate([noises, np.full(len(pending), noise)])
        K = covariance.within(self._A)
        K.flat[:: len(K) + 1] += noises
        self._L_inverse, _ = lapack.dtrtri(_cholesky(K), lower=1)
        # Leading rows of the factor are the factor of the observed alone.
        first = self._L_inverse[:n, :n]
        self._alpha = first.T @ (first @ data.y)

    def mean(self, features: Array) -> Array:
        """The expected function at points with these features, (m, f): shape (m,)."""
        k = self._covariance.between(features, self._A)[:, : self._n]
        expected: Array = k @ self._alpha
        return expected

    def mean_and_std(self, features: Array) -> tuple[Array, Array]:
        """Expected function and its standard deviation, each of shape (m,)."""
        k = self._covariance.between(features, self._A)
        return k[:, : self._n] @ self._alpha, self._std(features, k @ self._L_inverse.T, 0.0)

    def mean_and_covariance(self, features: Array) -> tuple[Array, Array]:
        """Expected function, shape (m,), and joint covariance, shape (m, m)."""
        k = self._covariance.between(features, self._A)
        V = k @ self._L_inverse.T
        covariance = self._covariance.within(features) - V @ V.T
        return k[:, : self._n] @ self._alpha, covariance

    def sample(self, features: Array, n_samples: int, rng: np.random.Generator) -> Array:
        """Joint draws of the function at these points, shape (n_samples, m)."""
        mean, covariance = self.mean_and_covariance(features)
        L = _cholesky(covariance)
        draws: Array = mean + rng.standard_normal((n_samples, len(mean))) @ L.T
        return draws

    def functions(
        self, prior: Callable[[Array], Array], rng: np.random.Generator
    ) -> Callable[[Array], Array]:
        """Draws of the function that can be evaluated anywhere: (m, f) to (n_samples, m).

        Args:
            prior: Draws of the function before any data: (m, f) to (m, n_samples).
            rng: Draws the noise of the observations.

        Source: Wilson et al. (2020), Efficiently sampling functions from Gaussian process
            posteriors, equation 8.
        """
        n = self._n
        drawn = prior(self._A[:n])
        noise = np.sqrt(self._noise)[:, None] * rng.standard_normal(drawn.shape)
        first = self._L_inverse[:n, :n]
        update = first.T @ (first @ (self._y[:, None] - drawn - noise))

        def draw(features: Array) -> Array:
            k = self._covariance.between(features, self._A)[:, :n]
            posterior: Array = prior(features) + k @ update
            return posterior.T

        return draw

    def with_gradient(self, features: Array) -> tuple[Array, Array, Array, Array]:
        """Mean and standard deviation, (m,), and the gradient of each by features, (m, f).

        d mean / da = alpha' dk/da, and for the prior variance v at a
        d std / da = (dv/da / 2 - (K^-1 k)' dk/da) / std.
        """
        k, by_points = self._covariance.with_gradient_by_points(features, self._A)
        V = k @ self._L_inverse.T
        std = self._std(features, V, 1e-18)
        by_variance = 0.5 * self._covariance.diagonal_gradient(features)
        std_gradient = (by_variance - by_points(V @ self._L_inverse)) / std[:, None]
        return k[:, : self._n] @ self._alpha, std, by_points(self._alpha[None]), std_gradient

    def _std(self, features: Array, V: Array, least_variance: float) -> Array:
        variance: Array = self._covariance.diagonal(features) - np.einsum("ij,ij->i", V, V)
        std: Array = np.sqrt(np.maximum(variance, least_variance))
        return std


def _cholesky(K: Array) -> Array:
    """The lower factor, with as little added to the diagonal as makes one exist.

    Raises:
        LinAlgError: If K is far from positive definite, or not finite.
    """
    typical = float(np.mean(np.diagonal(K)))
    for jitter in _JITTERS:
        mended = K if jitter == 0.0 else K + jitter * typical * np.eye(len(K))
        L, failed = lapack.dpotrf(mended, lower=1, clean=1, overwrite_a=0)
        if not failed and np.isfinite(L[-1, -1]):
            return np.asarray(L, dtype=float)
    raise LinAlgError("a covariance matrix must be positive definite, but this one is not.")
