"""Parsers of ABC signs: notes, lengths, meters, tuplets.

Source: the ABC music standard 2.1.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from chromasonic.errors import DataError

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ALTERATIONS = {"^": 1, "_": -1, "=": 0}
_NOTES_IN_THE_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_NOTE = re.compile(r"([_^=]*)([A-Ga-g])([,']*)([\d/]*)")
_LENGTH = re.compile(r"(\d{0,4})(?:/(\d{1,4})|(/{0,8}))")
_METER = re.compile(r"([\d+ ()]{1,20})/\s*(\d{1,3})")


class WrittenNote(NamedTuple):
    """A written note, before the key signature and accidentals of the measure apply.

    Attributes:
        step: Its letter in upper case.
        natural: MIDI pitch of the letter without any accidental.
        alteration: Semitones of its own accidental, None if it has none.
        length: In units of the L: field.
    """

    step: str
    natural: int
    alteration: int | None
    length: Fraction


def parse_note(sign: str) -> WrittenNote:
    """Parses a note such as `^c'3/2`; `C` is middle C, MIDI pitch 60.

    Raises:
        DataError: If its length is invalid.
    """
    match = _NOTE.fullmatch(sign)
    if match is None:
        raise DataError(f"a note must be a letter a..g with its marks, but got {sign!r}.")
    accidental, letter, octave, length = match.groups()
    natural = _SEMITONES[letter.upper()] + (72 if letter.islower() else 60)
    natural += 12 * (octave.count("'") - octave.count(","))
    alteration = sum(ALTERATIONS[mark] for mark in accidental) if accidental else None
    return WrittenNote(letter.upper(), natural, alteration, parse_length(length))


def parse_length(sign: str) -> Fraction:
    """Parses a length factor: `3`, `3/2`, `/` (a half) or `//` (a quarter); 1 if empty.

    Raises:
        DataError: If it is invalid or not above 0.
    """
    match = _LENGTH.fullmatch(sign)
    above = int(match[1] or 1) if match else 0
    below = (int(match[2]) if match[2] else 2 ** len(match[3])) if match else 0
    if above == 0 or below == 0:
        raise DataError(
            f"a length must be like 3, 3/2 or //, above 0, but got {sign!r}. Correct it."
        )
    return Fraction(above, below)


def parse_meter(value: str) -> tuple[int, int]:
    """Parses an M: field, as in (6, 8); `C`, `C|` and free meter are (4, 4)."""
    match = _METER.search(value)
    if match is None or int(match[2]) == 0:
        return 4, 4
    return sum(int(number) for number in re.findall(r"\d+", match[1])), int(match[2])


def default_unit(meter: tuple[int, int]) -> Fraction:
    """Default note length in whole notes, without an L: field."""
    return Fraction(1, 16) if Fraction(*meter) < Fraction(3, 4) else Fraction(1, 8)


def parse_tuplet(sign: str, meter: tuple[int, int]) -> tuple[Fraction, int]:
    """Parses a tuplet such as `(3` or `(3:2:4`: the factor of lengths, and the number of notes.

    Raises:
        DataError: If one of its numbers is 0, or it has 1 or over 9 notes in an unknown time.
    """
    written = [int(number) if number else None for number in sign[1:].split(":")]
    notes, time, count = [*written, None, None][:3]
    if notes is None or 0 in (notes, time, count) or (time is None and not 2 <= notes <= 9):
        raise DataError(
            f"a tuplet must be like (3 or (3:2:3, above 0, but got {sign!r}. Correct it."
        )
    compound = meter in ((6, 8), (9, 8), (12, 8))
    time = time or _NOTES_IN_THE_TIME_OF.get(notes, 3 if compound else 2)
    return Fraction(time, notes), count or notes
