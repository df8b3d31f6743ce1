from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.melody_generation.data.batches import (
    IGNORED,
    LONGEST_ROW,
    WholeTunes,
    Windows,
    transpose_randomly,
)

CPU = torch.device("cpu")
V = 40


def random_tunes(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(V, size=length) for length in lengths]


def distinct_tunes(lengths):
    """Tunes without a repeated note number, so that each note is identifiable."""
    ends = np.cumsum([0, *lengths])
    return [np.arange(start, end) for start, end in pairwise(ends)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def all_but_the_first(tunes):
    return Counter(int(note) for tune in tunes for note in tune[1:])


LENGTHS = st.lists(st.integers(2, 30), min_size=1, max_size=9)
LONG = [2, LONGEST_ROW - 1, LONGEST_ROW, LONGEST_ROW + 1, 2 * LONGEST_ROW - 1, 3 * LONGEST_ROW]


@given(LENGTHS, st.integers(1, 5), st.booleans())
def test_whole_tunes_have_every_note_but_the_first_as_a_target_once(lengths, batch_size, shuffle):
    tunes = distinct_tunes(lengths)
    batches = list(WholeTunes(tunes, CPU)(batch_size, generator() if shuffle else None))
    targets = [t for _, each in batches for t in each.flatten().tolist() if t != IGNORED]
    assert Counter(targets) == all_but_the_first(tunes)


@pytest.mark.parametrize("length", LONG)
def test_so_do_tunes_longer_than_a_row(length):
    tunes = distinct_tunes([length, 5])
    batches = list(WholeTunes(tunes, CPU)(2))
    targets = [t for _, each in batches for t in each.flatten().tolist() if t != IGNORED]
    assert Counter(targets) == all_but_the_first(tunes)
    assert max(inputs.shape[1] for inputs, _ in batches) < LONGEST_ROW


@given(LENGTHS, st.integers(1, 5), st.integers(1, 8), st.booleans())
def test_windows_have_every_note_but_the_first_as_a_target_once(
    lengths, batch_size, context, shuffle
):
    tunes = distinct_tunes(lengths)
    batches = list(Windows(tunes, context, CPU)(batch_size, generator() if shuffle else None))
    assert Counter(t for _, each in batches for t in each.tolist()) == all_but_the_first(tunes)


@pytest.mark.parametrize("length", LONG)
def test_each_target_follows_the_notes_before_it(length):
    """In whole tunes the inputs up to a target are the notes before it, as far as the row goes."""
    tunes = distinct_tunes([length, 5, 7])
    for inputs, targets in WholeTunes(tunes, CPU)(3, generator()):
        for row, followers in zip(inputs.tolist(), targets.tolist(), strict=True):
            known = followers.index(IGNORED) if IGNORED in followers else len(followers)
            assert followers[:known] == [note + 1 for note in row[:known]]
            assert followers[known:] == [IGNORED] * (len(followers) - known)


@given(LENGTHS, st.integers(1, 8))
def test_each_window_is_the_notes_before_its_target(lengths, context):
    tunes = distinct_tunes(lengths)
    expected = {}
    for tune in tunes:
        for i in range(1, len(tune)):
            before = [tune[max(j, 0)] for j in range(i - context, i)]
            expected[int(tune[i])] = [int(note) for note in before]
    for inputs, targets in Windows(tunes, context, CPU)(4, generator()):
        seen = dict(zip(targets.tolist(), inputs.tolist(), strict=True))
        assert seen == {target: expected[target] for target in seen}


def test_padding_is_a_token_that_every_vocabulary_has():
    for inputs, _ in WholeTunes(random_tunes([3, 9, 4]), CPU)(3):
        assert inputs.min() >= 0
        assert inputs.max() < V


MAKERS = {
    "whole tunes": lambda tunes: WholeTunes(tunes, CPU),
    "windows": lambda tunes: Windows(tunes, 4, CPU),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_order_is_that_of_the_generator(make):
    batches = make(random_tunes([5, 9, 30, 12, 7, 7, 20] * 9))

    def pass_with(generator):
        return [[inputs.tolist(), targets.tolist()] for inputs, targets in batches(4, generator)]

    assert pass_with(None) == pass_with(None)
    assert pass_with(generator(1)) == pass_with(generator(1))
    assert pass_with(generator(1)) != pass_with(generator(2))
    one = generator(1)
    assert pass_with(one) != pass_with(one), "the second epoch has an order of its own"


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("batch_size", [1, 3, 4, 64, 1000])
@pytest.mark.parametrize("n_tunes", [1, 4, 63, 65])
def test_there_are_as_many_batches_as_counted(make, batch_size, n_tunes):
    batches = make(random_tunes([5 + n % 9 for n in range(n_tunes)]))
    for order in (None, generator()):
        assert len(list(batches(batch_size, order))) == batches.count(batch_size)


def test_tunes_of_like_length_stand_together():
    lengths = list(range(2, 66))
    tunes = random_tunes(lengths)
    for order in (None, generator()):
        batches = list(WholeTunes(tunes, CPU)(8, order))
        area = sum(targets.numel() for _, targets in batches)
        notes = sum(lengths) - len(lengths)
        # In random batches of 8 the longest of 8 uniform lengths decides: 8/9 of 65 on average,
        # 1.75 times the notes.
        assert area < 1.2 * notes


def test_windows_of_a_batch_hold_as_many_notes_as_its_tunes():
    batches = Windows(random_tunes([11] * 20), 3, CPU)
    assert [len(targets) for _, targets in batches(5)] == [50, 50, 50, 50]


# Transposition


def moved(inputs, targets, most=6, seed=0, vocab_size=V):
    new_inputs, new_targets = transpose_randomly(
        inputs, targets, most, vocab_size, generator(seed)
    )
    assert new_inputs.shape == inputs.shape
    assert new_targets.shape == targets.shape
    return new_inputs, new_targets


@pytest.mark.parametrize("seed", range(5))
def test_a_transposed_row_keeps_its_intervals_and_stays_in_the_vocabulary(seed):
    moves = []
    for inputs, targets in WholeTunes(random_tunes([4, 9, 6, 2] * 8, seed), CPU)(8, generator()):
        new_inputs, new_targets = moved(inputs, targets, seed=seed)
        known = targets != IGNORED
        assert (new_targets[~known] == IGNORED).all()
        shift = new_inputs[:, :1] - inputs[:, :1]
        assert ((new_targets - targets == shift) | ~known).all()
        assert ((new_inputs - inputs == shift) | ~known).all()
        assert 0 <= new_inputs.min() <= new_inputs.max() < V
        assert new_targets[known].min() >= 0
        assert new_targets[known].max() < V
        moves += shift.flatten().tolist()
    assert len(set(moves)) > 3
    assert set(moves) <= set(range(-6, 7))


@pytest.mark.parametrize("seed", range(5))
def test_a_transposed_window_keeps_its_intervals_and_stays_in_the_vocabulary(seed):
    for inputs, targets in Windows(random_tunes([20] * 5, seed), 4, CPU)(2, generator()):
        new_inputs, new_targets = moved(inputs, targets, seed=seed)
        shift = new_targets - targets
        assert (new_inputs - inputs == shift[:, None]).all()
        assert min(new_inputs.min(), new_targets.min()) >= 0
        assert max(new_inputs.max(), new_targets.max()) < V
        assert shift.abs().max() <= 6


def test_every_move_that_fits_is_as_likely():
    inputs, targets = torch.full((13_000, 1), 20), torch.full((13_000, 1), 21)
    new_inputs, _ = moved(inputs, targets)
    counts = Counter((new_inputs - inputs).flatten().tolist())
    assert set(counts) == set(range(-6, 7))
    # 1000 each, give or take six standard deviations of a binomial count.
    assert all(abs(count - 1000) < 6 * 31 for count in counts.values())


def test_a_row_that_fills_the_vocabulary_cannot_move():
    inputs, targets = torch.tensor([[0, V - 1]]), torch.tensor([[V - 1, 3]])
    for seed in range(9):
        new_inputs, new_targets = moved(inputs, targets, seed=seed)
        assert torch.equal(new_inputs, inputs)
        assert torch.equal(new_targets, targets)


def test_padding_does_not_hold_a_high_row_down():
    inputs = torch.tensor([[30, 31, 0, 0]]).expand(200, 4)
    targets = torch.tensor([[31, 32, IGNORED, IGNORED]]).expand(200, 4)
    new_inputs, _ = moved(inputs, targets, most=12)
    assert (new_inputs[:, 0] - 30).min() == -12


def test_the_batch_itself_is_not_changed():
    ((inputs, targets),) = WholeTunes(random_tunes([4, 9]), CPU)(8)
    before = inputs.clone(), targets.clone()
    moved(inputs, targets)
    assert torch.equal(inputs, before[0])
    assert torch.equal(targets, before[1])
