"""The longest runs shared with training tunes, against searches that try every run."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.corpus import load_corpus
from chromasonic.melody_generation.listening.measures import NO_COPY, longest_copies

# Few pitches, so that long runs are shared by chance.
tunes = st.lists(st.integers(60, 63), min_size=2, max_size=12).map(np.array)
sets = st.lists(tunes, min_size=1, max_size=4)


def tried_one_by_one(melody, training, in_any_key):
    """The longest run, of equal ones the first; of its places the first."""
    for n_notes in range(len(melody), 1 if in_any_key else 0, -1):
        for start in range(len(melody) - n_notes + 1):
            run = melody[start : start + n_notes]
            for index, tune in enumerate(training):
                for tune_start in range(len(tune) - n_notes + 1):
                    other = tune[tune_start : tune_start + n_notes]
                    shift = run[0] - other[0] if in_any_key else 0
                    if (other + shift == run).all():
                        return n_notes, start, index, tune_start
    return NO_COPY


@given(sets, sets, st.booleans())
@example([np.array([60, 61])], [np.array([61, 60])], True)
@example([np.array([60, 61])], [np.array([62, 63])], False)
def test_the_longest_run_is_the_one_that_trying_all_runs_finds(melodies, training, in_any_key):
    found = longest_copies(melodies, training, in_any_key=in_any_key)
    expected = [tried_one_by_one(melody, training, in_any_key) for melody in melodies]
    assert found == expected


def test_a_run_in_another_key_is_found_only_in_any_key():
    tune = np.random.default_rng(0).integers(40, 80, 30)
    melody = np.concatenate([[90, 30], tune[5:20] + 7, [30]])
    (copy,) = longest_copies([melody], [tune])
    assert copy == (15, 2, 0, 5)
    (exact,) = longest_copies([melody], [tune], in_any_key=False)
    assert exact.n_notes < 5


def test_no_run_goes_on_from_one_training_tune_into_the_next():
    melody = np.array([60, 62, 64, 65, 67])
    (copy,) = longest_copies([melody], [melody[:3], melody[2:]], in_any_key=False)
    assert copy == (3, 0, 0, 0)


def test_runs_of_shipped_tunes_stand_where_they_are_said_to_and_no_longer_ones_do():
    corpus = load_corpus()
    melodies = [np.concatenate(corpus.test[i : i + 3]) for i in range(0, 24, 3)]
    # An interval of 127 stands in no tune: it parts them.
    text = b"\x7f".join(np.diff(tune).astype(np.int8).tobytes() for tune in corpus.train)
    for melody, copy in zip(melodies, longest_copies(melodies, corpus.train), strict=True):
        n_notes, start, tune, tune_start = copy
        run = np.diff(melody[start : start + n_notes])
        original = corpus.train[tune][tune_start : tune_start + n_notes]
        assert run.tolist() == np.diff(original).tolist()
        steps = np.diff(melody).astype(np.int8)
        longer = (steps[i : i + n_notes].tobytes() for i in range(len(steps) - n_notes + 1))
        assert not any(each in text for each in longer)


def test_a_training_tune_is_a_copy_of_itself_from_end_to_end():
    train = load_corpus().train[:200]
    copies = longest_copies(train[100:110], train)
    assert [copy.n_notes for copy in copies] == [len(tune) for tune in train[100:110]]


@pytest.mark.parametrize(
    ("melodies", "training", "message"),
    [
        ([], [[60, 61]], "melodies must hold at least one tune"),
        ([[60, 61]], [], "training must hold at least one tune"),
        ([[60]], [[60, 61]], "tune 0 of melodies has 1"),
        ([[60, 200]], [[60, 61]], "from 0 to 127"),
    ],
)
def test_what_is_no_melody_is_refused(melodies, training, message):
    with pytest.raises(DataError, match=message):
        longest_copies(melodies, training)
