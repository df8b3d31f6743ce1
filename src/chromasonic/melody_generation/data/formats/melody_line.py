"""Extraction of a monophonic melody from the notes of a piece, and fitting to the piano."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, NamedTuple

from chromasonic.melody_generation.data.vocabulary import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    TICKS_PER_QUARTER,
)


@dataclass
class Event:
    """A note or rest in a score.

    Attributes:
        pitch: MIDI pitch; None for a rest.
        quarters: Length in quarter notes.
        natural: The pitch of its letter without accidentals, where a notation needs to know.
        tied: True if it is tied to the next event.
    """

    pitch: int | None
    quarters: Fraction
    natural: int | None = None
    tied: bool = False


def merge_ties(events: Iterable[Event]) -> list[tuple[int, Fraction]]:
    """Joins tied notes; pitch and quarters of each note, without rests."""
    notes: list[tuple[int, Fraction]] = []
    tied = False
    for event in events:
        if event.pitch is not None:
            if tied and notes[-1][0] == event.pitch:
                notes[-1] = event.pitch, notes[-1][1] + event.quarters
            else:
                notes.append((event.pitch, event.quarters))
        tied = event.tied and event.pitch is not None
    return notes


# The better clues come first.
_MELODY_NAMES = [
    re.compile(clue, re.IGNORECASE)
    for clue in (r"melod", r"\blead\b|vocal|\bvox\b|\bvoice", r"\bsolo|sopran|\bcant[ou]|\bsing")
]
_NO_MELODY_NAME = re.compile(r"back|harmon|accomp|aah|ooh|choir|chorus|drum|bass\b", re.IGNORECASE)

UNNAMED = len(_MELODY_NAMES)
"""Rank of a name without a clue to the melody."""


def melody_rank(name: str) -> int:
    """Rank of a track or part by its name: 0 most likely the melody, `UNNAMED` no clue."""
    if _NO_MELODY_NAME.search(name):
        return UNNAMED
    fitting = (rank for rank, clue in enumerate(_MELODY_NAMES) if clue.search(name))
    return next(fitting, UNNAMED)


LONGEST_NOTE = 32 * TICKS_PER_QUARTER

Outside = Literal["fold", "drop"]


class Note(NamedTuple):
    """A sounding note from `onset` to `end`, in any unit of time, at a MIDI pitch."""

    onset: int
    end: int
    pitch: int


HANGING, EMPTY = "hanging notes ended", "notes of length 0 left out"


@dataclass(frozen=True)
class MelodyLine:
    """A melody as read from a file.

    Attributes:
        pitches: MIDI pitches, not yet confined to the piano.
        durations: Ticks, 480 to a quarter, at least 1; as many as pitches.
        repairs: Number of repairs of each kind of damage.
        n_notes: Number of notes that it was taken from, those left out included; 0 if these are
            its own.
    """

    pitches: list[int]
    durations: list[int]
    repairs: Counter[str] = field(default_factory=Counter)
    n_notes: int = 0


def skyline(notes: Iterable[Note]) -> list[Note]:
    """Skyline algorithm: the highest voice, without overlaps.

    A higher note ends the one below it. A lower note under a held one is left out, unless the
    two overlap by no more than a quarter of either: then they were meant to follow each other.
    """
    line: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.onset, -note.pitch, -note.end)):
        if line and note.onset < line[-1].end:
            held = line[-1]
            if note.onset == held.onset or (
                note.pitch < held.pitch and not _overlap_is_slight(held, note)
            ):
                continue
            line[-1] = held._replace(end=note.onset)
        line.append(note)
    return line


def _overlap_is_slight(held: Note, note: Note) -> bool:
    return 4 * (held.end - note.onset) <= min(held.end - held.onset, note.end - note.onset)


def to_ticks(quarters: Fraction) -> int:
    """Rounds quarters to ticks, at least 1."""
    return max(1, round(TICKS_PER_QUARTER * quarters))


def fit_to_piano(line: MelodyLine, outside: Outside) -> MelodyLine:
    """Fits a melody to pitches 21..108 and notes of at most 32 quarters.

    Args:
        line: The melody as it was read.
        outside: Treatment of other pitches: `fold` moves them by octaves, `drop` leaves
            their notes out.
    """
    repairs = line.repairs.copy()
    n_notes = line.n_notes or len(line.pitches)
    pitches, durations = [], []
    for pitch, ticks in zip(line.pitches, line.durations, strict=True):
        if ticks > LONGEST_NOTE:
            repairs["notes longer than 32 quarters shortened"] += 1
        if not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            repairs[
                "notes outside the piano " + ("folded" if outside == "fold" else "dropped")
            ] += 1
            if outside == "drop":
                continue
        pitches.append(_fold(pitch))
        durations.append(min(ticks, LONGEST_NOTE))
    return MelodyLine(pitches, durations, repairs, n_notes)


def _fold(pitch: int) -> int:
    """Moves a pitch by octaves to the nearest key of the piano."""
    if pitch < LOWEST_PITCH:
        return LOWEST_PITCH + (pitch - LOWEST_PITCH) % 12
    if pitch > HIGHEST_PITCH:
        return HIGHEST_PITCH - (HIGHEST_PITCH - pitch) % 12
    return pitch
