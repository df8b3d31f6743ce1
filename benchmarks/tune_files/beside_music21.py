"""Readings of music21's own corpora as ABC, MusicXML and MIDI, ours beside music21's.

    pip install music21==10.5.1
    python benchmarks/tune_files/beside_music21.py

ABC tunes and MusicXML scores are read as they stand; MIDI files are written by music21 from both.
Pitches and durations are compared note by note, and each difference must have a reason that is
checked, not guessed. Writes `beside_music21.json` beside itself.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import NamedTuple

import music21
from music21.abcFormat import ABCFile
from music21.abcFormat.translate import abcToStreamScore
from music21.harmony import Harmony

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.formats.abc import read_tune, split_abc
from chromasonic.melody_generation.data.formats.melody_line import MelodyLine, melody_rank
from chromasonic.melody_generation.data.formats.midi import read_midi
from chromasonic.melody_generation.data.formats.musicxml import read_musicxml, read_mxl
from chromasonic.melody_generation.data.vocabulary import TICKS_PER_QUARTER

HERE = Path(__file__).parent
CORPORA = Path(music21.__file__).parent / "corpus"
SHARES = {"ABC": 0.35, "MusicXML": 0.3, "MIDI from ABC": 0.25, "MIDI from MusicXML": 0.1}
LARGEST_SCORE = 60_000  # bytes, packed: music21 takes minutes for a symphony

MUSIC_LINE = re.compile(r"(?m)^(?![A-Za-z]:|%).+")
# What music21 reads wrongly in ABC: a reason, and text of the same meaning that it reads.
REWRITES = {
    # It ends broken rhythm at them, leaves notes out, and loses accidentals behind some.
    "music21 stumbles over ornaments": [
        (re.compile(r'"[^"]*"|\((?!\d)|[)`.~HTSuvkKM]'), ""),
        (re.compile("([A-G]):"), r"\1 :"),  # it takes the end of a line `dBG::` for a field
    ],
    "music21 ends broken rhythm at a tie": [(re.compile("([<>]+) *-"), r"\1")],
    "music21 lets a tie lose its accidental at the barline": [
        (re.compile(r"([_^=]+)([A-Ga-g][,']*)([\d/]*-\s*\|\s*)(?=\2)"), r"\1\2\3\1")
    ],
    "music21 strings voices of inline fields one after another": [
        (re.compile(r"^\[V:(?!1\]).*"), "%")
    ],
}

Notes = list[tuple[int, int]]
"""MIDI pitch and ticks, 480 to a quarter, of each note."""


class Piece(NamedTuple):
    """A tune or score: its kind, name and file, and its place among the file's tunes."""

    kind: str
    name: str
    path: str
    place: int


class Outcome(NamedTuple):
    """Result of a comparison: `equal`, the reason of a difference, or `unexplained`."""

    kind: str
    name: str
    reason: str
    detail: str = ""


def choose_pieces(count: int, seed: int) -> Iterator[Piece]:
    """A random choice of `count` pieces of all kinds, always the same."""
    rng = random.Random(seed)
    tunes = [
        (path, place)
        for path in sorted(CORPORA.glob("*/*.abc"))
        for place, text in enumerate(split_abc(path.read_text("utf-8", "replace")))
        if "\nK:" in text
    ]
    scores = [
        (path, 0)
        for path in sorted([*CORPORA.glob("**/*.mxl"), *CORPORA.glob("**/*.xml")])
        if path.stat().st_size < LARGEST_SCORE * (4 if path.suffix == ".xml" else 1)
    ]
    for kind, share in SHARES.items():
        found = tunes if kind.endswith("ABC") else scores
        for path, place in rng.sample(found, min(len(found), round(share * count))):
            name = f"{path.relative_to(CORPORA)}" + (f" {place + 1}" if found is tunes else "")
            yield Piece(kind, name, str(path), place)


def compare(piece: Piece) -> Outcome:
    """Reads a piece twice and gives the reason of a difference."""
    warnings.simplefilter("ignore")
    try:
        compared = {"ABC": compare_abc, "MusicXML": compare_musicxml}.get(piece.kind, compare_midi)
        return Outcome(piece.kind, piece.name, *compared(piece))
    except music21.exceptions21.Music21Exception as error:
        return Outcome(piece.kind, piece.name, "music21 gives up", repr(error)[:200])


