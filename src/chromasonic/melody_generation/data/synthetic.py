"""Synthetic melodies with scales and repeated motifs, for quick examples."""

from typing import Any

import numpy as np

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import VOCAB_SIZE, IntArray

# Semitones above the tonic.
_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),  # major
    (0, 2, 3, 5, 7, 8, 10),  # minor
    (0, 2, 3, 5, 7, 9, 10),  # dorian
    (0, 2, 4, 7, 9),  # pentatonic
)
_RANGE = 15  # notes of a scale that one melody uses: about two octaves
_MOTIF_LENGTH = 4
_STEPS = np.array([-4, -3, -2, -1, 0, 1, 2, 3, 4])  # in notes of the scale
_STEP_PROBABILITIES = np.array([2, 3, 8, 28, 14, 28, 10, 4, 3]) / 100


def create_training_data(
    num_sequences: int = 500,
    sequence_length: int = 16,
    vocab_size: int = VOCAB_SIZE,
    train_split: float = 0.8,
    seed: int = 0,
) -> tuple[list[IntArray], list[IntArray]]:
    """Generates synthetic melodies for training and validation.

    Each has a key and scale of its own, moves mostly by steps and repeats its motifs.

    Args:
        num_sequences: Number of melodies in all, at least 2.
        sequence_length: Notes of each melody, at least 2.
        vocab_size: Notes are 0..vocab_size-1, one a semitone; at least 2.
        train_split: Share of the melodies to train on, in (0, 1).
        seed: The same seed gives the same melodies; at least 0.

    Returns:
        Training and validation melodies, each of shape (sequence_length,).

    Raises:
        DataError: If an argument is out of its range, or a part would be empty.
    """
    _check_least(2, num_sequences=num_sequences, sequence_length=sequence_length)
    _check_least(2, vocab_size=vocab_size)
    _check_least(0, seed=seed)
    n_train = _count_train(num_sequences, train_split)
    rng = np.random.default_rng(seed)
    melodies = [_melody(sequence_length, vocab_size, rng) for _ in range(num_sequences)]
    return melodies[:n_train], melodies[n_train:]


def _melody(length: int, vocab_size: int, rng: np.random.Generator) -> IntArray:
    """A random melody, shape (length,)."""
    notes = _register(vocab_size, rng)
    place = int(rng.integers(len(notes)))
    places = [place]
    for step in _steps(length - 1, rng):
        # A step that would leave the register goes the other way.
        moved = place + step if 0 <= place + step < len(notes) else place - step
        place = min(max(moved, 0), len(notes) - 1)
        places.append(place)
    return notes[places]


def _register(vocab_size: int, rng: np.random.Generator) -> IntArray:
    """Notes of a melody's register in a random key, ascending, shape (n,), n >= 2."""
    scale = _SCALES[rng.integers(len(_SCALES))]
    tonic = rng.integers(12)
    notes = np.arange(vocab_size)
    in_key = notes[np.isin((notes - tonic) % 12, scale)]
    # A very small vocabulary may hold less than two notes of the key.
    usable = in_key if len(in_key) >= 2 else notes
    start = rng.integers(max(len(usable) - _RANGE, 0) + 1)
    return usable[start : start + _RANGE]


def _steps(count: int, rng: np.random.Generator) -> list[int]:
    """Random steps between notes: new motifs and repetitions of earlier ones."""
    motifs: list[IntArray] = []
    for _ in range(-(-count // _MOTIF_LENGTH)):
        if motifs and rng.random() < 0.5:
            motifs.append(motifs[rng.integers(len(motifs))])
        else:
            motifs.append(rng.choice(_STEPS, size=_MOTIF_LENGTH, p=_STEP_PROBABILITIES))
    return [int(step) for motif in motifs for step in motif][:count]


def _count_train(num_sequences: int, train_split: float) -> int:
    """Number of training melodies; both parts have some."""
    if not 0 < train_split < 1:
        raise DataError(
            f"train_split must be between 0 and 1, but got {train_split!r}. Use a share like 0.8."
        )
    n_train = round(num_sequences * train_split)
    if not 0 < n_train < num_sequences:
        raise DataError(
            "train_split must leave at least one melody for training and one for validation, but "
            f"{train_split!r} of {num_sequences} leaves {n_train} and {num_sequences - n_train}. "
            "Use more melodies or a share nearer to 0.5."
        )
    return n_train


def _check_least(least: int, **arguments: Any) -> None:
    for name, value in arguments.items():
        is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not is_integer or value < least:
            raise DataError(f"{name} must be an integer of at least {least}, but got {value!r}.")
