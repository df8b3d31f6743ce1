"""Reads damaged files, one after the other, each within limits of time and memory."""

from __future__ import annotations

import random
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import damage
import samples

from chromasonic.errors import DataError
from chromasonic.melody_generation.data._tune_sources import FoundFile
from chromasonic.melody_generation.data.tune_files import TuneOptions, load_tunes, read_tunes
from chromasonic.melody_generation.data.tune_report import Tunes

MOST_SECONDS = 20
MOST_BYTES = 2 * 1024**3
SOUND_FILES = 50
OPTIONS = TuneOptions(min_notes=2, keep_near_duplicates=True)
# It stands beside each damaged file, since a set of which nothing is left is an error.
SOUND = FoundFile("sound.abc", b"X:1\nK:C\nCDEFGABcdefgabc'd'")


class Kind(NamedTuple):
    """A kind of file, and what share of all damaged files is of it."""

    suffix: str
    share: float
    make: Callable[[random.Random], bytes]
    damage: Callable[[bytes, random.Random], bytes]


KINDS = {
    "MIDI": Kind(".mid", 0.60, samples.midi, damage.damaged_midi),
    "ABC": Kind(".abc", 0.15, samples.abc, damage.damaged_abc),
    "MusicXML": Kind(".musicxml", 0.15, samples.musicxml, damage.damaged_musicxml),
    "mxl": Kind(".mxl", 0.05, samples.mxl, damage.damaged_archive),
    "zip": Kind(".zip", 0.05, samples.archive, damage.damaged_archive),
}


class TooSlow(BaseException):
    """No file may take so long. Not an Exception, so that no reader can catch it."""


@dataclass
class Outcome:
    """Outcomes of the damaged files of one kind.

    Attributes:
        files: How many there were.
        outcomes: How often each thing befell them, the commonest first.
        crashes: Those that came neither back as tunes nor with a reason: number and error.
        slowest_cpu_s: Processor time of the slowest.
        slowest: Its number.
        largest_bytes: Size of the largest.
        cpu_s: Processor time of all readings.
        peak_rss_mb: The most memory that the process ever held, and what it held to begin with.
    """

    files: int
    outcomes: dict[str, int] = field(default_factory=dict)
    crashes: list[tuple[int, str]] = field(default_factory=list)
    slowest_cpu_s: float = 0.0
    slowest: int = 0
    largest_bytes: int = 0
    cpu_s: float = 0.0
    peak_rss_mb: tuple[float, float] = (0.0, 0.0)


def fuzz(count: int, seed: int) -> dict[str, dict[str, object]]:
    """Outcomes of `count` files of all kinds, each kind in a process of its own."""
    results = {}
    for name, kind in KINDS.items():
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            outcome = pool.submit(fuzz_kind, name, round(kind.share * count), seed).result()
        results[name] = asdict(outcome)
    return results


def fuzz_kind(name: str, count: int, seed: int) -> Outcome:
    """Outcomes of `count` files of a kind."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    signal.signal(signal.SIGALRM, _stop)
    result = Outcome(count)
    seen: Counter[str] = Counter()
    before = _peak_rss_mb()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            content = damaged_file(name, number, seed)
            signal.alarm(MOST_SECONDS)
            start = time.process_time()
            try:
                seen[_read(name, content, Path(folder))] += 1
            except (Exception, TooSlow) as error:  # noqa: BLE001  to find them is what this is for
                result.crashes.append((number, repr(error)[:300]))
            took = time.process_time() - start
            signal.alarm(0)
            result.cpu_s += took
            result.largest_bytes = max(result.largest_bytes, len(content))
            if took > result.slowest_cpu_s:
                result.slowest_cpu_s, result.slowest = took, number
    result.outcomes = dict(seen.most_common())
    result.peak_rss_mb = (_peak_rss_mb(), before)
    return result


def damaged_file(name: str, number: int, seed: int) -> bytes:
    """The file of that number, always the same."""
    kind = KINDS[name]
    rng = random.Random(f"{seed} {name} {number}")
    sound = kind.make(random.Random(f"{seed} {name} sound {number % SOUND_FILES}"))
    return kind.damage(sound, rng)


def _read(name: str, content: bytes, folder: Path) -> str:
    """Outcome of one file."""
    if name != "zip":
        file = FoundFile("damaged" + KINDS[name].suffix, content)
        return _verdict(read_tunes([SOUND, file], "both", OPTIONS))
    path = folder / "damaged.zip"
    path.write_bytes(content)
    try:
        return _verdict(load_tunes(path, **asdict(OPTIONS)))
    except DataError as error:
        return "no sound zip" if "must be a sound zip" in str(error) else "nothing to keep"


def _verdict(tunes: Tunes) -> str:
    for pitches, durations in zip(tunes.pitches, tunes.durations, strict=True):
        if len(pitches) != len(durations) or not 0 <= pitches.min() <= pitches.max() < 88:
            raise AssertionError("a tune came back that is no tune")
        if not 1 <= durations.min() <= durations.max() <= 32 * 480:
            raise AssertionError("a tune came back with durations out of range")
    if not any(kept != SOUND.name for kept in tunes.names):
        return tunes.skipped[0].reason
    if tunes.skipped:
        return "read in part"
    return "read, mended" if tunes.repairs else "read"


def _stop(signum: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {MOST_SECONDS} s")


def _peak_rss_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
