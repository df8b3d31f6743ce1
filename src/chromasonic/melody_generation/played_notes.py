"""A melody about to be played: its notes checked, and placed in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.abc import TICKS_PER_QUARTER
from chromasonic.melody_generation.data.melody_line import LONGEST_NOTE
from chromasonic.melody_generation.data.vocabulary import IntArray, decode_pitches, encode_pitches

SLOWEST_TEMPO, FASTEST_TEMPO = 10.0, 1000.0


def check_notes(pitches: npt.ArrayLike, durations: npt.ArrayLike) -> tuple[list[int], list[int]]:
    """The notes of a melody as plain numbers.

    Args:
        pitches: MIDI pitches in 21..108, shape (n,), n at least 1.
        durations: Ticks, 480 to a quarter, in 1..15360, shape (n,).

    Raises:
        DataError: They are not so.
    """
    keys = decode_pitches(encode_pitches(pitches))
    ticks = np.asarray(durations)
    if keys.ndim != 1 or ticks.shape != keys.shape or not len(keys):
        raise DataError(
            "a melody must have a note at least, and as many durations as pitches, "
            f"but got pitches of shape {keys.shape} and durations of shape {ticks.shape}."
        )
    if not np.issubdtype(ticks.dtype, np.integer):
        raise DataError(
            f"durations must be whole numbers of ticks, but got dtype {ticks.dtype}. "
            f"Count {TICKS_PER_QUARTER} to a quarter."
        )
    outside = ticks[(ticks < 1) | (ticks > LONGEST_NOTE)]
    if len(outside):
        raise DataError(
            f"durations must lie in 1..{LONGEST_NOTE} ticks, but got {outside[0]}. "
            f"Count {TICKS_PER_QUARTER} to a quarter."
        )
    return keys.tolist(), ticks.tolist()


def check_tempo(tempo: float) -> None:
    """Does nothing if a tempo, in quarters a minute, is one that can be played.

    Raises:
        ValueError: It lies outside 10..1000.
    """
    if not SLOWEST_TEMPO <= tempo <= FASTEST_TEMPO:
        raise ValueError(
            f"tempo must lie in {SLOWEST_TEMPO:g}..{FASTEST_TEMPO:g} quarters a minute, "
            f"but got {tempo}. Use 120 if in doubt."
        )


def check_program(program: int) -> None:
    """Does nothing if a number is that of a MIDI program.

    Raises:
        ValueError: It lies outside 0..127.
    """
    if not 0 <= program <= 127:
        raise ValueError(
            f"program must lie in 0..127, but got {program}. "
            "It counts from 0: 0 is a piano, 40 a violin, 73 a flute."
        )


def sample_bounds(durations: list[int], tempo: float, sample_rate: int) -> IntArray:
    """Where each note begins, and the last one ends, in samples; shape (n_notes + 1,).

    Args:
        durations: Ticks, 480 to a quarter.
        tempo: Quarters a minute.
        sample_rate: Samples a second.
    """
    ticks = np.concatenate([[0], np.cumsum(durations)])
    # Each bound is rounded on its own, so that no error adds up.
    seconds = ticks * (60.0 / (TICKS_PER_QUARTER * tempo))
    return np.rint(seconds * sample_rate).astype(np.int64)
