"""Writing a melody to a MIDI file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy.typing as npt

from chromasonic.errors import MissingExtra
from chromasonic.melody_generation.data.vocabulary import TICKS_PER_QUARTER
from chromasonic.melody_generation.listening.sound import check_notes, check_program, check_tempo
from chromasonic.paths import expand_home
from chromasonic.tuning.files import write_whole

_VELOCITY = 80
_MICROSECONDS_PER_MINUTE = 60_000_000


def write_midi(
    path: str | Path,
    pitches: npt.ArrayLike,
    durations: npt.ArrayLike,
    tempo: float = 120.0,
    program: int = 0,
) -> Path:
    """Writes a melody as a standard MIDI file, whole or not at all, and returns its path.

    The file is of format 0, has 480 ticks to a quarter and one track named Melody.

    Args:
        path: Where it goes; its folder is made.
        pitches: MIDI pitches in 21..108, shape (n,), n at least 1.
        durations: Ticks, 480 to a quarter, in 1..15360, shape (n,); each note begins where the
            one before it ends.
        tempo: Quarters a minute, in 10..1000; kept to the microsecond a quarter.
        program: The instrument, 0..127 as General MIDI numbers them from 0; 0 is a piano.

    Raises:
        DataError: The notes cannot be played.
        ValueError: The tempo or the program is out of its range.
        MissingExtra: mido is not installed.
    """
    keys, ticks = check_notes(pitches, durations)
    check_tempo(tempo)
    check_program(program)
    mido = _import_mido()
    track = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name="Melody"),
            mido.MetaMessage("set_tempo", tempo=round(_MICROSECONDS_PER_MINUTE / tempo)),
            mido.Message("program_change", program=program),
        ]
    )
    for key, length in zip(keys, ticks, strict=True):
        track.append(mido.Message("note_on", note=key, velocity=_VELOCITY, time=0))
        track.append(mido.Message("note_off", note=key, velocity=0, time=length))
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_QUARTER, tracks=[track])
    target = expand_home(path)
    write_whole(target, file.save)
    return target


def _import_mido() -> Any:
    try:
        return importlib.import_module("mido")
    except ImportError as error:
        raise MissingExtra(
            "writing MIDI needs mido, which is not installed. "
            'Run: pip install "chromasonic[melody]"'
        ) from error
