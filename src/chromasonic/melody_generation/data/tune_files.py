"""Loading of a user's MIDI, ABC and MusicXML files as tokens and durations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import PurePosixPath
from typing import Literal, NoReturn, get_args

import numpy as np

from chromasonic.errors import DataError
from chromasonic.melody_generation.data._near_duplicates import find_near_duplicates
from chromasonic.melody_generation.data._tune_sources import (
    MOST_BYTES_IN_ALL,
    TUNE_SUFFIXES,
    ByteBudget,
    FoundFile,
    find_files,
)
from chromasonic.melody_generation.data.formats.abc import read_abc_file
from chromasonic.melody_generation.data.formats.melody_line import (
    MelodyLine,
    Outside,
    fit_to_piano,
)
from chromasonic.melody_generation.data.formats.midi import read_midi
from chromasonic.melody_generation.data.formats.musicxml import read_musicxml, read_mxl
from chromasonic.melody_generation.data.tune_report import (
    Mended,
    Repair,
    Skipped,
    Tunes,
    UnusableTune,
    summarize,
)
from chromasonic.melody_generation.data.vocabulary import IntArray, encode_pitches
from chromasonic.paths import expand_home
from chromasonic.plural import counted

TooLong = Literal["cut", "split"]

_READERS: dict[str, Callable[[bytes], MelodyLine]] = {
    ".kar": read_midi,
    ".mid": read_midi,
    ".midi": read_midi,
    ".musicxml": read_musicxml,
    ".mxl": read_mxl,
    ".xml": read_musicxml,
}

_OF_NOTES = re.compile(r"\bnotes\b")
_PLURAL_OF_REPAIR = re.compile(r"\b(gap|length|message|note|track)s\b")


@dataclass(frozen=True)
class TuneOptions:
    """Options for keeping and fitting tunes, documented in `load_tunes`.

    Raises:
        ValueError: If an option is out of its range.
    """

    min_notes: int = 16
    max_notes: int = 512
    too_long: TooLong = "cut"
    outside: Outside = "fold"
    keep_near_duplicates: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.min_notes <= self.max_notes:
            raise ValueError(
                "min_notes must be at least 2 and at most max_notes, "
                f"but got {self.min_notes} and {self.max_notes}."
            )
        for name, value, choices in (
            ("too_long", self.too_long, get_args(TooLong)),
            ("outside", self.outside, get_args(Outside)),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be {' or '.join(choices)}, but got {value!r}.")


@dataclass(frozen=True)
class _Tune:
    name: str
    pitches: IntArray
    durations: IntArray
    key: str
    repairs: list[Repair]
    mended: Mended


def load_tunes(
    path: str | PathLike[str],
    *,
    min_notes: int = TuneOptions.min_notes,
    max_notes: int = TuneOptions.max_notes,
    too_long: TooLong = TuneOptions.too_long,
    outside: Outside = TuneOptions.outside,
    keep_near_duplicates: bool = TuneOptions.keep_near_duplicates,
) -> Tunes:
    """Loads the melodies of a user's files, with a report of every tune that is skipped.

    Files end in .mid, .midi, .kar, .abc, .musicxml, .xml or .mxl. Of each piece one line of
    melody is taken; rests lengthen no note, as in the shipped corpus. Damaged files are repaired
    where possible. At most 10 MB are read of a file and 1 GB of all.

    Args:
        path: A folder, which is searched through without following links to other folders, a
            zip, or one file.
        min_notes: Shorter tunes are skipped; at least 2.
        max_notes: Longer tunes are cut or split; at least `min_notes`.
        too_long: `cut` keeps the first `max_notes`, `split` makes pieces of about equal length.
        outside: `fold` moves notes outside the piano (MIDI 21..108) by octaves, `drop` leaves
            them out.
        keep_near_duplicates: By default a tune is skipped that shares more than half of its
            melodic turns with an earlier one, so that none leaks from training into the test.

    Returns:
        The tunes in the order of their files' names: the same files give the same tunes.

    Raises:
        DataError: If there is no such path, or no tune in it can be kept.
        ValueError: If an option is out of its range.
    """
    options = TuneOptions(min_notes, max_notes, too_long, outside, keep_near_duplicates)
    path = expand_home(path)
    return read_tunes(find_files(path, ByteBudget(MOST_BYTES_IN_ALL)), path.name, options)


def read_tunes(files: Iterable[FoundFile], source: str, options: TuneOptions) -> Tunes:
    """Reads the melodies of files, with a report of every tune that is skipped.

    Args:
        files: Files of the kinds that `load_tunes` reads.
        source: Name of all of them in error messages.
        options: Options for keeping and fitting tunes.

    Raises:
        DataError: If no tune in them can be kept.
    """
    read = [tune for file in files for tune in _read_file(file, options)]
    tunes = [tune for tune in read if isinstance(tune, _Tune)]
    skipped = [tune for tune in read if isinstance(tune, Skipped)]
    if not options.keep_near_duplicates:
        tunes, copies = _drop_near_duplicates(tunes)
        skipped += copies
    if not tunes:
        _refuse_empty(source, skipped)
    return Tunes(
        pitches=[tune.pitches for tune in tunes],
        durations=[tune.durations for tune in tunes],
        names=[tune.name for tune in tunes],
        keys=[tune.key for tune in tunes],
        skipped=skipped,
        repairs=[repair for tune in tunes for repair in tune.repairs],
        mended={tune.name: tune.mended for tune in tunes if tune.mended.n_mended},
    )


def _read_file(file: FoundFile, options: TuneOptions) -> Iterator[_Tune | Skipped]:
    # A name may contain control characters, and is printed in a user's terminal.
    name = "".join(c if c.isprintable() else "?" for c in file.name)
    try:
        if isinstance(file.content, UnusableTune):
            raise file.content
        suffix = PurePosixPath(file.name.lower()).suffix
        if suffix == ".abc":
            yield from _read_abc_tunes(name, file.content, options)
        else:
            yield from _fit(name, _READERS[suffix](file.content), options)
    except UnusableTune as error:
        yield Skipped(name, error.reason, error.detail)


def _read_abc_tunes(name: str, content: bytes, options: TuneOptions) -> Iterator[_Tune | Skipped]:
    found = list(read_abc_file(content))
    for number, tune in enumerate(found, start=1):
        numbered = f"{name}, tune {number}" if len(found) > 1 else name
        if isinstance(tune, UnusableTune):
            yield Skipped(numbered, tune.reason, tune.detail)
        else:
            yield from _fit(numbered, tune, options)


def _fit(name: str, line: MelodyLine, options: TuneOptions) -> Iterator[_Tune | Skipped]:
    """The fitted tune, its pieces, or a report that it is skipped."""
    line = fit_to_piano(line, options.outside)
    pitches = encode_pitches(line.pitches)
    durations = np.array(line.durations, dtype=np.int64)
    repairs = [_repair_text(kind, count) for kind, count in (+line.repairs).items()]
    mended = Mended(
        sum(n for kind, n in line.repairs.items() if _OF_NOTES.search(kind)), line.n_notes
    )
    key = hashlib.sha256(pitches.astype("<i8").tobytes()).hexdigest()
    n_notes = len(pitches)
    if n_notes > options.max_notes and options.too_long == "cut":
        repairs.append(f"cut from {n_notes} to {options.max_notes} notes")
        pitches, durations = pitches[: options.max_notes], durations[: options.max_notes]
    n_pieces = max(1, -(-len(pitches) // options.max_notes))
    pieces = zip(
        np.array_split(pitches, n_pieces), np.array_split(durations, n_pieces), strict=True
    )
    for number, (piece, ticks) in enumerate(pieces, start=1):
        piece_name = f"{name}, piece {number} of {n_pieces}" if n_pieces > 1 else name
        if len(piece) < options.min_notes:
            yield Skipped(piece_name, "too short", counted(len(piece), "note"))
        else:
            noted = [Repair(piece_name, repair) for repair in repairs]
            yield _Tune(piece_name, piece, ticks, key, noted, mended)
            mended = mended._replace(n_mended=0)  # counted once, with the first piece


def _repair_text(kind: str, count: int) -> str:
    """Number and kind of repairs; the kind's first plural noun is made to fit the number."""
    fitting = _PLURAL_OF_REPAIR.sub(r"\1", kind, count=1) if count == 1 else kind
    return f"{count} {fitting}"


def _drop_near_duplicates(tunes: list[_Tune]) -> tuple[list[_Tune], list[Skipped]]:
    copied = find_near_duplicates(tune.pitches for tune in tunes)
    pairs = list(zip(tunes, copied, strict=True))
    kept = [tune for tune, original in pairs if original is None]
    copies = [
        Skipped(tune.name, "too like another", f"{tunes[original].name}")
        for tune, original in pairs
        if original is not None
    ]
    return kept, copies


def _refuse_empty(source: str, skipped: list[Skipped]) -> NoReturn:
    if not skipped:
        known = ", ".join(TUNE_SUFFIXES)
        raise DataError(f"{source} has no tunes: no file ends in {known}.")
    first = skipped[0]
    raise DataError(
        f"no tune in {source} can be used: {summarize(0, skipped)}. The first is {first.name}: "
        f"{first.reason}" + (f", {first.detail}." if first.detail else ".")
    )
