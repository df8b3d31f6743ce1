import warnings

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from chromasonic.bayesopt.gp.gaussian_process import GaussianProcess
from chromasonic.bayesopt.gp.hyperparameters import Hyperparameters

GIVEN = Hyperparameters(1.7, np.array([0.3, 0.6, 2.0]), 0.02)
SCIKIT = {
    "matern12": Matern(GIVEN.length_scales, nu=0.5),
    "matern32": Matern(GIVEN.length_scales, nu=1.5),
    "matern52": Matern(GIVEN.length_scales, nu=2.5),
    "rbf": RBF(GIVEN.length_scales),
}
KERNELS = sorted(SCIKIT)


def data(n=25, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, d))
    return X, 3 + np.sin(6 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=n)


def ours(kernel, **options):
    options = {"hyperparameters": GIVEN, "normalize_y": False, **options}
    return GaussianProcess(kernel, **options).fit(*data())


def scikits(kernel):
    # The noise is its own kernel there, so that its gradient can be compared as well.
    whole = ConstantKernel(GIVEN.scale) * SCIKIT[kernel] + WhiteKernel(GIVEN.noise)
    return GaussianProcessRegressor(whole, alpha=0.0, optimizer=None).fit(*data())


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_likelihood_and_its_gradient_are_those_of_scikit_learn(kernel):
    value, gradient = ours(kernel).log_marginal_likelihood(eval_gradient=True)
    reference = scikits(kernel)
    expected = reference.log_marginal_likelihood(reference.kernel_.theta, eval_gradient=True)
    assert value == pytest.approx(expected[0], rel=1e-10)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kernel", KERNELS)
def test_predictions_are_those_of_scikit_learn_without_the_noise(kernel):
    X = np.random.default_rng(1).random((40, 3))
    mean, std = ours(kernel).predict(X, return_std=True)
    expected, noisy_std = scikits(kernel).predict(X, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-9)
    np.testing.assert_allclose(std**2 + GIVEN.noise, noisy_std**2, rtol=1e-8)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_joint_covariance_is_that_of_scikit_learn_without_the_noise(kernel):
    X = np.random.default_rng(2).random((12, 3))
    _, covariance = ours(kernel).predict(X, return_cov=True)
    _, expected = scikits(kernel).predict(X, return_cov=True)
    np.testing.assert_allclose(covariance + GIVEN.noise * np.eye(12), expected, atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_gradient_of_the_likelihood_is_its_finite_difference(kernel):
    gp, theta, step = ours(kernel), GIVEN.theta + 0.2, 1e-6
    _, gradient = gp.log_marginal_likelihood(theta, eval_gradient=True)
    for i, expected in enumerate(gradient):
        off = np.eye(len(theta))[i] * step
        up, down = gp.log_marginal_likelihood(theta + off), gp.log_marginal_likelihood(theta - off)
        assert (up - down) / (2 * step) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_without_a_prior_the_fit_reaches_the_likelihood_that_scikit_learn_finds():
    gp = GaussianProcess(normalize_y=False, prior=False, n_restarts=5).fit(*data(60))
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(np.ones(3), (0.02, 50.0), nu=2.5)
    reference = GaussianProcessRegressor(
        kernel + WhiteKernel(0.01, (1e-6, 10.0)), n_restarts_optimizer=5, random_state=0
    )
    # It warns that a length scale lies at its bound, as one without any effect should.
    with warnings.catch_warnings(action="ignore"):
        reference.fit(*data(60))
    assert gp.log_marginal_likelihood() >= reference.log_marginal_likelihood_value_ - 1e-3


def test_noise_is_learned():
    rng = np.random.default_rng(3)
    X = rng.random((150, 1))
    y = np.sin(6 * X[:, 0]) + 0.3 * rng.normal(size=150)
    gp = GaussianProcess(normalize_y=False).fit(X, y)
    assert np.sqrt(gp.hyperparameters_.noise) == pytest.approx(0.3, rel=0.2)


def test_an_idle_column_gets_a_longer_length_scale_than_one_that_matters():
    rng = np.random.default_rng(4)
    X = rng.random((80, 2))
    gp = GaussianProcess().fit(X, np.sin(8 * X[:, 0]))
    assert gp.hyperparameters_.length_scales[1] > 3 * gp.hyperparameters_.length_scales[0]


def test_true_values_lie_within_two_standard_deviations_as_often_as_they_should():
    X, y = data(200, seed=5)
    truth = 3 + np.sin(6 * X[:, 0]) + X[:, 1] ** 2
    mean, std = GaussianProcess().fit(X[:80], y[:80]).predict(X[80:], return_std=True)
    inside = np.mean(np.abs(truth[80:] - mean) < 2 * std)
    assert 0.85 < inside <= 1.0


def test_normalised_values_change_units_and_nothing_else():
    X, y = data()
    at = np.random.default_rng(6).random((10, 3))
    mean, std = GaussianProcess(n_restarts=0).fit(X, y).predict(at, return_std=True)
    scaled = GaussianProcess(n_restarts=0).fit(X, 1e6 * y - 5e6)
    mean_scaled, std_scaled = scaled.predict(at, return_std=True)
    np.testing.assert_allclose(mean_scaled, 1e6 * mean - 5e6, rtol=1e-6)
    np.testing.assert_allclose(std_scaled, 1e6 * std, rtol=1e-5)


def test_samples_have_the_mean_and_covariance_that_predict_says():
    gp = ours("matern52")
    X = np.random.default_rng(7).random((4, 3))
    draws = gp.sample_y(X, 200_000, np.random.default_rng(0)).T
    mean, covariance = gp.predict(X, return_cov=True)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=4 * np.sqrt(covariance.max() / 2e5))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.02 * covariance.max())


