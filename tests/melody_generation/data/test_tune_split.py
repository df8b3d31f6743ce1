"""Split of a user's tunes."""

import hashlib

import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.tune_report import Tunes
from chromasonic.melody_generation.data.tune_split import split_tunes


def tunes_of(numbers, keys=None):
    """Tunes that each hold their own number in every note."""
    keys = keys or [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
    notes = [np.full(20, number) for number in numbers]
    return Tunes(notes, [n + 1 for n in notes], [str(n) for n in numbers], keys, [], [])


def parts_of(tunes, seed=0):
    pitches = split_tunes(tunes, seed).pitches
    parts = (pitches.train, pitches.validation, pitches.test)
    return [{int(tune[0]) for tune in part} for part in parts]


def test_about_80_10_and_10_of_100_tunes_are_in_the_parts_and_none_is_lost():
    train, validation, test = map(len, parts_of(tunes_of(range(2000))))
    assert train + validation + test == 2000
    assert 1540 < train < 1660  # three and a half standard deviations
    assert 150 < validation < 250
    assert 150 < test < 250


def test_more_tunes_move_none_to_another_part():
    few, many = parts_of(tunes_of(range(100))), parts_of(tunes_of(range(300)))
    assert all(part <= larger for part, larger in zip(few, many, strict=True))


def test_the_order_of_tunes_does_not_matter():
    assert parts_of(tunes_of(range(50))) == parts_of(tunes_of(range(49, -1, -1)))


def test_another_seed_parts_them_in_another_way():
    assert parts_of(tunes_of(range(50)), seed=0) != parts_of(tunes_of(range(50)), seed=1)


@pytest.mark.parametrize("count", range(3, 40))
def test_no_part_is_empty_however_few_the_tunes(count):
    parts = parts_of(tunes_of(range(count)))
    assert all(parts)
    assert sum(map(len, parts)) == count


def test_pieces_of_one_tune_stay_together():
    keys = [f"{number // 4:064x}" for number in range(80)]
    for part in parts_of(tunes_of(range(80), keys)):
        assert all({4 * (n // 4) + i for i in range(4)} <= part for n in part)


def test_durations_are_parted_as_the_pitches_are():
    corpus = split_tunes(tunes_of(range(30)))
    for pitches, durations in zip(corpus.test, corpus.durations.test, strict=True):
        assert durations[0] == pitches[0] + 1


@pytest.mark.parametrize("keys", [["a", "b"], ["a", "b", "b", "b"]])
def test_fewer_than_three_tunes_cannot_be_parted(keys):
    with pytest.raises(DataError, match=r"at least 3 different tunes.*but got 2"):
        split_tunes(tunes_of(range(len(keys)), keys))
