import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.melody_generation.trained.ngrams import NGramModel, fit_ngrams, nats_per_note

TUNES = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=9), min_size=1, max_size=5)


class DictionaryKneserNey:
    """The same model, written as the formula reads, one probability at a time."""

    def __init__(self, tunes, order, vocab_size, discounts):
        self.order, self.vocab_size, self.discounts = order, vocab_size, discounts
        self.counts = {order: Counter()}
        for tune in tunes:
            padded = ["start"] * (order - 1) + list(tune)
            for end in range(order + 1, len(padded) + 1):
                self.counts[order][tuple(padded[end - order : end])] += 1
        for length in range(order - 1, 0, -1):
            self.counts[length] = Counter(gram[1:] for gram in self.counts[length + 1])
        self.followers = defaultdict(dict)
        for counts in self.counts.values():
            for gram, count in counts.items():
                self.followers[gram[:-1]][gram[-1]] = count

    def probability(self, note, context):
        """p(note | context), the context a tuple of at most order - 1 notes."""
        shorter = self.probability(note, context[1:]) if context else 1 / self.vocab_size
        followers = self.followers.get(context)
        if not followers:
            return shorter
        discount = self.discounts[len(context)]
        kept = max(followers.get(note, 0) - discount, 0)
        return (kept + discount * len(followers) * shorter) / sum(followers.values())

    def log_probabilities(self, tune):
        padded = ["start"] * (self.order - 1) + list(tune)
        scored = range(self.order, len(padded))
        return [
            math.log(self.probability(padded[i], tuple(padded[i - self.order + 1 : i])))
            for i in scored
        ]


def melodies(n_tunes, vocab_size=12, seed=0):
    """Tunes in which a note leans on the two before it."""
    rng = np.random.default_rng(seed)
    steps = np.random.default_rng(99).integers(-3, 4, size=(vocab_size, vocab_size))
    tunes = []
    for _ in range(n_tunes):
        tune = [*rng.integers(vocab_size, size=2)]
        while len(tune) < 50:
            surprise = rng.integers(vocab_size) if rng.random() < 0.2 else 0
            tune.append((tune[-1] + steps[tune[-2], tune[-1]] + surprise) % vocab_size)
        tunes.append(np.array(tune))
    return tunes


@given(TUNES, TUNES, st.integers(1, 5), st.data())
def test_vectorised_counts_agree_with_dictionaries(train, held_out, order, data):
    discount = st.floats(0.05, 1.0)
    discounts = data.draw(st.lists(discount, min_size=order, max_size=order))
    model = NGramModel.fit(train, order, 4, discounts)
    reference = DictionaryKneserNey(train, order, 4, discounts)
    for tune in train + held_out:
        expected = reference.log_probabilities(tune)
        np.testing.assert_allclose(model.log_probabilities(tune), expected, rtol=1e-12)


@given(TUNES, st.lists(st.integers(0, 5), max_size=7), st.integers(1, 5))
def test_probabilities_of_all_notes_sum_to_one_after_any_beginning(train, beginning, order):
    model = NGramModel.fit(train, order, 6)
    endings = [model.log_probabilities([*beginning, 0, note])[-1] for note in range(6)]
    assert np.exp(endings).sum() == pytest.approx(1, abs=1e-12)


def test_a_bigram_worked_by_hand():
    # Grams of two: (0, 1) twice, (1, 0) once, (1, 2) once. Of one, by different notes before:
    # 0 once, 1 once, 2 once; each has p = (1 - 0.5 + 0.5 * 3 * 1/4) / 3 = 7/24, and the
    # unseen note 3 has 0.5 * 3 * 1/4 / 3 = 3/24.
    model = NGramModel.fit([[0, 1, 0, 1, 2]], order=2, vocab_size=4, discount=0.5)
    after_0 = [(1.5 + 0.5 * 7 / 24) / 2, (0.5 * 3 / 24) / 2]
    after_1 = [(0.5 + 0.5 * 2 * 7 / 24) / 2, (0.5 * 2 * 3 / 24) / 2]
    assert np.exp(model.log_probabilities([0, 1])) == pytest.approx(after_0[:1])
    assert np.exp(model.log_probabilities([0, 3])) == pytest.approx(after_0[1:])
    assert np.exp(model.log_probabilities([1, 2])) == pytest.approx(after_1[:1])
    assert np.exp(model.log_probabilities([1, 3])) == pytest.approx(after_1[1:])
    assert np.exp(model.log_probabilities([3, 0])) == pytest.approx([7 / 24])


