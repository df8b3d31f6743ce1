import hashlib
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, integer_dtypes, unsigned_integer_dtypes

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.sequences import check_sequences, data_fingerprint

TUNES = [[0, 1, 2], [87, 3]]


def as_lists(tunes):
    assert all(tune.dtype == np.int64 and tune.ndim == 1 for tune in tunes)
    return [tune.tolist() for tune in tunes]


@pytest.mark.parametrize(
    "data",
    [
        TUNES,
        tuple(tuple(tune) for tune in TUNES),
        (tune for tune in TUNES),
        [np.array(tune, dtype=np.uint8) for tune in TUNES],
        [np.array(TUNES[0], dtype=np.uint64), np.array(TUNES[1], dtype=">i2")],
        [np.array(tune, dtype=object) for tune in TUNES],
        np.array([np.array(tune) for tune in TUNES], dtype=object),
        [range(3), [np.int8(87), 3]],
    ],
)
def test_tunes_of_any_form_become_int64_arrays(data):
    assert as_lists(check_sequences(data, 88)) == TUNES


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, object])
def test_a_matrix_has_a_tune_in_each_row(dtype):
    matrix = np.array([[0, 1], [2, 3]], dtype=dtype)
    assert as_lists(check_sequences(matrix, 88)) == matrix.tolist()


def test_tensors_are_read():
    torch = pytest.importorskip("torch")
    assert as_lists(check_sequences([torch.tensor(tune) for tune in TUNES], 88)) == TUNES
    assert as_lists(check_sequences(torch.tensor([[1, 2], [3, 4]]), 88)) == [[1, 2], [3, 4]]


@given(
    st.lists(
        (integer_dtypes() | unsigned_integer_dtypes()).flatmap(
            lambda dtype: arrays(dtype, st.integers(2, 9), elements=st.integers(0, 87))
        ),
        min_size=1,
    )
)
def test_notes_pass_unchanged_whatever_integers_they_are(tunes):
    assert as_lists(check_sequences(tunes, 88)) == [tune.tolist() for tune in tunes]


def test_what_comes_back_shares_no_memory_with_what_was_given():
    given_tune = np.array([1, 2, 3])
    [tune] = check_sequences([given_tune], 88)
    tune[0] = 5
    assert given_tune[0] == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "train_data must be a list of tunes, but got None"),
        (7, "train_data must be a list of tunes, but got 7"),
        ("melody.mid", "train_data must be a list of tunes, but got 'melody.mid'"),
        (b"abc", "train_data must be a list of tunes, but got b'abc'"),
        ({"a": [1, 2]}, "train_data must be a list of tunes, but got {'a': [1, 2]}"),
        ({(1, 2)}, "train_data must be a list of tunes, but got {(1, 2)}"),
        ("x" * 100, "but got 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...."),
        (np.array([1, 2]), "must have shape (n_tunes, n_notes), but got shape (2,)"),
        (np.array(3), "must have shape (n_tunes, n_notes), but got shape ()"),
        (np.zeros((2, 3, 4), dtype=int), "but got shape (2, 3, 4)"),
        ([], "train_data must hold at least one tune, but is empty"),
        (np.zeros((0, 5), dtype=int), "train_data must hold at least one tune"),
        (
            [[1, 2], []],
            "a tune must have at least 2 notes (the first is context only), but tune 1",
        ),
        ([[1]], "but tune 0 of train_data has 1. Leave such tunes out"),
        ([1, 2, 3], "tune 0 of train_data must be a list or array of note numbers, but got 1"),
        (
            [[1, 2], None],
            "tune 1 of train_data must be a list or array of note numbers, but got N",
        ),
        (["CDE"], "must be a list or array of note numbers, but got 'CDE'"),
        ([{1: 2}], "must be a list or array of note numbers, but got {1: 2}"),
        ([(n for n in (1, 2))], "must be a list or array of note numbers, but got <generator"),
        (
            [[1, 2], [[1], [2, 3], [4]]],
            "tune 1 of train_data must be convertible to an array, but numpy says: ",
        ),
        ([[[1], [2], [3]]], "tune 0 of train_data must have one dimension, but has shape (3, 1)"),
        ([[1, 2], [3.0, 4.0]], "but tune 1 of train_data holds floats (float64). Convert them wi"),
        ([[1, 60.5]], "but tune 0 of train_data has 60.5 at position 1. Round it"),
        ([[1.0, np.nan]], "but tune 0 of train_data has nan at position 1. Remove it"),
        ([[1.0, 2.0, -np.inf]], "but tune 0 of train_data has -inf at position 2. Remove it"),
        ([[True, False]], "but tune 0 of train_data has True at position 0"),
        ([[1, 2, True]], "but tune 0 of train_data has True at position 2"),
        ([np.array([True, False])], "but tune 0 of train_data has True at position 0"),
        ([np.array([1, True], dtype=object)], "but tune 0 of train_data has True at position 1"),
        ([[1, np.True_]], "but tune 0 of train_data has np.True_ at position 1"),
        ([[1, None]], "but tune 0 of train_data has None at position 1"),
        ([["C", "D"]], "but tune 0 of train_data has 'C' at position 0"),
        ([[1, "D"]], "but tune 0 of train_data has 'D' at position 1"),
        ([[1, 2], [3, 10**30]], "but tune 1 of train_data has 1000000000000000000000000000000 at"),
        ([[1, 2], [3, 4, -1]], "but tune 1 of train_data has -1 at position 2. Leave padding and"),
        ([[1, 2], [3, 88, 90]], "must be from 0 to 87, but tune 1 of train_data has 88 at positi"),
        ([[1, 2], [3, 88, 90]], "Raise vocab_size to 91"),
        ([np.array([1, 2**64 - 1], dtype=np.uint64)], "has 18446744073709551615 at position 1"),
    ],
)
def test_what_is_no_melody_is_refused_in_one_line(data, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        check_sequences(data, 88)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        [([1, 2, 3], [2, 3, 4])],
        [(np.array([1, 2, 3]), np.array([2, 3, 4]))],
        [(np.array([1, 2, 3]), 4)],
        [(np.array([1, 2, 3]),)],
        (np.array([[1, 2], [3, 4]]), np.array([[2, 3], [4, 5]])),
    ],
)
def test_pairs_of_inputs_and_targets_are_refused_with_a_hint(data):
    with pytest.raises(DataError, match=r"tune 0 .* Pass the melodies alone, such as"):
        check_sequences(data, 88)


