"""Notes and rests one after the other, as notations write them."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass
class Event:
    """A note, or a rest, whose pitch is None.

    Attributes:
        pitch: MIDI pitch.
        quarters: Length in quarter notes.
        natural: The pitch of its letter without accidentals, where a notation needs to know.
        tied: Whether it is tied to the event that follows.
    """

    pitch: int | None
    quarters: Fraction
    natural: int | None = None
    tied: bool = False


def merge_ties(events: Iterable[Event]) -> list[tuple[int, Fraction]]:
    """Pitch and quarters of each note, tied ones made one; rests are left out."""
    notes: list[tuple[int, Fraction]] = []
    tied = False
    for event in events:
        if event.pitch is not None:
            if tied and notes[-1][0] == event.pitch:
                notes[-1] = event.pitch, notes[-1][1] + event.quarters
            else:
                notes.append((event.pitch, event.quarters))
        tied = event.tied and event.pitch is not None
    return notes
