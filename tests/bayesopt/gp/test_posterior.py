import numpy as np
import pytest
from numpy.linalg import LinAlgError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from chromasonic.bayesopt.gp.covariance import Stationary
from chromasonic.bayesopt.gp.hyperparameters import TrainingData
from chromasonic.bayesopt.gp.kernels import KERNELS, kernel_named
from chromasonic.bayesopt.gp.posterior import Posterior, _cholesky

GROUPS = np.array([0, 1, 1])
SCALE, LENGTH_SCALES, NOISE = 1.3, np.array([0.4, 0.8]), 0.01


def observed(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return TrainingData(rng.random((n, 3)), rng.normal(size=n), np.zeros(n))


def covariance(kernel="matern52", mean_variance=0.0):
    return Stationary(kernel_named(kernel), SCALE, LENGTH_SCALES, GROUPS, mean_variance)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("mean_variance", [0.0, 10.0])
def test_gradients_by_features_are_finite_differences(kernel, mean_variance):
    posterior = Posterior(covariance(kernel, mean_variance), NOISE, observed())
    Z, step = np.random.default_rng(1).random((6, 3)), 1e-6
    _, _, by_mean, by_std = posterior.with_gradient(Z)
    for f in range(3):
        off = np.eye(3)[f] * step
        up, down = posterior.mean_and_std(Z + off), posterior.mean_and_std(Z - off)
        np.testing.assert_allclose((up[0] - down[0]) / (2 * step), by_mean[:, f], atol=1e-6)
        np.testing.assert_allclose((up[1] - down[1]) / (2 * step), by_std[:, f], atol=1e-6)


def test_running_points_make_it_certain_and_leave_the_mean_alone():
    data, pending = observed(), np.array([[0.2, 0.9, 0.1]])
    alone = Posterior(covariance(), NOISE, data)
    joint = Posterior(covariance(), NOISE, data, pending)
    Z = np.vstack([pending, np.random.default_rng(2).random((8, 3))])
    np.testing.assert_allclose(joint.mean(Z), alone.mean(Z), rtol=1e-9)
    _, std_alone = alone.mean_and_std(Z)
    _, std_joint = joint.mean_and_std(Z)
    assert (std_joint <= std_alone + 1e-12).all()
    assert std_joint[0] < 0.6 * std_alone[0]


def test_a_running_point_changes_the_variance_as_an_observation_of_any_value_would():
    data, pending = observed(), np.array([[0.2, 0.9, 0.1]])
    Z = np.random.default_rng(3).random((8, 3))
    told = TrainingData(np.vstack([data.features, pending]), np.append(data.y, 5.0), np.zeros(21))
    _, as_running = Posterior(covariance(), NOISE, data, pending).mean_and_std(Z)
    _, as_observed = Posterior(covariance(), NOISE, told).mean_and_std(Z)
    np.testing.assert_allclose(as_running, as_observed, rtol=1e-8)


def test_an_unknown_mean_is_a_constant_kernel_of_scikit_learn():
    data = observed()
    kernel = ConstantKernel(1.3) * Matern(LENGTH_SCALES[GROUPS], nu=2.5) + ConstantKernel(10.0)
    reference = GaussianProcessRegressor(kernel, alpha=0.01, optimizer=None)
    reference.fit(data.features, data.y)
    Z = np.random.default_rng(4).random((9, 3))
    expected, std = reference.predict(Z, return_std=True)
    posterior = Posterior(covariance(mean_variance=10.0), NOISE, data)
    np.testing.assert_allclose(posterior.mean(Z), expected, rtol=1e-8)
    np.testing.assert_allclose(posterior.mean_and_std(Z)[1], std, rtol=1e-7)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("mean_variance", [0.0, 10.0])
def test_functions_drawn_have_the_mean_and_the_spread_of_the_posterior(kernel, mean_variance):
    posterior = Posterior(covariance(kernel, mean_variance), NOISE, observed())
    Z = np.random.default_rng(5).random((6, 3))
    rng = np.random.default_rng(6)
    prior = covariance(kernel, mean_variance).draw_functions(4000, 4096, rng)
    drawn = posterior.functions(prior, rng)(Z)
    mean, std = posterior.mean_and_std(Z)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), std, rtol=0.2)


def test_an_observation_with_much_noise_of_its_own_moves_the_mean_less():
    data = observed(1)
    sure = Posterior(covariance(), NOISE, data).mean(data.features)
    noisy = TrainingData(data.features, data.y, np.array([10.0]))
    unsure = Posterior(covariance(), NOISE, noisy).mean(data.features)
    assert np.abs(unsure) < 0.2 * np.abs(sure)


def test_a_singular_covariance_is_mended_and_a_senseless_one_refused():
    L = _cholesky(np.ones((4, 4)))
    np.testing.assert_allclose(L @ L.T, 1.0, atol=1e-3)
    with pytest.raises(LinAlgError, match="positive definite"):
        _cholesky(-np.eye(3))
