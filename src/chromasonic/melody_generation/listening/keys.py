"""Musical keys: parsing, key finding, and transposition of a melody to a key."""

import re
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import HIGHEST_PITCH, LOWEST_PITCH, IntArray

_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAME = re.compile(r"([A-Ga-g])([#b]?)\s*(m|min|minor|maj|major|)")

# How well each pitch class, upwards from the tonic, was judged to fit a key.
_PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


@dataclass(frozen=True)
class Key:
    """A major or minor key.

    Attributes:
        tonic: Pitch class, with C as 0.
        mode: `major` or `minor`.
    """

    tonic: int
    mode: str

    @classmethod
    def parse(cls, name: str) -> Self:
        """Parses a name such as `D`, `Bb`, `F#m` or `A minor`.

        Raises:
            DataError: The name is not that of a key.
        """
        found = _NAME.fullmatch(name.strip())
        if found is None:
            raise DataError(f"a key must be one such as D, Bb or F#m, but got {name!r}.")
        letter, accidental, mode = found.groups()
        tonic = _NATURALS[letter.upper()] + {"#": 1, "b": -1, "": 0}[accidental]
        is_minor = mode in ("m", "min", "minor")
        return cls(tonic % 12, "minor" if is_minor else "major")


class InKey(NamedTuple):
    """A transposed melody and how clearly it is in its key.

    Attributes:
        pitches: MIDI pitches, shape (T,).
        clarity: Correlation with the profile of the key, minus the best correlation with a key of
            the other mode.
    """

    pitches: IntArray
    clarity: float


def fit_key(pitches: IntArray, durations: IntArray, key: Key) -> InKey:
    """Transposes a melody so that its best key of that mode becomes `key`.

    It is moved by at most half an octave, and an octave more where it would leave the piano.

    Args:
        pitches: MIDI pitches, shape (T,).
        durations: Ticks, shape (T,).
        key: The target key.

    Source: Krumhansl and Kessler (1982), the profiles; Krumhansl (1990), finding a key by them.
    """
    correlations = key_correlations(pitches, durations)
    other = "minor" if key.mode == "major" else "major"
    tonic = int(correlations[key.mode].argmax())
    move = (key.tonic - tonic + 6) % 12 - 6
    moved = pitches + move
    if moved.min() < LOWEST_PITCH:
        moved = moved + 12
    if moved.max() > HIGHEST_PITCH:
        moved = moved - 12
    clarity = correlations[key.mode].max() - correlations[other].max()
    return InKey(np.clip(moved, LOWEST_PITCH, HIGHEST_PITCH), float(clarity))


def key_correlations(pitches: IntArray, durations: IntArray) -> dict[str, NDArray[np.float64]]:
    """Correlation of a melody with the profile of each key, by mode; over tonics, shape (12,).

    Pearson correlation of the profile with the total duration of each pitch class.

    Args:
        pitches: MIDI pitches, shape (T,).
        durations: Ticks, shape (T,): longer notes count for more.
    """
    weighed = np.bincount(pitches % 12, weights=durations, minlength=12)
    shares = _standardize(np.asarray(weighed, dtype=np.float64))
    return {
        mode: np.array([shares @ np.roll(_standardize(np.array(profile)), t) for t in range(12)])
        for mode, profile in _PROFILES.items()
    }


def _standardize(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shifts and scales to mean 0 and length 1; all 0 where the values are all the same."""
    centred: NDArray[np.float64] = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else centred
