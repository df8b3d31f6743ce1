"""What a model must beat: n-grams on the same notes."""

import numpy as np

from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.ngrams import NGramModel, fit_ngrams, nats_per_note

NAMES = ("unigram", "bigram", "trigram", "4-gram", "5-gram")


def fit_baselines(melodies: Melodies) -> dict[str, NGramModel]:
    """Interpolated Kneser-Ney n-grams by name, discounts chosen on the validation melodies.

    A very large vocabulary leaves out the highest orders.
    """
    vocab_size = melodies.vocab_size
    most = int(np.iinfo(np.int64).max)
    orders = [n for n in range(1, len(NAMES) + 1) if (vocab_size + 1) ** n <= most]
    fitted = fit_ngrams(melodies.train, melodies.validation, vocab_size, max_order=max(orders))
    return {NAMES[order - 1]: model for order, model in fitted.items()}


def baseline_losses(melodies: Melodies) -> dict[str, float]:
    """Nats per note of each n-gram on the validation melodies, by name."""
    return {
        name: nats_per_note(model, melodies.validation)
        for name, model in fit_baselines(melodies).items()
    }
