"""Acquisition functions of a surrogate's mean and standard deviation.

The objective is minimised throughout, and every acquisition is a score: higher is better. Scores
of improvement are logarithms, which still tell points apart where the improvement itself would be
rounded to 0.

Symbols:
    X        points in the unit cube, shape (n, d)
    mean     what the surrogate predicts there, shape (n,)
    std      its standard deviation, shape (n,), not below 0
    best_f   smallest value observed so far, in the units of the objective
    z        (best_f - xi - mean) / std
    h(z)     density(z) + z * distribution(z) of the standard normal; std * h(z) is the
             expected improvement
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, log_ndtr, ndtr

from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.posterior import Posterior

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_SQRT_HALF = np.sqrt(0.5)
_SQRT_HALF_PI = np.sqrt(np.pi / 2)
_LOG_SQRT_2_PI = 0.5 * np.log(2 * np.pi)
# 1 - t * mills(t) loses t**2 units in the last place; the series is exact to 1e-14 from here on.
_SERIES_FROM = 40.0
_SERIES = (1.0, -3.0, 15.0, -105.0, 945.0)  # (-1)**k (2k + 1)!!
# Squares stay finite up to here. Beyond, all functions of z are flat.
_LARGEST_Z = 1e150
# From here on h(z) is z, and std * h(z) the gain itself, whatever their sizes are.
_CERTAIN_FROM = 1e10


class Surrogate(Protocol):
    """Any fitted regressor that tells its standard deviation; those of scikit-learn do."""

    # What it returns depends on the second argument, which few regressors tell a type checker.
    def predict(self, X: Matrix, return_std: bool) -> Any:
        """With `return_std=True` mean and standard deviation at X, shape (n,) each."""


class Scores(NamedTuple):
    """Scores of points and their slopes, shape (n,) each."""

    score: Vector
    by_mean: Vector
    by_std: Vector


class Score(Protocol):
    """The form that all of `ACQUISITIONS` share."""

    def __call__(
        self, mean: Vector, std: Vector, best_f: float, *, xi: float, kappa: float
    ) -> Scores:
        """Score of each point with its slopes; higher is better. `std` must be above 0."""


@own_error_state()
def expected_improvement(X: Matrix, gp: Surrogate, best_f: float, xi: float = 0.0) -> Vector:
    """Expected improvement: how far below `best_f - xi` each point is expected to fall.

    Args:
        X: Points in the unit cube, shape (n, d).
        gp: A fitted surrogate of the losses.
        best_f: Smallest value observed so far, in the units of the objective.
        xi: How much better a point must be to count as an improvement; more explores more.

    Returns:
        Shape (n,), never negative; 0 where the model is certain of a value no better.

    Source: Jones, Schonlau and Welch (1998), the expected improvement criterion.
    """
    mean, std = gp.predict(X, return_std=True)
    gain, z = _gain_and_z(mean, std, best_f, xi)
    # h(z) = max(z, 0) + h(-|z|): in this form no gain is too large and no std too small.
    improvement: Vector = np.maximum(gain, 0.0) + std * np.exp(log_h_and_slope(-np.abs(z))[0])
    return improvement


@own_error_state()
def log_expected_improvement(X: Matrix, gp: Surrogate, best_f: float, xi: float = 0.0) -> Vector:
    """The logarithm of `expected_improvement`, where that itself would be rounded to 0, too.

    Args:
        X: Points in the unit cube, shape (n, d).
        gp: A fitted surrogate of the losses.
        best_f: Smallest value observed so far, in the units of the objective.
        xi: How much better a point must be to count as an improvement.

    Returns:
        Shape (n,); -inf only where the model is certain of a value no better.

    Source: Ament et al. (2023), Unexpected improvements to expected improvement, eq. 9.
    """
    mean, std = gp.predict(X, return_std=True)
    gain, z = _gain_and_z(mean, std, best_f, xi)
    log_h, _ = log_h_and_slope(z)
    with np.errstate(divide="ignore"):
        return np.where(z > _CERTAIN_FROM, np.log(np.abs(gain)), np.log(std) + log_h)


@own_error_state()
def probability_of_improvement(X: Matrix, gp: Surrogate, best_f: float, xi: float = 0.0) -> Vector:
    """Probability of improvement: that each point falls below `best_f - xi`.

    Args:
        X: Points in the unit cube, shape (n, d).
        gp: A fitted surrogate of the losses.
        best_f: Smallest value observed so far, in the units of the objective.
        xi: How much better a point must be to count as an improvement.

    Returns:
        Shape (n,), from 0 to 1.

    Source: Kushner (1964), A new method of locating the maximum point.
    """
    mean, std = gp.predict(X, return_std=True)
    probability: Vector = ndtr(_gain_and_z(mean, std, best_f, xi)[1])
    return probability


@own_error_state()
def lower_confidence_bound(X: Matrix, gp: Surrogate, kappa: float = 2.0) -> Vector:
    """Lower confidence bound of the objective: mean - kappa * std.

    This is a bound in the units of the objective, and lowest where a point is most promising;
    the score to be maximised is `upper_confidence_bound`.

    Args:
        X: Points in the unit cube, shape (n, d).
        gp: A fitted surrogate of the losses.
        kappa: Standard deviations below the mean; more explores more.

    Returns:
        Shape (n,).
    """
    mean, std = gp.predict(X, return_std=True)
    bound: Vector = mean - kappa * std
    return bound


def upper_confidence_bound(X: Matrix, gp: Surrogate, kappa: float = 2.0) -> Vector:
    """The score that goes with the lower bound: kappa * std - mean, highest is best.

    It is the upper confidence bound of the negated objective, so that the literature's rule for
    maximising holds here as it stands.

    Args:
        X: Points in the unit cube, shape (n, d).
        gp: A fitted surrogate of the losses.
        kappa: Weight of being unsure; more explores more.

    Returns:
        Shape (n,), in units of the objective.

    Source: Srinivas et al. (2010), Gaussian process optimization in the bandit setting.
    """
    return -lower_confidence_bound(X, gp, kappa)


def log_h_and_slope(z: ArrayLike) -> tuple[Vector, Vector]:
    """The logarithm of h and its derivative by z.

    With t = |z| and Mills' ratio m(t) = (1 - distribution(t)) / density(t), an erfcx,
    h(z) = max(z, 0) + density(t) * (1 - t * m(t)): nothing cancels but 1 - t * m(t), which far
    out is its asymptotic series 1 / t**2 - 3 / t**4 + 15 / t**6 ...

    Args:
        z: Any shape; beyond +-1e150, infinities included, the result is flat.

    Returns:
        log h(z) and distribution(z) / h(z), both of the shape of z and finite.

    Source: Ament et al. (2023), Unexpected improvements to expected improvement, eq. 9.
    """
    z = np.asarray(z, dtype=float)
    t = np.minimum(np.abs(z), _LARGEST_Z)
    mills = _SQRT_HALF_PI * erfcx(_SQRT_HALF * t)
    rest = 1.0 - t * mills
    far_out = t > _SERIES_FROM
    if far_out.any():
        rest = np.where(far_out, _rest_far_out(t), rest)
    log_density = -0.5 * t * t - _LOG_SQRT_2_PI
    density = np.exp(log_density)
    below = z < 0
    h_or_rest = np.where(below, rest, t + density * rest)
    log_value: Vector = np.log(h_or_rest) + np.where(below, log_density, 0.0)
    slope: Vector = np.where(below, mills, 1.0 - density * mills) / h_or_rest
    return log_value, slope


def _rest_far_out(t: Vector) -> Vector:
    """1 - t * mills(t) for large t, by its asymptotic series; what it is elsewhere is unused."""
    w = 1.0 / np.maximum(t, _SERIES_FROM) ** 2
    rest = np.zeros_like(w)
    for coefficient in reversed(_SERIES):
        rest = coefficient + w * rest
    return w * rest


def _gain_and_z(mean: Vector, std: Vector, best_f: float, xi: float) -> tuple[Vector, Vector]:
    """best_f - xi - mean, and that in standard deviations; infinite where std is 0."""
    gain = best_f - xi - mean
    # Certain of a value no better: that is no improvement, however close.
    certain = np.where(gain > 0, np.inf, -np.inf)
    # A tiny std may take the quotient beyond the largest float: infinite is then right.
    with np.errstate(over="ignore"):
        return gain, np.divide(gain, std, out=certain, where=std > 0)


def _log_ei(mean: Vector, std: Vector, best_f: float, *, xi: float, kappa: float) -> Scores:
    """Logarithm of the expected improvement: log(std) + log h(z)."""
    z = (best_f - xi - mean) / std
    log_h, slope = log_h_and_slope(z)
    return Scores(np.log(std) + log_h, -slope / std, (1.0 - slope * z) / std)


def _log_pi(mean: Vector, std: Vector, best_f: float, *, xi: float, kappa: float) -> Scores:
    """Logarithm of the probability of improvement: log distribution(z)."""
    z = (best_f - xi - mean) / std
    slope = log_ndtr_slope(z) / std
    return Scores(log_ndtr(z), -slope, -slope * z)


def _ucb(mean: Vector, std: Vector, best_f: float, *, xi: float, kappa: float) -> Scores:
    """Upper confidence bound of the negated objective: kappa * std - mean."""
    ones = np.ones_like(mean)
    return Scores(kappa * std - mean, -ones, kappa * ones)


def log_ndtr_slope(z: Vector) -> Vector:
    """The derivative of the log distribution: density(z) / distribution(z).

    It is sqrt(2 / pi) / erfcx(-z / sqrt(2)), in which nothing under- or overflows.
    """
    slope: Vector = 1.0 / (_SQRT_HALF_PI * erfcx(-_SQRT_HALF * z))
    return slope


ACQUISITIONS: Final[dict[str, Score]] = {
    "ei": _log_ei,
    "log_ei": _log_ei,
    "ucb": _ucb,
    "lcb": _ucb,
    "pi": _log_pi,
}
"""Scores by name. Those of improvement have the maximum of their logarithm; a lower bound is
minimised where its upper one is maximised."""


def acquisition_named(name: str) -> Score:
    """The score of that name, on arrays of means and standard deviations.

    Raises:
        ValueError: If there is none.
    """
    if name not in ACQUISITIONS:
        raise ValueError(
            f"acquisition must be one of {', '.join(map(repr, ACQUISITIONS))}, but got {name!r}."
        )
    return ACQUISITIONS[name]


_LEAST_STD = 1e-9


@dataclass(frozen=True)
class AcquisitionFunction:
    """The acquisition over the unit cube, to be maximised.

    Attributes:
        features: From points to what the posterior knows.
        posterior: Of the objective.
        best: What improvement is measured against, in the posterior's units.
        acquisition: 'log_ei' or 'ei' (which have the same maximum), 'pi', 'ucb' or 'lcb'.
        xi: How far below `best` a value must fall to count, for ei, log_ei and pi.
        kappa: Standard deviations below the mean, for ucb and lcb.
        constraints: Posteriors of constraints, each kept where its value is at most 0.
    """

    features: Features
    posterior: Posterior | None
    best: float
    acquisition: str = "log_ei"
    xi: float = 0.0
    kappa: float = 2.0
    constraints: tuple[tuple[Posterior, float], ...] = field(default=())

    def __call__(self, U: Matrix) -> Vector:
        """The score of each point, shape (n,)."""
        Z = self.features(U)
        score = np.zeros(len(U))
        if self.posterior is not None:
            score += self._scores(*self.posterior.mean_and_std(Z)).score
        for posterior, limit in self.constraints:
            mean, std = posterior.mean_and_std(Z)
            score += log_ndtr((limit - mean) / np.maximum(std, _LEAST_STD))
        return score

    def with_gradient(self, U: Matrix) -> tuple[Vector, Matrix]:
        """The scores, (n,), and their gradients by the numbers among the columns, (n, d)."""
        Z = self.features(U)
        score, gradient = np.zeros(len(U)), np.zeros_like(Z)
        if self.posterior is not None:
            mean, std, by_mean, by_std = self.posterior.with_gradient(Z)
            score, slope_mean, slope_std = self._scores(mean, std)
            gradient = slope_mean[:, None] * by_mean + slope_std[:, None] * by_std
        for posterior, limit in self.constraints:
            mean, std, by_mean, by_std = posterior.with_gradient(Z)
            z = (limit - mean) / std
            score = score + log_ndtr(z)
            slope = (log_ndtr_slope(z) / std)[:, None]
            gradient -= slope * (by_mean + z[:, None] * by_std)
        return score, self.features.pull_back(U, gradient)

    def _scores(self, mean: Vector, std: Vector) -> Scores:
        score = acquisition_named(self.acquisition)
        return score(mean, np.maximum(std, _LEAST_STD), self.best, xi=self.xi, kappa=self.kappa)
