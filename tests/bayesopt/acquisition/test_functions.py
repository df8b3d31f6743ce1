from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_ndtr

from chromasonic.bayesopt.acquisition.functions import (
    ACQUISITIONS,
    acquisition_named,
    expected_improvement,
    log_expected_improvement,
    log_h_and_slope,
    log_ndtr_slope,
    lower_confidence_bound,
    probability_of_improvement,
    upper_confidence_bound,
)

MEAN = np.array([0.0, 1.0, -2.0, 5.0, 0.3])
STD = np.array([1.0, 0.5, 0.1, 2.0, 3.0])
ANY = st.floats(allow_nan=False)
NUMBERS = st.floats(-1e6, 1e6)


class Snapshot:
    """A surrogate whose mean and standard deviation are the two columns of X."""

    def predict(self, X, return_std):
        assert return_std
        return X[:, 0], X[:, 1]


def known(mean, std):
    return np.column_stack([np.atleast_1d(mean), np.atleast_1d(std)]).astype(float)


def draws(n=400_000):
    return MEAN + STD * np.random.default_rng(0).normal(size=(n, len(MEAN)))


def exact_log_h_and_slope(z):
    """Both to 40 digits, from Mills' ratio as a power series or a continued fraction."""
    with localcontext(prec=60):
        z = Decimal(float(z))
        t = abs(z)
        pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
        if t < 3:
            term = total = t
            for k in range(1, 200):
                term *= t * t / (2 * k + 1)
                total += term
            mills = (pi / 2).sqrt() * (t * t / 2).exp() - total
        else:
            fraction = t
            for k in range(2000, 0, -1):
                fraction = t + k / fraction
            mills = 1 / fraction
        log_density = -t * t / 2 - (2 * pi).ln() / 2
        rest = 1 - t * mills
        if z < 0:
            return float(log_density + rest.ln()), float(mills / rest)
        h = z + log_density.exp() * rest
        return float(h.ln()), float((1 - log_density.exp() * mills) / h)


@pytest.mark.parametrize("xi", [0.0, 0.7])
def test_expected_improvement_is_the_mean_of_improvements_drawn(xi):
    improvements = np.maximum(0.5 - xi - draws(), 0)
    error = improvements.std(axis=0) / np.sqrt(len(improvements))
    closed_form = expected_improvement(known(MEAN, STD), Snapshot(), 0.5, xi=xi)
    assert (np.abs(closed_form - improvements.mean(axis=0)) <= 4 * error + 1e-12).all()
    log_form = log_expected_improvement(known(MEAN, STD), Snapshot(), 0.5, xi=xi)
    np.testing.assert_allclose(np.exp(log_form), closed_form, rtol=1e-12)


@pytest.mark.parametrize("xi", [0.0, 0.7])
def test_probability_of_improvement_is_the_share_of_draws_that_improve(xi):
    share = (draws() < 0.5 - xi).mean(axis=0)
    closed_form = probability_of_improvement(known(MEAN, STD), Snapshot(), 0.5, xi=xi)
    np.testing.assert_allclose(closed_form, share, atol=4 * 0.5 / np.sqrt(400_000))


def test_the_lower_bound_has_the_share_of_draws_below_it_that_kappa_says():
    bound = lower_confidence_bound(known(MEAN, STD), Snapshot(), kappa=1.0)
    below = (draws() < bound).mean(axis=0)
    np.testing.assert_allclose(below, 0.15865525, atol=4 * 0.4 / np.sqrt(400_000))
    score = upper_confidence_bound(known(MEAN, STD), Snapshot(), kappa=1.0)
    np.testing.assert_array_equal(score, -bound)


@pytest.mark.parametrize(
    "z", [-1e-3, -0.5, -1, -2.9, -3.1, -12, -39.9, -40.1, -300, -1e4, -1e8, 0, 0.01, 1, 9, 300]
)
def test_the_log_form_and_its_slope_agree_with_forty_digits(z):
    log_value, slope = exact_log_h_and_slope(z)
    value, gradient = log_h_and_slope(z)
    assert value == pytest.approx(log_value, rel=2e-15, abs=1e-14)
    assert gradient == pytest.approx(slope, rel=2e-12)


