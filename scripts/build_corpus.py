"""Builds the shipped corpus from the ABC files inside the music21 package.

A tune is kept only if two independent readers, ours and music21's, find the same notes in it.
What is done, and the counts, are in `CORPUS.md` beside the file. In a virtual environment:

    pip install music21==10.5.1 .
    python scripts/build_corpus.py --check   # compares with the shipped file, about 2 minutes
    python scripts/build_corpus.py           # writes it
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import music21
import numpy as np
from music21.abcFormat import ABCFile
from music21.abcFormat.translate import abcToStreamScore
from music21.harmony import Harmony

from chromasonic.errors import DataError
from chromasonic.melody_generation.data._near_duplicates import find_near_duplicates
from chromasonic.melody_generation.data.formats.abc import AbcTune, read_tune, split_abc
from chromasonic.melody_generation.data.vocabulary import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    TICKS_PER_QUARTER,
)

BOOKS = ("oneills1850", "ryansMammoth", "airdsAirs", "miscFolk")
CORPUS = Path(__file__).parents[1] / "src/chromasonic/melody_generation/data/corpus.npz"
SHORTEST, LONGEST = 16, 512
PROCESSES = 2

# Two misprints, by book and place, as they were read when the corpus was first built. They stay,
# so that no tune ever changes its part: a chord in old signs, a natural apart from its note.
AS_FIRST_READ = {(0, 842): ("+", ""), (1, 202): ("=>", ">")}
# In which the two readers disagreed then, about signs that an e-mail had changed.
FIRST_DISAGREED = {(1, 427)}

# Signs that change no pitch and no duration, but over which music21's reader stumbles: it ends
# broken rhythm at `(` and `.`, leaves out notes under a fermata `H`, and loses the accidentals
# behind `~` and `T`.
ORNAMENTS = re.compile(r'"[^"]*"|\((?!\d)|[)`.~HTSuvkKM]')
MUSIC_LINE = re.compile(r"(?m)^(?![A-Za-z]:|%).+")

Notes = list[tuple[int, Fraction]]

UNREAD = AbcTune(None, "", np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Source:
    """A tune as found: the index of its book, its place in the book from 1 up, its text."""

    book: int
    place: int
    text: str


@dataclass(frozen=True)
class Reading:
    """Result of reading a tune; its notes are `UNREAD` unless both readers agreed."""

    source: Source
    outcome: str
    tune: AbcTune


def find_tunes() -> Iterator[Source]:
    """All tunes, book by book, files by name, tunes in the order of their file."""
    folder = Path(music21.__file__).parent / "corpus"
    for book, name in enumerate(BOOKS):
        files = sorted((folder / name).glob("*.abc"), key=lambda path: path.name)
        texts = [text for file in files for text in split_abc(file.read_text("utf-8"))]
        for place, text in enumerate(texts, start=1):
            yield Source(book, place, text.replace(*AS_FIRST_READ.get((book, place), ("", ""))))


def read_twice(source: Source) -> Reading:
    """Our reading of a tune, if music21 reads the same."""
    try:
        tune = read_tune(source.text)
    except DataError:
        return Reading(source, "not read by us", UNREAD)
    if (source.book, source.place) in FIRST_DISAGREED:
        return Reading(source, "disagreed", UNREAD)
    pairs = zip(tune.pitches.tolist(), tune.durations.tolist(), strict=True)
    ours = [(pitch, Fraction(ticks, TICKS_PER_QUARTER)) for pitch, ticks in pairs]
    if music21_notes(source.text) == ours:
        return Reading(source, "agreed as printed", tune)
    if music21_notes(without_ornaments(source.text)) == ours:
        return Reading(source, "agreed without ornaments", tune)
    return Reading(source, "disagreed", UNREAD)


def music21_notes(text: str) -> Notes | None:
    """MIDI pitch and quarter notes of each note, ties merged, as music21 reads the first part.

    None if music21 gives up.
    """
    try:
        # Older versions of ABC, music21's default, let no accidental hold to the barline.
        score = abcToStreamScore(ABCFile(abcVersion=(2, 1, 0)).readstr(text))
    except Exception:  # noqa: BLE001  music21 lets all kinds of errors through
        return None
    notes: Notes = []
    tied = False
    for element in score.parts[0].recurse().notesAndRests:
        if isinstance(element, Harmony) or element.duration.isGrace:
            continue
        if not element.isRest:
            pitch = max(p.midi for p in element.pitches)
            length = Fraction(element.quarterLength)
            if tied and notes[-1][0] == pitch:
                notes[-1] = pitch, notes[-1][1] + length
            else:
                notes.append((pitch, length))
        tied = not element.isRest and element.tie is not None and element.tie.type != "stop"
    return notes


def without_ornaments(text: str) -> str:
    """The tune without bowing, fingering, articulation and slurs; grace notes stay."""
    head, key, body = re.split(r"(?m)(^K:.*\n)", text, maxsplit=1)
    return head + key + MUSIC_LINE.sub(lambda line: plain(line[0]), body)


def plain(music: str) -> str:
    """A line of music without ornaments."""
    # music21 takes the end of a line `dBG::` for a field G:, hence the space.
    return re.sub("([A-G]):", r"\1 :", ORNAMENTS.sub("", music))


def assign_split(tunes: list[AbcTune]) -> np.ndarray:
    """0 (train), 1 (validation) or 2 (test) for each tune, 80/10/10 in the order of a hash."""
    digests = [hashlib.sha256(tune.pitches.astype("<i8").tobytes()).digest() for tune in tunes]
    order = sorted(range(len(tunes)), key=digests.__getitem__)
    split = np.zeros(len(tunes), dtype=np.uint8)
    split[order[8 * len(tunes) // 10 :]] = 1
    split[order[9 * len(tunes) // 10 :]] = 2
    return split


def pack(readings: list[Reading]) -> dict[str, np.ndarray]:
    """The arrays of the file; `ticks[duration_codes]` are the durations."""
    tunes = [reading.tune for reading in readings]
    ticks, codes = np.unique(np.concatenate([t.durations for t in tunes]), return_inverse=True)
    return {
        "pitches": np.concatenate([tune.pitches for tune in tunes]).astype(np.uint8),
        "duration_codes": codes.astype(np.uint8),
        "ticks": ticks.astype("<u2"),
        "lengths": np.array([len(tune.pitches) for tune in tunes], dtype="<u2"),
        "split": assign_split(tunes),
        "book": np.array([reading.source.book for reading in readings], dtype=np.uint8),
        "place": np.array([reading.source.place for reading in readings], dtype="<u2"),
    }


def to_npz(arrays: dict[str, np.ndarray]) -> bytes:
    """The arrays as a file for `np.load`, with nothing of this machine or hour in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return file.getvalue()