def compare_abc(piece: Piece) -> tuple[str, str]:
    """Our reading of a tune beside music21's, which may need it without ornaments."""
    text = text_of(piece)
    try:
        tune = read_tune(text)
    except DataError as error:
        return "refused by us", str(error)
    ours = list(zip(tune.pitches.tolist(), tune.durations.tolist(), strict=True))
    theirs = first_line(parse_abc(text))
    if ours == theirs:
        return "equal", ""
    for n_reasons in range(1, len(REWRITES) + 1):
        for reasons in combinations(REWRITES, n_reasons):
            if ours == first_line(parse_abc(rewritten(text, reasons))):
                return "; ".join(reasons), ""
    return "unexplained", first_difference(ours, theirs)


def rewritten(text: str, reasons: Iterable[str]) -> str:
    """The tune in other signs of the same meaning."""
    head, key, body = re.split(r"(?m)(^K:.*\n)", text, maxsplit=1)
    for pattern, replacement in [pair for reason in reasons for pair in REWRITES[reason]]:
        body = MUSIC_LINE.sub(lambda line: pattern.sub(replacement, line[0]), body)  # noqa: B023
    return head + key + body


def compare_musicxml(piece: Piece) -> tuple[str, str]:
    """Our reading of a score beside the same line out of music21's."""
    content = Path(piece.path).read_bytes()
    try:
        line = read_mxl(content) if piece.path.endswith(".mxl") else read_musicxml(content)
    except DataError as error:
        return "refused by us", str(error)
    score = music21.converter.parse(piece.path, forceSource=True)
    theirs = melody_of(score)
    return verdict(line, theirs)


def compare_midi(piece: Piece) -> tuple[str, str]:
    """Our reading of a MIDI file beside the score from which music21 wrote it."""
    if piece.kind == "MIDI from ABC":
        score = parse_abc(text_of(piece))
    else:
        score = music21.converter.parse(piece.path, forceSource=True)
    part = score.parts[0] if score.parts else score
    try:
        content = midi_of(part)
    except music21.exceptions21.StreamException:
        # It fails at parts whose meter stands twice; their notes alone can be written.
        part = notes_alone(part)
        content = midi_of(part)
    try:
        line = read_midi(content)
    except DataError as error:
        return "refused by us", str(error)
    return verdict(line, top_line(expanded(part)), slack=1)


def midi_of(part: music21.stream.Stream) -> bytes:
    """The MIDI file that music21 writes of a part."""
    with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        part.write("midi", fp=file.name)
        return Path(file.name).read_bytes()


def notes_alone(part: music21.stream.Stream) -> music21.stream.Part:
    """The notes and rests of a part without measures, meters and repeats."""
    alone = music21.stream.Part()
    for element in part.flatten().notesAndRests:
        alone.insert(element.offset, copy.deepcopy(element))
    return alone


def text_of(piece: Piece) -> str:
    """The text of an ABC tune."""
    return split_abc(Path(piece.path).read_text("utf-8", "replace"))[piece.place]


def parse_abc(text: str) -> music21.stream.Score:
    """The score of a tune; accidentals hold to the barline, as in ABC 2.1."""
    return abcToStreamScore(ABCFile(abcVersion=(2, 1, 0)).readstr(text))


def expanded(part: music21.stream.Stream) -> music21.stream.Stream:
    """The part with its repeats written out, as music21 writes MIDI files."""
    try:
        return part.expandRepeats()
    except music21.exceptions21.Music21Exception:
        return part


def verdict(line: MelodyLine, theirs: Notes, slack: int = 0) -> tuple[str, str]:
    """`equal`, or the first difference; durations may differ by `slack` ticks."""
    ours = list(zip(line.pitches, line.durations, strict=True))
    if [pitch for pitch, _ in ours] == [pitch for pitch, _ in theirs]:
        if all(abs(a[1] - b[1]) <= slack for a, b in zip(ours, theirs, strict=True)):
            return "equal", ""
        return "unexplained", "durations: " + first_difference(ours, theirs)
    return "unexplained", first_difference(ours, theirs)