def test_the_slope_agrees_with_finite_differences():
    z, step = np.linspace(-60, 60, 2001), 1e-4
    _, slope = log_h_and_slope(z)
    difference = (log_h_and_slope(z + step)[0] - log_h_and_slope(z - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


def test_the_slope_of_the_log_form_is_the_distribution_s_share():
    """d h / dz is the distribution function, so log slope + log h is its logarithm."""
    z = np.linspace(-30, 8, 500)
    log_value, slope = log_h_and_slope(z)
    np.testing.assert_allclose(np.log(slope) + log_value, log_ndtr(z), rtol=1e-12, atol=1e-15)


@given(ANY, ANY)
def test_the_log_form_never_falls_and_is_finite_however_extreme(a, b):
    values, slopes = log_h_and_slope(np.array([min(a, b), max(a, b)]))
    assert np.isfinite(values).all()
    assert (slopes > 0).all()
    # Two neighbouring floats may differ by rounding alone.
    assert values[1] >= values[0] - 1e-12 * abs(values[0])


def test_the_log_form_rises_strictly_up_to_the_largest_arguments():
    z = np.concatenate([-np.logspace(100, -2, 500), np.logspace(-2, 100, 500)])
    assert (np.diff(log_h_and_slope(z)[0]) > 0).all()


def test_the_log_form_takes_any_shape():
    assert log_h_and_slope(0.0)[0] == pytest.approx(np.log(1 / np.sqrt(2 * np.pi)))
    for values in log_h_and_slope(np.zeros((2, 3))):
        assert values.shape == (2, 3)
    for values in log_h_and_slope([]):
        assert values.shape == (0,)


@pytest.mark.parametrize("name", ACQUISITIONS)
@given(best=NUMBERS, mean=NUMBERS, gain=st.floats(1e-3, 1e3), std=st.floats(1e-9, 1e3))
def test_of_two_points_equally_unsure_the_lower_is_never_worth_less(name, best, mean, gain, std):
    means, stds = np.array([mean, mean - gain]), np.array([std, std])
    high, low = acquisition_named(name)(means, stds, best, xi=0.0, kappa=2.0).score
    # Both may be -inf, whose difference is none.
    assert low >= high or low == pytest.approx(high)


@given(best=NUMBERS, mean=NUMBERS, std=st.floats(1e-3, 1e3), more=st.floats(1e-3, 1e3))
def test_being_less_sure_is_never_worth_less(best, mean, std, more):
    means, stds = np.array([mean, mean]), np.array([std, std + more])
    for name in ("ei", "log_ei", "ucb"):
        sure, unsure = ACQUISITIONS[name](means, stds, best, xi=0.0, kappa=2.0).score
        assert unsure >= sure or unsure == pytest.approx(sure)


@given(mean=NUMBERS, std=st.floats(0, 1e3), best=NUMBERS)
def test_expected_improvement_is_never_negative_nor_below_the_plain_gain(mean, std, best):
    [improvement] = expected_improvement(known(mean, std), Snapshot(), best)
    assert improvement >= max(best - mean, 0)


def test_a_point_without_doubt_is_worth_what_it_gains():
    X = known([1.0, 0.0, -2.0], [0.0, 0.0, 0.0])
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        np.testing.assert_array_equal(expected_improvement(X, Snapshot(), 0.0), [0, 0, 2])
        np.testing.assert_array_equal(
            log_expected_improvement(X, Snapshot(), 0.0), [-np.inf, -np.inf, np.log(2)]
        )
        np.testing.assert_array_equal(probability_of_improvement(X, Snapshot(), 0.0), [0, 0, 1])
        np.testing.assert_array_equal(upper_confidence_bound(X, Snapshot()), [-1, 0, 2])


def test_the_smallest_doubt_and_the_largest_values_do_no_harm():
    X = known([1e300, -1e300, 1.0, 0.0], [5e-324, 5e-324, 1e-300, 1e-300])
    improvement = expected_improvement(X, Snapshot(), 0.0)
    np.testing.assert_allclose(improvement, [0, 1e300, 0, 1e-300 / np.sqrt(2 * np.pi)])
    log_form = log_expected_improvement(X, Snapshot(), 0.0)
    assert np.isfinite(log_form).all()
    assert log_form[1] == pytest.approx(np.log(1e300))


def test_the_log_form_still_ranks_points_whose_improvement_is_rounded_to_zero():
    X = known([50.0, 60.0, 70.0], [1.0, 1.0, 1.0])
    assert (expected_improvement(X, Snapshot(), 0.0) == 0).all()
    assert (np.diff(log_expected_improvement(X, Snapshot(), 0.0)) < 0).all()


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="one of 'ei', 'log_ei', 'ucb', 'lcb', 'pi', but got 'x'"):
        acquisition_named("x")


def test_a_gaussian_process_of_scikit_learn_will_do():
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    X = np.linspace(0, 1, 5)[:, None]
    gp = gaussian_process.GaussianProcessRegressor(
        kernel=gaussian_process.kernels.Matern(0.3, nu=2.5), optimizer=None, alpha=1e-10
    ).fit(X, np.sin(6 * X[:, 0]))
    places = np.linspace(0, 1, 101)[:, None]
    best_f = np.sin(6 * X[:, 0]).min()
    improvement = expected_improvement(places, gp, best_f)
    # The minimum of sin(6 x) lies at pi / 4, between two points seen.
    assert abs(places[improvement.argmax(), 0] - np.pi / 4) < 0.1
    assert (improvement[::25] < 1e-4).all()
    chance = probability_of_improvement(places, gp, best_f)
    assert ((chance >= 0) & (chance <= 1)).all()


def test_the_slope_of_the_log_distribution_is_right_and_finite_however_extreme():
    z, step = np.linspace(-30, 8, 400), 1e-5
    difference = (log_ndtr(z + step) - log_ndtr(z - step)) / (2 * step)
    np.testing.assert_allclose(log_ndtr_slope(z), difference, rtol=1e-5, atol=1e-11)
    with np.errstate(all="raise"):
        slopes = log_ndtr_slope(np.array([-1e150, -1e10, 1e10, 1e150]))
    np.testing.assert_allclose(slopes, [1e150, 1e10, 0.0, 0.0])
