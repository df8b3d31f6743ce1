"""Reader of ABC, the text format of folk music.

The result is one line of notes: sounding pitch and duration, in the order in which they are
written. Repeats and endings are not expanded; grace notes, rests and lyrics are dropped, and a
rest lengthens no note; of a chord the top note stays, of several voices the first.
An accidental holds for its letter in every octave until the next barline, unless the file says
otherwise. What changes pitches and cannot be read, such as a macro, is an error.

Source: the ABC music standard 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.formats._abc_keys import (
    Shifts,
    parse_key,
    parse_voice,
)
from chromasonic.melody_generation.data.formats._abc_notation import (
    WrittenNote,
    default_unit,
    parse_length,
    parse_meter,
    parse_note,
    parse_tuplet,
)
from chromasonic.melody_generation.data.formats._abc_text import (
    Line,
    decode_abc,
    find_tunes,
    read_lines,
)
from chromasonic.melody_generation.data.formats.melody_line import Event, MelodyLine, merge_ties
from chromasonic.melody_generation.data.tune_report import UnusableTune
from chromasonic.melody_generation.data.vocabulary import TICKS_PER_QUARTER, IntArray

# No signs of music unless a U: field makes them so, or a note stands behind, as after an ornament.
_TEXT_LETTER = "hijl-twNWY"
_SIGN = re.compile(
    rf"""
      (?P<ignored>  "(?:[^"\\]|\\.)*" | \{{[^}}]*\}} )
    | (?P<ornament> !(?=[^!|\s]*!)[^!|\s]*[^!|\s_^=A-Ga-gz,'\d/][^!|\s]*! | !f{{1,4}}! | !\d!
                    | !(?=[^!|]*[{_TEXT_LETTER}])[^!|]*! )
    | (?P<field>    \[[A-Za-z]:[^]]*\] )
    | (?P<bar>      \[?\|+[]:|]* | :+\|*[]:]* | \[(?=[\d"\s]|$) )
    | (?P<chord>    \[[^]|]*\][\d/]* )
    | (?P<plus>     \+[^+|\s]*\+ )
    | (?P<tuplet>   \(\d{{1,3}}(?::\d{{0,3}}){{0,2}} )
    | (?P<broken>   >{{1,3}} | <{{1,3}} )
    | (?P<note>     [_^=]*[A-Ga-g][,']*[\d/]* )
    | (?P<rest>     [zxZX][\d/]* )
    | (?P<tie>      - )
    | (?P<overlay>  & )
    | (?P<unclosed> ["{{\[\]] )
    | (?P<accident> [_^=]+[\d/]* )
    | (?P<symbol>   [{_TEXT_LETTER}](?=[_^=A-HJ-MO-VXZa-guvxz(\["{{!~.]) )
    | (?P<letter>   [^\W\d_] )
    """,
    re.VERBOSE,
)
_SYMBOLS = "HIJKLMOPQRSTUVkuvy"  # of ornaments and bowing, and a spacer
_OLD_CHORD = re.compile(r"\+((?:[_^=]*[A-Ga-g][,']*[\d/]*){2,})\+")
_DYNAMICS = ("+ff+", "+fff+", "+ffff+")
_DIRECTIVE = re.compile(
    r"(?:MIDI\s+)?(r?transpose|barlines|nobarlines|propagate-accidentals|map|voicemap)\b[\s=]*(.*)"
)


@dataclass(frozen=True)
class AbcTune:
    """The melody of one tune.

    Attributes:
        number: The tune's X: field, None if it has none.
        title: Its first T: field, possibly empty.
        pitches: MIDI pitches, shape (n_notes,); middle C, written `C`, is 60.
        durations: Ticks, 480 to a quarter note, shape (n_notes,); tied notes are one note.
            Lengths between two ticks (septuplets, for one) are rounded, to 1 at least.
    """

    number: int | None
    title: str
    pitches: IntArray
    durations: IntArray


def read_abc(text: str) -> Iterator[AbcTune]:
    """Reads the tunes of an ABC file, in its order.

    To continue after a bad tune, call `read_tune` on each of `split_abc(text)`.

    Raises:
        DataError: At the first tune that cannot be read.
    """
    return map(read_tune, find_tunes(text))


def split_abc(text: str) -> list[str]:
    """Splits text into tunes, each after the fields that the file sets for all of them.

    A tune begins at its X: field, or after a blank line with its other fields or bars of notes.
    """
    return list(find_tunes(text))


def read_tune(text: str) -> AbcTune:
    """Reads the melody of one tune in ABC.

    Raises:
        DataError: If the text has no key or no notes, or a sign in it is invalid.
    """
    parser = _TuneParser()
    try:
        for line in read_lines(text):
            if parser.in_body and line.kind == " ":
                break
            parser.read_line(line)
        return parser.tune()
    except DataError as error:
        number = "without number" if parser.number is None else parser.number
        raise DataError(f"tune {number} ({parser.title or 'untitled'}): {error}") from None


class _TuneParser:
    """Parser state of a tune while its lines are read."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.title = ""
        self.in_body = False
        self.voice = self.melody_voice = ""
        self.meter = 4, 4
        self.unit: Fraction | None = None  # in whole notes
        self.signature: dict[str, int] = {}
        self.accidentals: dict[str, int] = {}
        self.scope = "pitch"  # of accidentals: this letter, this letter and octave, or this note
        self.shifts: dict[str, Shifts] = {"": {}}  # by voice, "" for those without their own
        self.transposition = 0
        self.symbols = set(_SYMBOLS)
        self.events: list[Event] = []
        self.broken = Fraction(1)  # factor of the next event, after < or >
        self.tuplet = Fraction(1)
        self.tuplet_left = 0

    def read_line(self, line: Line) -> None:
        if line.kind.strip():
            self.read_field(line.kind, line.text)
        elif self.in_body:
            for sign in _SIGN.finditer(line.text):
                self.read_sign(sign.lastgroup, sign[0])

    def read_field(self, name: str, value: str) -> None:
        if name == "V":
            self.voice = value.split()[0] if value else ""
            self.shift(self.voice, parse_voice(value))
        elif self.in_other_voice():
            return
        elif name == "X":
            self.number = int(value) if re.fullmatch(r"\d{1,9}", value) else None
        elif name == "T":
            self.title = self.title or value
        elif name == "M":
            self.meter = parse_meter(value)
        elif name == "L":
            self.unit = parse_length(value.replace(" ", ""))
        elif name == "I":
            self.read_directive(value)
        elif name == "U":
            self.symbols.add(value[:1])
        elif name == "m":
            raise DataError("macros (m:) cannot be read. Write their notes out.")
        elif name == "K":
            self.read_key(value)

    def read_key(self, value: str) -> None:
        signature, shifts = parse_key(value)
        self.shift(self.voice if self.in_body else "", shifts)
        self.in_body = True
        self.signature = self.signature if signature is None else signature
        # A meter that changes in the body leaves the unit as it is.
        self.unit = self.unit or default_unit(self.meter)

    def read_directive(self, value: str) -> None:
        match = _DIRECTIVE.match(value)
        if match is None:
            return
        name, setting = match.groups()
        if name.endswith("transpose"):
            semitones = re.fullmatch(r"[+-]?\d{1,3}", setting.strip())
            if semitones is None:
                raise DataError(f"a transposition must be in semitones, but got {value!r}.")
            origin = "MIDI" if value.startswith("MIDI") else "directive"
            voice = self.voice if self.in_body else ""
            before = self.shifts.get(voice, {}).get(origin, 0) if name[0] == "r" else 0
            self.shift(voice, {origin: before + int(semitones[0])})
        elif name.endswith("barlines"):
            self.scope = "pitch" if name == "barlines" else "not"
        elif name == "propagate-accidentals" and setting in ("pitch", "octave", "not"):
            self.scope = setting
        else:
            raise DataError(f"the directive {value!r} cannot be read. Write notes as they sound.")

    def shift(self, voice: str, shifts: Shifts) -> None:
        """Transposes a voice from here on, or with no name all voices without their own shift."""
        self.shifts[voice] = {**self.shifts.get(voice, {}), **shifts}
        here = {**self.shifts[""], **self.shifts.get(self.voice, {})}
        self.transposition = sum(here.values())

    def read_sign(self, kind: str | None, sign: str) -> None:
        if kind == "field":
            self.read_field(sign[1], sign[3:-1].strip())
        elif self.in_other_voice():
            return
        elif kind == "bar":
            self.accidentals = {}
        elif kind == "note":
            note = parse_note(sign)
            self.add(self.sounding_pitch(note), note.length, note.natural)
        elif kind == "rest":
            self.add(None, parse_length(sign[1:]))
        elif kind == "chord":
            self.add_chord(*sign[1:].split("]"))
        elif kind == "plus" and sign not in _DYNAMICS and (chord := _OLD_CHORD.fullmatch(sign)):
            self.add_chord(chord[1], "")
        elif kind == "tuplet":
            self.tuplet, self.tuplet_left = parse_tuplet(sign, self.meter)
        elif kind == "tie" and self.events:
            self.events[-1].tied = True
        elif kind == "broken" and self.events:
            short = Fraction(1, 2 ** len(sign))
            before, self.broken = (2 - short, short) if sign[0] == ">" else (short, 2 - short)
            self.events[-1].quarters *= before
        else:
            self.refuse_sign(kind, sign)

    def refuse_sign(self, kind: str | None, sign: str) -> None:
        if kind == "overlay":
            raise DataError("voices joined by & cannot be read as one melody. Remove all but one.")
        if kind == "unclosed":
            raise DataError(f"brackets and quotes must be closed, but {sign} is not. Close it.")
        if kind == "accident":
            raise DataError(
                f"an accidental must be ^, ^^, _, __ or = before its note, but got {sign!r}. "
                "Correct it; quarter tones cannot be read."
            )
        if kind == "letter" and sign not in self.symbols:
            raise DataError(
                f"music must have no other letters than those of notes, rests and ornaments, but "
                f"got {sign!r}. Put text into a field such as w: or N:."
            )

    def in_other_voice(self) -> bool:
        return bool(self.events) and self.voice != self.melody_voice

    def sounding_pitch(self, note: WrittenNote) -> int:
        key = f"{note.step}{note.natural}" if self.scope == "octave" else note.step
        if note.alteration is not None:
            if self.scope == "not":
                return note.natural + note.alteration + self.transposition
            self.accidentals[key] = note.alteration
        elif self.events and self.events[-1].tied and self.events[-1].natural == note.natural:
            # A tie carries an accidental over the barline.
            return self.events[-1].pitch or 0
        alteration = self.accidentals.get(key, self.signature.get(note.step, 0))
        return note.natural + alteration + self.transposition

    def add(self, pitch: int | None, length: Fraction, natural: int | None = None) -> None:
        if not self.events:
            self.melody_voice = self.voice
        quarters = 4 * length * (self.unit or 0) * self.broken
        self.broken = Fraction(1)
        if self.tuplet_left:
            quarters *= self.tuplet
            self.tuplet_left -= 1
        self.events.append(Event(pitch, quarters, natural))

    def add_chord(self, inside: str, times: str) -> None:
        signs = list(_SIGN.finditer(inside))
        notes = [parse_note(sign[0]) for sign in signs if sign.lastgroup == "note"]
        if notes:
            pitches = [self.sounding_pitch(note) for note in notes]
            top = int(np.argmax(pitches))
            self.add(pitches[top], notes[0].length * parse_length(times), notes[top].natural)
            self.events[-1].tied = any(sign.lastgroup == "tie" for sign in signs)

    def tune(self) -> AbcTune:
        if not self.in_body:
            raise DataError("the tune has no K: field. Check that this is ABC text.")
        notes = merge_ties(self.events)
        if not notes:
            raise DataError("the tune has no notes after its K: field.")
        pitches, lengths = zip(*notes, strict=True)
        ticks = [max(1, round(TICKS_PER_QUARTER * quarters)) for quarters in lengths]
        return AbcTune(self.number, self.title, _int_array(pitches), _int_array(ticks))


def _int_array(values: Sequence[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


MOST_TUNES = 100_000
MOST_CHARACTERS_OF_A_TUNE = 100_000
# A real tune has a handful of denominators, and fewer broken rhythms than notes. Without bounds
# the exact lengths of a hostile one grow to fractions of a million digits.
_MOST_DENOMINATORS = 30
_MOST_BROKEN_RHYTHMS = 1000
# Over such lines the parser's patterns take time that grows with the square of their length.
_MOST_CHARACTERS_OF_A_LINE = 5000
_RUNAWAY = re.compile(r"[_^=]{100}|(?:\[[^\[\]\n]*){50}")


def read_abc_file(content: bytes) -> Iterator[MelodyLine | UnusableTune]:
    """Reads the melody of each tune, in the order of the file, or the error of an unusable tune.

    Raises:
        UnusableTune: If there are more than 100,000 tunes in the file.
    """
    for count, tune in enumerate(find_tunes(decode_abc(content)), start=1):
        if count > MOST_TUNES:
            raise UnusableTune("too large", f"more than {MOST_TUNES} tunes in one file")
        try:
            yield _read(tune)
        except UnusableTune as error:
            yield error


def _read(text: str) -> MelodyLine:
    if len(text) > MOST_CHARACTERS_OF_A_TUNE:
        raise UnusableTune("too large", f"more than {MOST_CHARACTERS_OF_A_TUNE} characters")
    longest_line = max(map(len, text.splitlines()), default=0)
    if longest_line > _MOST_CHARACTERS_OF_A_LINE or _RUNAWAY.search(text):
        raise UnusableTune("not ABC", "a line of over 5000 characters, or endless signs")
    many_lengths = len(set(re.findall(r"/(\d+)", text))) > _MOST_DENOMINATORS
    if many_lengths or text.count("<") + text.count(">") > _MOST_BROKEN_RHYTHMS:
        raise UnusableTune("bad numbers", "too many different lengths of notes")
    try:
        tune = read_tune(text)
    except (DataError, OverflowError) as error:
        raise UnusableTune("not ABC", str(error).rstrip(".")) from None
    return MelodyLine(tune.pitches.tolist(), tune.durations.tolist())
