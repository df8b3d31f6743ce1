"""Hyperparameters of a Gaussian process: their prior, likelihood and best values.

Symbols:
    theta  logarithms of the covariance's parameters and, last, of the noise variance, (p + 1,);
           with a stationary covariance: output scale, g length scales, noise, (g + 2,)
    K      covariance of the observations, (n, n): prior covariance + diag(noise + extra noise)
    alpha  K^-1 y, (n,)
    A      alpha alpha' - K^-1: twice the slope of the log likelihood by K, (n, n)
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from chromasonic.bayesopt.gp.covariance import CovarianceFamily

Array = NDArray[np.float64]

_LOG_2PI = float(np.log(2.0 * np.pi))
_IMPOSSIBLE = 1e25
NOISE_BOUNDS = (1e-6, 1e1)


@dataclass(frozen=True)
class Hyperparameters:
    """Length scales, output scale and noise variance of a Gaussian process.

    Attributes:
        scale: Variance of the function.
        length_scales: One a group of features, shape (g,).
        noise: Variance of the noise of an observation.
    """

    scale: float
    length_scales: Array
    noise: float

    @classmethod
    def from_theta(cls, theta: Array) -> Self:
        """From their logarithms: scale, length scales, noise."""
        values = np.exp(theta)
        return cls(float(values[0]), values[1:-1], float(values[-1]))

    @property
    def theta(self) -> Array:
        """Their logarithms, shape (g + 2,)."""
        values: Array = np.concatenate([[self.scale], self.length_scales, [self.noise]])
        return np.log(values)


@dataclass(frozen=True)
class Prior:
    """Prior of the hyperparameters, for a standardised objective in the unit cube.

    The logarithm of a length scale is normal around log(0.3) + log(g) / 4, that of the noise
    variance around -6, and the scale has a gamma density: a function that changes over a good
    part of each range, with little noise, until the data say otherwise.

    Attributes:
        n_length_scales: g.
    """

    n_length_scales: int

    @property
    def start(self) -> Hyperparameters:
        """Hyperparameters close to the mode of the prior."""
        centre = np.full(self.n_length_scales, np.exp(self._centre))
        return Hyperparameters(1.0, centre, float(np.exp(-6.0)))

    @property
    def _centre(self) -> float:
        return float(np.log(0.3) + 0.25 * np.log(max(self.n_length_scales, 1)))

    def log_density(self, theta: Array) -> tuple[float, Array]:
        """The log density up to a constant, and its gradient, shape (g + 2,)."""
        off = theta[1:-1] - self._centre
        noise_off = (theta[-1] + 6.0) / 2.0
        scale = float(np.exp(theta[0]))
        # Gamma(2, 1) as a density of the scale itself: s e^-s.
        value = theta[0] - scale - 0.5 * float(off @ off) - 0.5 * noise_off**2
        return float(value), np.concatenate([[1.0 - scale], -off, [-noise_off / 2.0]])


@dataclass(frozen=True)
class TrainingData:
    """Training inputs and targets of the Gaussian process.

    Attributes:
        features: Shape (n, f).
        y: Shape (n,).
        extra_noise: Variance of each observation beyond the common noise, shape (n,).
    """

    features: Array
    y: Array
    extra_noise: Array


def log_likelihood(
    family: CovarianceFamily, theta: Array, data: TrainingData
) -> tuple[float, Array]:
    """Log marginal likelihood of the data and its gradient by theta, shape (p + 1,).

    log p(y) = -1/2 y' K^-1 y - 1/2 log det K - n/2 log(2 pi), with the gradient
    1/2 trace(A dK/dtheta). Where K cannot be factorised, minus infinity and a gradient of 0.

    Source: Rasmussen and Williams (2006), equations 5.8 and 5.9.
    """
    n = len(data.y)
    noise = float(np.exp(theta[-1]))
    K, by_theta = family.at(theta[:-1]).with_gradient_by_theta(data.features)
    K.flat[:: n + 1] += noise + data.extra_noise
    L, failed = lapack.dpotrf(K, lower=1, clean=1, overwrite_a=0)
    if failed:
        return -np.inf, np.zeros_like(theta)
    alpha, _ = lapack.dpotrs(L, data.y, lower=1)
    value = -0.5 * data.y @ alpha - np.log(np.diagonal(L)).sum() - 0.5 * n * _LOG_2PI
    inverse, _ = lapack.dpotri(L, lower=1)
    # Only one triangle comes back; adding the other counts the diagonal twice.
    A = np.multiply.outer(alpha, alpha)
    A -= inverse
    A -= inverse.T
    A.flat[:: n + 1] += np.diagonal(inverse)
    return float(value), 0.5 * np.append(by_theta(A), noise * np.trace(A))


def best_hyperparameters(
    family: CovarianceFamily,
    data: TrainingData,
    prior: Prior | None,
    starts: list[Array],
    max_iterations: int = 100,
) -> Array:
    """The theta of highest posterior density (likelihood without a prior), shape (p + 1,).

    Args:
        family: The covariance by its parameters.
        data: Inputs and targets.
        prior: Added to the log likelihood.
        starts: Each theta that a local search begins from; the best end wins.
        max_iterations: Of each local search.
    """

    def loss(theta: Array) -> tuple[float, Array]:
        value, gradient = log_likelihood(family, theta, data)
        if not np.isfinite(value):
            return _IMPOSSIBLE, np.zeros_like(theta)
        if prior is not None:
            log_density, slope = prior.log_density(theta)
            value, gradient = value + log_density, gradient + slope
        return -value, -gradient

    limits = np.vstack([family.bounds, np.log(NOISE_BOUNDS)])
    bounds = [(float(low), float(high)) for low, high in limits]
    ends = [
        minimize(
            loss,
            np.clip(start, limits[:, 0], limits[:, 1]),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": max_iterations},
        )
        for start in starts
    ]
    theta: Array = min(ends, key=lambda end: float(end.fun)).x
    return theta