def first_difference(ours: Notes, theirs: Notes) -> str:
    """The first note in which two readings differ, with those around it."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    return (
        f"{len(ours)} and {len(theirs)} notes; at {at} "
        f"{ours[max(0, at - 1) : at + 4]} and {theirs[max(0, at - 1) : at + 4]}"
    )


def merged(elements: list[music21.note.GeneralNote]) -> Notes:
    """Notes of elements that follow each other, ties joined, of a chord the top note."""
    notes: list[tuple[int, Fraction]] = []
    tied = False
    for element in elements:
        if isinstance(element, Harmony) or element.duration.isGrace or not hasattr(element, "tie"):
            continue
        if not element.isRest and getattr(element, "pitches", ()):
            top = max(element.notes, key=lambda n: n.pitch.midi) if element.isChord else element
            length = Fraction(element.quarterLength)
            if tied and notes[-1][0] == top.pitch.midi:
                notes[-1] = top.pitch.midi, notes[-1][1] + length
            else:
                notes.append((top.pitch.midi, length))
            tied = top.tie is not None and top.tie.type != "stop"
        else:
            tied = False
    return [(pitch, max(1, round(TICKS_PER_QUARTER * length))) for pitch, length in notes]


def first_line(score: music21.stream.Score) -> Notes:
    """The notes of the first part as they are written."""
    return merged(list(score.parts[0].recurse().notesAndRests))


def top_line(part: music21.stream.Stream) -> Notes:
    """Highest line of a part; higher notes cut lower ones short."""
    flat = part.flatten().stripTies(matchByPitch=True)
    sounding: list[tuple[Fraction, Fraction, int]] = []
    for element in flat.notes:
        if isinstance(element, Harmony) or element.duration.isGrace or not element.pitches:
            continue
        onset, length = Fraction(element.offset), Fraction(element.quarterLength)
        sounding.append((onset, onset + length, max(p.midi for p in element.pitches)))
    line: list[tuple[Fraction, Fraction, int]] = []
    for onset, end, pitch in sorted(sounding, key=lambda note: (note[0], -note[2], -note[1])):
        if line and onset < line[-1][1]:
            if onset == line[-1][0] or pitch < line[-1][2]:
                continue
            line[-1] = line[-1][0], onset, line[-1][2]
        line.append((onset, end, pitch))
    return [(pitch, max(1, round(TICKS_PER_QUARTER * (end - on)))) for on, end, pitch in line]


def melody_of(score: music21.stream.Score) -> Notes:
    """The line that our reader is to take: named part, then staff, then voice."""
    staves: dict[str, list[music21.stream.Part]] = {}
    names: dict[str, str] = {}
    for part in score.parts:
        # Parts may share an identity; staves of one part have it with their numbers.
        is_staff = isinstance(part, music21.stream.PartStaff)
        identity = re.sub(r"-Staff\d+$", "", str(part.id)) if is_staff else str(id(part))
        staves.setdefault(identity, []).append(part)
        names.setdefault(identity, part.partName or "")
    for identity in sorted(staves, key=lambda identity: melody_rank(names[identity])):
        lines = [line for part in staves[identity] if (line := voice_of(part))]
        if lines:
            return highest(lines)
    return []


def voice_of(part: music21.stream.Part) -> Notes:
    """The highest of the fuller voices of a staff, and where it is not, the next."""
    voices: dict[str, list[music21.note.GeneralNote]] = {}
    measures = list(part.getElementsByClass("Measure"))
    for measure in measures:
        for name, elements in voices_of(measure).items():
            voices.setdefault(name, []).extend(elements)
    read = {name: merged(elements) for name, elements in voices.items()}
    read = {name: notes for name, notes in read.items() if notes}
    if not read:
        return []
    chosen = next(name for name, notes in read.items() if notes == highest(list(read.values())))
    elements = []
    for measure in measures:
        found = voices_of(measure)
        elements += found.get(chosen) or max(
            found.values(),
            key=lambda each: median([p for p, _ in merged(each)] or [0]),
            default=[],
        )
    return merged(elements)


def voices_of(measure: music21.stream.Measure) -> dict[str, list[music21.note.GeneralNote]]:
    """The elements of each voice of a measure; one that is alone may be any of them."""
    if measure.voices:
        return {str(voice.id): list(voice.notesAndRests) for voice in measure.voices}
    return {"1": list(measure.notesAndRests)} if measure.notesAndRests else {}


def highest(lines: list[Notes]) -> Notes:
    """The line with the highest median pitch among those half as full as the fullest."""
    fullest = max(map(len, lines))
    fuller = [line for line in lines if 2 * len(line) >= fullest]
    return max(fuller, key=lambda line: median(pitch for pitch, _ in line))


def main() -> None:
    """Compares, prints and writes the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    pieces = list(choose_pieces(arguments.files, arguments.seed))
    with ProcessPoolExecutor(arguments.processes) as pool:
        outcomes = list(pool.map(compare, pieces, chunksize=4))
    counts = {kind: Counter(o.reason for o in outcomes if o.kind == kind) for kind in SHARES}
    differences = [outcome._asdict() for outcome in outcomes if outcome.reason != "equal"]
    result = {
        "music21": music21.__version__,
        "files": len(outcomes),
        "counts": {kind: dict(count.most_common()) for kind, count in counts.items()},
        "differences": differences,
    }
    print(json.dumps(result["counts"], indent=2))
    (HERE / "beside_music21.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
