"""Interpolated Kneser-Ney n-grams, the baseline of neural melody models.

V: size of the vocabulary. T: notes in a tune. n: order, the length of the longest gram.

A gram of k notes is one integer in base V + 1, its last note the lowest digit, so that
`gram // base` is its context and `gram % base**(k - 1)` is the gram without its first note.
Digit V stands for what lies before the first note of a tune. The first note is context only
and is never scored: every model scores notes 1 to T - 1.

Source: Kneser and Ney (1995); interpolated as in Chen and Goodman (1999), with one discount
for each length of gram.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.plural import counted

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DISCOUNTS = tuple(np.linspace(0.05, 1.0, 20).tolist())
_SWEEPS = 3


class _Evidence(NamedTuple):
    """Counts of the grams of one length that end in each scored note; arrays of one shape."""

    seen: Integers  # how often the gram that ends in the note was counted
    total: Integers  # counts of all grams with the same context, 0 where that is unknown
    kinds: Integers  # number of different notes after that context


@dataclass(frozen=True)
class _Level:
    """Grams of one length with their counts, and the totals of each context."""

    grams: Integers  # sorted
    counts: Integers
    contexts: Integers  # sorted
    totals: Integers
    kinds: Integers

    @classmethod
    def of(cls, grams: Integers, counts: Integers, base: int) -> Self:
        contexts, starts, kinds = np.unique(grams // base, return_index=True, return_counts=True)
        return cls(grams, counts, contexts, np.add.reduceat(counts, starts), kinds)

    def evidence(self, grams: Integers, base: int) -> _Evidence:
        contexts = grams // base
        return _Evidence(
            seen=_look_up(self.grams, self.counts, grams),
            total=_look_up(self.contexts, self.totals, contexts),
            kinds=_look_up(self.contexts, self.kinds, contexts),
        )


@dataclass(frozen=True)
class NGramModel:
    """Predicts a note from the `order - 1` notes before it; made by `NGramModel.fit`.

    Attributes:
        order: Length of the longest gram counted; 1 ignores the context.
        vocab_size: Number of tokens V.
        discounts: What is taken off each gram's count, shortest grams first, in (0, 1].
    """

    order: int
    vocab_size: int
    discounts: tuple[float, ...]
    _levels: tuple[_Level, ...]

    @classmethod
    def fit(
        cls,
        tunes: Sequence[ArrayLike],
        order: int,
        vocab_size: int,
        discount: float | Sequence[float] = 0.75,
    ) -> Self:
        """Fits a model by counting the grams of the tunes.

        Args:
            tunes: Tokens in [0, vocab_size), one array of shape (T,) a tune.
            order: Length of the longest gram to count, from 1 on.
            vocab_size: Number of tokens V.
            discount: One for all lengths of gram, or one for each, shortest first; in (0, 1].

        Raises:
            ValueError: The order, a discount or a token is out of range, or no tune has two
                notes.
        """
        _check_order(order, vocab_size)
        discounts = _one_for_each_length(discount, order)
        base = vocab_size + 1
        grams, counts = np.unique(_grams(tunes, order, vocab_size), return_counts=True)
        levels = [_Level.of(grams, counts, base)]
        for length in range(order - 1, 0, -1):
            # A shorter gram counts the different notes seen before it, not its occurrences.
            grams, counts = np.unique(grams % base**length, return_counts=True)
            levels.insert(0, _Level.of(grams, counts, base))
        return cls(order, vocab_size, discounts, tuple(levels))

    def log_probabilities(self, tune: ArrayLike) -> Floats:
        """Natural logarithm of the probability of each note but the first, shape (T - 1,).

        Args:
            tune: At least two tokens in [0, vocab_size), shape (T,).
        """
        return self._log_probabilities(self._evidence([tune]))

    def tune_nats(self, tunes: Sequence[ArrayLike]) -> tuple[Floats, Integers]:
        """Nats summed over each tune, and its number of scored notes, both of shape (n_tunes,).

        Args:
            tunes: Tokens in [0, vocab_size), one array of shape (T,) a tune.
        """
        nats = -self._log_probabilities(self._evidence(tunes))
        n_scored = np.array([max(np.size(tune) - 1, 0) for tune in tunes], dtype=np.int64)
        nats_of_tune = np.zeros(len(tunes))
        np.add.at(nats_of_tune, np.repeat(np.arange(len(tunes)), n_scored), nats)
        return nats_of_tune, n_scored

    def _evidence(self, tunes: Sequence[ArrayLike]) -> list[_Evidence]:
        base = self.vocab_size + 1
        grams = _grams(tunes, self.order, self.vocab_size)
        return [
            level.evidence(grams % base**length, base)
            for length, level in enumerate(self._levels, start=1)
        ]

    def _log_probabilities(self, evidence: Sequence[_Evidence]) -> Floats:
        probability = np.full(evidence[0].seen.shape, 1 / self.vocab_size)
        for (seen, total, kinds), discount in zip(evidence, self.discounts, strict=True):
            share = np.maximum(seen - discount, 0.0) + discount * kinds * probability
            # After a context never seen, the shorter one alone decides.
            probability = np.divide(share, total, out=probability, where=total > 0)
        log_probability: Floats = np.log(probability)
        return log_probability


def fit_ngrams(
    train: Sequence[ArrayLike],
    validation: Sequence[ArrayLike],
    vocab_size: int,
    max_order: int = 5,
) -> dict[int, NGramModel]:
    """Models of order 1 to `max_order`, by order, each with its best discounts on validation.

    Args:
        train: Tokens in [0, vocab_size) to count, one array of shape (T,) a tune.
        validation: Tokens to choose the discounts on, in the same form.
        vocab_size: Number of tokens V.
        max_order: Highest order, from 1 on.

    Raises:
        ValueError: A token is out of range, or no tune of a set has two notes.
    """
    return {
        order: _tune_discounts(NGramModel.fit(train, order, vocab_size), validation)
        for order in range(1, max_order + 1)
    }


def nats_per_note(model: NGramModel, tunes: Sequence[ArrayLike]) -> float:
    """Mean of -ln p over all notes of the tunes but the first ones; smaller is better.

    Args:
        model: A fitted model.
        tunes: Tokens in [0, vocab_size), one array of shape (T,) a tune.
    """
    nats, n_scored = model.tune_nats(tunes)
    return float(nats.sum() / n_scored.sum())


def _tune_discounts(model: NGramModel, validation: Sequence[ArrayLike]) -> NGramModel:
    """Tunes the discounts by coordinate search on a grid, one length of gram after the other."""
    evidence = model._evidence(validation)

    def loss(discounts: tuple[float, ...]) -> float:
        return -float(replace(model, discounts=discounts)._log_probabilities(evidence).mean())

    best = model.discounts
    for _ in range(_SWEEPS):
        for level in range(model.order):
            best = min(((*best[:level], d, *best[level + 1 :]) for d in _DISCOUNTS), key=loss)
    return replace(model, discounts=best)


def _grams(tunes: Sequence[ArrayLike], order: int, vocab_size: int) -> Integers:
    """The gram that ends in each scored note, in order."""
    arrays = [array for array in map(np.asarray, tunes) if array.size > 1]
    if not arrays:
        raise ValueError(
            "n-grams need a tune of at least two notes, but got "
            f"{counted(len(tunes), 'tune')} with fewer. Pass longer tunes."
        )
    notes = np.concatenate(arrays)
    if not np.issubdtype(notes.dtype, np.integer) or notes.min() < 0 or notes.max() >= vocab_size:
        raise ValueError(
            f"tokens must be integers in 0..{vocab_size - 1}, but got {notes.dtype} from "
            f"{notes.min()} to {notes.max()}. Encode the tunes, or pass a larger vocab_size."
        )
    position = np.concatenate([np.arange(len(array)) for array in arrays])
    codes = notes.astype(np.int64)  # a narrow type would overflow
    grams = np.zeros_like(codes)
    for back in range(order):
        digit = np.where(position >= back, np.roll(codes, back), vocab_size)
        grams += digit * (vocab_size + 1) ** back
    return grams[position > 0]


def _look_up(keys: Integers, values: Integers, wanted: Integers) -> Integers:
    """The value of each wanted key, 0 where there is none; keys are sorted."""
    nearest = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[nearest] == wanted, values[nearest], 0)


def _check_order(order: int, vocab_size: int) -> None:
    if order < 1:
        raise ValueError(f"order must be at least 1, but got {order}. Use 1 for a unigram.")
    if (vocab_size + 1) ** order > np.iinfo(np.int64).max:
        raise ValueError(
            f"(vocab_size + 1) ** order must fit in 63 bits, but got vocab_size={vocab_size}, "
            f"order={order}. Use a lower order."
        )


def _one_for_each_length(discount: float | Sequence[float], order: int) -> tuple[float, ...]:
    discounts = tuple(discount) if isinstance(discount, Sequence) else (discount,) * order
    if len(discounts) != order or not all(0 < d <= 1 for d in discounts):
        raise ValueError(
            f"discount must be one number or {order} numbers in (0, 1], but got {discount}. "
            "Use 0.75 if in doubt."
        )
    return discounts
