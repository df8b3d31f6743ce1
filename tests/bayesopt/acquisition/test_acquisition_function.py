import numpy as np
import pytest
from scipy.special import log_ndtr, ndtr

from chromasonic.bayesopt import Categorical, Float, Space
from chromasonic.bayesopt.acquisition.functions import ACQUISITIONS, AcquisitionFunction
from chromasonic.bayesopt.gp.covariance import Stationary
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.hyperparameters import TrainingData
from chromasonic.bayesopt.gp.kernels import kernel_named
from chromasonic.bayesopt.gp.posterior import Posterior
from chromasonic.bayesopt.space.encoded import EncodedSpace

SPACE = Space(
    {
        "kind": Categorical(["a", "b"]),
        "x": Float(0.0, 1.0, when={"kind": ["b"]}),
        "y": Float(0.0, 1.0),
    }
)
FEATURES = Features(SPACE)
POINTS = EncodedSpace(SPACE).random(12, np.random.default_rng(0))


def posterior(seed):
    rng = np.random.default_rng(seed)
    Z = FEATURES(EncodedSpace(SPACE).random(15, rng))
    data = TrainingData(Z, rng.normal(size=15), np.zeros(15))
    length_scales = np.full(FEATURES.n_groups, 0.5)
    covariance = Stationary(kernel_named("matern52"), 1.0, length_scales, FEATURES.groups)
    return Posterior(covariance, 0.01, data)


def acquisition_function(acquisition, **options):
    return AcquisitionFunction(
        FEATURES, posterior(1), -0.5, acquisition, xi=0.1, kappa=1.7, **options
    )


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
@pytest.mark.parametrize("constrained", [False, True])
def test_gradients_are_finite_differences(acquisition, constrained):
    constraints = ((posterior(2), 0.3),) if constrained else ()
    score = acquisition_function(acquisition, constraints=constraints)
    values, gradient = score.with_gradient(POINTS)
    np.testing.assert_allclose(values, score(POINTS), atol=1e-9)
    step = 1e-6
    for column in (1, 2):
        off = np.zeros_like(POINTS)
        off[:, column] = step
        change = (score(POINTS + off) - score(POINTS - off)) / (2 * step)
        expected = np.where(np.isnan(POINTS[:, column]), 0.0, change)
        present = ~np.isnan(POINTS[:, column])
        np.testing.assert_allclose(
            gradient[present, column], expected[present], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_the_score_is_that_of_the_table(acquisition):
    score = acquisition_function(acquisition)(POINTS)
    mean, std = posterior(1).mean_and_std(FEATURES(POINTS))
    expected = ACQUISITIONS[acquisition](mean, std, -0.5, xi=0.1, kappa=1.7).score
    np.testing.assert_array_equal(score, expected)


def test_a_constraint_multiplies_by_how_likely_it_is_kept():
    free, bound = (
        acquisition_function("log_ei"),
        acquisition_function("log_ei", constraints=((posterior(3), 0.4),)),
    )
    mean, std = posterior(3).mean_and_std(FEATURES(POINTS))
    expected = log_ndtr((0.4 - mean) / std)
    np.testing.assert_allclose(bound(POINTS) - free(POINTS), expected, atol=1e-12)


def test_without_an_objective_only_the_constraints_count():
    score = AcquisitionFunction(FEATURES, None, 0.0, constraints=((posterior(3), 0.4),))
    mean, std = posterior(3).mean_and_std(FEATURES(POINTS))
    np.testing.assert_allclose(np.exp(score(POINTS)), ndtr((0.4 - mean) / std))
