"""Tunes read from a user's files, with reports of skipped and repaired ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import IntArray
from chromasonic.plural import counted


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


class Mended(NamedTuple):
    """Number of mended notes of a tune, and of all its notes before any was left out."""

    n_mended: int
    n_notes: int


# Of a tune's notes; a few odd ones are in most files.
_MANY = 0.05


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
        mended: Mended notes of each tune that has some, by its name.
    """

    pitches: list[IntArray]
    durations: list[IntArray]
    names: list[str]
    keys: list[str]
    skipped: list[Skipped]
    repairs: list[Repair]
    mended: dict[str, Mended] = field(default_factory=dict)

    def much_mended(self) -> dict[str, Mended]:
        """The tunes of which more than a twentieth of the notes had to be mended."""
        return {
            name: mended
            for name, mended in self.mended.items()
            if mended.n_mended > _MANY * mended.n_notes
        }

    def summary(self) -> str:
        """One line, as in `kept 37 of 40: 2 not MIDI, 1 too short`.

        If many notes of some tunes had to be mended, it ends as in
        `; 2 tunes with many notes mended: 120 of 400 notes`.
        """
        kept = summarize(len(self.names), self.skipped)
        mended = self.much_mended().values()
        if not mended:
            return kept
        n_mended, n_notes = (sum(counts) for counts in zip(*mended, strict=True))
        tunes, notes = counted(len(mended), "tune"), counted(n_notes, "note")
        return f"{kept}; {tunes} with many notes mended: {n_mended:,} of {notes}"


def summarize(n_kept: int, skipped: list[Skipped]) -> str:
    """Number of tunes kept, and of the skipped ones by reason, the commonest first."""
    reasons = Counter(tune.reason for tune in skipped)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    kept = f"kept {n_kept} of {n_kept + len(skipped)}"
    return ": ".join([kept, *filter(None, [", ".join(f"{n} {why}" for why, n in ordered)])])
