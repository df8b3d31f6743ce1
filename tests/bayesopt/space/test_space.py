import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.errors import SpaceError

MIXED = Space(
    {
        "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"], "layers": [1, 2]}),
        "optimizer": Categorical(["adam", "sgd", None]),
        "layers": Integer(1, 4, when={"optimizer": ["sgd", "adam"]}),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "batch_size": Ordinal([16, 32, 64]),
        "bias": Categorical([True, False, 1]),
        "epochs": Fixed(20),
    }
)

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POSITIVE = st.floats(1e-6, 1e6)
UNITS = st.floats(0, 1)


@st.composite
def integers(draw):
    log = draw(st.booleans())
    low = draw(st.integers(1, 10**6) if log else st.integers(-(10**6), 10**6))
    step = draw(st.integers(1, 1000))
    return Integer(low, low + step * draw(st.integers(1, 10**5)), log=log, step=step)


@st.composite
def stepped_floats(draw):
    log = draw(st.booleans())
    low = draw(POSITIVE if log else NUMBERS)
    step = draw(st.floats(1e-2, 1e3))
    return Float(low, low + step * draw(st.integers(2, 1000)), log=log, step=step)


@st.composite
def continuous_floats(draw):
    log = draw(st.booleans())
    low = draw(POSITIVE if log else NUMBERS)
    return Float(low, low + draw(st.floats(1e-2, 1e6)), log=log)


ORDINALS = st.lists(NUMBERS | st.integers(-1000, 1000), min_size=1, unique=True).map(Ordinal)
CATEGORIES = st.lists(st.text() | st.none(), min_size=1, unique=True).map(Categorical)
DISCRETE = integers() | stepped_floats() | ORDINALS | CATEGORIES
PARAMETERS = DISCRETE | continuous_floats()
SPACES = st.dictionaries(st.text(min_size=1), PARAMETERS, min_size=1, max_size=4).map(Space)


@given(DISCRETE, UNITS)
def test_discrete_values_come_back_exactly(parameter, u):
    value = parameter.from_unit(u)
    again = parameter.from_unit(parameter.to_unit(value))
    assert again == value
    assert type(again) is type(value)


@given(continuous_floats(), UNITS)
def test_floats_come_back_nearly(parameter, u):
    value = parameter.from_unit(u)
    again = parameter.from_unit(parameter.to_unit(value))
    tolerance = 1e-12 * max(abs(parameter.low), abs(parameter.high))
    assert again == pytest.approx(value, rel=1e-12, abs=tolerance)


@given(PARAMETERS, UNITS)
def test_every_place_holds_a_value_of_the_parameter(parameter, u):
    value = parameter.from_unit(u)
    assert parameter.contains(value)
    assert 0 <= parameter.to_unit(value) <= 1


@given(PARAMETERS, UNITS, UNITS)
def test_numbers_keep_their_order_in_the_unit_interval(parameter, u, v):
    if not isinstance(parameter, Categorical):
        assert parameter.from_unit(min(u, v)) <= parameter.from_unit(max(u, v))


@given(PARAMETERS)
def test_both_ends_of_the_interval_hold_the_outermost_values(parameter):
    if isinstance(parameter, Float | Integer):
        assert parameter.from_unit(0.0) == parameter.low
        assert parameter.from_unit(1.0) == parameter.high
    else:
        assert parameter.from_unit(0.0) == parameter.choices[0]
        assert parameter.from_unit(1.0) == parameter.choices[-1]


@given(SPACES, st.integers(0, 2**32))
def test_a_space_survives_json_and_its_points_the_unit_cube(space, seed):
    again = Space.from_dict(json.loads(json.dumps(space.to_dict(), sort_keys=True)))
    assert again == space
    assert hash(again) == hash(space)
    X = np.random.default_rng(seed).random((3, len(space)))
    points = space.decode(X)
    assert all(space.contains(point) for point in points)
    encoded = space.encode(points)
    assert encoded.shape == X.shape
    assert ((encoded >= 0) & (encoded <= 1)).all()


