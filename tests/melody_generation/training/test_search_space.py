import pytest

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.errors import SpaceError
from chromasonic.melody_generation.training.search_space import (
    HyperparameterSearchSpace,
    model_and_training_params,
)


def test_the_defaults_are_those_of_the_guide():
    space = HyperparameterSearchSpace()
    assert space.num_epochs == 20
    assert space.space == Space(
        {
            "learning_rate": Float(1e-5, 1e-2, log=True),
            "batch_size": Ordinal([16, 32, 64, 128]),
            "hidden_size": Integer(64, 512, step=32),
            "num_layers": Integer(1, 4),
            "dropout": Float(0.0, 0.5),
            "embedding_dim": Integer(32, 256, step=16),
        }
    )


def test_the_names_of_the_ranges_are_those_of_the_guide():
    space = HyperparameterSearchSpace(
        learning_rate_range=(1e-6, 1e-1),
        batch_size_options=[8, 16, 32, 64, 128, 256],
        hidden_size_range=(32, 1024),
        num_layers_range=(1, 6),
        dropout_range=(0.0, 0.7),
        embedding_dim_range=(16, 512),
        num_epochs=50,
    ).space
    assert space["learning_rate"] == Float(1e-6, 1e-1, log=True)
    assert space["batch_size"].choices == (8, 16, 32, 64, 128, 256)
    assert space["num_layers"] == Integer(1, 6)
    assert space["dropout"] == Float(0.0, 0.7)
    for name, low, high in (("hidden_size", 32, 1024), ("embedding_dim", 16, 512)):
        assert (space[name].low, space[name].high) == (low, high)
        assert space[name].n_values >= 15


@pytest.mark.parametrize("bounds", [(64, 512), (1, 2), (7, 100), (32, 4096), (10, 11), (100, 355)])
def test_sizes_have_even_steps_that_reach_both_ends(bounds):
    low, high = bounds
    size = HyperparameterSearchSpace(hidden_size_range=bounds).space["hidden_size"]
    assert (size.low, size.high) == bounds
    assert size.step & (size.step - 1) == 0, "a power of two"
    assert size.n_values >= min(15, high - low + 1)


def test_the_sonic_lstm_has_its_own_six_parameters():
    space = HyperparameterSearchSpace.sonic_lstm(num_epochs=7)
    ranges = {
        "learning_rate": (1e-4, 1e-2),
        "lstm_units_1": (256, 1024),
        "lstm_units_2": (128, 512),
        "sequence_length": (3, 5),
        "dropout_rate": (0.1, 0.3),
    }
    assert set(space.space) == {*ranges, "batch_size"}
    for name, (low, high) in ranges.items():
        assert (space.space[name].low, space.space[name].high) == (low, high)
    batch_sizes = space.space["batch_size"].choices
    assert (min(batch_sizes), max(batch_sizes)) == (16, 64)
    assert space.space["learning_rate"].log
    assert space.num_epochs == 7


def test_a_parameter_can_be_added_or_given_another_range():
    first = HyperparameterSearchSpace(num_epochs=3)
    second = first.with_parameter("weight_decay", Float(1e-4, 0.1, log=True))
    third = second.with_parameter("dropout", Categorical([0.1, 0.2]))
    assert list(second.space) == [*first.space, "weight_decay"]
    assert list(third.space) == list(second.space), "it keeps its place"
    assert third.space["dropout"] == Categorical([0.1, 0.2])
    assert third.num_epochs == 3
    assert "weight_decay" not in first.space, "the first one is as it was"


def test_parameters_can_be_held_constant_inside_their_range_or_not():
    space = HyperparameterSearchSpace().fixed(num_layers=9, dropout=0.1, weight_decay=0.0)
    assert space.space["num_layers"] == Fixed(9)
    assert space.space["dropout"] == Fixed(0.1)
    assert space.space["weight_decay"] == Fixed(0.0)


@pytest.mark.parametrize(
    ("argument", "bounds", "name", "value"),
    [
        ("learning_rate_range", (1e-3, 1e-3), "learning_rate", 1e-3),
        ("hidden_size_range", (64, 64), "hidden_size", 64),
        ("num_layers_range", [2, 2], "num_layers", 2),
        ("dropout_range", (0, 0), "dropout", 0.0),
        ("embedding_dim_range", (32, 32), "embedding_dim", 32),
    ],
)
def test_equal_bounds_hold_a_parameter_constant(argument, bounds, name, value):
    fixed = HyperparameterSearchSpace(**{argument: bounds}).space[name]
    assert fixed == Fixed(value)
    assert type(fixed.value) is type(value)


def test_any_space_can_be_searched():
    space = Space({"width": Integer(1, 4)})
    assert HyperparameterSearchSpace.from_space(space, 5).space == space
    assert HyperparameterSearchSpace.from_space(space, 5).num_epochs == 5


@pytest.mark.parametrize(
    ("argument", "value", "problem"),
    [
        ("learning_rate_range", (0.0, 1e-2), "a log range must start above 0"),
        ("learning_rate_range", (1e-2, 1e-5), "low must be below high"),
        ("learning_rate_range", 1e-3, "a range must be a pair"),
        ("learning_rate_range", (1e-5, 1e-3, 1e-2), "a range must be a pair"),
        ("learning_rate_range", ("a", "b"), "low must be a finite number"),
        ("hidden_size_range", (512, 64), "low must be below high"),
        ("hidden_size_range", (64.5, 512), "low must be an integer"),
        ("num_layers_range", None, "a range must be a pair"),
        ("dropout_range", (0.0, float("nan")), "high must be a finite number"),
        ("embedding_dim_range", (32,), "a range must be a pair"),
        ("batch_size_options", [], "at least one value"),
        ("batch_size_options", [16, 16], "16 comes twice"),
        ("batch_size_options", ["16"], "ordered choices must be numbers"),
        ("batch_size_options", 16, "must be a list"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_and_named(argument, value, problem):
    with pytest.raises(SpaceError, match=f"^{argument}: .*{problem}"):
        HyperparameterSearchSpace(**{argument: value})


@pytest.mark.parametrize("bad", [0, -1, 2.5, "20", None])
def test_a_number_of_epochs_that_makes_no_sense_is_refused(bad):
    with pytest.raises(SpaceError, match="num_epochs must be a whole number of at least 1"):
        HyperparameterSearchSpace(num_epochs=bad)


def test_what_steers_the_training_does_not_go_to_the_model():
    params = {
        "hidden_size": 8,
        "learning_rate": 0.1,
        "batch_size": 4,
        "weight_decay": 0.0,
        "my_own": "x",
        "transposition": 2,
    }
    model, training = model_and_training_params(params)
    assert model == {"hidden_size": 8, "my_own": "x"}
    assert training == {
        "learning_rate": 0.1,
        "batch_size": 4,
        "weight_decay": 0.0,
        "transposition": 2,
    }
