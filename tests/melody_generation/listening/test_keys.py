import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.data import decode_pitches, load_corpus
from chromasonic.melody_generation.listening.keys import Key, fit_key, key_correlations

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12])
MINOR = np.array([0, 2, 3, 5, 7, 8, 11, 12])


def even(pitches):
    return np.full(len(pitches), 240)


def scale(tonic, steps):
    """Up and down, ending on the tonic, with a chord of it."""
    third = steps[2]
    line = [*steps, *steps[::-1], 0, third, 7, 12, 7, third, 0]
    return 60 + tonic + np.array(line)


@pytest.mark.parametrize(
    ("name", "tonic", "mode"),
    [
        ("C", 0, "major"),
        ("F#m", 6, "minor"),
        ("Bb", 10, "major"),
        ("Cb", 11, "major"),
        ("a minor", 9, "minor"),
        (" D major ", 2, "major"),
        ("Ebmin", 3, "minor"),
        ("bm", 11, "minor"),
    ],
)
def test_a_key_has_the_names_people_give_it(name, tonic, mode):
    assert Key.parse(name) == Key(tonic, mode)


@pytest.mark.parametrize("name", ["", "H", "Do", "C##", "C dur", "m"])
def test_what_is_no_key_is_refused(name):
    with pytest.raises(DataError, match="a key must be one such as D, Bb or F#m"):
        Key.parse(name)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("mode", "steps"), [("major", MAJOR), ("minor", MINOR)])
def test_a_scale_is_found_in_its_own_key(tonic, mode, steps):
    pitches = scale(tonic, steps)
    found = key_correlations(pitches, even(pitches))
    best = max(found, key=lambda name: found[name].max())
    assert (best, int(found[best].argmax())) == (mode, tonic)


def test_correlations_are_those_of_pearson():
    rng = np.random.default_rng(0)
    pitches, durations = rng.integers(40, 80, 50), rng.integers(1, 500, 50)
    heard = np.zeros(12)
    for pitch, ticks in zip(pitches, durations, strict=True):
        heard[pitch % 12] += ticks
    major = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
    expected = [np.corrcoef(heard, np.roll(major, t))[0, 1] for t in range(12)]
    np.testing.assert_allclose(key_correlations(pitches, durations)["major"], expected)


@pytest.mark.parametrize("wanted", ["C", "F#", "A", "Gm", "Ebm"])
def test_a_moved_melody_is_in_the_wanted_key_with_its_intervals_as_they_were(wanted):
    key = Key.parse(wanted)
    steps = MAJOR if key.mode == "major" else MINOR
    for tonic in range(12):
        pitches = scale(tonic, steps)
        moved = fit_key(pitches, even(pitches), key)
        assert np.array_equal(np.diff(moved.pitches), np.diff(pitches))
        assert abs(moved.pitches[0] - pitches[0]) <= 6
        assert moved.pitches[0] % 12 == key.tonic
        assert moved.clarity > 0


@pytest.mark.parametrize("shift", [21 - 60, 108 - 72 - 11])
def test_a_melody_at_the_end_of_the_piano_stays_on_it(shift):
    pitches = scale(0, MAJOR) + shift
    for name in ("Db", "G", "B", "F"):
        moved = fit_key(pitches, even(pitches), Key.parse(name)).pitches
        assert moved.min() >= 21
        assert moved.max() <= 108
        assert np.array_equal(np.diff(moved), np.diff(pitches))


def test_a_melody_of_one_pitch_has_no_clear_key():
    pitches = np.arange(60, 72)
    assert fit_key(pitches, even(pitches), Key(0, "major")).clarity == pytest.approx(0.0)


def test_most_fiddle_tunes_end_on_the_tonic_that_is_found():
    """Random keys would match one in twelve."""
    corpus = load_corpus(300)
    ends = 0
    for tokens, ticks in zip(corpus.train, corpus.durations.train, strict=True):
        found = key_correlations(decode_pitches(tokens), ticks)
        best = max(found, key=lambda name: found[name].max())
        ends += int(found[best].argmax()) == decode_pitches(tokens)[-1] % 12
    assert ends > 0.5 * len(corpus.train)
