import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.tuning.learning_curve import (
    EpochRow,
    best_row,
    curve_from_json,
    curve_to_json,
    has_diverged,
)

LOSSES = st.floats(allow_nan=False, allow_infinity=False)


def curve(*losses):
    return [EpochRow(epoch, loss) for epoch, loss in enumerate(losses, start=1)]


def test_a_row_is_flat_in_the_files_with_its_metrics_before_the_seconds():
    row = EpochRow(3, 1.5, 1.25, 0.5, {"learning_rate": 0.01})
    assert list(row.to_dict().items()) == [
        ("epoch", 3),
        ("loss", 1.5),
        ("train_loss", 1.25),
        ("learning_rate", 0.01),
        ("seconds", 0.5),
    ]


@given(st.lists(st.tuples(LOSSES, st.none() | LOSSES, st.dictionaries(st.text("xyz"), LOSSES))))
def test_rows_survive_json(values):
    rows = tuple(EpochRow(i, *value[:2], 0.5, value[2]) for i, value in enumerate(values, start=1))
    assert curve_from_json(json.loads(json.dumps(curve_to_json(rows)))) == rows


def test_a_loss_that_json_could_not_hold_is_nan():
    (row,) = curve_from_json([{"epoch": 1, "loss": None, "train_loss": None, "seconds": 0.1}])
    assert math.isnan(row.loss)


@pytest.mark.parametrize("read", [[{"epoch": 1}], [{"loss": 1.0}]])
def test_what_is_no_row_is_refused(read):
    with pytest.raises(KeyError):
        curve_from_json(read)


@pytest.mark.parametrize(("maximize", "epoch"), [(False, 2), (True, 1)])
def test_the_best_row_is_the_first_of_equals_by_direction(maximize, epoch):
    assert best_row(curve(3.0, 1.0, 1.0, 3.0), maximize=maximize).epoch == epoch


def test_a_loss_that_is_not_finite_is_never_the_best():
    assert best_row(curve(math.nan, 2.0, -math.inf)).epoch == 2
    assert best_row(curve(math.inf, math.nan)) is None


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(math.nan, True), (math.inf, True), (-math.inf, True), (0.0, False), (-1e6, False)],
)
def test_a_curve_whose_last_loss_is_not_finite_has_diverged(loss, expected):
    assert has_diverged(curve(1.0, loss)) is expected


@pytest.mark.parametrize(
    ("first_loss", "loss", "expected"),
    [
        (0.5, 9e5, False),
        (0.5, 2e6, True),
        (0.5, -2e6, True),
        (0.0, 1.0, False),
        (3e6, 1e12, False),
        (-3e6, 4e12, True),
        (1e300, 1e299, False),
    ],
)
def test_a_loss_has_exploded_when_it_is_a_million_times_its_first_size(first_loss, loss, expected):
    assert has_diverged(curve(first_loss, loss)) is expected