@given(st.lists(UNITS, min_size=7, max_size=7))
def test_decoded_points_of_a_conditional_space_are_points_of_it(row):
    [point] = MIXED.decode([row])
    MIXED.validate(point)
    assert MIXED.decode(MIXED.encode([point])) == [
        {**point, "learning_rate": pytest.approx(point["learning_rate"])}
        | ({"momentum": pytest.approx(point["momentum"])} if "momentum" in point else {})
    ]


def test_values_of_a_list_lie_in_the_middle_of_equal_cells():
    assert [Ordinal([64, 16, 32]).to_unit(v) for v in (16, 32, 64)] == [1 / 6, 3 / 6, 5 / 6]
    assert [Integer(1, 4).to_unit(v) for v in (1, 2, 3, 4)] == [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    assert [Categorical(["b", "a"]).to_unit(v) for v in ("b", "a")] == [1 / 4, 3 / 4]
    assert Fixed("x").to_unit("x") == 0.5


def test_a_log_scale_puts_the_geometric_mean_in_the_middle():
    assert Float(1e-4, 1.0, log=True).from_unit(0.5) == pytest.approx(1e-2)
    assert Float(0.0, 1.0).from_unit(0.5) == 0.5


def test_cells_of_log_integers_meet_at_geometric_means():
    """Borders at the roots of 1 * 2, 2 * 3 and 3 * 4; the outer ones mirror their neighbours."""
    parameter = Integer(1, 4, log=True)
    start, end = -math.log(2) / 2, math.log(4) + math.log(4 / 3) / 2
    for value, border in ((1, math.sqrt(2)), (2, math.sqrt(6)), (3, math.sqrt(12))):
        u = (math.log(border) - start) / (end - start)
        assert parameter.from_unit(u - 1e-9) == value
        assert parameter.from_unit(u + 1e-9) == value + 1


def test_log_integers_may_have_a_step():
    parameter = Integer(8, 100, log=True, step=8)
    assert parameter.high == 96
    assert parameter.n_values == 12
    values = {parameter.from_unit(u) for u in np.linspace(0, 1, 1000)}
    assert values == set(range(8, 97, 8))
    places = [parameter.to_unit(value) for value in sorted(values)]
    gaps = np.diff(places)
    assert (gaps[1:] < gaps[:-1]).all()


def test_the_largest_log_integers_come_back():
    parameter = Integer(1, 2**40, log=True)
    for value in (1, 2, 2**39 + 1, 2**40 - 1, 2**40):
        assert parameter.from_unit(parameter.to_unit(value)) == value


def test_log_floats_near_the_largest_float_do_not_overflow():
    parameter = Float(1e307, 1.7e308, log=True, step=1e307)
    assert parameter.from_unit(1.0) == 1.7e308


def test_high_is_lowered_to_the_last_value_a_step_reaches():
    assert Integer(1, 10, step=4).high == 9
    assert Float(0.0, 1.0, step=0.3).high == 0.9


def test_steps_of_floats_are_counted_in_decimals():
    parameter = Float(0.0, 1.0, step=0.1)
    assert parameter.n_values == 11
    assert [parameter.value_at(i) for i in (3, 6, 10)] == [0.3, 0.6, 1.0]
    assert parameter.contains(0.1 + 0.2)
    assert not parameter.contains(0.35)


def test_values_are_native_whatever_they_were_given_as():
    assert type(Float(np.float32(0), 1).from_unit(0.0)) is float
    assert type(Integer(np.int8(0), 1).from_unit(0.0)) is int
    assert type(Ordinal(np.array([1, 2])).from_unit(0.0)) is int
    assert type(Categorical(np.array([True, False])).from_unit(0.0)) is bool


def test_numpy_values_are_values():
    assert Float(0, 1).contains(np.float32(0.5))
    assert Integer(0, 1).contains(np.int64(1))
    assert Categorical([True, False]).contains(np.True_)
    assert Categorical(["a"]).contains(np.str_("a"))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float(0, 1), True),
        (Float(0, 1), math.nan),
        (Float(0, 1), 1.1),
        (Float(0, 1), "0.5"),
        (Integer(1, 8), 2.0),
        (Integer(1, 8), True),
        (Integer(1, 8), 9),
        (Integer(1, 9, step=2), 2),
        (Ordinal([0, 1]), True),
        (Ordinal([1, 2]), [1]),
        (Categorical([1, "a"]), True),
        (Categorical(["a"]), np.array(["a"])),
        (Fixed(None), 0),
    ],
)
def test_a_value_that_is_not_possible_is_refused(parameter, value):
    assert not parameter.contains(value)
    with pytest.raises(SpaceError, match="the value must be"):
        parameter.to_unit(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1, 0), "low must be below high, but got low=1.0 and high=0.0"),
        (lambda: Float(1, 1), r"hold the parameter constant with Fixed\(value\)"),
        (lambda: Float(0, math.inf), "high must be a finite number, but got inf"),
        (lambda: Float(math.nan, 1), "low must be a finite number, but got nan"),
        (lambda: Float(0, 10**400), "high must be a finite number"),
        (lambda: Float("0", 1), "low must be a finite number, but got '0'"),
        (lambda: Float(False, 1), "low must be a finite number, but got False"),
        (lambda: Float(-1.7e308, 1.7e308), "narrower than the largest float"),
        (lambda: Float(1, 1 + 1e-12), r"wider than 2\*\*-30 of its larger end"),
        (lambda: Float(0, 1, log=True), "must start above 0, but got low=0.0. .*as 1e-6"),
        (lambda: Float(1, 2, log=1), "log must be True or False, but got 1"),
        (lambda: Float(0, 1, step=0), "step must be above 0, but got 0.0"),
        (lambda: Float(0, 1, step="a"), "step must be a finite number, but got 'a'"),
        (lambda: Float(0, 1, step=2), "step must fit at least once"),
        (lambda: Float(0, 1, step=1e-12), r"step must not be finer than 2\*\*-30"),
        (lambda: Integer(1.0, 2), "low must be an integer, but got 1.0"),
        (lambda: Integer(1, True), "high must be an integer, but got True"),
        (lambda: Integer(3, 3), "low must be below high"),
        (lambda: Integer(0, 8, log=True), "must start above 0, but got low=0. Use low=1,"),
        (lambda: Integer(1, 2**41), r"high must be within -2\*\*40 and 2\*\*40"),
        (lambda: Integer(1, 8, step=0), "step must be above 0, but got 0"),
        (lambda: Integer(1, 8, step=8), "step must fit at least once"),
        (lambda: Integer(1, 8, step=0.5), "step must be an integer, but got 0.5"),
        (lambda: Ordinal([]), "choices must hold at least one value"),
        (lambda: Ordinal([1, 2, 1.0]), "choices must differ, but 1.0 comes twice"),
        (lambda: Ordinal([1, "a"]), "ordered choices must be numbers, but got 1, 'a'"),
        (lambda: Ordinal([0, True]), "ordered choices must be numbers"),
        (lambda: Categorical([]), "choices must hold at least one value"),
        (lambda: Categorical(["a", "a"]), "choices must differ, but 'a' comes twice"),
        (lambda: Categorical("adam"), "choices must be a list, but got 'adam'"),
        (lambda: Categorical([math.nan]), "a value must be text, a boolean, a finite number"),
        (lambda: Fixed([1]), r"a value must be text.* but got \[1\]"),
        (lambda: Float(0, 1, when=["a"]), "when must map names of parents to lists"),
        (lambda: Float(0, 1, when={"a": "x"}), "the values of 'a' in when must be a list"),
        (lambda: Float(0, 1, when={"a": []}), "the values of 'a' in when must hold at least one"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


@pytest.mark.parametrize(
    ("bound", "parameter"),
    [
        ((1, 8), Integer(1, 8)),
        ((1, 1000), Integer(1, 1000)),
        ((np.int64(1), np.int64(8)), Integer(1, 8)),
        ((0.0, 1.0), Float(0.0, 1.0)),
        ((0, 1.0), Float(0.0, 1.0)),
        ((1e-4, 1e-2), Float(1e-4, 1e-2, log=True)),
        ((1, 100.0), Float(1.0, 100.0, log=True)),
        ((1.0, 99.0), Float(1.0, 99.0)),
        ((-100.0, -1.0), Float(-100.0, -1.0)),
        ([32, 16], Ordinal([16, 32])),
        ([0.1, 1], Ordinal([0.1, 1])),
        (["adam", "sgd"], Categorical(["adam", "sgd"])),
        ([True, False], Categorical([True, False])),
        ([1, True], Categorical([1, True])),
        ([1, "auto", None], Categorical([1, "auto", None])),
        (Float(1, 1000), Float(1, 1000)),
    ],
)
def test_bounds_are_read_as_documented(bound, parameter):
    assert Space.from_bounds({"x": bound})["x"] == parameter


@pytest.mark.parametrize(
    "bound", [3, "adam", (1, 2, 3), ("a", "b"), (False, True), {"low": 1}, None, np.zeros(2)]
)
def test_a_bound_of_another_form_is_refused(bound):
    with pytest.raises(
        SpaceError, match=r"parameter 'x': a bound must be a pair .*Fixed\(value\)"
    ):
        Space.from_bounds({"x": bound})


def test_a_wrong_bound_is_named():
    with pytest.raises(SpaceError, match="parameter 'x': low must be below high"):
        Space.from_bounds({"x": (2, 1)})
    with pytest.raises(SpaceError, match="parameter 'x': high must be a finite number"):
        Space.from_bounds({"x": (0, math.nan)})


def test_bounds_without_names_are_refused():
    with pytest.raises(SpaceError, match="bounds must map names to bounds"):
        Space.from_bounds([(0, 1)])


def test_a_description_tells_how_each_bound_was_read():
    assert MIXED.describe() == [
        "momentum: a number from 0.0 to 0.9, only when optimizer is 'sgd' and layers is 1 or 2",
        "optimizer: one of 'adam', 'sgd', None (in no order)",
        "layers: an integer from 1 to 4, only when optimizer is 'sgd' or 'adam'",
        "learning_rate: a number from 0.0001 to 0.1, log scale",
        "batch_size: one of 16, 32, 64 (in this order)",
        "bias: one of True, False, 1 (in no order)",
        "epochs: 20 (held constant)",
    ]
    stepped = Space({"a": Integer(8, 64, log=True, step=8), "b": Float(0, 1, step=0.1)})
    assert stepped.describe() == [
        "a: an integer from 8 to 64, log scale, in steps of 8",
        "b: a number from 0.0 to 1.0, in steps of 0.1",
    ]


def test_inactive_parameters_are_left_out_of_points_and_nan_in_rows():
    point = {"optimizer": None, "learning_rate": 1e-4, "batch_size": 64, "bias": 1, "epochs": 20}
    assert MIXED.active(point) == tuple(point)
    [row] = MIXED.encode([point])
    assert np.isnan(row).tolist() == [True, False, True, False, False, False, False]
    assert MIXED.decode([row]) == [point]


def test_a_child_of_an_inactive_parent_is_inactive():
    assert "momentum" not in MIXED.active({"optimizer": None, "layers": 1})
    assert "momentum" not in MIXED.active({"optimizer": "sgd"})
    assert "momentum" in MIXED.active({"optimizer": "sgd", "layers": 1})


@pytest.mark.parametrize(
    ("conditions", "n_branches"),
    [
        ([], 1),
        ([{"a": ["x"]}], 2),
        ([{"a": ["x", "y", "z"]}], 1),
        ([{"a": ["x"]}, {"a": ["y"]}], 3),
        ([{"a": ["x", "y"]}, {"a": ["y", "z"]}], 3),
        ([{"a": ["x"]}, {"b": ["p"]}, {"b": ["q"]}, {"b": ["r"]}], 4),
        ([{"n": [1]}, {"n": [2]}, {"n": [3]}], 1),
    ],
)
def test_values_of_a_category_are_branches_where_they_bring_other_parameters(
    conditions, n_branches
):
    children = {f"child{i}": Float(0.0, 1.0, when=when) for i, when in enumerate(conditions)}
    space = Space(
        {
            "a": Categorical(["x", "y", "z"]),
            "b": Categorical(["p", "q", "r", "s"]),
            "n": Integer(1, 3),
            **children,
        }
    )
    assert space.n_branches == n_branches


def test_a_condition_on_true_is_not_met_by_one():
    space = Space({"a": Categorical([True, 1]), "b": Float(0, 1, when={"a": [True]})})
    assert space.active({"a": 1}) == ("a",)
    assert space.active({"a": True}) == ("a", "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 65}, "parameter 'batch_size': the value must be one of 16, 32, 64"),
        ({"batch_siz": 64}, "must be one of .* but got 'batch_siz'. Did you mean 'batch_size'?"),
        ({"qwertz": 64}, "but got 'qwertz'. Check the name."),
        ({"momentum": 0.5}, "only when optimizer is 'sgd' .* Leave it out"),
        (
            {"optimizer": "adam"},
            "must have a value for every active parameter, but lacks 'layers'",
        ),
    ],
)
def test_a_point_outside_the_space_is_refused_by_name(change, message):
    point = {"optimizer": None, "learning_rate": 0.1, "batch_size": 64, "bias": 1, "epochs": 20}
    MIXED.validate(point)
    assert not MIXED.contains({**point, **change})
    for refuse in (MIXED.validate, lambda point: MIXED.encode([point])):
        with pytest.raises(SpaceError, match=message):
            refuse({**point, **change})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "at least one parameter"),
        ({"": Float(0, 1)}, "name must be text, but got ''"),
        ({1: Float(0, 1)}, "name must be text, but got 1"),
        ({"x": (0, 1)}, r"parameter 'x': it must be a Float, .*but got \(0, 1\)"),
        ({"x": Float(0, 1, when={"y": [1]})}, "parameter 'x': in when, .* but got 'y'"),
        (
            {"x": Float(0, 1, when={"y": ["c"]}), "y": Categorical(["a", "b"])},
            "parameter 'x': in when, 'y' must be one of 'a', 'b' .*, but got 'c'",
        ),
        (
            {"x": Float(0, 1, when={"y": [0.5]}), "y": Float(0, 1)},
            "parameter 'x': a parent must have separate values, but 'y' is continuous",
        ),
        (
            {"x": Ordinal([1], when={"y": [1]}), "y": Ordinal([1], when={"x": [1]})},
            "must not run in a circle, but got 'x' -> 'y' -> 'x'",
        ),
        ({"x": Ordinal([1], when={"x": [1]})}, "must not run in a circle, but got 'x' -> 'x'"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(SpaceError, match=message):
        Space(parameters)


def test_samples_are_points_determined_by_the_generator():
    samples = [MIXED.sample(np.random.default_rng(seed)) for seed in range(100)]
    assert samples == [MIXED.sample(np.random.default_rng(seed)) for seed in range(100)]
    assert all(MIXED.contains(sample) for sample in samples)
    assert {sample["optimizer"] for sample in samples} == {"adam", "sgd", None}


def test_each_sample_takes_the_same_count_of_random_numbers():
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    MIXED.sample(one)
    other.random(len(MIXED))
    assert one.random() == other.random()


def test_fixing_leaves_the_space_alone_and_conditions_in_force():
    fixed = MIXED.fix(optimizer="adam", momentum=0.5)
    assert MIXED["optimizer"] == Categorical(["adam", "sgd", None])
    assert list(fixed) == list(MIXED)
    assert fixed["optimizer"] == Fixed("adam")
    assert fixed["momentum"] == Fixed(0.5, when=MIXED["momentum"].when)
    for seed in range(20):
        sample = fixed.sample(np.random.default_rng(seed))
        assert sample["optimizer"] == "adam"
        assert "momentum" not in sample


def test_fixing_what_is_not_there_is_refused():
    with pytest.raises(SpaceError, match="Did you mean 'epochs'"):
        MIXED.fix(epoch=3)
    with pytest.raises(SpaceError, match=r"parameter 'batch_size': .*'batch_size', Fixed\(65\)"):
        MIXED.fix(batch_size=65)


def test_a_parameter_is_replaced_in_place_or_added_last():
    assert list(MIXED.with_parameter("layers", Integer(1, 9))) == list(MIXED)
    assert list(MIXED.with_parameter("dropout", Float(0, 1)))[-1] == "dropout"


def test_equal_spaces_have_the_same_types_order_and_conditions():
    space = Space({"a": Categorical([0, 1]), "b": Integer(1, 2)})
    assert space == Space({"a": Categorical([0, 1]), "b": Integer(1, 2)})
    assert space != Space({"b": Integer(1, 2), "a": Categorical([0, 1])})
    assert space != Space({"a": Categorical([False, True]), "b": Integer(1, 2)})
    assert space != Space({"a": Categorical([0, 1]), "b": Integer(1, 2, when={"a": [1]})})
    assert space != "space"


def test_a_space_survives_pickling():
    assert pickle.loads(pickle.dumps(MIXED)) == MIXED


def test_a_conditional_space_survives_json():
    assert Space.from_dict(json.loads(json.dumps(MIXED.to_dict()))) == MIXED


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (None, "must hold a list 'parameters'"),
        ([{"type": "float"}], "tables with a 'name'"),
        ([{"name": "x"}], "parameter 'x': type must be one of 'float', .*but got None"),
        ([{"name": "x", "type": "complex"}], "type must be one of .* but got 'complex'"),
        ([{"name": "x", "type": "fixed"}], "the key 'value' must be there, but is missing"),
        (
            [{"name": "x", "type": "fixed", "value": 1, "low": 0}],
            "keys must be among 'when', 'value', but got 'low'",
        ),
        ([{"name": "x", "type": "integer", "low": 2, "high": 1}], "parameter 'x': low must be"),
        ([{"name": "x", "type": "fixed", "value": 1}] * 2, "its name must be unique"),
    ],
)
def test_a_description_of_another_form_is_refused(tables, message):
    with pytest.raises(SpaceError, match=message):
        Space.from_dict({"parameters": tables})


