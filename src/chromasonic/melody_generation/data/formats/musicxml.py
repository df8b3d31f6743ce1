"""Reader of the melody of a MusicXML score.

The part that is named as the melody is read, else the first with notes; of it the highest of its
fuller lines, which staff and time tell apart as well as voices; of a chord the top note. Ties are
joined; grace notes, cue notes and rests are left out; repeats are not expanded. Parts for
transposing instruments come out as they sound.

Source: MusicXML 4.0 (W3C community group report).
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from fractions import Fraction
from itertools import chain
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from chromasonic.melody_generation.data._tune_sources import (
    MOST_BYTES_OF_A_FILE,
    ByteBudget,
    open_zip,
    read_member,
)
from chromasonic.melody_generation.data.formats._score_lines import MeasureLines, highest_line
from chromasonic.melody_generation.data.formats.melody_line import (
    EMPTY,
    Event,
    MelodyLine,
    melody_rank,
    merge_ties,
    to_ticks,
)
from chromasonic.melody_generation.data.tune_report import UnusableTune

DEEPEST = 64
MOST_ELEMENTS = 500_000


def parse_xml(content: bytes) -> Element:
    """Parses XML within limits and returns the root.

    Raises:
        UnusableTune: If it is not well-formed XML, has declarations in its document type,
            or goes beyond 64 levels or 500,000 elements.
    """
    target = _BoundedBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        # The last two come from encodings that Python does not know or cannot use.
        if isinstance(error, UnusableTune):
            raise
        raise UnusableTune("not XML", str(error)) from None
    return target.builder.close()


class _BoundedBuilder:
    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.depth = 0
        self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.count += 1
        if self.depth > DEEPEST or self.count > MOST_ELEMENTS:
            raise UnusableTune(
                "too large", f"more than {DEEPEST} levels or {MOST_ELEMENTS} elements of XML"
            )
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(tag)


def _refuse_declarations(
    name: str, system_id: str | None, public_id: str | None, has_internal_subset: bool
) -> None:
    if has_internal_subset:
        raise UnusableTune("unsafe XML", "its document type declares entities or elements")


_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def read_musicxml(content: bytes) -> MelodyLine:
    """Reads the melody of a score, partwise or timewise.

    Raises:
        UnusableTune: If it is not MusicXML, a number in it is invalid, or it has no notes.
    """
    root = parse_xml(content)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise UnusableTune("not MusicXML", f"the root is <{root.tag[:40]}>")
    for measures in _parts(root):
        if line := merge_ties(highest_line(_read_lines(measures))):
            sounding = [note for note in line if note[1] > 0]
            repairs = Counter({EMPTY: len(line) - len(sounding)})
            durations = [to_ticks(quarters) for _, quarters in sounding]
            return MelodyLine([pitch for pitch, _ in sounding], durations, repairs, len(line))
    raise UnusableTune("no notes")


def _parts(root: Element) -> list[list[Element]]:
    """Measures of each part, the likeliest melody first."""
    parts: list[tuple[str, list[Element]]]
    if root.tag == "score-partwise":
        parts = [(part.get("id", ""), part.findall("measure")) for part in root.iterfind("part")]
    else:
        by_id: dict[str, list[Element]] = {}
        for part in root.iterfind("measure/part"):
            by_id.setdefault(part.get("id", ""), []).append(part)
        parts = list(by_id.items())
    names = {
        part.get("id", ""): part.findtext("part-name", "")
        for part in root.iterfind("part-list/score-part")
    }
    ordered = sorted(parts, key=lambda part: melody_rank(names.get(part[0], "")))
    return [measures for _, measures in ordered]


def _read_lines(measures: list[Element]) -> list[MeasureLines]:
    reader = _PartReader()
    return [reader.read_measure(measure) for measure in measures]


class _PartReader:
    """Reader state of a part while its measures are read; times are in quarters."""

    def __init__(self) -> None:
        self.divisions = Fraction(1)
        self.transpositions: dict[str, int] = {}  # semitones by staff, "" for all others
        self.lines = MeasureLines()
        self.position = 0.0
        self.onset: float | None = None  # of the last note of the measure
        self.last: tuple[str, Event] | None = None  # with its staff; a chord goes on from it

    def read_measure(self, measure: Element) -> MeasureLines:
        self.lines, self.position, self.onset, self.last = MeasureLines(), 0.0, None, None
        for element in measure:
            if element.tag == "attributes":
                self.read_attributes(element)
            elif element.tag == "forward":
                self.position += float(self.quarters(element))
            elif element.tag == "backup":
                # Without a duration it can only mean the start of the measure.
                back = float(self.quarters(element)) or self.position
                self.position = max(0.0, self.position - back)
            elif element.tag == "note" and element.find("grace") is None:
                self.read_note(element)
        return self.lines

    def read_note(self, note: Element) -> None:
        staff, voice = (note.findtext(name, "1").strip() for name in ("staff", "voice"))
        transposition = self.transpositions.get(staff, self.transpositions.get("", 0))
        event = Event(_pitch(note, transposition), self.quarters(note), tied=_is_tied(note))
        if note.find("chord") is None or self.onset is None:
            self.onset, self.last = self.position, None
            self.position += float(event.quarters)
        if note.find("cue") is not None:
            return
        if self.last is not None and self.last[0] == staff:
            _join_chord(self.last[1], event)
        else:
            self.lines.add(staff, voice, self.onset, event)
            self.last = staff, event

    def read_attributes(self, attributes: Element) -> None:
        self.divisions = _number(attributes, "divisions", self.divisions)
        if self.divisions <= 0:
            raise UnusableTune("bad numbers", f"{self.divisions} divisions to a quarter")
        for transpose in attributes.iterfind("transpose"):
            staff = transpose.get("number", "")
            if not staff:
                self.transpositions.clear()
            octaves = _number(transpose, "octave-change", Fraction(0))
            chromatic = _number(transpose, "chromatic", Fraction(0))
            self.transpositions[staff] = round(chromatic + 12 * octaves)

    def quarters(self, element: Element) -> Fraction:
        duration = _number(element, "duration", Fraction(0))
        if duration < 0:
            raise UnusableTune("bad numbers", f"a duration of {duration}")
        return duration / self.divisions


def _join_chord(chord: Event, other: Event) -> None:
    """Lets the higher of two notes of a chord stand for it; the chord is changed."""
    if other.pitch is not None and other.pitch > (chord.pitch or 0):
        chord.pitch, chord.tied = other.pitch, other.tied


def _is_tied(note: Element) -> bool:
    """True if a tie begins at a note; `<tie>` tells of its sound, `<tied>` of its look."""
    ties = chain(note.iterfind("tie"), note.iterfind("notations/tied"))
    return any(tie.get("type") in ("start", "continue") for tie in ties)


def _pitch(note: Element, transposition: int) -> int | None:
    """The sounding MIDI pitch; None for rests and drums."""
    pitch = note.find("pitch")
    if pitch is None:
        return None
    step = (pitch.findtext("step") or "").strip()
    if step not in _SEMITONES:
        raise UnusableTune("bad numbers", f"a note of step {step[:20]!r}")
    octave, alteration = (_number(pitch, name, Fraction(0)) for name in ("octave", "alter"))
    return 12 * (round(octave) + 1) + _SEMITONES[step] + round(alteration) + transposition


def _number(element: Element, name: str, default: Fraction) -> Fraction:
    text = element.findtext(name)
    if text is None:
        return default
    try:
        # Through a float, so that 1e999999999 is infinite and not a number of a billion digits.
        value = Fraction(float(text)).limit_denominator(10_000)
    except (ValueError, OverflowError):
        value = None
    if value is None or abs(value) > 1_000_000:
        raise UnusableTune("bad numbers", f"<{name}> of {text.strip()[:20]!r}")
    return value


_CONTAINER = "META-INF/container.xml"
_MOST_BYTES_OF_DIRECTORY = 1_000_000


def read_mxl(content: bytes) -> MelodyLine:
    """Reads the melody of the score in a compressed file.

    Raises:
        UnusableTune: If the archive is damaged, holds no score, or the score cannot be used.
    """
    budget = ByteBudget(2 * MOST_BYTES_OF_A_FILE)
    with open_zip(io.BytesIO(content), _MOST_BYTES_OF_DIRECTORY) as archive:
        return read_musicxml(read_member(archive, _find_score(archive, budget), budget))


def _find_score(archive: zipfile.ZipFile, budget: ByteBudget) -> zipfile.ZipInfo:
    members = {member.filename: member for member in archive.infolist()}
    if _CONTAINER in members:
        container = parse_xml(read_member(archive, members[_CONTAINER], budget))
        named = [element.get("full-path") for element in container.iter("rootfile")]
    else:
        named = [name for name in members if name.lower().endswith((".xml", ".musicxml"))]
    for name in named:
        if name in members:
            return members[name]
    raise UnusableTune("no score", "the archive has no MusicXML file")
