import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromasonic.melody_generation.data.sequences import check_sequences
from chromasonic.melody_generation.data.synthetic import create_training_data


def nats_per_note(train, validation, vocab_size):
    """Cross-entropy of an add-one unigram and of a bigram that falls back on it."""
    unigram = np.bincount(np.concatenate(train), minlength=vocab_size) + 1.0
    unigram /= unigram.sum()
    pairs = np.zeros((vocab_size, vocab_size))
    for tune in train:
        np.add.at(pairs, (tune[:-1], tune[1:]), 1)
    bigram = (pairs + 5 * unigram) / (pairs.sum(axis=1, keepdims=True) + 5)
    before = np.concatenate([tune[:-1] for tune in validation])
    after = np.concatenate([tune[1:] for tune in validation])
    return -np.log(unigram[after]).mean(), -np.log(bigram[before, after]).mean()


def test_five_hundred_melodies_of_sixteen_notes_by_default():
    train, validation = create_training_data()
    assert (len(train), len(validation)) == (400, 100)
    assert {tune.shape for tune in train + validation} == {(16,)}
    assert {tune.dtype for tune in train + validation} == {np.dtype(np.int64)}


@settings(max_examples=50)
@given(st.integers(2, 20), st.integers(2, 40), st.integers(2, 130), st.integers(0, 2**32))
def test_every_melody_is_one_of_its_vocabulary(n, length, vocab_size, seed):
    train, validation = create_training_data(n, length, vocab_size, 0.5, seed)
    assert len(train) + len(validation) == n
    for tunes in (train, validation):
        checked = check_sequences(tunes, vocab_size)
        assert all(len(tune) == length for tune in checked)


@pytest.mark.parametrize("vocab_size", [12, 36, 88])
def test_a_bigram_beats_the_unigram_clearly(vocab_size):
    train, validation = create_training_data(vocab_size=vocab_size)
    unigram, bigram = nats_per_note(train, validation, vocab_size)
    assert bigram < unigram - 0.25


def test_melodies_of_a_piano_use_most_of_it():
    train, _ = create_training_data()
    assert len(np.unique(np.concatenate(train))) > 80


def test_most_moves_are_steps_and_some_are_leaps():
    train, _ = create_training_data()
    intervals = np.abs(np.concatenate([np.diff(tune) for tune in train]))
    assert np.mean(intervals <= 4) > 0.7
    assert np.mean(intervals > 4) > 0.05


def test_a_melody_keeps_to_one_scale():
    train, _ = create_training_data(sequence_length=64)
    assert max(len(np.unique(tune % 12)) for tune in train) <= 7


def test_motifs_come_back():
    """Four intervals of one melody recur in it far more often than in shuffled intervals."""

    def share_repeated(tunes):
        steps = [np.sign(np.diff(tune)) * np.minimum(np.abs(np.diff(tune)), 5) for tune in tunes]
        grams = [[tuple(s[i : i + 4]) for i in range(len(s) - 3)] for s in steps]
        return np.mean([1 - len(set(g)) / len(g) for g in grams])

    train, _ = create_training_data(sequence_length=64)
    rng = np.random.default_rng(0)
    shuffled = [np.cumsum(rng.permutation(np.diff(tune))) for tune in train]
    assert share_repeated(train) > 2 * share_repeated(shuffled)


def test_the_seed_decides_everything():
    first, again, other = (create_training_data(50, seed=seed) for seed in (7, 7, 8))
    for one, same in zip(first, again, strict=True):
        assert np.array_equal(one, same)
    assert not np.array_equal(first[0], other[0])


def test_the_split_decides_nothing_but_the_split():
    half, most = (create_training_data(20, train_split=split) for split in (0.5, 0.8))
    assert np.array_equal(half[0] + half[1], most[0] + most[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_sequences": 1}, "num_sequences must be an integer of at least 2, but got 1"),
        ({"num_sequences": 2.0}, "num_sequences must be an integer of at least 2, but got 2.0"),
        ({"sequence_length": 1}, "sequence_length must be an integer of at least 2, but got 1"),
        ({"vocab_size": True}, "vocab_size must be an integer of at least 2, but got True"),
        ({"seed": -1}, "seed must be an integer of at least 0, but got -1"),
        ({"seed": None}, "seed must be an integer of at least 0, but got None"),
        ({"train_split": 0.0}, "train_split must be between 0 and 1, but got 0.0"),
        ({"train_split": 1}, "train_split must be between 0 and 1, but got 1"),
        ({"train_split": float("nan")}, "train_split must be between 0 and 1, but got nan"),
        (
            {"num_sequences": 3, "train_split": 0.9},
            "at least one melody for training and one for validation, but 0.9 of 3 leaves 3 and 0",
        ),
        (
            {"num_sequences": 3, "train_split": 0.1},
            "at least one melody for training and one for validation, but 0.1 of 3 leaves 0 and 3",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_training_data(**arguments)
