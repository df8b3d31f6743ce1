"""Reader of the melody of a MIDI file, with repair of damaged files.

Own code and no library: symusic crashes on some damaged files, mido is several
times slower and gives up on a whole file for a wrong key signature. Only notes and the names of
tracks are read, so that invalid tempo, key and meter events do no harm.

Source: Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from chromasonic.melody_generation.data.formats._note_pairs import pair_notes
from chromasonic.melody_generation.data.formats.melody_line import (
    EMPTY,
    HANGING,
    UNNAMED,
    MelodyLine,
    Note,
    melody_rank,
    skyline,
    to_ticks,
)
from chromasonic.melody_generation.data.tune_report import UnusableTune

Message = tuple[int, int, int, int]

_META, _TRACK_NAME, _END_OF_TRACK = 0xFF, 0x03, 0x2F
_SYSTEM_EXCLUSIVE = (0xF0, 0xF7)
# Data bytes of the other system messages, which should not be in a file but sometimes are.
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0} | dict.fromkeys(range(0xF8, 0xFF), 0)


class _Broken(Exception):
    """The rest of the track cannot be decoded."""


def read_messages(track: bytes, repairs: Counter[str]) -> Iterator[Message]:
    """Decodes a track: ticks from its start, status and two data bytes of each channel message.

    Of meta events only track names come, as (ticks, 0xFF, start, end) of their text in `track`.
    What follows an invalid message is lost and counted in `repairs`, which is changed.
    """
    try:
        yield from _read(track, repairs)
    except IndexError:
        repairs["tracks cut short"] += 1
    except _Broken:
        repairs["tracks broken in the middle"] += 1


def _read(track: bytes, repairs: Counter[str]) -> Iterator[Message]:
    position = time = running = 0
    while position < len(track):
        delta, position = track[position], position + 1
        if delta >= 0x80:  # inlined for speed: this loop takes most of the time
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
                repairs["messages with data bytes over 127"] += 1
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
    repairs["tracks without an end"] += 1


def _variable_length(track: bytes, position: int) -> tuple[int, int]:
    """Decodes a variable-length quantity of up to four bytes; its value and end position."""
    value = 0
    for place in range(position, position + 4):
        byte = track[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise _Broken


MOST_NOTES = 100_000
MOST_EVENTS = 10 * MOST_NOTES  # of a track, most of them note-offs without a note
MOST_TRACKS = 65_535

_DRUM_CHANNEL = 9
_NOTE_OFF, _NOTE_ON, _META = 0x80, 0x90, 0xFF
_PREAMBLE = 4096  # bytes in which the header is looked for


@dataclass(frozen=True)
class _Header:
    format: int
    quarter: Fraction  # in ticks of the file
    end: int


@dataclass(frozen=True)
class _Track:
    name: str
    notes: list[Note]
    has_drums: bool
    mended: Counter[str]


def read_midi(content: bytes) -> MelodyLine:
    """Reads a MIDI file: the track named as the melody, or else the highest voice of all.

    Drums are left out. A gap of less than an eighth of the time between two onsets is
    articulation, not a rest, and belongs to the first note; rests lengthen no note.

    Raises:
        UnusableTune: If it is not MIDI, or has no melody.
    """
    repairs: Counter[str] = Counter()
    header = _read_header(content, repairs)
    tracks = []
    room = MOST_NOTES
    for chunk in _track_chunks(content, header.end, repairs):
        track = _read_track(chunk, int(header.quarter), room, repairs)
        room -= len(track.notes)
        tracks.append(track)
    melody = _melody_tracks(tracks, header.format, repairs)
    for track in melody:
        repairs.update(track.mended)
    line = skyline([note for track in melody for note in track.notes])
    lengths = list(_played_lengths(line))
    ticks = {length: to_ticks(length / header.quarter) for length in set(lengths)}
    return MelodyLine(
        [note.pitch for note in line],
        [ticks[length] for length in lengths],
        repairs,
        sum(len(track.notes) + track.mended[EMPTY] for track in melody),
    )


def _read_header(content: bytes, repairs: Counter[str]) -> _Header:
    start = content.find(b"MThd", 0, _PREAMBLE)
    if start < 0 or len(content) < start + 14:
        raise UnusableTune("not MIDI", "no MIDI header" if content else "the file is empty")
    if start > 0:
        repairs[
            "RIFF wrapper removed"
            if content[:4] == b"RIFF"
            else "prefix before the header skipped"
        ] += 1
    length = int.from_bytes(content[start + 4 : start + 8], "big")
    end = start + 8 + length if 6 <= length <= _PREAMBLE else start + 14
    quarter = _read_division(content[start + 12], content[start + 13], repairs)
    return _Header(int.from_bytes(content[start + 8 : start + 10], "big"), quarter, end)


def _read_division(high: int, low: int, repairs: Counter[str]) -> Fraction:
    """Ticks to a quarter, from the division of the header."""
    if high >= 0x80:
        # The high byte is minus the frames a second. Time is in seconds here: a tempo is assumed.
        repairs["SMPTE division: a quarter taken as half a second"] += 1
        return Fraction(max((256 - high) * low, 2), 2)
    if high == low == 0:
        repairs["division 0 taken as 480"] += 1
        return Fraction(480)
    return Fraction(high << 8 | low)


def _track_chunks(content: bytes, position: int, repairs: Counter[str]) -> Iterator[bytes]:
    """Content of each track; where lengths are wrong, up to the next track or the end."""
    for _ in range(MOST_TRACKS):
        position = _next_track(content, position, repairs)
        if position < 0:
            return
        start = position + 8
        end = start + int.from_bytes(content[position + 4 : start], "big")
        if end != len(content) and not _can_follow_track(content[end : end + 64]):
            following = content.find(b"MTrk", start)
            if following >= 0 or end < len(content):
                repairs["wrong track lengths"] += 1
            end = following if following >= 0 else len(content)
        yield content[start:end]
        position = end
    repairs["track limit of 65535 reached"] += 1


def _can_follow_track(rest: bytes) -> bool:
    """True for another chunk, or for zeros, with which some programs pad a file."""
    return len(rest) > 0 and (rest[:4].isalnum() or not any(rest))


def _next_track(content: bytes, position: int, repairs: Counter[str]) -> int:
    """Position of the next track, -1 if there is none; other chunks are skipped."""
    for _ in range(MOST_TRACKS):
        tag = content[position : position + 4]
        length = int.from_bytes(content[position + 4 : position + 8], "big")
        if tag == b"MTrk" or not tag.isalnum() or position + 8 + length > len(content):
            break
        position += 8 + length
    found = content.find(b"MTrk", position)
    if found > position:
        repairs["gaps between tracks skipped"] += 1
    return found


def _read_track(chunk: bytes, quarter: int, room: int, repairs: Counter[str]) -> _Track:
    name = ""
    has_drums = False
    n_onsets = n_events = 0
    # By channel and pitch.
    events: defaultdict[tuple[int, int], list[tuple[int, bool]]] = defaultdict(list)
    for time, status, first, second in read_messages(chunk, repairs):
        if status == _META:
            name = name or chunk[first:second].decode("latin-1").strip()
            continue
        kind, channel = status & 0xF0, status & 0x0F
        if kind not in (_NOTE_ON, _NOTE_OFF):
            continue
        if channel == _DRUM_CHANNEL:
            has_drums = True
            continue
        starts = kind == _NOTE_ON and second > 0
        n_onsets += starts
        n_events += 1
        if n_onsets > room or n_events > MOST_EVENTS:
            raise UnusableTune("too many notes", f"more than {MOST_NOTES}")
        events[channel, first].append((time, starts))
    notes: list[Note] = []
    hanging: list[tuple[int, int]] = []  # onset and pitch
    for (_, pitch), of_pitch in events.items():
        paired = pair_notes(of_pitch)
        notes += [Note(onset, end, pitch) for onset, end in paired.notes]
        hanging += [(onset, pitch) for onset in paired.hanging]
    hanging.sort()
    notes += _end_hanging(hanging, notes, quarter)
    mended = Counter({HANGING: len(hanging), EMPTY: n_onsets - len(notes)})
    return _Track(name, notes, has_drums, mended)


def _end_hanging(hanging: list[tuple[int, int]], notes: list[Note], quarter: int) -> list[Note]:
    """Ends hanging notes at the next onset of their track, or after a quarter."""
    onsets = sorted({onset for onset, *_ in [*hanging, *notes]})
    following = dict(pairwise(onsets))
    return [
        Note(onset, following.get(onset, onset + max(quarter, 1)), pitch)
        for onset, pitch in hanging
    ]


def _melody_tracks(tracks: list[_Track], midi_format: int, repairs: Counter[str]) -> list[_Track]:
    with_notes = [track for track in tracks if track.notes]
    if not with_notes:
        drums_only = any(track.has_drums for track in tracks)
        raise UnusableTune("drums only" if drums_only else "no notes" if tracks else "no tracks")
    if midi_format == 2 and len(with_notes) > 1:
        repairs["tracks of format 2 after the first left out"] += len(with_notes) - 1
        return with_notes[:1]
    best = min(with_notes, key=lambda track: melody_rank(track.name))
    return [best] if melody_rank(best.name) < UNNAMED else with_notes


def _played_lengths(line: list[Note]) -> Iterator[int]:
    """Ticks from the onset of each note to its end, or over a small gap to the next onset."""
    for note, following in zip(line, [*line[1:], None], strict=True):
        end = note.end
        if following is not None:
            gap = following.onset - end
            end = following.onset if 8 * gap < following.onset - note.onset else end
        yield end - note.onset
