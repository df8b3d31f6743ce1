"""Tunes read from a user's files, with reports of skipped and repaired ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import IntArray


class UnusableTune(DataError):
    """Error for a file or tune that is skipped.

    Attributes:
        reason: Two or three words by which such tunes are counted, as in `not MIDI`.
        detail: Details of the problem; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Skipped(NamedTuple):
    """A skipped file or tune, with the reason."""

    name: str
    reason: str
    detail: str = ""


class Repair(NamedTuple):
    """A kept tune whose file was damaged, with the repair."""

    name: str
    change: str


@dataclass(frozen=True)
class Tunes:
    """A user's own tunes, in the order of their files.

    Attributes:
        pitches: Tokens 0..87, one array of shape (n_notes,) a tune.
        durations: Ticks, 480 to a quarter note, in the same shapes.
        names: File of each tune.
        keys: A hash of the pitches of each whole tune, before a long one was cut or split: equal
            for the pieces of one tune.
        skipped: Files and tunes that were left out.
        repairs: Tunes that were kept but changed.
    """

    pitches: list[IntArray]
    durations: list[IntArray]
    names: list[str]
    keys: list[str]
    skipped: list[Skipped]
    repairs: list[Repair]

    def summary(self) -> str:
        """One line, as in `kept 37 of 40: 2 not MIDI, 1 too short`."""
        return summarize(len(self.names), self.skipped)


def summarize(n_kept: int, skipped: list[Skipped]) -> str:
    """Number of tunes kept, and of the skipped ones by reason, the commonest first."""
    reasons = Counter(tune.reason for tune in skipped)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    kept = f"kept {n_kept} of {n_kept + len(skipped)}"
    return ": ".join([kept, *filter(None, [", ".join(f"{n} {why}" for why, n in ordered)])])
