"""Generated melodies as files: to play, to hear, to see, and set beside people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.sources import DataSource
from chromasonic.melody_generation.data.vocabulary import Vocabulary, decode_pitches
from chromasonic.melody_generation.listening.comparison import Comparison, compare
from chromasonic.melody_generation.listening.generation import Melody
from chromasonic.melody_generation.listening.midi_file import write_midi
from chromasonic.melody_generation.listening.sound import render, write_wav
from chromasonic.reporting.figures.piano_roll import plot_piano_roll
from chromasonic.reporting.melody_table import table_lines
from chromasonic.reporting.result_files import to_json
from chromasonic.tuning.files import write_text

MELODIES_FILE = "melodies.json"
MEASURES_FILE = "measures.md"
PIANO_ROLL_FILE = "piano_roll.png"
MOST_IN_A_PICTURE = 8


@dataclass(frozen=True)
class Playing:
    """How melodies are played.

    Attributes:
        tempo: Quarters a minute.
        program: General MIDI instrument, 0..127.
        soundfont: Whose instrument is heard; the built-in tone if None.
    """

    tempo: float = 120.0
    program: int = 0
    soundfont: Path | None = None


def write_melodies(
    melodies: Sequence[Melody],
    folder: Path,
    playing: Playing,
    settings: Mapping[str, Any],
) -> list[Path]:
    """Writes each melody as MIDI and WAV, and all of them as JSON; returns their files.

    Args:
        melodies: What is written.
        folder: Where.
        playing: How they sound.
        settings: How they were made, kept beside them.

    Raises:
        DataError: The soundfont is none.
        MissingExtra: A soundfont is given, but its player is not installed.
    """
    files = []
    width = len(str(len(melodies)))
    rows = [
        {"pitches": melody.pitches.tolist(), "durations": melody.durations.tolist()}
        for melody in melodies
    ]
    described = {"settings": settings, "ticks_per_quarter": 480, "melodies": rows}
    write_text(folder / MELODIES_FILE, to_json(described))
    stems = [folder / f"melody-{i:0{width}}" for i in range(1, len(melodies) + 1)]
    # A soundfont may end the process: what needs none is written first.
    for stem, melody in zip(stems, melodies, strict=True):
        notes = melody.pitches, melody.durations
        files.append(write_midi(stem.with_suffix(".mid"), *notes, playing.tempo, playing.program))
    for stem, melody in zip(stems, melodies, strict=True):
        samples = render(
            melody.pitches,
            melody.durations,
            playing.tempo,
            soundfont=playing.soundfont,
            program=playing.program if playing.soundfont else None,
        )
        files.append(write_wav(stem.with_suffix(".wav"), samples))
    return files


def draw_melodies(melodies: Sequence[Melody], folder: Path) -> Path:
    """Draws the first few melodies as piano rolls and returns the picture's file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    shown = [(m.pitches, m.durations) for m in melodies[:MOST_IN_A_PICTURE]]
    titles = [f"Melody {i}" for i in range(1, len(shown) + 1)]
    return plot_piano_roll(shown, folder / PIANO_ROLL_FILE, titles)


def beside_people(
    melodies: Sequence[Melody], data: Mapping[str, Any], vocabulary: Vocabulary
) -> Comparison:
    """Measures of the melodies beside those of people's that the model has not seen.

    Args:
        melodies: Generated ones.
        data: What the model's card says of its data; the held-out melodies are loaded from there.
        vocabulary: The model's; with durations these are compared, too.

    Raises:
        DataError: The data cannot be loaded again or have changed, or no held-out melody is long
            enough.
    """
    tokens = vocabulary.tokens
    split, _ = DataSource.from_description({**data, "tokens": tokens}).load()
    melodies_now = Melodies.checked(split.train, split.validation, vocabulary.n_pitches, tokens)
    if melodies_now.fingerprint != data["sha256"]:
        raise DataError("the tunes have changed since the model was trained.")
    known = [*split.train, *split.validation]
    if not vocabulary.durations:
        return compare(
            [melody.pitches for melody in melodies],
            [decode_pitches(tune) for tune in split.test],
            training=[decode_pitches(tune) for tune in known],
        )
    return compare(
        [melody.pitches for melody in melodies],
        [decode_pitches(tune[:, 0]) for tune in split.test],
        generated_durations=[melody.durations for melody in melodies],
        people_durations=[tune[:, 1] for tune in split.test],
        training=[decode_pitches(tune[:, 0]) for tune in known],
    )


def write_comparison(comparison: Comparison, folder: Path) -> list[str]:
    """Writes the measures as a table and returns its lines."""
    lines = table_lines(asdict(comparison))
    write_text(folder / MEASURES_FILE, "\n".join([*lines, ""]))
    return lines
