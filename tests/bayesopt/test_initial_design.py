import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt._initial_design import (
    DESIGNS,
    design_named,
    latin_hypercube,
    random_design,
    sobol,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", DESIGNS)
@given(n=st.integers(0, 40), d=st.integers(0, 9), seed=st.integers(0, 2**32))
def test_every_design_has_its_shape_lies_in_the_cube_and_repeats_with_its_seed(name, n, d, seed):
    X = DESIGNS[name](n, d, rng(seed))
    assert X.shape == (n, d)
    assert X.dtype == float
    assert ((X >= 0) & (X < 1)).all()
    np.testing.assert_array_equal(X, DESIGNS[name](n, d, rng(seed)))


@pytest.mark.parametrize("name", DESIGNS)
def test_two_seeds_make_two_designs(name):
    assert not np.array_equal(DESIGNS[name](8, 3, rng(0)), DESIGNS[name](8, 3, rng(1)))


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_may_have_thousands_of_dimensions(name):
    X = DESIGNS[name](5, 3000, rng())
    assert X.shape == (5, 3000)
    assert len(np.unique(X, axis=1).T) > 2900


@given(n=st.integers(1, 60), d=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_each_nth_of_each_column_of_a_latin_hypercube_holds_one_point(n, d, seed):
    cells = np.floor(latin_hypercube(n, d, rng(seed)) * n)
    assert (np.sort(cells, axis=0) == np.arange(n)[:, None]).all()


class AlmostOne:
    """A generator whose every number is the largest below 1."""

    def permuted(self, x, axis):
        return x

    def random(self, shape):
        return np.full(shape, np.nextafter(1.0, 0.0))


def test_a_latin_hypercube_never_reaches_the_end_by_rounding():
    assert (latin_hypercube(7, 2, AlmostOne()) < 1).all()


@pytest.mark.parametrize("k", [2, 8, 32])
def test_each_nth_of_each_column_of_a_sobol_design_of_a_power_of_two_holds_one_point(k):
    cells = np.floor(sobol(k, 6, rng()) * k)
    assert (np.sort(cells, axis=0) == np.arange(k)[:, None]).all()


def test_a_longer_sobol_design_begins_with_the_shorter_one():
    np.testing.assert_array_equal(sobol(5, 3, rng()), sobol(8, 3, rng())[:5])


def test_spread_designs_integrate_with_less_error_than_a_random_one():
    def error(design):
        means = [np.sum(design(32, 4, rng(seed)), axis=1).mean() for seed in range(50)]
        return np.std(means)

    assert error(latin_hypercube) < 0.2 * error(random_design)
    assert error(sobol) < 0.2 * error(random_design)


def test_too_many_dimensions_for_sobol_are_refused():
    with pytest.raises(ValueError, match="at most 21201 dimensions, but got 21202"):
        sobol(2, 21_202, rng())


def test_an_unknown_design_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="'latin_hypercube', 'sobol', 'random', but got 'grid'"):
        design_named("grid")
