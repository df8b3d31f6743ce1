"""Posterior of a Gaussian process with given hyperparameters.

Symbols:
    Z       features divided by their length scales, (n, f); Z* of new points, (m, f)
    L       lower Cholesky factor of K, (n, n)
    alpha   K^-1 y, (n,)
    V       L^-1 k(Z, Z*), (n, m)

Source: Rasmussen and Williams (2006), algorithm 2.1.
"""

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.linalg import lapack

from chromasonic.bayesopt.gp.hyperparameters import Hyperparameters, Observed
from chromasonic.bayesopt.gp.kernels import Kernel, squared_distances, squared_distances_within

Array = NDArray[np.float64]

_JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4)


@final
class Posterior:
    """Mean and variance of the function, without noise, at any point.

    Args:
        kernel: The kernel's shape.
        parameters: Its hyperparameters.
        data: What was observed.
        pending: Features of points under evaluation, shape (p, f). They make the function
            certain where they are and leave its mean alone (Desautels, Krause and Burdick
            (2014), Parallelizing Exploration-Exploitation Tradeoffs).
    """

    def __init__(
        self,
        kernel: Kernel,
        parameters: Hyperparameters,
        data: Observed,
        pending: Array | None = None,
    ) -> None:
        self._kernel = kernel
        self._scale = parameters.scale
        self._mean_variance = data.mean_variance
        self._per_feature = parameters.length_scales[data.groups]
        n = len(data.y)
        self._Z = data.features / self._per_feature
        noise = parameters.noise + data.extra_noise
        if pending is not None and len(pending):
            self._Z = np.vstack([self._Z, pending / self._per_feature])
            noise = np.concatenate([noise, np.full(len(pending), parameters.noise)])
        K = self._scale * kernel.correlation(squared_distances_within(self._Z))
        K += self._mean_variance
        K.flat[:: len(K) + 1] += noise
        L = _cholesky(K)
        self._L_inverse, _ = lapack.dtrtri(L, lower=1)
        # Leading rows of the factor are the factor of the observed alone.
        first = self._L_inverse[:n, :n]
        self._alpha = first.T @ (first @ data.y)
        self._n = n
        self._y, self._noise = data.y, noise[:n]

    def mean(self, features: Array) -> Array:
        """The expected function at points with these features, (m, f): shape (m,)."""
        k = self._covariance(features / self._per_feature)[:, : self._n]
        expected: Array = k @ self._alpha
        return expected

    def mean_and_std(self, features: Array) -> tuple[Array, Array]:
        """Expected function and its standard deviation, each of shape (m,)."""
        k = self._covariance(features / self._per_feature)
        V = k @ self._L_inverse.T
        variance = self._scale + self._mean_variance - np.einsum("ij,ij->i", V, V)
        return k[:, : self._n] @ self._alpha, np.sqrt(np.maximum(variance, 0.0))

    def mean_and_covariance(self, features: Array) -> tuple[Array, Array]:
        """Expected function, shape (m,), and joint covariance, shape (m, m)."""
        Z = features / self._per_feature
        k = self._covariance(Z)
        V = k @ self._L_inverse.T
        prior = self._scale * self._kernel.correlation(squared_distances_within(Z))
        covariance = prior + self._mean_variance - V @ V.T
        return k[:, : self._n] @ self._alpha, covariance

    def sample(self, features: Array, n_samples: int, rng: np.random.Generator) -> Array:
        """Joint draws of the function at these points, shape (n_samples, m)."""
        mean, covariance = self.mean_and_covariance(features)
        L = _cholesky(covariance)
        draws: Array = mean + rng.standard_normal((n_samples, len(mean))) @ L.T
        return draws

    def functions(
        self, n_samples: int, rng: np.random.Generator, n_frequencies: int = 512
    ) -> Callable[[Array], Array]:
        """Draws of the function that can be evaluated anywhere: (m, f) to (n_samples, m).

        Source: Wilson et al. (2020), Efficiently sampling functions from Gaussian process
            posteriors, equation 8; the prior's part is approximated by random features.
        """
        frequencies = self._kernel.frequencies(n_frequencies, len(self._per_feature), rng)
        phases = rng.uniform(0.0, 2.0 * np.pi, n_frequencies)
        weights = rng.standard_normal((n_frequencies, n_samples))
        weights *= np.sqrt(2.0 * self._scale / n_frequencies)
        means = np.sqrt(self._mean_variance) * rng.standard_normal(n_samples)

        def prior(Z: Array) -> Array:
            drawn: Array = np.cos(Z @ frequencies.T + phases) @ weights + means
            return drawn

        n = self._n
        noise = np.sqrt(self._noise)[:, None] * rng.standard_normal((n, n_samples))
        missing = self._y[:, None] - prior(self._Z[:n]) - noise
        first = self._L_inverse[:n, :n]
        update = first.T @ (first @ missing)

        def draw(features: Array) -> Array:
            Z = features / self._per_feature
            drawn: Array = prior(Z) + self._covariance(Z)[:, :n] @ update
            return drawn.T

        return draw

    def with_gradient(self, features: Array) -> tuple[Array, Array, Array, Array]:
        """Mean and standard deviation, (m,), and the gradient of each by features, (m, f)."""
        Z = features / self._per_feature
        k, slope = self._kernel.with_slope(squared_distances(Z, self._Z))
        k *= self._scale
        k += self._mean_variance
        slope *= 2.0 * self._scale
        V = k @ self._L_inverse.T
        W = V @ self._L_inverse
        variance = self._scale + self._mean_variance - np.einsum("ij,ij->i", V, V)
        std = np.sqrt(np.maximum(variance, 1e-18))
        by_mean = slope[:, : self._n] * self._alpha
        by_variance = slope * W
        by_variance *= -2.0
        mean_gradient = by_mean.sum(axis=1)[:, None] * Z - by_mean @ self._Z[: self._n]
        variance_gradient = by_variance.sum(axis=1)[:, None] * Z - by_variance @ self._Z
        return (
            k[:, : self._n] @ self._alpha,
            std,
            mean_gradient / self._per_feature,
            variance_gradient / (2.0 * std[:, None] * self._per_feature),
        )

    def _covariance(self, Z: Array) -> Array:
        k = self._kernel.correlation(squared_distances(Z, self._Z))
        k *= self._scale
        k += self._mean_variance
        return k


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