def test_the_first_note_is_context_and_never_counted_or_scored():
    model = NGramModel.fit([[3, 0, 1], [3, 1, 0]], order=1, vocab_size=4, discount=1e-9)
    assert np.exp(model.log_probabilities([3, 0, 1])) == pytest.approx([0.5, 0.5])


def test_nats_are_summed_by_tune_and_averaged_over_notes():
    train, held_out = melodies(20), [*melodies(3, seed=1), np.array([5]), np.array([1, 2])]
    model = NGramModel.fit(train, 3, 12)
    nats, n_scored = model.tune_nats(held_out)
    assert n_scored.tolist() == [49, 49, 49, 0, 1]
    for i in (0, 1, 2, 4):
        assert nats[i] == pytest.approx(-model.log_probabilities(held_out[i]).sum())
    assert nats[3] == 0
    assert nats_per_note(model, held_out) == pytest.approx(nats.sum() / 148)


def test_orders_one_to_five_are_fitted_and_context_pays():
    models = fit_ngrams(melodies(200), melodies(20, seed=1), 12)
    test = melodies(20, seed=2)
    loss = {order: nats_per_note(model, test) for order, model in models.items()}
    assert list(loss) == [1, 2, 3, 4, 5]
    assert loss[3] < loss[2] - 0.2
    assert loss[2] < loss[1]


def test_chosen_discounts_are_no_worse_on_validation_than_any_single_one():
    train, validation = melodies(30), melodies(10, seed=1)
    for order, model in fit_ngrams(train, validation, 12, max_order=4).items():
        single = [NGramModel.fit(train, order, 12, d) for d in (0.1, 0.3, 0.5, 0.75, 0.9, 1.0)]
        chosen = nats_per_note(model, validation)
        assert chosen <= min(nats_per_note(other, validation) for other in single) + 1e-12
        assert len(model.discounts) == order


def test_a_vocabulary_of_512_does_not_overflow_at_order_five():
    tune = [511, 510, 511, 509, 511, 508, 511]
    discounts = [0.75] * 5
    reference = DictionaryKneserNey([tune], 5, 512, discounts).log_probabilities(tune)
    model = NGramModel.fit([np.array(tune, dtype=np.int16)], 5, 512)
    np.testing.assert_allclose(model.log_probabilities(tune), reference, rtol=1e-12)


def test_the_tunes_given_stay_as_they_are():
    tune = np.array([0, 1, 2])
    NGramModel.fit([tune], 3, 4).tune_nats([tune])
    assert tune.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("tunes", "options", "message"),
    [
        ([[0, 4]], {}, "tokens must be integers in 0..3, but got int64 from 0 to 4"),
        ([[-1, 2]], {}, "tokens must be integers in 0..3, but got int64 from -1 to 2"),
        ([[0.0, 1.0]], {}, "tokens must be integers in 0..3, but got float64"),
        ([], {}, "a tune of at least two notes, but got 0 tunes"),
        ([[1], []], {}, "a tune of at least two notes, but got 2 tunes"),
        ([[0, 1]], {"order": 0}, "order must be at least 1, but got 0"),
        ([[0, 1]], {"order": 40}, "must fit in 63 bits, but got vocab_size=4, order=40"),
        ([[0, 1]], {"discount": 0.0}, r"discount must be one number or 2 numbers in \(0, 1\]"),
        ([[0, 1]], {"discount": 1.1}, r"in \(0, 1\], but got 1.1"),
        ([[0, 1]], {"discount": [0.5]}, r"2 numbers in \(0, 1\], but got \[0.5\]"),
    ],
)
def test_what_cannot_be_counted_is_refused(tunes, options, message):
    with pytest.raises(ValueError, match=message):
        NGramModel.fit(tunes, **{"order": 2, "vocab_size": 4, **options})


def test_a_set_without_a_scored_note_has_no_mean():
    model = NGramModel.fit([[0, 1]], 2, 4)
    with pytest.raises(ValueError, match="a tune of at least two notes"):
        nats_per_note(model, [[0]])
