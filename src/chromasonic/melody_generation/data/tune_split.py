"""Split of a user's tunes into training, validation and test."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.corpus import Corpus, Split
from chromasonic.melody_generation.data.tune_report import Tunes
from chromasonic.melody_generation.data.vocabulary import IntArray


def split_tunes(tunes: Tunes, seed: int = 0) -> Corpus:
    """Splits tunes into about 80% training, 10% validation and 10% test.

    The part of a tune depends on its own pitches and the seed alone: files that are added later
    move no tune to another part. Only where that would leave a part empty, as it can with a few
    dozen tunes, the tunes are split in the order of the same hash instead. The pieces of a tune
    that was split stay together.

    Raises:
        DataError: If there are fewer than 3 different tunes, one for each part.
    """
    places = {key: _place(key, seed) for key in tunes.keys}
    if len(places) < 3:
        raise DataError(
            "a split needs at least 3 different tunes, one for each part, but got "
            f"{len(places)}. Add tunes."
        )
    parts = {key: (place >= 0.8) + (place >= 0.9) for key, place in places.items()}
    if len(set(parts.values())) < 3:
        parts = _part_by_rank(places)

    def divide(notes: list[IntArray]) -> Split:
        pairs = list(zip(notes, tunes.keys, strict=True))
        return Split(*([tune for tune, key in pairs if parts[key] == part] for part in range(3)))

    return Corpus(pitches=divide(tunes.pitches), durations=divide(tunes.durations))


def first_tunes(tunes: Tunes, count: int, seed: int = 0) -> Tunes:
    """A pseudo-random subset of the tunes, in their order, chosen by seed and pitches.

    Args:
        tunes: All tunes.
        count: Size of the subset, at least 1.
        seed: The tunes of a smaller count are among those of a larger one.
    """
    ranked = sorted(range(len(tunes.keys)), key=lambda i: (_place(tunes.keys[i], ~seed), i))
    chosen = sorted(ranked[:count])
    return replace(
        tunes,
        pitches=[tunes.pitches[i] for i in chosen],
        durations=[tunes.durations[i] for i in chosen],
        names=[tunes.names[i] for i in chosen],
        keys=[tunes.keys[i] for i in chosen],
    )


def _place(key: str, seed: int) -> float:
    """Pseudo-random number in [0, 1) of a key and a seed."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    # 53 bits: more would round up to 1.0.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _part_by_rank(places: dict[str, float]) -> dict[str, int]:
    """Part 0, 1 or 2 of each key, by rank; no part is empty."""
    order = sorted(places, key=lambda key: (places[key], key))
    tenth = max(1, len(order) // 10)
    first_of_test = len(order) - tenth
    first_of_validation = first_of_test - tenth
    return {
        key: (rank >= first_of_validation) + (rank >= first_of_test)
        for rank, key in enumerate(order)
    }
