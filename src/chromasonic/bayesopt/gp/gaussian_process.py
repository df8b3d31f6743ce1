"""Gaussian process regression, in scikit-learn's conventions."""

from inspect import signature
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.gp.covariance import StationaryFamily
from chromasonic.bayesopt.gp.hyperparameters import (
    Hyperparameters,
    Prior,
    TrainingData,
    best_hyperparameters,
    log_likelihood,
)
from chromasonic.bayesopt.gp.kernels import kernel_named
from chromasonic.bayesopt.gp.posterior import Posterior

Array = NDArray[np.float64]


@final
class GaussianProcess:
    """A Gaussian process with one length scale a column, and noise that it learns.

    The mean before any data is the mean of `y`; the rest is as in scikit-learn's
    `GaussianProcessRegressor(ConstantKernel() * Matern() + WhiteKernel())`, except that
    predictions are of the function without its noise.

    Args:
        kernel: 'matern52', 'matern32', 'matern12' or 'rbf'.
        hyperparameters: Held as they are; None: chosen by `fit`.
        n_restarts: Further random starts of the search for hyperparameters.
        prior: Whether hyperparameters are judged by their posterior density under `Prior`,
            which suits columns that lie in [0, 1], instead of by the likelihood alone.
        normalize_y: Whether `y` is brought to mean 0 and variance 1 while fitting.
        seed: Of the random starts.

    Attributes:
        hyperparameters_: What `fit` found, in units of the normalised `y`.
        X_train_: The X of `fit`, shape (n, d).
        y_train_: The y of `fit`, shape (n,).
    """

    hyperparameters_: Hyperparameters
    X_train_: Array
    y_train_: Array

    def __init__(
        self,
        kernel: str = "matern52",
        *,
        hyperparameters: Hyperparameters | None = None,
        n_restarts: int = 4,
        prior: bool = True,
        normalize_y: bool = True,
        seed: int = 0,
    ) -> None:
        self.kernel = kernel
        self.hyperparameters = hyperparameters
        self.n_restarts = n_restarts
        self.prior = prior
        self.normalize_y = normalize_y
        self.seed = seed
        self._kernel = kernel_named(kernel)
        self._posterior: Posterior | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, as `sklearn.base.clone` reads them."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Changes arguments of the constructor; `fit` must be called again. Returns itself.

        Raises:
            ValueError: If there is no such argument, or a value is wrong.
        """
        known = self.get_params()
        if unknown := params.keys() - known.keys():
            raise ValueError(
                f"parameters must be among {', '.join(known)}, but got {', '.join(unknown)}."
            )
        self.__init__(**{**known, **params})
        return self

    @own_arithmetic()
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from observations; returns itself.

        Args:
            X: Points, shape (n, d), finite.
            y: Their values, shape (n,), finite.

        Raises:
            ValueError: If shapes do not fit, there is no point, or a number is not finite.
        """
        points, values = _read_data(X, y)
        self._shift, self._spread = 0.0, 1.0
        if self.normalize_y:
            self._shift, self._spread = float(values.mean()), float(values.std()) or 1.0
        d = points.shape[1]
        self._family = StationaryFamily(self._kernel, np.arange(d))
        self._data = TrainingData(
            points, (values - self._shift) / self._spread, np.zeros(len(values))
        )
        self.X_train_, self.y_train_ = points, values
        self.hyperparameters_ = self.hyperparameters or self._best_hyperparameters(d)
        theta = self.hyperparameters_.theta
        covariance = self._family.at(theta[:-1])
        self._posterior = Posterior(covariance, self.hyperparameters_.noise, self._data)
        return self

    @own_arithmetic()
    def predict(
        self, X: ArrayLike, return_std: bool = False, return_cov: bool = False
    ) -> Array | tuple[Array, Array]:
        """The expected function, without noise, and how sure that is.

        Args:
            X: Points, shape (m, d).
            return_std: Also return the standard deviation, shape (m,).
            return_cov: Also return the joint covariance, shape (m, m).

        Raises:
            ValueError: If both are asked for, X has other columns than in `fit`, or `fit` was
                not called.
        """
        if return_std and return_cov:
            raise ValueError("only one of return_std and return_cov can be True. Call twice.")
        posterior, points = self._require_posterior(), self._points(X)
        if return_cov:
            mean, covariance = posterior.mean_and_covariance(points)
            return self._shift + self._spread * mean, self._spread**2 * covariance
        if return_std:
            mean, std = posterior.mean_and_std(points)
            return self._shift + self._spread * mean, self._spread * std
        return self._shift + self._spread * posterior.mean(points)

    @own_arithmetic()
    def sample_y(
        self,
        X: ArrayLike,
        n_samples: int = 1,
        random_state: int | np.random.Generator | None = 0,
    ) -> Array:
        """Joint draws of the function, without noise, shape (m, n_samples).

        Args:
            X: Points, shape (m, d).
            n_samples: How many functions to draw.
            random_state: A seed or a generator; None for fresh randomness.
        """
        rng = np.random.default_rng(random_state)
        draws = self._require_posterior().sample(self._points(X), n_samples, rng)
        return self._shift + self._spread * draws.T

    @own_arithmetic()
    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Coefficient of determination R^2 of the predicted mean; 1 is best."""
        points, values = _read_data(X, y)
        residual = np.sum((values - self.predict(points)) ** 2)
        return float(1.0 - residual / np.sum((values - values.mean()) ** 2))

    @own_arithmetic()
    def log_marginal_likelihood(
        self, theta: ArrayLike | None = None, eval_gradient: bool = False
    ) -> float | tuple[float, Array]:
        """Log marginal likelihood of the (normalised) data of `fit`.

        Args:
            theta: Logarithms of scale, length scales and noise variance, shape (d + 2,); None:
                those that `fit` chose.
            eval_gradient: Also return the gradient by `theta`.
        """
        self._require_posterior()
        at = self.hyperparameters_.theta if theta is None else np.asarray(theta, dtype=float)
        value, gradient = log_likelihood(self._family, at, self._data)
        return (value, gradient) if eval_gradient else value

    def __sklearn_tags__(self) -> Any:
        """Tags of a regressor; only scikit-learn asks for them."""
        from sklearn.utils import RegressorTags, Tags, TargetTags

        target, regressor = TargetTags(required=True), RegressorTags()
        return Tags("regressor", target, regressor_tags=regressor)

    def _best_hyperparameters(self, d: int) -> Hyperparameters:
        prior = Prior(d)
        rng = np.random.default_rng(self.seed)
        centre = prior.start.theta
        others = [centre + rng.standard_normal(d + 2) for _ in range(self.n_restarts)]
        starts = [centre, *others]
        theta = best_hyperparameters(
            self._family, self._data, prior if self.prior else None, starts
        )
        return Hyperparameters.from_theta(theta)

    def _require_posterior(self) -> Posterior:
        if self._posterior is None:
            raise ValueError("a Gaussian process must be fitted before it predicts. Call fit.")
        return self._posterior

    def _points(self, X: ArrayLike) -> Array:
        points = np.asarray(X, dtype=float)
        d = self.X_train_.shape[1] if self._posterior is not None else -1
        if points.ndim != 2 or points.shape[1] != d:
            raise ValueError(f"X must have shape (m, {d}) as in fit, but got {points.shape}.")
        return points


def _read_data(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    points, values = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    if points.ndim != 2 or values.shape != points.shape[:1] or not len(values):
        raise ValueError(
            "X must have shape (n, d) and y shape (n,) with n at least 1, but got "
            f"{points.shape} and {values.shape}."
        )
    if not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise ValueError(
            "X and y must be finite, but hold nan or inf. Leave such points out, or tell them "
            "to an Optimizer as failed."
        )
    return points, values
