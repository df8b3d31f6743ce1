"""Parsers of ABC signs: notes, lengths, keys, meters, tuplets.

Source: the ABC music standard 2.1.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from chromasonic.errors import DataError

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ALTERATIONS = {"^": 1, "_": -1, "=": 0}
_ORDER_OF_SHARPS = "FCGDAEB"
_FIFTHS_OF_MODE = {
    "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2,
    "m": -3, "min": -3, "aeo": -3, "phr": -4, "loc": -5,
}  # fmt: skip
_NOTES_IN_THE_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_NOTE = re.compile(r"([_^=]*)([A-Ga-g])([,']*)([\d/]*)")
_LENGTH = re.compile(r"(\d{0,4})(?:/(\d{1,4})|(/{0,8}))")
_KEY = re.compile(r"([A-G])([#b]?)(\s*)([A-Za-z]*)")
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
    alteration = sum(_ALTERATIONS[mark] for mark in accidental) if accidental else None
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
        DataError: If one of its numbers is 0.
    """
    written = [int(number) if number else None for number in sign[1:].split(":")]
    notes, time, count = [*written, None, None][:3]
    if notes is None or 0 in (notes, time, count):
        raise DataError(
            f"a tuplet must be like (3 or (3:2:3, above 0, but got {sign!r}. Correct it."
        )
    compound = meter in ((6, 8), (9, 8), (12, 8))
    time = time or _NOTES_IN_THE_TIME_OF.get(notes, 3 if compound else 2)
    return Fraction(time, notes), count or notes


def parse_key(value: str) -> dict[str, int] | None:
    """Parses a K: field: the alteration of each altered letter; None if it names a clef only.

    Raises:
        DataError: If it is not a key.
    """
    if value.startswith(("HP", "Hp")):
        return {} if value[1] == "P" else {"F": 1, "C": 1}
    match = _KEY.match(value)
    if match is None:
        return _parse_keyless(value)
    tonic, sign, space, word = match.groups()
    mode = word.lower() if word.lower() == "m" else word.lower()[:3]
    if mode and mode not in _FIFTHS_OF_MODE and not space:
        raise DataError(f"a key must be like G, Bb, F#m or D mix, but got {value!r}. Correct K:.")
    fifths = _ORDER_OF_SHARPS.index(tonic) - 1 + 7 * ((sign == "#") - (sign == "b"))
    # A word after a space may also be a clef, as in `K:G treble`.
    fifths += _FIFTHS_OF_MODE.get(mode, 0)
    signature = _signature(fifths, value)
    for accidental, letter in re.findall(r"([_^=]+)([A-Ga-g])", value[match.end() :]):
        signature[letter.upper()] = sum(_ALTERATIONS[mark] for mark in accidental)
    return signature


def _parse_keyless(value: str) -> dict[str, int] | None:
    if value in ("", "none"):
        return {}
    if re.match(r"clef|treble|alto|tenor|bass|perc|octave|stafflines|middle|transpose", value):
        return None
    raise DataError(f"a key must be like G, Bb, F#m or D mix, but got {value!r}. Correct K:.")


def _signature(fifths: int, value: str) -> dict[str, int]:
    if abs(fifths) > 7:
        raise DataError(
            f"a key must have at most 7 sharps or flats, but got {value!r}. Respell it."
        )
    altered = _ORDER_OF_SHARPS[:fifths] if fifths > 0 else _ORDER_OF_SHARPS[7 + fifths :]
    return dict.fromkeys(altered, 1 if fifths > 0 else -1)
