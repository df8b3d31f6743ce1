"""Separation of the notes of a part into lines, by staff, voice and time.

Names of voices alone do not separate them: two staves may both have a voice 1, a score may name
no voices at all, and one voice may have another name in the next measure. So a line is what one
staff has in one voice without overlap; where notes of a voice sound at the same time, as after
going back to the start of a measure, there are as many lines as needed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from statistics import median
from typing import NamedTuple, TypeVar

from chromasonic.melody_generation.data.formats.melody_line import Event, merge_ties
from chromasonic.melody_generation.data.tune_report import UnusableTune

_Key = TypeVar("_Key")

MOST_LINES = 16
# Rounded durations leave small gaps and overlaps.
_SLIGHT = 1 / 100


class LineKey(NamedTuple):
    """A line's staff and voice, and its number among those of one staff and voice."""

    staff: str
    voice: str
    number: int


@dataclass
class _Pass:
    """Events of one staff and voice that follow each other without going back in time."""

    onset: float
    end: float
    events: list[Event]


class MeasureLines:
    """The lines of one measure of a part."""

    def __init__(self) -> None:
        self._passes: dict[tuple[str, str], list[_Pass]] = {}

    def add(self, staff: str, voice: str, onset: float, event: Event) -> None:
        """Adds a note or rest of a staff and voice, at `onset` quarters into the measure."""
        end = onset + float(event.quarters)
        passes = self._passes.setdefault((staff, voice), [])
        if passes and onset >= passes[-1].end - _SLIGHT:
            passes[-1].end = end
            passes[-1].events.append(event)
        else:
            passes.append(_Pass(onset, end, [event]))

    def lines(self) -> dict[LineKey, list[Event]]:
        """Events of each line, in the order of time.

        Raises:
            UnusableTune: If there are more than 16 lines in one voice of a staff.
        """
        return {
            LineKey(staff, voice, number): line
            for (staff, voice), passes in self._passes.items()
            for number, line in enumerate(_join_passes(passes))
        }


def _join_passes(passes: list[_Pass]) -> list[list[Event]]:
    """Lines of passes that do not overlap; each pass is put into the first with room for it."""
    lines: list[list[_Pass]] = []
    for each in passes:
        for line in lines:
            place = bisect_right(line, each.onset, key=attrgetter("onset"))
            starts_free = place == 0 or line[place - 1].end <= each.onset + _SLIGHT
            if starts_free and (place == len(line) or each.end <= line[place].onset + _SLIGHT):
                line.insert(place, each)
                break
        else:
            lines.append([each])
        if len(lines) > MOST_LINES:
            raise UnusableTune("too large", f"more than {MOST_LINES} notes of a voice at once")
    return [[event for each in line for event in each.events] for line in lines]


def highest_line(measures: Sequence[MeasureLines]) -> list[Event]:
    """Events of the highest of the fuller lines in the highest of the fuller staves.

    A line is fuller if it has at least half as many notes as the fullest. In a measure without
    the line, the highest other line of its staff goes on in its place.
    """
    lines = [measure.lines() for measure in measures]
    of_key: dict[LineKey, list[Event]] = {}
    of_staff: dict[str, list[Event]] = {}
    for key, events in chain.from_iterable(measure.items() for measure in lines):
        of_key.setdefault(key, []).extend(events)
        of_staff.setdefault(key.staff, []).extend(events)
    if not of_staff:
        return []
    staff = _highest(of_staff)
    chosen = _highest({key: events for key, events in of_key.items() if key.staff == staff})
    melody: list[Event] = []
    for measure in lines:
        others = {key: events for key, events in measure.items() if key.staff == staff}
        if others:
            melody += measure[chosen] if chosen in measure else measure[_highest(others)]
    return melody


def _highest(lines: dict[_Key, list[Event]]) -> _Key:
    """Key of the line with the highest median pitch among the fuller ones."""
    pitches = {key: [pitch for pitch, _ in merge_ties(line)] for key, line in lines.items()}
    fullest = max(map(len, pitches.values()))
    fuller = [key for key, line in pitches.items() if line and 2 * len(line) >= fullest]
    return max(fuller or lines, key=lambda key: median(pitches[key] or [0]))
