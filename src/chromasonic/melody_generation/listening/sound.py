"""Rendering of a melody to samples, and WAV files."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.formats.melody_line import LONGEST_NOTE
from chromasonic.melody_generation.data.vocabulary import (
    TICKS_PER_QUARTER,
    IntArray,
    decode_pitches,
    encode_pitches,
)
from chromasonic.melody_generation.listening._soundfont import play_soundfont
from chromasonic.melody_generation.listening._synthesis import Samples, synthesize
from chromasonic.tuning.files import write_whole

SLOWEST_TEMPO, FASTEST_TEMPO = 10.0, 1000.0


def check_notes(pitches: npt.ArrayLike, durations: npt.ArrayLike) -> tuple[list[int], list[int]]:
    """Checks the notes of a melody and returns them as lists.

    Args:
        pitches: MIDI pitches in 21..108, shape (n,), n at least 1.
        durations: Ticks, 480 to a quarter, in 1..15360, shape (n,).

    Raises:
        DataError: They are out of range or do not fit each other.
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
    """Checks a tempo in quarters a minute.

    Raises:
        ValueError: It lies outside 10..1000.
    """
    if not SLOWEST_TEMPO <= tempo <= FASTEST_TEMPO:
        raise ValueError(
            f"tempo must lie in {SLOWEST_TEMPO:g}..{FASTEST_TEMPO:g} quarters a minute, "
            f"but got {tempo}. Use 120 if in doubt."
        )


def check_program(program: int) -> None:
    """Checks the number of a MIDI program.

    Raises:
        ValueError: It lies outside 0..127.
    """
    if not 0 <= program <= 127:
        raise ValueError(
            f"program must lie in 0..127, but got {program}. "
            "It counts from 0: 0 is a piano, 40 a violin, 73 a flute."
        )


def sample_bounds(durations: list[int], tempo: float, sample_rate: int) -> IntArray:
    """Onset of each note, and end of the last one, in samples; shape (n_notes + 1,).

    Args:
        durations: Ticks, 480 to a quarter.
        tempo: Quarters a minute.
        sample_rate: Samples a second.
    """
    ticks = np.concatenate([[0], np.cumsum(durations)])
    # Each bound is rounded on its own, so that no error adds up.
    seconds = ticks * (60.0 / (TICKS_PER_QUARTER * tempo))
    return np.rint(seconds * sample_rate).astype(np.int64)


# Half of it must lie above the highest note, 4186 Hz.
LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 11_025, 192_000

_UNLIMITED = 0.8
_FULL_SCALE = 32_767


def render(
    pitches: npt.ArrayLike,
    durations: npt.ArrayLike,
    tempo: float = 120.0,
    sample_rate: int = 44_100,
    *,
    soundfont: Path | None = None,
    program: int | None = None,
) -> Samples:
    """Renders a melody as samples in [-1, 1], mono; the last note rings for 1.5 s.

    Args:
        pitches: MIDI pitches in 21..108, shape (n,), n at least 1.
        durations: Ticks, 480 to a quarter, in 1..15360, shape (n,); each note begins where the
            one before it ends.
        tempo: Quarters a minute, in 10..1000.
        sample_rate: Samples a second, in 11025..192000.
        soundfont: A file of kind .sf2 or .sf3 whose instrument plays, instead of the built-in
            one.
        program: Which instrument of the soundfont, 0..127; its first if None.

    Returns:
        The same for the same arguments, shape (n_samples,).

    Raises:
        DataError: The notes cannot be played, or the file is not a soundfont.
        ValueError: The tempo, the sample rate or the program is out of its range.
        MissingExtra: A soundfont is given, but tinysoundfont is not installed.
    """
    keys, ticks = check_notes(pitches, durations)
    check_tempo(tempo)
    _check_sample_rate(sample_rate)
    bounds = sample_bounds(ticks, tempo, sample_rate)
    if soundfont is None:
        return soft_limit(synthesize(keys, bounds, sample_rate))
    if program is not None:
        check_program(program)
    return play_soundfont(soundfont, program, keys, bounds, sample_rate)


def soft_limit(samples: Samples) -> Samples:
    """Soft limiter: x up to t = 0.8, and t + (1 - t) tanh((x - t) / (1 - t)) above it."""
    room = 1.0 - _UNLIMITED
    excess = np.maximum(np.abs(samples) - _UNLIMITED, 0.0)
    kept = np.clip(samples, -_UNLIMITED, _UNLIMITED)
    return np.asarray(kept + np.sign(samples) * room * np.tanh(excess / room), dtype=np.float32)


def write_wav(path: Path, samples: npt.ArrayLike, sample_rate: int = 44_100) -> Path:
    """Writes samples as a WAV file of 16 bits, whole or not at all, and returns its path.

    Args:
        path: Where it goes; its folder is made.
        samples: One channel, in [-1, 1], shape (n,).
        sample_rate: Samples a second, in 11025..192000.

    Raises:
        ValueError: The samples are not one line in [-1, 1], or the sample rate is out of range.
    """
    values = np.asarray(samples, dtype=np.float64)
    _check_sample_rate(sample_rate)
    if values.ndim != 1 or not (np.abs(values) <= 1.0).all():
        raise ValueError(
            "samples must be one line of numbers in [-1, 1], "
            f"but got shape {values.shape} and {_range(values)}. Use render, or scale them."
        )
    frames = np.rint(values * _FULL_SCALE).astype("<i2").tobytes()
    write_whole(path, lambda unfinished: _write_frames(unfinished, frames, sample_rate))
    return path


def _write_frames(path: Path, frames: bytes, sample_rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(frames)


def _range(values: npt.NDArray[np.float64]) -> str:
    return f"values in {values.min():g}..{values.max():g}" if values.size else "no values"


def _check_sample_rate(sample_rate: int) -> None:
    if not LOWEST_SAMPLE_RATE <= sample_rate <= HIGHEST_SAMPLE_RATE:
        raise ValueError(
            f"sample_rate must lie in {LOWEST_SAMPLE_RATE}..{HIGHEST_SAMPLE_RATE} a second, "
            f"but got {sample_rate}. Use 44100 if in doubt."
        )
