import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal
from chromasonic.bayesopt.analysis._new_ranges import widen_range
from chromasonic.errors import SpaceError


@pytest.mark.parametrize(
    ("parameter", "up", "down"),
    [
        # About as much again; twice the high end where that is near.
        (Float(2.0, 5.0), Float(2.0, 8.0), Float(0.2, 5.0)),
        (Float(10.0, 12.0), Float(10.0, 14.0), Float(8.0, 12.0)),
        (Float(-1.0, 2.0), Float(-1.0, 5.0), Float(-4.0, 2.0)),
        (Integer(64, 512, step=32), Integer(64, 1024, step=32), Integer(32, 512, step=32)),
        (Integer(1, 4), Integer(1, 8), None),
        (Integer(100, 110), Integer(100, 120), Integer(90, 110)),
        # On a log scale as many times again, but no more than ten.
        (Float(1.0, 4.0, log=True), Float(1.0, 16.0, log=True), Float(0.25, 4.0, log=True)),
        (Float(1e-5, 1e-2, log=True), Float(1e-5, 0.1, log=True), Float(1e-6, 1e-2, log=True)),
        (Integer(8, 64, log=True), Integer(8, 512, log=True), Integer(1, 64, log=True)),
        # What starts at 0 never falls below, a share stays below 1.
        (Float(0.0, 0.5), Float(0.0, 0.95), None),
        (Float(0.0, 1.0), None, None),
        (Float(0.0, 0.5, step=0.1), Float(0.0, 0.9, step=0.1), None),
        (Float(0.1, 0.3, step=0.1), Float(0.1, 0.5, step=0.1), None),
        (Float(0.0, 3.0), Float(0.0, 6.0), None),
        (Integer(0, 1), None, None),
        # Choices go on by their ratio or their step.
        ([16, 32, 64, 128], [16, 32, 64, 128, 256, 512, 1024], [2, 4, 8, 16, 32, 64, 128]),
        ([1, 2, 3], [1, 2, 3, 4, 5], None),
        ([10, 15], [10, 15, 20], [5, 10, 15]),
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5], None),
        ([0.0, 0.4, 0.8], None, None),
        ([1e-4, 1e-3], [1e-4, 1e-3, 1e-2], [1e-5, 1e-4, 1e-3]),
        ([1, 3, 10], [1, 3, 10, 30, 100], None),
        ([16, 32, 48, 128], [16, 32, 48, 128, 208, 288, 368], None),
        ([-2, 0, 2], [-2, 0, 2, 4, 6], [-6, -4, -2, 0, 2]),
        ([0.5, 1, 2], [0.5, 1, 2, 4.0, 8.0], [0.125, 0.25, 0.5, 1, 2]),
    ],
)
def test_a_range_goes_on_as_it_was(parameter, up, down):
    if isinstance(parameter, list):
        parameter, up, down = (p and Ordinal(p) for p in (parameter, up, down))
    assert widen_range(parameter, upwards=True) == up
    assert widen_range(parameter, upwards=False) == down


def test_whole_choices_stay_whole():
    wide = widen_range(Ordinal([16, 32]), upwards=True)
    assert [type(choice) for choice in wide.choices] == [int] * 3


@pytest.mark.parametrize(
    "parameter", [Categorical(["a", "b"]), Categorical([1, 2]), Fixed(3), Ordinal([5])]
)
def test_what_has_no_ends_cannot_be_widened(parameter):
    assert widen_range(parameter, upwards=True) is None
    assert widen_range(parameter, upwards=False) is None


def test_there_is_nothing_beyond_the_largest_numbers():
    assert widen_range(Float(-1.7e308, 0.0), upwards=False) is None
    assert widen_range(Integer(0, 2**40), upwards=True) is None
    assert widen_range(Float(0.0, 1.7e308, step=1e308), upwards=True) is None


def test_conditions_stay():
    when = {"kind": ("a",)}
    for parameter in (Float(2.0, 3.0, when=when), Ordinal([1, 2], when=when)):
        assert widen_range(parameter, upwards=True).when == when


@st.composite
def numbers(draw):
    """Any range or ordered choices that can be made."""
    log = draw(st.booleans())
    kind = draw(st.sampled_from(["float", "steps", "integer", "choices"]))
    low = draw(st.floats(1e-6 if log else -1e3, 1e3))
    width = draw(st.floats(1e-3, 1e6))
    try:
        match kind:
            case "float":
                return Float(low, low + width, log=log)
            case "steps":
                step = draw(st.sampled_from([0.001, 0.1, 0.25, 3.0]))
                return Float(round(low, 3), low + width, log=log, step=step)
            case "integer":
                return Integer(int(low), int(low + width), log=log, step=draw(st.integers(1, 9)))
            case _:
                return Ordinal(draw(st.lists(st.integers(-50, 500), min_size=2, unique=True)))
    except SpaceError:
        assume(False)


@example(Float(5e-324, 1.0), False, 0.0)
@example(Float(1 / 3, 2 / 3), True, 0.0)
@given(numbers(), st.booleans(), st.floats(0.0, 1.0))
def test_every_old_value_is_one_of_the_wider_range_and_natural_ends_hold(parameter, upwards, u):
    wide = widen_range(parameter, upwards=upwards)
    if wide is None:
        return
    assert wide.contains(parameter.from_unit(u))
    old = parameter.from_unit(0.0), parameter.from_unit(1.0)
    new = wide.from_unit(0.0), wide.from_unit(1.0)
    assert (new[0] == old[0] and new[1] > old[1]) if upwards else new[0] < old[0]
    if old[0] >= 0:
        assert new[0] > 0 if old[0] > 0 else new[0] == 0
        if old[1] <= 1:
            assert new[1] < 1 or new[1] == old[1]
    if isinstance(parameter, Float) and parameter.step is None and parameter.log:
        assert math.log10(new[1] / old[1]) <= 1 + 1e-9
