"""Detection of near-duplicate tunes.

A gram is a run of 10 successive intervals, each distinct run counted once: transposing a tune
leaves its grams as they are. Two tunes are near-duplicates if they share more than half of the
grams of that one of them which has fewer, so that a fragment of a longer tune counts too.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from chromasonic.melody_generation.data.vocabulary import IntArray

GRAM_INTERVALS = 10


def grams(pitches: IntArray) -> set[bytes]:
    """The set of a tune's grams; empty for fewer than 11 notes.

    Args:
        pitches: MIDI pitches or tokens, shape (n_notes,).
    """
    steps = np.diff(pitches).astype(np.int8)
    starts = range(len(steps) - GRAM_INTERVALS + 1)
    return {steps[start : start + GRAM_INTERVALS].tobytes() for start in starts}


def find_near_duplicates(tunes: Iterable[IntArray]) -> list[int | None]:
    """Finds, for each tune, the first kept tune that it duplicates; None if the tune is kept.

    A tune is compared with the earlier ones that are kept, not with those that are dropped.

    Args:
        tunes: Pitches, shape (n_notes,) each; the order decides which of two is kept.

    Returns:
        Indices into `tunes`.
    """
    copied: list[int | None] = []
    sizes: dict[int, int] = {}
    holders: dict[bytes, list[int]] = {}
    for index, pitches in enumerate(tunes):
        own = grams(pitches)
        shared = Counter(holder for gram in own for holder in holders.get(gram, ()))
        originals = [h for h, count in shared.items() if 2 * count > min(len(own), sizes[h])]
        copied.append(min(originals, default=None))
        if not originals:
            sizes[index] = len(own)
            for gram in own:
                holders.setdefault(gram, []).append(index)
    return copied
