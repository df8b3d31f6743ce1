"""Detection of near-duplicate tunes."""

import numpy as np

from chromasonic.melody_generation.data._near_duplicates import find_near_duplicates, grams
from chromasonic.melody_generation.data.corpus import load_corpus


def random_tune(seed, length=60):
    return np.random.default_rng(seed).integers(30, 60, length)


def test_a_tune_has_a_gram_for_each_run_of_ten_intervals():
    assert len(grams(random_tune(0, length=60))) == 50
    assert len(grams(np.arange(60))) == 1
    assert grams(random_tune(0, length=10)) == set()


def test_a_transposed_copy_and_a_fragment_are_found():
    tune = random_tune(0)
    assert find_near_duplicates([tune, tune + 5, tune[10:40]]) == [None, 0, 0]


def test_a_longer_version_of_an_earlier_tune_is_found():
    tune = random_tune(0)
    assert find_near_duplicates([tune[10:40], tune]) == [None, 0]


def test_other_tunes_are_kept():
    assert find_near_duplicates([random_tune(seed) for seed in range(5)]) == [None] * 5


def test_exactly_half_of_the_grams_is_not_enough():
    # 50 grams each, of which the first 25, or 26, are the same.
    first, other = random_tune(0), random_tune(1)
    half = np.concatenate([first[:35], other[35:]])
    more = np.concatenate([first[:36], other[36:]])
    assert find_near_duplicates([first, half]) == [None, None]
    assert find_near_duplicates([first, more]) == [None, 0]


def test_a_dropped_tune_drops_no_other():
    first, last = random_tune(0), random_tune(1)
    # The middle one copies the first; the last shares only the middle's own end.
    middle = np.concatenate([first[:45], last[:40]])
    assert find_near_duplicates([first, middle, last]) == [None, 0, None]


def test_none_of_the_shipped_tunes_nearly_copies_another():
    pitches = load_corpus().pitches
    tunes = [*pitches.train, *pitches.validation, *pitches.test]
    assert find_near_duplicates(tunes) == [None] * len(tunes)
    assert find_near_duplicates([*tunes, tunes[7] + 1])[-1] == 7
