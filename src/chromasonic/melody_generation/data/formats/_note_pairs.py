"""Pairing of the note-ons and note-offs of one MIDI pitch.

A note-off ends the oldest note that began before its tick, in whatever order the events of a tick
stand. A note-off that finds none belongs to a note of length 0, as some programs write grace
notes, or it is stray. The balance of the pitch decides: no note-off is stray unless there are
more of them than note-ons, and no note hangs unless there are fewer.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class PairedNotes(NamedTuple):
    """Notes of one pitch, in ticks; those of length 0 are in neither list.

    Attributes:
        notes: Onset and end of each.
        hanging: Onsets of the notes without an end.
    """

    notes: list[tuple[int, int]]
    hanging: list[int]


class _Tick(NamedTuple):
    time: int
    n_off: int = 0
    n_on: int = 0


def pair_notes(events: list[tuple[int, bool]]) -> PairedNotes:
    """Pairs onsets with ends.

    Args:
        events: Tick, and True for a note-on, in the order of time.
    """
    # Nearly all: one note after the other. The rest of this file takes five times as long.
    pairs = list(zip(events[::2], events[1::2], strict=False))
    if 2 * len(pairs) == len(events) and all(
        starts and not ends and onset < end for (onset, starts), (end, ends) in pairs
    ):
        return PairedNotes([(onset, end) for (onset, _), (end, _) in pairs], [])
    return _pair_by_tick(_count_by_tick(events))


def _pair_by_tick(ticks: list[_Tick]) -> PairedNotes:
    balance = sum(tick.n_on - tick.n_off for tick in ticks)
    n_hanging, n_stray = max(0, balance), max(0, -balance)
    paired = PairedNotes([], [])
    sounding: deque[int] = deque()  # onsets, the oldest first
    for tick, following in zip(ticks, [*ticks[1:], _Tick(0)], strict=True):
        n_off, n_on = tick.n_off, tick.n_on
        while n_off and sounding:
            while n_hanging and _was_struck_again(sounding, tick.time):
                paired.hanging.append(sounding.popleft())
                n_hanging -= 1
            paired.notes.append((sounding.popleft(), tick.time))
            n_off -= 1
        n_empty = min(n_off, n_on)
        if n_empty and _ends_later(following, len(sounding) + n_on - n_empty, n_stray):
            n_stray, n_empty = n_stray - n_empty, 0
        sounding.extend([tick.time] * (n_on - n_empty))
    paired.hanging.extend(sounding)
    return paired


def _count_by_tick(events: list[tuple[int, bool]]) -> list[_Tick]:
    ticks: list[_Tick] = []
    for time, starts in events:
        last = ticks.pop() if ticks and ticks[-1].time == time else _Tick(time)
        ticks.append(_Tick(time, last.n_off + (not starts), last.n_on + starts))
    return ticks


def _was_struck_again(sounding: deque[int], end: int) -> bool:
    """True if the oldest note lost its end: it would reach far into the next of its pitch."""
    return len(sounding) > 1 and 4 * (end - sounding[1]) > end - sounding[0]


def _ends_later(following: _Tick, n_sounding: int, n_stray: int) -> bool:
    """True if the pitch's next events end one note more than those that surely sound."""
    one_more = following.n_off - following.n_on - n_sounding
    return one_more > 0 or (one_more == 0 and n_stray > 0 and following.n_on > 0)
