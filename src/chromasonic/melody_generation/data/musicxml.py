"""Reads the melody of a score in MusicXML.

The part that is named as the melody is read, else the first with notes; of it the highest of its
fuller voices, of a chord the top note. Ties are joined; grace notes, cue notes and rests are left
out; repeats are not expanded. Parts for transposing instruments come out as they sound.

Source: MusicXML 4.0 (W3C community group report).
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from statistics import median
from xml.etree.ElementTree import Element

from chromasonic.melody_generation.data.bounded_xml import parse_xml
from chromasonic.melody_generation.data.melody_line import MelodyLine, to_ticks
from chromasonic.melody_generation.data.melody_names import melody_rank
from chromasonic.melody_generation.data.timed_events import Event, merge_ties
from chromasonic.melody_generation.data.tune_report import UnusableTune

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def read_musicxml(content: bytes) -> MelodyLine:
    """The melody of a score, partwise or timewise.

    Raises:
        UnusableTune: If it is no MusicXML, a number in it makes no sense, or it has no notes.
    """
    root = parse_xml(content)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise UnusableTune("not MusicXML", f"the root is <{root.tag[:40]}>")
    for measures in _parts(root):
        voices = [notes for voice in _read_voices(measures) if (notes := merge_ties(voice))]
        if voices:
            line = _highest_voice(voices)
            sounding = [note for note in line if note[1] > 0]
            mends = Counter({"notes of length 0 left out": len(line) - len(sounding)})
            durations = [to_ticks(quarters) for _, quarters in sounding]
            return MelodyLine([pitch for pitch, _ in sounding], durations, mends)
    raise UnusableTune("no notes")


def _parts(root: Element) -> list[list[Element]]:
    """The measures of each part, those first that are likelier to be the melody."""
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


def _read_voices(measures: list[Element]) -> list[list[Event]]:
    """The events of each voice, in the order of time."""
    voices: dict[str, list[Event]] = {}
    divisions, transposition = Fraction(1), 0
    for measure in measures:
        for element in measure:
            if element.tag == "attributes":
                divisions = _number(element, "divisions", divisions)
                if divisions <= 0:
                    raise UnusableTune("bad numbers", f"{divisions} divisions to a quarter")
                transposition = _transposition(element, transposition)
            elif element.tag == "note" and not _is_ornament(element):
                voice = voices.setdefault(element.findtext("voice", "1"), [])
                _add(voice, element, divisions, transposition)
    return list(voices.values())


def _is_ornament(note: Element) -> bool:
    return note.find("grace") is not None or note.find("cue") is not None


def _transposition(attributes: Element, before: int) -> int:
    """Semitones from written to sounding pitch."""
    transpose = attributes.find("transpose")
    if transpose is None:
        return before
    octaves = _number(transpose, "octave-change", Fraction(0))
    return round(_number(transpose, "chromatic", Fraction(0)) + 12 * octaves)


def _add(voice: list[Event], note: Element, divisions: Fraction, transposition: int) -> None:
    pitch = _pitch(note, transposition)
    tied = any(tie.get("type") == "start" for tie in note.iterfind("tie"))
    if note.find("chord") is not None and voice:
        if pitch is not None and pitch > (voice[-1].pitch or 0):
            voice[-1].pitch, voice[-1].tied = pitch, tied
        return
    duration = _number(note, "duration", Fraction(0))
    if duration < 0:
        raise UnusableTune("bad numbers", f"a duration of {duration}")
    voice.append(Event(pitch, duration / divisions, tied=tied))


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
        # Over a float, so that 1e999999999 is infinite and not a number of a billion digits.
        value = Fraction(float(text)).limit_denominator(10_000)
    except (ValueError, OverflowError):
        value = None
    if value is None or abs(value) > 1_000_000:
        raise UnusableTune("bad numbers", f"<{name}> of {text.strip()[:20]!r}")
    return value


def _highest_voice(voices: list[list[tuple[int, Fraction]]]) -> list[tuple[int, Fraction]]:
    """The voice with the highest median pitch among those with half the notes of the fullest."""
    fullest = max(map(len, voices))
    fuller = [voice for voice in voices if 2 * len(voice) >= fullest]
    return max(fuller, key=lambda voice: median(pitch for pitch, _ in voice))
