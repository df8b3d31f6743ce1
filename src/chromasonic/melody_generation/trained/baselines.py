"""N-gram baselines on the same notes as the models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.vocabulary import IntArray, Vocabulary
from chromasonic.melody_generation.trained.evaluation import TuneNats
from chromasonic.melody_generation.trained.ngrams import NGramModel, fit_ngrams

NAMES = ("unigram", "bigram", "trigram", "4-gram", "5-gram")


@dataclass(frozen=True)
class Baseline:
    """An n-gram model for each factor of a note, each of its own factor alone.

    N-grams over pairs of duration and pitch would be too sparse for corpora of this size.

    Attributes:
        models: By factor, in the vocabulary's order.
        vocabulary: Meaning of the tokens.
    """

    models: tuple[NGramModel, ...]
    vocabulary: Vocabulary

    @own_arithmetic()
    def tune_nats(self, tunes: Sequence[IntArray]) -> TuneNats:
        """Negative log-likelihood of each tune."""
        lines = _lines(tunes, self.vocabulary)
        scored = [m.tune_nats(line) for m, line in zip(self.models, lines, strict=True)]
        nats = np.stack([nats for nats, _ in scored], axis=1)
        return TuneNats(nats, scored[0][1], self.vocabulary.factors)

    @own_arithmetic()
    def refit(self, tunes: Sequence[IntArray]) -> Self:
        """Counts other tunes with the same orders and discounts."""
        lines = zip(self.models, _lines(tunes, self.vocabulary), strict=True)
        return replace(
            self,
            models=tuple(
                NGramModel.fit(line, m.order, m.vocab_size, m.discounts) for m, line in lines
            ),
        )


@own_arithmetic()
def fit_baselines(melodies: Melodies) -> dict[str, Baseline]:
    """Fits interpolated Kneser-Ney n-grams, by name, with discounts chosen on validation melodies.

    A very large vocabulary leaves out the highest orders.
    """
    vocabulary = melodies.vocabulary
    sizes = [vocabulary.n_pitches]
    if vocabulary.durations:
        sizes.insert(0, len(vocabulary.durations))
    most = int(np.iinfo(np.int64).max)
    highest = max(n for n in range(1, len(NAMES) + 1) if (max(sizes) + 1) ** n <= most)
    fitted = [
        fit_ngrams(train, validation, size, max_order=highest)
        for train, validation, size in zip(
            _lines(melodies.train, vocabulary),
            _lines(melodies.validation, vocabulary),
            sizes,
            strict=True,
        )
    ]
    return {
        NAMES[order - 1]: Baseline(tuple(models[order] for models in fitted), vocabulary)
        for order in range(1, highest + 1)
    }


def baseline_losses(melodies: Melodies) -> dict[str, float]:
    """Nats per note of each n-gram on the validation melodies, by name."""
    fitted = fit_baselines(melodies)
    return {name: b.tune_nats(melodies.validation).loss for name, b in fitted.items()}


def best_baseline(melodies: Melodies) -> tuple[str, Baseline]:
    """The n-gram that is best on the validation melodies, and its name."""
    fitted = fit_baselines(melodies)
    return min(fitted.items(), key=lambda item: item[1].tune_nats(melodies.validation).loss)


def _lines(tunes: Sequence[IntArray], vocabulary: Vocabulary) -> list[list[IntArray]]:
    """Splits tokens into one set of rows for each factor."""
    pitches = [tune % vocabulary.n_pitches for tune in tunes]
    durations = [tune // vocabulary.n_pitches for tune in tunes]
    return [durations, pitches] if vocabulary.durations else [pitches]