def test_encoding_no_points_gives_no_rows():
    assert MIXED.encode([]).shape == (0, len(MIXED))


def test_places_beyond_the_unit_interval_mean_its_ends():
    assert Integer(1, 3).from_unit(-0.5) == 1
    assert Float(1, 3).from_unit(1.5) == 3.0


def test_a_matrix_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"one column for each of 7 .* but got shape \(7,\)"):
        MIXED.decode(np.zeros(7))


def test_nan_in_the_column_of_an_active_parameter_is_refused():
    with pytest.raises(SpaceError, match=r"parameter 'x': a place in the unit interval .* nan"):
        Space({"x": Float(0, 1)}).decode([[math.nan]])


def test_what_was_tried_before_a_parameter_was_held_constant_becomes_a_point():
    space = Space({"x": Float(0.0, 1.0), "c": Fixed(3)})
    assert space.with_constants({"x": 0.5, "c": 7}) == {"x": 0.5, "c": 3}
    assert space.contains(space.with_constants({"x": 0.5, "c": 7}))
    # What is missing or unknown stays so.
    assert space.with_constants({"x": 2.0, "y": 1}) == {"x": 2.0, "y": 1}


def test_fifty_thousand_choices_are_as_good_as_two():
    # Comparing each with each would take ten minutes.
    names = [f"c{i}" for i in range(50_000)]
    assert Categorical(names).choices == tuple(names)
    with pytest.raises(SpaceError, match="'c7' comes twice"):
        Categorical([*names, "c7"])


@pytest.mark.parametrize("pair", [[1, True], [0, False], [1, "1"], [None, "None"]])
def test_values_of_different_types_are_different_choices(pair):
    assert Categorical(pair).choices == tuple(pair)
