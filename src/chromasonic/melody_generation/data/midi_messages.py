"""The messages of one track of a MIDI file, as far as it can be read.

Source: Standard MIDI Files 1.0 (RP-001) and the MIDI 1.0 specification.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

Message = tuple[int, int, int, int]

_META, _TRACK_NAME, _END_OF_TRACK = 0xFF, 0x03, 0x2F
_SYSTEM_EXCLUSIVE = (0xF0, 0xF7)
# Data bytes of the other system messages, which should not be in a file but sometimes are.
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0} | dict.fromkeys(range(0xF8, 0xFF), 0)


class _Broken(Exception):
    """The rest of the track has no meaning."""


def read_messages(track: bytes, mends: Counter[str]) -> Iterator[Message]:
    """Ticks from the start of the track, status and two data bytes of each channel message.

    Of meta events only track names come, as (ticks, 0xFF, start, end) of their text in `track`.
    What follows a message that makes no sense is lost and counted in `mends`, which is changed.
    """
    try:
        yield from _read(track, mends)
    except IndexError:
        mends["tracks cut short"] += 1
    except _Broken:
        mends["tracks broken in the middle"] += 1


def _read(track: bytes, mends: Counter[str]) -> Iterator[Message]:
    position = time = running = 0
    while position < len(track):
        delta, position = track[position], position + 1
        if delta >= 0x80:  # the call is spared where it can be: this loop takes most of the time
            delta, position = _variable_length(track, position - 1)
        time += delta
        status = track[position]
        if status >= 0x80:
            position += 1
        else:
            status = running
        if 0x80 <= status < 0xF0:
            running = status
            first = track[position]
            # Program changes and channel pressure have one data byte.
            has_two = not 0xC0 <= status < 0xE0
            second = track[position + 1] if has_two else 0
            position += 1 + has_two
            if first | second < 0x80:
                yield time, status, first, second
            else:
                mends["messages with data bytes over 127"] += 1
                if first < 0x80:
                    yield time, status, first, 127
        elif status == _META or status in _SYSTEM_EXCLUSIVE:
            kind = track[position] if status == _META else -1
            length, start = _variable_length(track, position + (status == _META))
            position = start + length
            if kind == _END_OF_TRACK:
                return
            if kind == _TRACK_NAME:
                yield time, _META, start, position
        elif status in _SYSTEM_LENGTHS:
            position += _SYSTEM_LENGTHS[status]
        else:
            raise _Broken
    if position > len(track):
        raise IndexError
    mends["tracks without an end"] += 1


def _variable_length(track: bytes, position: int) -> tuple[int, int]:
    """A number of up to four bytes, seven bits each, and the position behind it."""
    value = 0
    for place in range(position, position + 4):
        byte = track[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise _Broken
