"""Parser of ABC keys, clefs and transpositions: all that the K: and V: fields say of pitch.

Source: the ABC music standard 2.1, sections 3.1.14 and 4.6. Keys may also be written in German
(`Es`, `H`, `fis-Moll`) and with Unicode's signs (`B♭`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.formats._abc_notation import ALTERATIONS

_ORDER_OF_SHARPS = "FCGDAEB"
_FIFTHS_OF_MODE = {
    "maj": 0, "dur": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2,
    "m": -3, "min": -3, "mol": -3, "aeo": -3, "phr": -4, "loc": -5,
}  # fmt: skip
_TONIC = re.compile(
    r"([A-Ha-h])(?:(?P<sharp>#|♯|is|[\s-]*sharp)|(?P<flat>b|♭|es|(?<=[EAea])s|[\s-]*flat))?"
)
_MODE = re.compile(r"[\s-]*([A-Za-z]+)")
_ACCIDENTAL = re.compile(r"(\^{1,2}|_{1,2}|=)([A-Ga-g])")
_CLEF = re.compile(
    r"(?:(?:clef=)?(?:treble|bass|alto|tenor|soprano|baritone|mezzosoprano|perc|none|auto)"
    r"|clef=[CFG])[1-5]?(?:([+-])(8|15))?"
)
_SHIFT = re.compile(r"(transpose|t|octave|o)=([+-]?\d{1,3})")
_HARMLESS = r"(?:middle|m|stafflines|staffscale|stems?|cue|s?name|nm|subname|snm)="
_OF_PITCH = r"(?:clef|transpose|t|octave|o|shift|score|sound|instrument|map)="
_SETTING = re.compile(f"{_HARMLESS}|{_OF_PITCH}")

Shifts = dict[str, int]
"""Semitones by their origin, `transpose`, `octave`, `clef` or `MIDI`; all of them add up."""


class Key(NamedTuple):
    """A parsed K: field.

    Attributes:
        signature: The alteration of each altered letter; None if it names a clef only.
        shifts: Transpositions of the music.
    """

    signature: dict[str, int] | None
    shifts: Shifts


def parse_key(value: str) -> Key:
    """Parses a K: field.

    Raises:
        DataError: If any of it is not part of a key.
    """
    rest = re.sub(r'"[^"]*"', "", value).strip()
    signature: dict[str, int] | None = {}
    if rest.startswith(("HP", "Hp")):
        signature, rest = ({} if rest[1] == "P" else {"F": 1, "C": 1}), rest[2:]
    elif rest.split()[:1] in (["none"], ["exp"]):
        rest = rest.split(maxsplit=1)[1] if " " in rest else ""
    elif rest and (_CLEF.fullmatch(rest.split()[0]) or _SETTING.match(rest)):
        signature = None
    elif rest and not _ACCIDENTAL.match(rest):
        signature, rest = _parse_tonic(rest, value)
    shifts: Shifts = {}
    for word in rest.split():
        if _ACCIDENTAL.sub("", word) == "":
            signature = signature or {}
            for accidental, letter in _ACCIDENTAL.findall(word):
                signature[letter.upper()] = sum(ALTERATIONS[mark] for mark in accidental)
        elif (shift := _parse_shift(word)) is not None:
            shifts |= shift
        elif not re.match(_HARMLESS, word):
            raise _no_key(value)
    return Key(signature, shifts)


def parse_voice(value: str) -> Shifts:
    """Parses what a V: field says of pitch after the name of the voice.

    Raises:
        DataError: If it does so in an unknown way.
    """
    shifts: Shifts = {}
    for word in re.sub(r'"[^"]*"', "", value).split()[1:]:
        shift = _parse_shift(word)
        if shift is None and re.match(rf"{_OF_PITCH}|.*[_^+-]\d", word):
            raise DataError(f"{word!r} of a voice cannot be read. Write the notes as they sound.")
        shifts |= shift or {}
    return shifts


def _parse_tonic(text: str, value: str) -> tuple[dict[str, int], str]:
    """The signature of a tonic and its mode, and the text after them."""
    match = _TONIC.match(text)
    if match is None:
        raise _no_key(value)
    rest = text[match.end() :]
    mode = ""
    if word := _MODE.match(rest):
        name = word[1].lower()
        known = name if name == "m" else name[:3]
        if known in _FIFTHS_OF_MODE or name == "exp":
            mode, rest = known, rest[word.end() :]
    if rest and not re.match(r"[\s^_=]", rest):
        raise _no_key(value)
    letter = match[1].upper()
    # A small letter is minor in German and major to others.
    if match[1].islower() and not mode:
        raise _no_key(value)
    sign = (match["sharp"] is not None) - (match["flat"] is not None)
    if letter == "B" and mode in ("dur", "mol") and sign == 0:
        sign = -1  # German B is B flat, and H is B
    if mode == "exp":
        return {}, rest
    fifths = _ORDER_OF_SHARPS.index(letter.replace("H", "B")) - 1 + 7 * sign
    return _signature(fifths + _FIFTHS_OF_MODE[mode or "maj"], value), rest


def _signature(fifths: int, value: str) -> dict[str, int]:
    if abs(fifths) > 7:
        raise DataError(
            f"a key must have at most 7 sharps or flats, but got {value!r}. Respell it."
        )
    altered = _ORDER_OF_SHARPS[:fifths] if fifths > 0 else _ORDER_OF_SHARPS[7 + fifths :]
    return dict.fromkeys(altered, 1 if fifths > 0 else -1)


def _parse_shift(word: str) -> Shifts | None:
    """Semitones of a clef or of `octave=` or `transpose=`; None if the word is another."""
    if match := _CLEF.fullmatch(word):
        octaves = {None: 0, "8": 1, "15": 2}[match[2]]
        return {"clef": -12 * octaves if match[1] == "-" else 12 * octaves}
    if match := _SHIFT.fullmatch(word):
        semitones = int(match[2])
        is_octave = match[1] in ("octave", "o")
        return {"octave": 12 * semitones} if is_octave else {"transpose": semitones}
    return None


def _no_key(value: str) -> DataError:
    return DataError(f"a key must be like G, Bb, F#m or D mix, but got {value!r}. Correct K:.")
