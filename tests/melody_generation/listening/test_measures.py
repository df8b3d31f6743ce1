"""Measures of melodies against closed forms, and against plain loops over their definitions."""

from fractions import Fraction
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.melody_generation.data.corpus import load_corpus
from chromasonic.melody_generation.listening.measures import (
    duration_entropy,
    duration_ratios,
    interval_shares,
    mean_interval,
    notes_per_quarter,
    pitch_class_entropy,
    pitch_range,
    scale_consistency,
    self_repetition,
)

MAJOR = [1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1]
NATURAL_MINOR = [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0]

melodies = st.lists(st.integers(21, 96), min_size=2, max_size=60).map(np.array)
rhythms = st.lists(st.sampled_from([60, 160, 240, 480]), min_size=60, max_size=60).map(np.array)


def major_scale(tonic):
    return tonic + np.flatnonzero(MAJOR)


def best_of_24_scales(pitches):
    """Reference, as in muspy: the highest pitch-in-scale rate of all major and minor scales."""
    rates = []
    for root in range(12):
        for mask in (MAJOR, NATURAL_MINOR):
            scale = {(root + step) % 12 for step in range(12) if mask[step]}
            rates.append(sum(pitch % 12 in scale for pitch in pitches.tolist()) / len(pitches))
    return max(rates)


def repeated(pitches, durations=None):
    """Reference: repeated runs of four steps, counted one by one."""
    runs = []
    for start in range(len(pitches) - 4):
        run = [pitches[i + 1] - pitches[i] for i in range(start, start + 4)]
        if durations is not None:
            run += [
                Fraction(int(durations[i + 1]), int(durations[i])) for i in range(start, start + 4)
            ]
        runs.append(run)
    return sum(run in runs[:i] for i, run in enumerate(runs)) / len(runs)


def test_all_twelve_pitch_classes_equally_often_have_log2_of_12_bits():
    assert pitch_class_entropy(np.arange(40, 64)) == pytest.approx(log2(12))


def test_octaves_of_one_note_have_no_entropy():
    assert pitch_class_entropy(np.array([48, 60, 72])) == 0


def test_the_entropy_of_unequal_shares_is_that_of_the_formula():
    expected = -(0.75 * log2(0.75) + 0.25 * log2(0.25))
    assert pitch_class_entropy(np.array([60, 60, 72, 67])) == pytest.approx(expected)


@pytest.mark.parametrize("tonic", range(12))
def test_a_scale_is_consistent_and_all_twelve_notes_are_so_by_seven_twelfths(tonic):
    assert scale_consistency(major_scale(60 + tonic)) == 1
    assert scale_consistency(60 + tonic + np.flatnonzero(NATURAL_MINOR)) == 1
    assert scale_consistency(np.arange(tonic, tonic + 12)) == pytest.approx(7 / 12)


@given(melodies)
def test_the_scale_consistency_is_the_best_of_24_scales(pitches):
    assert scale_consistency(pitches) == pytest.approx(best_of_24_scales(pitches))


def test_intervals_count_by_size_and_are_shared_out_by_direction():
    pitches = np.array([60, 62, 60, 60, 90, 60])
    assert mean_interval(pitches) == (2 + 2 + 0 + 30 + 30) / 5
    shares = interval_shares(pitches)
    assert dict(zip(range(-12, 13), shares, strict=True)) == {
        **dict.fromkeys(range(-12, 13), 0.0),
        **dict.fromkeys([2, -2, 0, 12, -12], 0.2),
    }


def test_the_range_is_that_from_the_lowest_note_to_the_highest():
    assert pitch_range(np.array([60, 72, 55])) == 17


def test_a_phrase_said_twice_repeats_all_of_its_runs_but_those_that_join_both():
    phrase = np.array([60, 64, 61, 69, 68, 75])  # 2 runs of 4 intervals
    twice = np.concatenate([phrase, phrase + 7])  # 8 runs, of which the last 2 came before
    assert self_repetition(twice) == 2 / 8


def test_a_rising_line_repeats_all_runs_but_the_first():
    assert self_repetition(np.arange(20)) == 15 / 16


def test_a_repetition_in_another_rhythm_counts_only_without_rhythm():
    phrase = np.array([60, 64, 61, 69, 68, 75])
    twice = np.concatenate([phrase, phrase])
    slow, even = [240, 120, 240, 120, 240, 120], [240] * 6
    assert self_repetition(twice, np.array(slow + slow)) == 2 / 8
    assert self_repetition(twice, np.array(slow + even)) == 0
    assert self_repetition(twice, np.array([*slow, *(2 * ticks for ticks in slow)])) == 2 / 8


@given(melodies.filter(lambda pitches: len(pitches) > 4), rhythms)
def test_self_repetition_is_what_counting_finds(pitches, durations):
    durations = durations[: len(pitches)]
    assert self_repetition(pitches) == pytest.approx(repeated(pitches))
    assert self_repetition(pitches, durations) == pytest.approx(repeated(pitches, durations))


def test_ratios_of_durations_are_in_lowest_terms():
    assert duration_ratios(np.array([480, 160, 240, 240])).tolist() == [[1, 3], [3, 2], [1, 1]]


def test_durations_that_occur_equally_often_have_the_bits_of_their_number():
    assert duration_entropy(np.array([60, 120, 240, 480])) == 2
    assert duration_entropy(np.array([60, 60])) == 0


def test_eighths_are_two_notes_a_quarter():
    assert notes_per_quarter(np.array([240] * 5)) == 2


@given(melodies, st.integers(-21, 31))
def test_no_measure_changes_when_a_melody_is_transposed(pitches, semitones):
    moved = pitches + semitones
    for of in (pitch_class_entropy, scale_consistency, mean_interval, pitch_range):
        assert of(moved) == pytest.approx(of(pitches))
    np.testing.assert_array_equal(interval_shares(moved), interval_shares(pitches))
    np.testing.assert_equal(self_repetition(moved), self_repetition(pitches))


@given(melodies)
def test_measures_lie_in_their_ranges(pitches):
    assert 0 <= pitch_class_entropy(pitches) <= log2(12) + 1e-9
    assert 7 / 12 - 1e-9 <= scale_consistency(pitches) <= 1 + 1e-9
    assert interval_shares(pitches).sum() == pytest.approx(1)
    assert mean_interval(pitches) <= pitch_range(pitches)
    assert len(pitches) < 5 or 0 <= self_repetition(pitches) < 1


def test_what_a_short_melody_does_not_have_is_nan():
    one, four = np.array([60]), np.array([60, 62, 64, 65])
    assert np.isnan(mean_interval(one))
    assert np.isnan(interval_shares(one)).all()
    assert np.isnan(self_repetition(four))
    assert pitch_class_entropy(one) == 0


def test_the_shipped_tunes_measure_as_folk_music_does():
    tunes = [tune[:100] for tune in load_corpus().test if len(tune) >= 100]
    assert np.mean([self_repetition(tune) for tune in tunes]) == pytest.approx(0.30, abs=0.03)
    assert np.mean([scale_consistency(tune) for tune in tunes]) > 0.97
    assert np.mean([pitch_class_entropy(tune) for tune in tunes]) == pytest.approx(2.65, abs=0.1)
    assert np.mean([mean_interval(tune) for tune in tunes]) == pytest.approx(2.7, abs=0.2)