def is_usable(tune: AbcTune) -> bool:
    """True if a tune has a length and a compass that models can work with."""
    if not SHORTEST <= len(tune.pitches) <= LONGEST:
        return False
    return bool(np.all((tune.pitches >= LOWEST_PITCH) & (tune.pitches <= HIGHEST_PITCH)))


def build() -> dict[str, np.ndarray]:
    """The arrays of the corpus, built anew; prints how many tunes each step leaves."""
    sources = list(find_tunes())
    report("read", sources)
    with ProcessPoolExecutor(PROCESSES) as pool:
        readings = list(pool.map(read_twice, sources, chunksize=50))
    for outcome in sorted({reading.outcome for reading in readings}):
        report(outcome, [r.source for r in readings if r.outcome == outcome])
    fitting = [reading for reading in readings if is_usable(reading.tune)]
    report(f"{SHORTEST} to {LONGEST} notes", [reading.source for reading in fitting])
    copied = find_near_duplicates(reading.tune.pitches for reading in fitting)
    kept = [reading for reading, original in zip(fitting, copied, strict=True) if original is None]
    report("no near-duplicate", [reading.source for reading in kept])
    arrays = pack(kept)
    for part, name in enumerate(("train", "validation", "test")):
        report(name, [r.source for r, p in zip(kept, arrays["split"], strict=True) if p == part])
    print(f"{len(arrays['pitches'])} notes, {arrays['pitches'].min()}..{arrays['pitches'].max()}")
    return arrays


def report(step: str, sources: list[Source]) -> None:
    """Prints a row: the step, the count in each book, the count in all."""
    books = Counter(source.book for source in sources)
    print(" | ".join([f"{step:26}", *(f"{books[b]:5}" for b in range(len(BOOKS)))]), end="")
    print(f" | {len(sources):5}", flush=True)


def check(arrays: dict[str, np.ndarray], content: bytes) -> int:
    """0 if the shipped file is the one that was built, 1 if not, with a line that says which."""
    if CORPUS.read_bytes() == content:
        print("the shipped file is the same, byte for byte")
        return 0
    with np.load(CORPUS) as data:
        shipped = dict(data)
    different = [
        name
        for name in sorted(shipped.keys() | arrays.keys())
        if not np.array_equal(shipped.get(name), arrays.get(name))
    ]
    if different:
        print(f"the shipped file differs in {', '.join(different)}")
        return 1
    print("the bytes differ, as another zlib makes them, but every array is the same")
    return 0


def main() -> int:
    """Builds the corpus and writes it, or compares it with the shipped one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    arrays = build()
    content = to_npz(arrays)
    print(f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    if arguments.check:
        return check(arrays, content)
    CORPUS.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
