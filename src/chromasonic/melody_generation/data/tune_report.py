"""What came of a user's files: the tunes that were kept, and why others were not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import IntArray


class UnusableTune(DataError):
    """A file or tune that is left out.

    Attributes:
        reason: Two or three words by which such tunes are counted, as in `not MIDI`.
        detail: What exactly was found; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Skipped(NamedTuple):
    """A file or tune that was left out, where it came from, and why."""

    name: str
    reason: str
    detail: str = ""


class Mended(NamedTuple):
    """A tune that was kept although something in its file was wrong, and what."""

    name: str
    what: str


@dataclass(frozen=True)
class Tunes:
    """A user's own tunes, in the order of their files.

    Attributes:
        pitches: Tokens 0..87, one array of shape (n_notes,) a tune.
        durations: Ticks, 480 to a quarter note, in the same shapes.
        names: Where each tune came from.
        keys: A hash of the pitches of each whole tune, before a long one was cut or split: equal
            for the pieces of one tune.
        skipped: What was left out.
        mended: What was kept but changed.
    """

    pitches: list[IntArray]
    durations: list[IntArray]
    names: list[str]
    keys: list[str]
    skipped: list[Skipped]
    mended: list[Mended]

    def summary(self) -> str:
        """One line, as in `kept 37 of 40: 2 not MIDI, 1 too short`."""
        return summarise(len(self.names), self.skipped)


def summarise(n_kept: int, skipped: list[Skipped]) -> str:
    """How many tunes were kept of how many, and the reasons of the others, the commonest first."""
    reasons = Counter(tune.reason for tune in skipped)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    kept = f"kept {n_kept} of {n_kept + len(skipped)}"
    return ": ".join([kept, *filter(None, [", ".join(f"{n} {why}" for why, n in ordered)])])
