import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt.surrogate.targets import winsorize_and_standardize

LOSSES = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30)


@given(LOSSES)
def test_whatever_comes_in_finite_numbers_come_out(values):
    found = winsorize_and_standardize(np.array(values))
    assert np.isfinite(found.z).all()
    assert np.isfinite([found.shift, found.spread]).all()
    assert found.spread > 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_a_better_value_is_never_modelled_as_a_worse_one(values):
    y = np.array(values)
    z = winsorize_and_standardize(y).z
    order = np.argsort(y)
    assert (np.diff(z[order]) >= 0).all()


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=20), st.floats(0.1, 1e3))
def test_units_do_not_matter(values, factor):
    y = np.array(values, dtype=float)
    np.testing.assert_allclose(
        winsorize_and_standardize(factor * y + 5).z, winsorize_and_standardize(y).z, atol=1e-5
    )


def test_what_is_not_finite_counts_as_bad_as_the_worst():
    z = winsorize_and_standardize(np.array([1.0, 2.0, 3.0, np.nan, np.inf])).z
    assert z[3] == z[4] == z.max()
    assert z[0] == z.min()


@pytest.mark.parametrize("huge", [1e7, 1e30, 1e300, 1.7e308])
@pytest.mark.parametrize("n_huge", [1, 5, 15])
def test_exploded_losses_leave_good_ones_apart(huge, n_huge):
    good = np.array([1.0, 1.1, 1.3, 1.6, 2.0, 2.5])
    z = winsorize_and_standardize(np.concatenate([good, np.full(n_huge, huge)])).z
    assert z[5] - z[0] > 0.3


@pytest.mark.parametrize("n_equal", [3, 9, 30])
def test_a_plateau_of_best_values_does_not_hide_that_others_are_bad(n_equal):
    z = winsorize_and_standardize(np.concatenate([np.full(n_equal, 0.1), [0.5, 0.9]])).z
    assert z[-1] - z[0] > 1.0
    assert z[-2] - z[0] > 0.5


def test_minus_infinity_is_no_great_success():
    z = winsorize_and_standardize(np.array([1.0, 2.0, -np.inf])).z
    assert z[2] == z.max()


def test_equal_values_are_all_zero():
    assert winsorize_and_standardize(np.full(5, 3.0)).z.tolist() == [0.0] * 5


def test_without_any_finite_value_everything_is_zero():
    assert winsorize_and_standardize(np.array([np.nan, np.inf])).z.tolist() == [0.0, 0.0]


def test_values_go_back_to_their_units():
    y = np.array([3.0, 4.0, 5.0, 6.0])
    found = winsorize_and_standardize(y)
    np.testing.assert_allclose(found.shift + found.spread * found.z, y)