def test_a_sample_falls_below_a_bound_as_often_as_the_normal_distribution_says():
    gp = ours("rbf")
    X = np.array([[0.9, 0.9, 0.9]])
    mean, std = gp.predict(X, return_std=True)
    below = np.mean(mean + 0.7 * std > gp.sample_y(X, 100_000, np.random.default_rng(1)).T)
    assert below == pytest.approx(norm.cdf(0.7), abs=0.006)


def test_repeated_points_do_no_harm():
    X = np.repeat(np.random.default_rng(8).random((5, 2)), 6, axis=0)
    mean, std = GaussianProcess().fit(X, np.arange(30.0)).predict(X, return_std=True)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()


def test_equal_values_are_predicted_everywhere():
    X, _ = data()
    mean = GaussianProcess().fit(X, np.full(len(X), 7.0)).predict(X)
    np.testing.assert_allclose(mean, 7.0)


def test_a_single_observation_is_enough():
    mean, std = GaussianProcess().fit([[0.5]], [2.0]).predict([[0.5], [0.0]], return_std=True)
    assert mean[0] == pytest.approx(2.0)
    assert std[1] > std[0]


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [2.0]], [1.0], r"got \(2, 1\) and \(1,\)"),
        ([1.0, 2.0], [1.0, 2.0], r"shape \(n, d\)"),
        (np.empty((0, 2)), [], "n at least 1"),
        ([[np.nan]], [1.0], "must be finite"),
        ([[0.0]], [np.inf], "must be finite"),
    ],
)
def test_data_that_cannot_be_learned_are_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        GaussianProcess().fit(X, y)


def test_other_mistakes_are_told():
    with pytest.raises(ValueError, match="kernel must be one of matern52"):
        GaussianProcess("cubic")
    with pytest.raises(ValueError, match="Call fit"):
        GaussianProcess().predict([[0.0]])
    with pytest.raises(ValueError, match=r"shape \(m, 3\)"):
        ours("rbf").predict([[0.0]])
    with pytest.raises(ValueError, match="only one of"):
        ours("rbf").predict([[0.0] * 3], return_std=True, return_cov=True)


def test_it_can_be_cloned_as_scikit_learns_estimators_are():
    fitted = ours("matern32", n_restarts=1, seed=3)
    copy = clone(fitted)
    assert (copy.kernel, copy.n_restarts, copy.seed) == ("matern32", 1, 3)
    np.testing.assert_array_equal(copy.hyperparameters.theta, fitted.hyperparameters.theta)
    assert not hasattr(copy, "X_train_")
    X, y = data()
    np.testing.assert_array_equal(copy.fit(X, y).predict(X), fitted.predict(X))


def test_it_can_be_searched_by_scikit_learns_cross_validation():
    X, y = data(40)
    search = GridSearchCV(GaussianProcess(n_restarts=0), {"kernel": ["matern52", "rbf"]}, cv=2)
    assert search.fit(X, y).best_params_["kernel"] in ("matern52", "rbf")
    assert search.best_score_ > 0.5


def test_the_score_is_that_of_scikit_learn():
    X, y = data()
    gp = GaussianProcess(n_restarts=0).fit(X[:20], y[:20])
    assert gp.score(X[20:], y[20:]) == pytest.approx(r2_score(y[20:], gp.predict(X[20:])))


def test_set_params_changes_what_the_next_fit_does():
    X, y = data()
    gp = GaussianProcess("rbf", n_restarts=0).set_params(kernel="matern12", normalize_y=False)
    expected = GaussianProcess("matern12", n_restarts=0, normalize_y=False).fit(X, y)
    np.testing.assert_array_equal(gp.fit(X, y).predict(X), expected.predict(X))
    with pytest.raises(ValueError, match=r"must be among kernel, .*, but got nu"):
        gp.set_params(nu=2.5)


def test_draws_have_the_shape_and_moments_that_scikit_learns_have():
    gp, peer = ours("matern52"), scikits("matern52")
    at = np.random.default_rng(5).random((4, 3))
    draws = gp.sample_y(at, 20_000, random_state=1)
    assert draws.shape == peer.sample_y(at, 20_000).shape == (4, 20_000)
    mean, covariance = gp.predict(at, return_cov=True)
    np.testing.assert_allclose(draws.mean(axis=1), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws), covariance, atol=0.03)
