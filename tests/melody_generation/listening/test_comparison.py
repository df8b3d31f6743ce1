"""Comparison of generated and human-composed melodies: summaries, rows, copies."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.listening.comparison import compare, measure
from chromasonic.melody_generation.listening.measures import self_repetition


def random_tunes(seed, count=6, length=30):
    rng = np.random.default_rng(seed)
    return [rng.integers(50, 80, length) for _ in range(count)]


def even_rhythm(tunes, ticks=240):
    return [np.full(len(tune), ticks) for tune in tunes]


def test_a_summary_is_of_the_melodies_that_have_the_measure():
    tunes = [*random_tunes(0), np.array([60, 62])]
    summary = measure(tunes).summaries["self_repetition"]
    values = [self_repetition(tune) for tune in tunes[:-1]]
    assert summary.n_melodies == 6
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.spread == pytest.approx(np.std(values, ddof=1))
    assert measure(tunes).summaries["pitch_range"].n_melodies == 7


def test_measures_that_no_melody_has_are_left_out():
    measured = measure([[60, 62]])
    assert set(measured.summaries) == {
        "pitch_class_entropy",
        "scale_consistency",
        "mean_interval",
        "pitch_range",
    }
    assert measured.summaries["pitch_range"] == (2.0, None, 1)
    assert measured.copies == []


def test_the_interval_shares_of_a_set_are_the_mean_over_its_melodies():
    shares = measure([[60, 62], [60, 62, 60]]).interval_shares
    assert (shares[14], shares[10], shares.sum()) == (0.75, 0.25, 1.0)


def test_durations_add_the_measures_of_rhythm():
    tunes = random_tunes(0)
    with_rhythm, without = measure(tunes, even_rhythm(tunes)).summaries, measure(tunes).summaries
    assert set(with_rhythm) - set(without) == {
        "duration_entropy",
        "notes_per_quarter",
        "rhythmic_repetition",
    }
    assert with_rhythm["notes_per_quarter"].mean == 2
    assert with_rhythm["rhythmic_repetition"] == with_rhythm["self_repetition"]


def test_melodies_are_compared_at_the_lesser_median_length_without_shorter_ones():
    generated = random_tunes(0, 5, 40) + random_tunes(1, 2, 10)
    people = random_tunes(2, 5, 90) + random_tunes(3, 2, 39)
    result = compare(generated, people)
    assert (result.n_notes, result.n_generated, result.n_people) == (40, 5, 5)
    result = compare(generated, people, n_notes=10)
    assert (result.n_notes, result.n_generated, result.n_people) == (10, 7, 7)


def test_a_row_holds_both_means_and_what_the_difference_may_be_by_chance():
    generated, people = random_tunes(0, 4), random_tunes(1, 9)
    rows = {row.measure: row for row in compare(generated, people).rows}
    ranges = [[float(np.ptp(tune)) for tune in tunes] for tunes in (generated, people)]
    row = rows["pitch_range"]
    assert row.generated == pytest.approx(np.mean(ranges[0]))
    assert row.people == pytest.approx(np.mean(ranges[1]))
    assert row.spread == pytest.approx(np.std(ranges[1], ddof=1))
    variances = np.var(ranges[0], ddof=1) / 4 + np.var(ranges[1], ddof=1) / 9
    assert row.standard_error == pytest.approx(np.sqrt(variances))


def test_the_standard_error_covers_chance_as_often_as_it_says():
    rng = np.random.default_rng(0)
    within = []
    for _ in range(300):
        tunes = rng.integers(50, 80, (40, 20))
        rows = {row.measure: row for row in compare(tunes[:20], tunes[20:]).rows}
        row = rows["mean_interval"]
        within.append(abs(row.generated - row.people) < 2 * row.standard_error)
    assert 0.91 < np.mean(within) < 0.98


def test_copying_is_judged_by_what_people_share_with_the_training_tunes():
    training = random_tunes(0, 20, 60)
    people = [np.concatenate([train[:12], fresh]) for train, fresh in
              zip(training, random_tunes(1, 20, 18), strict=True)]  # fmt: skip
    as_people = random_tunes(2, 4, 30)
    thieves = [tune[5:35] for tune in training[:4]]
    result = compare([*as_people, *thieves], people, training=training)
    assert result.copied_share == 0.5
    assert compare(people, people, training=training).copied_share == 0
    assert compare(as_people, people).copied_share is None


def test_rhythm_is_compared_only_where_both_sets_have_it():
    tunes = random_tunes(0)
    rhythm = even_rhythm(tunes)
    both = compare(tunes, tunes, generated_durations=rhythm, people_durations=rhythm)
    one = compare(tunes, tunes, generated_durations=rhythm)
    assert "duration_entropy" in [row.measure for row in both.rows]
    assert "duration_entropy" not in [row.measure for row in one.rows]


def test_a_comparison_is_plain_data():
    tunes = random_tunes(0)
    result = compare(tunes[:1], tunes, training=tunes, generated_durations=even_rhythm(tunes[:1]))
    read = json.loads(json.dumps(dataclasses.asdict(result), allow_nan=False))
    assert read["rows"][0]["measure"] == "pitch_class_entropy"
    assert read["rows"][0]["standard_error"] is None


@pytest.mark.parametrize(
    ("durations", "message"),
    [
        ([[240] * 30], "one number for each note of each melody"),
        ([[240] * 29] * 6, "one number for each note of each melody"),
        ([[240] * 29 + [0]] * 6, "above 0, but those of melody 0 hold 0"),
        ([[0.5] * 30] * 6, r"whole numbers of ticks .* hold 0\.5"),
    ],
)
def test_durations_that_cannot_be_used_are_refused(durations, message):
    with pytest.raises(DataError, match=message):
        measure(random_tunes(0), durations)


@pytest.mark.parametrize("n_notes", [1, 31])
def test_a_length_that_no_melody_has_is_refused(n_notes):
    with pytest.raises(DataError, match=r"n_notes must be from 2 to 30, .* of generated"):
        compare(random_tunes(0), random_tunes(1, length=40), n_notes=n_notes)


def test_comparing_needs_no_torch():
    code = "import chromasonic.melody_generation.listening.comparison, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "chromasonic.melody_generation.listening.measures" in done.stdout.split()
    assert "torch" not in done.stdout.split()
