"""Prior covariances of the function, and the stationary one with a length scale a parameter.

Symbols:
    A, B   features of points, (n, f) and (m, f)
    theta  logarithms of a covariance's parameters, (p,)
    r2     squared distance after every feature was divided by its length scale
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.gp.kernels import Kernel, squared_distances, squared_distances_within

Array = NDArray[np.float64]

Contract = Callable[[Array], Array]
"""Sums the derivatives of a covariance matrix with given weights."""


class Covariance(Protocol):
    """Prior covariance of the function, with fixed parameters."""

    def between(self, A: Array, B: Array) -> Array:
        """The covariance of two sets of points, shape (n, m)."""

    def within(self, A: Array) -> Array:
        """The covariance of a set of points, shape (n, n)."""

    def diagonal(self, A: Array) -> Array:
        """The variance at each point, shape (n,)."""

    def diagonal_gradient(self, A: Array) -> Array:
        """The gradient of the variance by the features, shape (n, f)."""

    def with_gradient_by_points(self, A: Array, B: Array) -> tuple[Array, Contract]:
        """`between`, and its gradient by the features of A.

        The second maps weights W, (n, l) or (1, l) with l at most m, to the gradient of
        sum_j W_ij k(A_i, B_j) over the first l points of B, shape (n, f).
        """

    def with_gradient_by_theta(self, A: Array) -> tuple[Array, Contract]:
        """`within`, and its gradient by theta.

        The second maps weights W, (n, n), to sum_ij W_ij dK_ij / dtheta, shape (p,).
        """


class CovarianceFamily(Protocol):
    """Covariances by their parameters.

    Attributes:
        bounds: Lower and upper limit of each parameter's logarithm, shape (p, 2).
    """

    bounds: Array

    def at(self, theta: Array) -> Covariance:
        """The covariance with parameters exp(theta)."""


@final
@dataclass(frozen=True)
class Stationary:
    """k(a, b) = scale * k(r2) + mean_variance.

    Attributes:
        kernel: The correlation by squared scaled distance.
        scale: Variance of the function around its mean.
        length_scales: One a group of features, shape (g,).
        groups: The group of each feature, shape (f,).
        mean_variance: Variance of the constant that the function varies around; 0: that is 0.

    theta is log(scale) and the logarithms of the length scales, so that p = g + 1.
    """

    kernel: Kernel
    scale: float
    length_scales: Array
    groups: NDArray[np.intp]
    mean_variance: float = 0.0

    def between(self, A: Array, B: Array) -> Array:
        """The covariance of two sets of points, shape (n, m)."""
        return self._from(
            self.kernel.correlation(squared_distances(self._scaled(A), self._scaled(B)))
        )

    def within(self, A: Array) -> Array:
        """The covariance of a set of points, shape (n, n)."""
        return self._from(self.kernel.correlation(squared_distances_within(self._scaled(A))))

    def diagonal(self, A: Array) -> Array:
        """The variance, the same at each point, shape (n,)."""
        return np.full(len(A), self.scale + self.mean_variance)

    def diagonal_gradient(self, A: Array) -> Array:
        """The gradient of the variance: 0, shape (n, f)."""
        return np.zeros_like(A)

    def with_gradient_by_points(self, A: Array, B: Array) -> tuple[Array, Contract]:
        """`between`, and its gradient by features: dk/da = 2 scale dk/dr2 (a - b) / length^2."""
        Z, Z_B = self._scaled(A), self._scaled(B)
        correlation, slope = self.kernel.with_slope(squared_distances(Z, Z_B))
        slope *= 2.0 * self.scale

        def contract(W: Array) -> Array:
            weighted = slope[:, : W.shape[1]] * W
            by_scaled = weighted.sum(axis=1)[:, None] * Z - weighted @ Z_B[: W.shape[1]]
            gradient: Array = by_scaled / self._per_feature
            return gradient

        return self._from(correlation), contract

    def with_gradient_by_theta(self, A: Array) -> tuple[Array, Contract]:
        """`within`, and its gradient by theta.

        dK/dlog(scale) = K - mean_variance; for a length scale dK/dlog(length) is the sum over
        its features of -2 scale dk/dr2 (z_i - z_j)^2.

        Source: Rasmussen and Williams (2006), equation 5.9.
        """
        Z = self._scaled(A)
        C, slope = self.kernel.with_slope(squared_distances_within(Z))
        C *= self.scale

        def contract(W: Array) -> Array:
            H = W * slope
            H *= self.scale
            # sum_ij H_ij (z_i - z_j)^2 = 2 (sum_i h_i z_i^2 - sum_i z_i (H z)_i), H symmetric.
            per_feature = H.sum(axis=0) @ Z**2 - np.einsum("if,if->f", Z, H @ Z)
            by_length_scale = np.bincount(self.groups, per_feature, len(self.length_scales))
            return np.concatenate([[np.vdot(W, C)], -4.0 * by_length_scale])

        return C + self.mean_variance, contract

    def draw_functions(
        self, n_samples: int, n_frequencies: int, rng: np.random.Generator
    ) -> Callable[[Array], Array]:
        """Approximate draws of the function before any data: (m, f) to (m, n_samples).

        Source: Rahimi and Recht (2007), Random features for large-scale kernel machines.
        """
        frequencies = self.kernel.frequencies(n_frequencies, len(self.groups), rng)
        phases = rng.uniform(0.0, 2.0 * np.pi, n_frequencies)
        weights = rng.standard_normal((n_frequencies, n_samples))
        weights *= np.sqrt(2.0 * self.scale / n_frequencies)
        means = np.sqrt(self.mean_variance) * rng.standard_normal(n_samples)

        def draw(A: Array) -> Array:
            drawn: Array = np.cos(self._scaled(A) @ frequencies.T + phases) @ weights + means
            return drawn

        return draw

    @cached_property
    def _per_feature(self) -> Array:
        return self.length_scales[self.groups]

    def _scaled(self, A: Array) -> Array:
        return A / self._per_feature

    def _from(self, correlation: Array) -> Array:
        correlation *= self.scale
        correlation += self.mean_variance
        return correlation


@final
class StationaryFamily:
    """`Stationary` covariances of one kernel by theta.

    Args:
        kernel: The correlation by squared scaled distance.
        groups: The group of each feature, shape (f,).
        mean_variance: As in `Stationary`; no parameter of it.
    """

    def __init__(
        self, kernel: Kernel, groups: NDArray[np.intp], mean_variance: float = 0.0
    ) -> None:
        self._kernel, self._groups, self._mean_variance = kernel, groups, mean_variance
        g = len(np.unique(groups))
        self.bounds = np.log([SCALE_BOUNDS, *[LENGTH_SCALE_BOUNDS] * g])

    def at(self, theta: Array) -> Stationary:
        """The covariance with scale and length scales exp(theta), shape (g + 1,)."""
        values = np.exp(theta)
        return Stationary(
            self._kernel, float(values[0]), values[1:], self._groups, self._mean_variance
        )


SCALE_BOUNDS = (1e-3, 1e3)
LENGTH_SCALE_BOUNDS = (0.02, 50.0)
"""Outside, a feature counts for nothing, or no two points resemble each other."""
