"""Stationary kernels, as functions of the squared scaled distance of two points.

Symbols:
    r2     squared distance after every feature was divided by its length scale
    k(r2)  correlation, 1 at distance 0
    slope  dk / dr2; all gradients, by length scales and by points, follow from it

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 4.2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kernel:
    """A stationary correlation function of the squared scaled distance.

    Attributes:
        correlation: From squared distances, any shape, to correlations of the same shape.
        with_slope: The same, and the derivative by the squared distance.
        degrees_of_freedom: Of the Student t density that its frequencies have.
    """

    correlation: Callable[[Array], Array]
    with_slope: Callable[[Array], tuple[Array, Array]]
    degrees_of_freedom: float

    def frequencies(self, n: int, f: int, rng: np.random.Generator) -> Array:
        """Draws from its spectral density in f dimensions, shape (n, f)."""
        normal = rng.standard_normal((n, f))
        if np.isinf(self.degrees_of_freedom):
            return normal
        stretch = rng.chisquare(self.degrees_of_freedom, size=(n, 1)) / self.degrees_of_freedom
        return normal / np.sqrt(stretch)


def kernel_named(name: str) -> Kernel:
    """The kernel of that name.

    Raises:
        ValueError: There is no such kernel.
    """
    if name not in KERNELS:
        raise ValueError(f"a kernel must be one of {', '.join(KERNELS)}, but got {name!r}.")
    return KERNELS[name]


def squared_distances(A: Array, B: Array) -> Array:
    """Squared Euclidean distances of the rows of A, (n, f), and B, (m, f): shape (n, m)."""
    r2 = A @ B.T
    r2 *= -2.0
    r2 += np.einsum("ij,ij->i", A, A)[:, None]
    r2 += np.einsum("ij,ij->i", B, B)
    # Rounding can leave a tiny negative number where two points coincide.
    return np.maximum(r2, 0.0, out=r2)


def squared_distances_within(A: Array) -> Array:
    """Squared Euclidean distances among the rows of A, (n, f): shape (n, n)."""
    r2 = squared_distances(A, A)
    # A rounding error of 1e-16 here would be one of 1e-8 after Matern 1/2 takes the root.
    r2.flat[:: len(A) + 1] = 0.0
    return r2


def _matern12(r2: Array) -> Array:
    """k(r) = exp(-r)."""
    decay: Array = np.exp(-np.sqrt(r2))
    return decay


def _matern12_with_slope(r2: Array) -> tuple[Array, Array]:
    """dk/dr2 = -exp(-r) / (2 r)."""
    r = np.sqrt(r2)
    k = np.exp(-r)
    # The slope has no limit at 0; there every derivative multiplies it by a distance of 0.
    slope = np.divide(k, -2.0 * r, out=np.zeros_like(r), where=r > 0)
    return k, slope


def _matern32(r2: Array) -> Array:
    """k(r) = (1 + sqrt(3) r) exp(-sqrt(3) r)."""
    s = np.sqrt(3.0 * r2)
    k: Array = np.exp(-s)
    k *= 1.0 + s
    return k


def _matern32_with_slope(r2: Array) -> tuple[Array, Array]:
    """dk/dr2 = -3/2 exp(-sqrt(3) r)."""
    s = np.sqrt(3.0 * r2)
    decay = np.exp(-s)
    return (1.0 + s) * decay, -1.5 * decay


def _matern52(r2: Array) -> Array:
    """k(r) = (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)."""
    s = np.sqrt(5.0 * r2)
    k: Array = np.exp(-s)
    s += 1.0
    s += (5.0 / 3.0) * r2
    k *= s
    return k


def _matern52_with_slope(r2: Array) -> tuple[Array, Array]:
    """dk/dr2 = -5/6 (1 + sqrt(5) r) exp(-sqrt(5) r)."""
    s = np.sqrt(5.0 * r2)
    decay = np.exp(-s)
    s += 1.0
    slope = s * decay
    slope *= -5.0 / 6.0
    s += (5.0 / 3.0) * r2
    s *= decay
    return s, slope


def _rbf(r2: Array) -> Array:
    """k(r) = exp(-r^2 / 2)."""
    k: Array = np.exp(-0.5 * r2)
    return k


def _rbf_with_slope(r2: Array) -> tuple[Array, Array]:
    """dk/dr2 = -k(r) / 2."""
    k = _rbf(r2)
    return k, -0.5 * k


KERNELS = {
    "matern52": Kernel(_matern52, _matern52_with_slope, 5.0),
    "matern32": Kernel(_matern32, _matern32_with_slope, 3.0),
    "matern12": Kernel(_matern12, _matern12_with_slope, 1.0),
    "rbf": Kernel(_rbf, _rbf_with_slope, np.inf),
}
