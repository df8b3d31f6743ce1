"""Files of generated melodies: MIDI, WAV, JSON, piano rolls, and a table of measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.sources import DataSource
from chromasonic.melody_generation.data.vocabulary import Vocabulary, decode_pitches
from chromasonic.melody_generation.listening.comparison import MelodyComparison, compare
from chromasonic.melody_generation.listening.generation import Melody
from chromasonic.melody_generation.listening.midi_file import write_midi
from chromasonic.melody_generation.listening.sound import render, write_wav
from chromasonic.reporting.figures import draw_piano_roll, save_figure
from chromasonic.reporting.melody_table import table_lines
from chromasonic.reporting.result_files import to_json
from chromasonic.tuning.files import write_text

MELODIES_FILE = "melodies.json"
MEASURES_FILE = "measures.md"
PIANO_ROLL_FILE = "piano_roll.png"
MOST_IN_A_PICTURE = 8


@dataclass(frozen=True)
class Playback:
    """Tempo and instrument of playback.

    Attributes:
        tempo: Quarters a minute.
        program: General MIDI instrument, 0..127.
        soundfont: File whose instrument plays; the built-in instrument if None.
    """

    tempo: float = 120.0
    program: int = 0
    soundfont: Path | None = None


def write_melodies(
    melodies: Sequence[Melody],
    folder: Path,
    playback: Playback,
    settings: Mapping[str, Any],
) -> list[Path]:
    """Writes each melody as MIDI and WAV, and all of them as JSON; returns their files.

    Args:
        melodies: The melodies to write.
        folder: Receives the files.
        playback: Tempo and instrument.
        settings: Settings of their generation, stored in the JSON file.

    Raises:
        DataError: The file is not a soundfont.
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
    # A broken soundfont may crash the process: files that need none are written first.
    for stem, melody in zip(stems, melodies, strict=True):
        notes = melody.pitches, melody.durations
        files.append(
            write_midi(stem.with_suffix(".mid"), *notes, playback.tempo, playback.program)
        )
    for stem, melody in zip(stems, melodies, strict=True):
        samples = render(
            melody.pitches,
            melody.durations,
            playback.tempo,
            soundfont=playback.soundfont,
            program=playback.program if playback.soundfont else None,
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
    return save_figure(draw_piano_roll(shown, titles), folder / PIANO_ROLL_FILE)


def compare_with_held_out(
    melodies: Sequence[Melody], data: Mapping[str, Any], vocabulary: Vocabulary
) -> MelodyComparison:
    """Compares melodies with the held-out tunes of the model's data.

    Args:
        melodies: Generated melodies.
        data: Description of the data in the model's card; held-out melodies are loaded from there.
        vocabulary: The model's; with durations, rhythm is compared, too.

    Raises:
        DataError: The data cannot be loaded again or have changed, or no held-out melody is long
            enough.
    """
    tokens = vocabulary.tokens
    split, _ = DataSource.from_description({**data, "tokens": tokens}).load()
    melodies_now = Melodies.from_data(split.train, split.validation, vocabulary.n_pitches, tokens)
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


def write_comparison(comparison: MelodyComparison, folder: Path) -> list[str]:
    """Writes the measures as a table and returns its lines."""
    lines = table_lines(asdict(comparison))
    write_text(folder / MEASURES_FILE, "\n".join([*lines, ""]))
    return lines
