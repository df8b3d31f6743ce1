import hashlib
from collections import Counter, defaultdict
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.data import VOCAB_SIZE, decode_pitches, load_corpus

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def corpus():
    return load_corpus()


def tunes_of(corpus):
    return [tune for part in PARTS for tune in getattr(corpus, part)]


def as_set(tunes):
    return {tuple(tune.tolist()) for tune in tunes}


def shipped_file(name):
    return (resources.files("chromasonic.melody_generation.data") / name).read_bytes()


def test_the_file_is_small_and_the_one_that_its_provenance_describes():
    content = shipped_file("corpus.npz")
    assert len(content) <= 400_000
    assert hashlib.sha256(content).hexdigest() in shipped_file("CORPUS.md").decode()


def test_the_provenance_counts_the_tunes_that_are_there(corpus):
    text = shipped_file("CORPUS.md").decode()
    for part in PARTS:
        row = next(line for line in text.splitlines() if line.startswith(f"| {part} "))
        assert int(row.split("|")[-2]) == len(getattr(corpus, part))


def test_there_are_thousands_of_tunes_split_80_10_10(corpus):
    total = len(tunes_of(corpus))
    assert total >= 2500
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        assert len(getattr(corpus, part)) / total == pytest.approx(share, abs=0.002)


def test_every_tune_has_16_to_512_notes_within_the_vocabulary(corpus):
    for tune in tunes_of(corpus):
        assert tune.dtype == np.int64
        assert 16 <= len(tune) <= 512
        assert 0 <= tune.min() <= tune.max() < VOCAB_SIZE


def test_every_note_has_a_duration_above_0(corpus):
    for part in PARTS:
        pitches, durations = getattr(corpus.pitches, part), getattr(corpus.durations, part)
        assert [len(tune) for tune in pitches] == [len(tune) for tune in durations]
        assert all(tune.dtype == np.int64 and tune.min() > 0 for tune in durations)


def test_a_known_tune_is_there_as_its_book_prints_it(corpus):
    # The White Cockade in Aird's first volume, its first eleven notes: A G B B B A G B B B g.
    opening = [69, 67, 71, 71, 71, 69, 67, 71, 71, 71, 79]
    lengths = [240, 240, 480, 480, 480, 240, 240, 480, 480, 480, 480]
    found = [
        durations[: len(lengths)].tolist()
        for part in PARTS
        for pitches, durations in zip(
            getattr(corpus.pitches, part), getattr(corpus.durations, part), strict=True
        )
        if decode_pitches(pitches)[: len(opening)].tolist() == opening
    ]
    assert found == [lengths]


def test_no_two_tunes_are_near_duplicates(corpus):
    melodies = [tune.tolist() for tune in tunes_of(corpus)]
    intervals = [[b - a for a, b in pairwise(m)] for m in melodies]
    grams = [{tuple(i[k : k + 10]) for k in range(len(i) - 9)} for i in intervals]
    tunes_with = defaultdict(list)
    for number, own in enumerate(grams):
        for gram in own:
            tunes_with[gram].append(number)
    shared = Counter(
        (a, b) for numbers in tunes_with.values() for a in numbers for b in numbers if a < b
    )
    assert shared, "unrelated tunes share some figures: nothing was compared"
    worst = max(count / min(len(grams[a]), len(grams[b])) for (a, b), count in shared.items())
    assert worst <= 0.5


def test_smaller_parts_of_one_seed_are_nested_and_keep_their_split():
    small, large = load_corpus(500, seed=3), load_corpus(1000, seed=3)
    assert len(tunes_of(small)) == 500
    assert len(tunes_of(large)) == 1000
    for factor in ("pitches", "durations"):
        for part in PARTS:
            few, many = (getattr(getattr(c, factor), part) for c in (small, large))
            for tune, same in zip(few, many, strict=False):
                np.testing.assert_array_equal(tune, same)


def test_no_tune_is_test_in_one_seed_and_train_in_another(corpus):
    other = load_corpus(1000, seed=1)
    for part in PARTS:
        assert as_set(getattr(other, part)) <= as_set(getattr(corpus, part))
    assert not as_set(corpus.train) & as_set(corpus.test)


def test_the_same_seed_gives_the_same_tunes_and_another_seed_others():
    first, again, other = load_corpus(500), load_corpus(500, seed=0), load_corpus(500, seed=1)
    for tune, same in zip(tunes_of(first), tunes_of(again), strict=True):
        np.testing.assert_array_equal(tune, same)
    assert as_set(tunes_of(first)) != as_set(tunes_of(other))


def test_all_tunes_are_those_that_asking_for_their_number_gives(corpus):
    total = len(tunes_of(corpus))
    assert as_set(tunes_of(load_corpus(total, seed=5))) == as_set(tunes_of(corpus))


def test_changing_a_loaded_tune_changes_no_other_load(corpus):
    mine = load_corpus(500)
    before = load_corpus(500).train[0].copy()
    mine.train[0][:] = 0
    np.testing.assert_array_equal(load_corpus(500).train[0], before)


@pytest.mark.parametrize("n_tunes", [-1, 0, 10**6])
def test_a_number_of_tunes_that_cannot_be_is_refused(n_tunes):
    with pytest.raises(ValueError, match=rf"n_tunes must lie in 1\.\.\d+, .* but got {n_tunes}"):
        load_corpus(n_tunes)


def test_too_few_tunes_for_three_parts_are_refused():
    with pytest.raises(DataError, match=r"has no tune with n_tunes=2 and seed=0\. Ask for more"):
        load_corpus(2)
