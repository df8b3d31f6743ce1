"""A covariance over points and epochs beside the stationary one: the seam for learning curves."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    Hyperparameter,
    Kernel,
)

from chromasonic.bayesopt.gp.covariance import Stationary, StationaryFamily
from chromasonic.bayesopt.gp.hyperparameters import (
    TrainingData,
    best_hyperparameters,
    log_likelihood,
)
from chromasonic.bayesopt.gp.kernels import KERNELS, kernel_named
from chromasonic.bayesopt.gp.posterior import Posterior

GROUPS = np.array([0, 1])
NOISE = 0.05


@dataclass(frozen=True)
class PointsTimesEpochs:
    """k((a, s), (b, t)) = points(a, b) * (offset + s t), whose variance grows with the epoch."""

    points: Stationary
    offset: float

    def epochs(self, A, B):
        return self.offset + np.outer(A[:, -1], B[:, -1])

    def between(self, A, B):
        return self.points.between(A[:, :-1], B[:, :-1]) * self.epochs(A, B)

    def within(self, A):
        return self.points.within(A[:, :-1]) * self.epochs(A, A)

    def diagonal(self, A):
        return self.points.diagonal(A[:, :-1]) * (self.offset + A[:, -1] ** 2)

    def diagonal_gradient(self, A):
        by_points = self.points.diagonal_gradient(A[:, :-1]) * (self.offset + A[:, -1:] ** 2)
        by_epoch = 2.0 * A[:, -1] * self.points.diagonal(A[:, :-1])
        return np.column_stack([by_points, by_epoch])

    def with_gradient_by_points(self, A, B):
        k, by_points = self.points.with_gradient_by_points(A[:, :-1], B[:, :-1])
        epochs = self.epochs(A, B)

        def contract(W):
            m = W.shape[1]
            by_epoch = (W * k[:, :m]) @ B[:m, -1]
            return np.column_stack([by_points(W * epochs[:, :m]), by_epoch])

        return k * epochs, contract

    def with_gradient_by_theta(self, A):
        k, by_theta = self.points.with_gradient_by_theta(A[:, :-1])
        epochs = self.epochs(A, A)

        def contract(W):
            return np.append(by_theta(W * epochs), self.offset * np.vdot(W, k))

        return k * epochs, contract


class Family:
    def __init__(self, kernel):
        self.points = StationaryFamily(kernel_named(kernel), GROUPS)
        self.bounds = np.vstack([self.points.bounds, np.log([1e-2, 1e2])])

    def at(self, theta):
        return PointsTimesEpochs(self.points.at(theta[:-1]), float(np.exp(theta[-1])))


class OnColumns(Kernel):
    """A kernel of scikit-learn on some of the columns."""

    def __init__(self, kernel, columns):
        self.kernel, self.columns = kernel, columns

    def __call__(self, X, Y=None, eval_gradient=False):
        assert not eval_gradient
        return self.kernel(X[:, self.columns], None if Y is None else Y[:, self.columns])

    def diag(self, X):
        return self.kernel.diag(X[:, self.columns])

    def is_stationary(self):
        return False

    @property
    def hyperparameters(self):
        return [Hyperparameter("none", "numeric", "fixed")]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return TrainingData(rng.random((14, 3)), rng.normal(size=14), np.zeros(14))


@pytest.fixture
def covariance():
    return PointsTimesEpochs(
        Stationary(KERNELS["rbf"], 1.3, np.array([0.4, 0.8]), GROUPS), offset=0.7
    )


def test_a_posterior_over_points_and_epochs_is_that_of_scikit_learn(covariance, data):
    on_points = OnColumns(ConstantKernel(1.3) * RBF([0.4, 0.8]), [0, 1])
    on_epochs = OnColumns(DotProduct(np.sqrt(0.7)), [2])
    reference = GaussianProcessRegressor(on_points * on_epochs, alpha=NOISE, optimizer=None)
    reference.fit(data.features, data.y)
    A = np.random.default_rng(1).random((9, 3))
    posterior = Posterior(covariance, NOISE, data)
    expected, std = reference.predict(A, return_std=True)
    np.testing.assert_allclose(posterior.mean(A), expected, rtol=1e-8)
    np.testing.assert_allclose(posterior.mean_and_std(A)[1], std, rtol=1e-7)
    _, joint = reference.predict(A, return_cov=True)
    np.testing.assert_allclose(posterior.mean_and_covariance(A)[1], joint, atol=1e-10)


def test_its_gradients_by_points_and_epochs_are_finite_differences(covariance, data):
    posterior = Posterior(covariance, NOISE, data)
    A, step = np.random.default_rng(2).random((6, 3)), 1e-6
    mean, std, by_mean, by_std = posterior.with_gradient(A)
    np.testing.assert_allclose(posterior.mean_and_std(A), [mean, std])
    for f in range(3):
        off = np.eye(3)[f] * step
        up, down = posterior.mean_and_std(A + off), posterior.mean_and_std(A - off)
        np.testing.assert_allclose((up[0] - down[0]) / (2 * step), by_mean[:, f], atol=1e-6)
        np.testing.assert_allclose((up[1] - down[1]) / (2 * step), by_std[:, f], atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("composed", [False, True])
def test_the_gradient_of_the_likelihood_is_a_finite_difference(kernel, composed, data):
    family = Family(kernel) if composed else StationaryFamily(kernel_named(kernel), GROUPS, 2.0)
    if not composed:
        data = TrainingData(data.features[:, :2], data.y, data.extra_noise)
    theta = np.log([1.3, 0.4, 0.8, *([0.7] if composed else []), NOISE])
    _, gradient = log_likelihood(family, theta, data)
    assert gradient.shape == theta.shape
    for i, step in enumerate(1e-6 * np.eye(len(theta))):
        up = log_likelihood(family, theta + step, data)[0]
        down = log_likelihood(family, theta - step, data)[0]
        assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-6)


def test_its_hyperparameters_are_found_like_those_of_a_stationary_one(data):
    family = Family("matern52")
    start = np.log([1.0, 0.3, 0.3, 1.0, 0.1])
    best = best_hyperparameters(family, data, None, [start])
    assert log_likelihood(family, best, data)[0] > log_likelihood(family, start, data)[0]
    assert (best[:-1] >= family.bounds[:, 0] - 1e-12).all()
