import math

import numpy as np
import pytest

from chromasonic.bayesopt.analysis.importance import Sensitivity


def ishigami(U):
    x, y, z = (2 * U.T - 1) * math.pi
    return (np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x))[None]


def ishigami_indices():
    """Main and total effects of x, y and z, of a = 7, b = 0.1.

    Source: Ishigami and Homma (1990), by integration over [-pi, pi]^3.
    """
    x = 0.5 * (1 + 0.1 * math.pi**4 / 5) ** 2
    y = 7**2 / 8
    x_and_z = 0.1**2 * math.pi**8 * (1 / 18 - 1 / 50)
    variance = x + y + x_and_z
    return np.array([[x, y, 0.0], [x + x_and_z, y, x_and_z]]) / variance


@pytest.fixture(scope="module")
def sensitivity():
    return Sensitivity(ishigami, 20_000, 3, np.random.default_rng(0))


@pytest.mark.parametrize("column", range(3))
def test_indices_are_those_of_the_analytic_solution(column, sensitivity):
    found = sensitivity.indices([column])[:, 0]
    assert found == pytest.approx(ishigami_indices()[:, column], abs=0.02)


def test_a_group_explains_what_its_members_and_their_interactions_do(sensitivity):
    main, total = sensitivity.indices([0, 2])[:, 0]
    truth = ishigami_indices()[1, 0]
    assert (main, total) == pytest.approx((truth, truth), abs=0.02)


def test_all_columns_explain_everything_and_an_idle_one_nothing():
    def f(U):
        return np.array([U[:, 0] * U[:, 1], U[:, 0] + U[:, 1]])

    few = Sensitivity(f, 50, 3, np.random.default_rng(0))
    assert few.indices([0, 1, 2]) == pytest.approx(np.ones((2, 2)))
    assert few.indices([2]) == pytest.approx(np.zeros((2, 2)), abs=1e-12)
    assert few.indices([0])[0, 1] == pytest.approx(0.5, abs=0.1)
