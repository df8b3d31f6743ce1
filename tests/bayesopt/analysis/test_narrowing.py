import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal
from chromasonic.bayesopt.analysis._new_ranges import narrow_range


@pytest.mark.parametrize(
    ("parameter", "low", "high", "expected"),
    [
        (Float(0.0, 1.0), 0.2345, 0.6789, Float(0.23, 0.68)),
        (Float(1e-4, 1.0, log=True), 0.25, 0.75, Float(1e-3, 0.1, log=True)),
        (Float(1e-4, 1.0, log=True), 0.3, 0.7, Float(1.5e-3, 0.064, log=True)),
        (Float(1000.0, 1001.0), 0.111, 0.444, Float(1000.11, 1000.45)),
        (Float(0.0, 1.0, step=0.1), 0.3, 0.6, Float(0.3, 0.6, step=0.1)),
        (Integer(1, 9), 0.5, 0.5, Integer(5, 6)),
        (Integer(1, 9), 0.99, 1.2, Integer(8, 9)),
        (Integer(64, 512, step=32), -0.1, 0.5, Integer(64, 288, step=32)),
        (Ordinal([16, 32, 64, 128]), 0.3, 0.6, Ordinal([32, 64])),
        (Ordinal([16, 32, 64, 128]), 0.6, 0.6, Ordinal([64, 128])),
    ],
)
def test_a_part_of_a_range_keeps_its_steps_and_scale(parameter, low, high, expected):
    assert narrow_range(parameter, low, high) == expected


@pytest.mark.parametrize(
    "parameter",
    [Float(0.0, 1.0), Integer(1, 2), Ordinal([1, 2]), Categorical(["a", "b"]), Fixed(1)],
)
def test_where_nothing_is_left_out_there_is_no_part(parameter):
    assert narrow_range(parameter, 0.0, 1.0) is None


def test_an_interval_outside_the_range_narrows_nothing():
    assert narrow_range(Float(-3.0, 17.0), 1.0, 1.0) is None
    assert narrow_range(Float(-3.0, 17.0), 1.1, 1.3) is None


def test_a_range_that_is_as_fine_as_can_be_stays():
    assert narrow_range(Float(1.0, 1.0 + 2**-29), 0.4, 0.6) is None


PARAMETERS = [
    Float(-3.0, 17.0),
    Float(3e-7, 20.0, log=True),
    Float(-1.0, 2.0, step=0.3),
    Float(0.5, 900.0, log=True, step=0.5),
    Integer(3, 400, log=True),
    Integer(-4, 30, step=3),
    Ordinal([1, 2, 5, 9, 100]),
]


@given(st.sampled_from(PARAMETERS), st.floats(0.0, 1.0), st.floats(0.2, 0.8), st.floats(0.0, 1.0))
def test_all_values_of_the_interval_stay_and_none_is_new(parameter, low, width, u):
    high = min(1.0, low + width)
    narrow = narrow_range(parameter, low, high) or parameter
    inside = parameter.from_unit(low + u * (high - low))
    assert narrow.contains(inside)
    assert parameter.contains(narrow.from_unit(u))
    assert narrow.n_values is None or narrow.n_values >= 2