def test_a_tensor_dataset_is_refused_with_a_hint():
    torch = pytest.importorskip("torch")
    x = torch.tensor([[1, 2], [3, 4]])
    for tensors in ((x, x), (x,), (x, x[:, 0])):
        dataset = torch.utils.data.TensorDataset(*tensors)
        with pytest.raises(DataError, match="Pass the melodies alone"):
            check_sequences(dataset, 88)


def test_a_tensor_that_learns_is_refused_with_a_hint():
    torch = pytest.importorskip("torch")
    with pytest.raises(DataError, match=r"train_data must be convertible .*\.detach\(\)\.cpu\(\)"):
        check_sequences(torch.ones(2, 2, requires_grad=True), 88)


def test_midi_pitches_are_recognised():
    message = "has 21 to 108; these look like MIDI pitches: use encode_pitches$"
    with pytest.raises(DataError, match=message):
        check_sequences([[60, 62], [21, 108]], 88)


@pytest.mark.parametrize(
    ("tune", "vocab_size"), [([20, 88], 88), ([21, 109], 88), ([60, 90], 89), ([60, 90], 64)]
)
def test_other_values_outside_the_vocabulary_are_not_taken_for_midi(tune, vocab_size):
    with pytest.raises(DataError, match="note numbers must be from 0 to") as caught:
        check_sequences([tune], vocab_size)
    assert "MIDI" not in str(caught.value)


def test_high_tokens_within_the_vocabulary_are_no_midi_pitches():
    assert as_lists(check_sequences([[60, 87]], 88)) == [[60, 87]]


def test_errors_name_the_data_as_they_are_told():
    with pytest.raises(DataError, match="validation_data must hold"):
        check_sequences([], 88, name="validation_data")


@pytest.mark.parametrize("vocab_size", [1, 0, -5, 88.0, True, None, "88"])
def test_a_vocabulary_that_is_none_is_refused(vocab_size):
    with pytest.raises(DataError, match="vocab_size must be an integer of at least 2, but got"):
        check_sequences([[0, 1]], vocab_size)


def test_the_fingerprint_hashes_counts_lengths_and_notes_of_both_sides():
    train, validation = [np.array([0, 1, 2]), np.array([87, 3])], [np.array([5, 6])]
    numbers = [2, 3, 2, 0, 1, 2, 87, 3, 1, 2, 5, 6]
    expected = hashlib.sha256(struct.pack(f"<{len(numbers)}q", *numbers)).hexdigest()
    assert data_fingerprint(train, validation) == expected
    assert data_fingerprint([tune.astype(">i2") for tune in train], validation) == expected


def test_any_difference_changes_the_fingerprint():
    a, b, c = (np.array(notes, dtype=np.int64) for notes in ([1, 2], [3, 4], [1, 2, 3, 4]))
    splits = [
        ([a], [b]),
        ([b], [a]),
        ([a, b], []),
        ([b, a], []),
        ([c], []),
        ([], [c]),
        ([], [a, b]),
    ]
    assert len({data_fingerprint(*split) for split in splits}) == len(splits)
