import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from chromasonic.bayesopt import Categorical, Integer
from chromasonic.tuning.sampling._axes import axis_of

SIZES = CategoricalDistribution([64, 16, 32])


def test_numbers_to_choose_from_have_an_order():
    axis = axis_of(SIZES)
    assert isinstance(axis.parameter, Integer)
    assert [axis.inside(index, SIZES) for index in (0.0, 1.0, 2.0)] == [2, 0, 1]
    assert isinstance(axis_of(CategoricalDistribution([64, True])).parameter, Categorical)


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(-1.0, 1.0),
        FloatDistribution(1e-300, 1e300, log=True),
        FloatDistribution(1.0, math.nextafter(1.0, 2.0)),
        FloatDistribution(0.1, 0.7, step=0.1),
        FloatDistribution(-10.2, 10.2, step=0.1),
        FloatDistribution(0.0, 1.0, step=1e-7),
        IntDistribution(-10, 10, step=4),
        IntDistribution(1, 100, log=True),
        IntDistribution(0, 2**60),
        IntDistribution(1, 2**60, log=True),
        IntDistribution(2**60, 2**60 + 7),
        CategoricalDistribution(["a", None, 2]),
    ],
    ids=str,
)
def test_every_place_is_a_value_of_the_distribution_that_finds_itself_again(distribution):
    axis = axis_of(distribution)
    for u in np.linspace(0.0, 1.0, 41):
        value = axis.outside(axis.parameter.from_unit(float(u)), distribution)
        internal = distribution.to_internal_repr(value)
        assert distribution._contains(internal)
        assert type(value) in (float, int, str, type(None))
        place = axis.parameter.to_unit(axis.inside(internal, distribution))
        again = axis.outside(axis.parameter.from_unit(place), distribution)
        assert again == value or math.isclose(again, value, rel_tol=1e-9)
