"""What a model must beat: n-grams on the same notes."""

import numpy as np

from chromasonic.melody_generation.data.batches import Tunes
from chromasonic.melody_generation.ngrams import NGramModel, fit_ngrams, nats_per_note

NAMES = ("unigram", "bigram", "trigram", "4-gram", "5-gram")


def fit_baselines(train: Tunes, validation: Tunes, vocab_size: int) -> dict[str, NGramModel]:
    """Interpolated Kneser-Ney n-grams by name, discounts chosen on `validation`.

    A very large vocabulary leaves out the highest orders.
    """
    most = int(np.iinfo(np.int64).max)
    orders = [n for n in range(1, len(NAMES) + 1) if (vocab_size + 1) ** n <= most]
    fitted = fit_ngrams(train, validation, vocab_size, max_order=max(orders))
    return {NAMES[order - 1]: model for order, model in fitted.items()}


def baseline_losses(train: Tunes, validation: Tunes, vocab_size: int) -> dict[str, float]:
    """Nats per note of each n-gram on the validation melodies, by name."""
    baselines = fit_baselines(train, validation, vocab_size)
    return {name: nats_per_note(model, validation) for name, model in baselines.items()}
