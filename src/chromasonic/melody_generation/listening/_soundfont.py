"""Playback of a melody by a soundfont, through TinySoundFont."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from chromasonic.errors import DataError, MissingExtra
from chromasonic.melody_generation.data.vocabulary import IntArray
from chromasonic.melody_generation.listening._synthesis import RING_OUT_S, Samples, smooth_rise

_PEAK = 0.8
_SILENCE = 1e-6
_VELOCITY = 100
_N_PROGRAMS = 128


def play_soundfont(
    soundfont: Path, program: int | None, pitches: list[int], bounds: IntArray, sample_rate: int
) -> Samples:
    """Renders a melody with a soundfont, its loudest sample at 0.8; no sound device is used.

    Args:
        soundfont: A file of kind .sf2, .sf3 or .sfo.
        program: An instrument of bank 0, counted from 0; the first of the file if None.
        pitches: MIDI pitches, shape (n,).
        bounds: Onset of each note, and end of the last one, in samples, shape (n + 1,).
        sample_rate: Samples a second.

    Returns:
        Shape (bounds[-1] + 1.5 s,), the mean of both channels.

    Raises:
        DataError: The file is not a soundfont, or does not have the program or the notes.
        MissingExtra: tinysoundfont is not installed.
    """
    tinysoundfont = _import_tinysoundfont()
    synth = tinysoundfont.Synth(samplerate=sample_rate)
    _load(synth, soundfont, program)
    fade = smooth_rise(round(RING_OUT_S * sample_rate))[::-1].astype(np.float32)
    parts = []
    for pitch, length in zip(pitches, np.diff(bounds).tolist(), strict=True):
        synth.noteon(0, pitch, _VELOCITY)
        parts.append(_generate(synth, length))
        synth.noteoff(0, pitch)
    parts.append(_generate(synth, len(fade)) * fade)
    samples = np.concatenate(parts)
    loudest = np.abs(samples).max()
    if not loudest > _SILENCE:
        raise DataError(
            f"the soundfont must sound at the pitches {min(pitches)}..{max(pitches)}, "
            f"but is silent there: {soundfont}. Choose another program or soundfont."
        )
    return np.asarray(samples * (_PEAK / loudest), dtype=np.float32)


def _load(synth: Any, soundfont: Path, program: int | None) -> None:
    try:
        number = synth.sfload(_content(soundfont))
    except RuntimeError as error:
        raise _no_soundfont(soundfont, "it cannot be loaded") from error
    programs = [i for i in range(_N_PROGRAMS) if synth.sfpreset_name(number, 0, i) is not None]
    if not programs:
        raise _no_soundfont(soundfont, "it has no instrument in bank 0")
    if program is not None and program not in programs:
        raise DataError(
            f"the program must be one that the soundfont has, but got {program} for {soundfont}. "
            f"It has {', '.join(map(str, programs))}."
        )
    synth.program_select(0, number, 0, programs[0] if program is None else program)


def _content(soundfont: Path) -> bytes:
    """Reads a file and checks that it looks like a whole soundfont.

    The library would crash on some others, or play half a file.
    """
    try:
        content = soundfont.read_bytes()
    except OSError as error:
        raise _no_soundfont(soundfont, error.strerror or "it cannot be read") from error
    if (content[:4], content[8:12]) != (b"RIFF", b"sfbk"):
        raise _no_soundfont(soundfont, "it does not begin as one")
    if len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise _no_soundfont(soundfont, "its end is missing")
    return content


def _no_soundfont(soundfont: Path, reason: str) -> DataError:
    return DataError(
        f"a soundfont must be a whole .sf2 or .sf3 file, but {soundfont} is not: {reason}."
    )


def _generate(synth: Any, length: int) -> Samples:
    """The next samples, shape (length,)."""
    # `generate` would call a sequencer in between, with times rounded to its own steps.
    both = np.frombuffer(synth.generate_simple(length), dtype=np.float32).reshape(length, 2)
    return np.asarray(both.mean(axis=1, dtype=np.float32))


def _import_tinysoundfont() -> Any:
    try:
        return importlib.import_module("tinysoundfont")
    except ImportError as error:
        # Its only dependency serves live playing, and builds where PortAudio is at hand only.
        raise MissingExtra(
            "playing a soundfont needs tinysoundfont, which is not installed. "
            "Run: pip install --no-deps tinysoundfont"
        ) from error
