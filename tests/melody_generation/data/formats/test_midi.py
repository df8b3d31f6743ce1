"""MIDI files made by hand as bytes, or by mido, which also serves as an independent reader."""

import io
import random
from collections import Counter

import mido
import pytest

from chromasonic.melody_generation.data.formats.melody_line import skyline
from chromasonic.melody_generation.data.formats.midi import read_midi
from chromasonic.melody_generation.data.tune_report import UnusableTune

END = b"\0\xff\x2f\0"


def header(format=1, tracks=1, division=480):
    return b"MThd" + b"".join(n.to_bytes(size, "big") for n, size in
                              [(6, 4), (format, 2), (tracks, 2), (division, 2)])  # fmt: skip


def track(*events):
    body = b"".join(events)
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def delta(ticks):
    digits = [ticks & 0x7F]
    while ticks := ticks >> 7:
        digits.append(ticks & 0x7F | 0x80)
    return bytes(reversed(digits))


def named(name):
    return b"\0\xff\x03" + bytes([len(name)]) + name.encode()


def notes(pitches, ticks=480, channel=0):
    """Notes one after the other."""
    return b"".join(
        bytes([0, 0x90 | channel, p, 64]) + delta(ticks) + bytes([0x80 | channel, p, 0])
        for p in pitches
    )


def at(*triples):
    """Events of (onset, end, pitch), in the order of time."""
    events = sorted(
        [(onset, 1, p) for onset, _, p in triples] + [(end, 0, p) for _, end, p in triples]
    )
    now, out = 0, b""
    for time, is_on, pitch in events:
        out += delta(time - now) + bytes([0x90 if is_on else 0x80, pitch, 64])
        now = time
    return out


def melody(*tracks, **head):
    return read_midi(header(tracks=len(tracks), **head) + b"".join(tracks))


def line(*tracks, **head):
    read = melody(*tracks, **head)
    return list(zip(read.pitches, read.durations, strict=True))


def test_a_single_line_is_read_note_by_note():
    assert line(track(notes([60, 62, 64]), END)) == [(60, 480), (62, 480), (64, 480)]


@pytest.mark.parametrize(("division", "ticks"), [(96, 960), (480, 192), (1024, 90), (32767, 3)])
def test_durations_are_480_to_a_quarter_whatever_the_division(division, ticks):
    # 192 of 96 ticks are two quarters, 192 of 1024 are 90 of 480 ticks, 192 of 32767 are 2.8.
    assert line(track(notes([60], ticks=192), END), division=division) == [(60, ticks)]


def test_running_status_and_a_note_on_of_no_velocity_are_understood():
    running = b"\0\x90\x3c\x40" + delta(480) + b"\x3c\0" + b"\0\x3e\x40" + delta(240) + b"\x3e\0"
    assert line(track(running, END)) == [(60, 480), (62, 240)]


def test_of_a_chord_the_top_note_stays():
    assert line(track(at((0, 480, 60), (0, 480, 67), (0, 480, 64), (480, 960, 65)), END)) == [
        (67, 480),
        (65, 480),
    ]


def test_a_lower_note_under_a_held_one_is_left_out():
    assert line(track(at((0, 960, 72), (480, 960, 48), (960, 1440, 71)), END)) == [
        (72, 960),
        (71, 480),
    ]


def test_a_higher_note_ends_the_one_it_enters_over():
    assert line(track(at((0, 960, 60), (480, 960, 72)), END)) == [(60, 480), (72, 480)]


def test_a_descending_line_played_legato_keeps_all_its_notes():
    assert line(track(at((0, 500, 72), (480, 980, 71), (960, 1440, 69)), END)) == [
        (72, 480),
        (71, 480),
        (69, 480),
    ]


def test_a_small_gap_belongs_to_the_note_but_a_rest_lengthens_none():
    # 30 of 480 ticks are articulation, 240 of 480 are a rest.
    assert line(track(at((0, 450, 60), (480, 720, 62), (960, 1440, 64)), END)) == [
        (60, 480),
        (62, 240),
        (64, 480),
    ]


@pytest.mark.parametrize(
    "name", ["Melody", "MELODIE", "Lead", "lead synth", "Vocals", "Voice 1", "Solo", "Canto"]
)
def test_the_track_named_as_the_melody_is_taken_though_another_is_higher(name):
    flute, tune = track(named("Flute"), notes([90]), END), track(named(name), notes([60]), END)
    assert line(flute, tune) == [(60, 480)]


@pytest.mark.parametrize(
    "name", ["Piano", "Backing vocals", "Voice Oohs", "Lead bass", "pleading"]
)
def test_other_names_leave_the_highest_voice(name):
    other, flute = track(named(name), notes([60]), END), track(named("Flute"), notes([90]), END)
    assert line(other, flute) == [(90, 480)]


def test_melody_is_a_better_clue_than_voice():
    voice, tune = track(named("Voice"), notes([70]), END), track(named("Melody"), notes([60]), END)
    assert line(voice, tune) == [(60, 480)]


def test_a_named_track_without_notes_does_not_hide_the_others():
    assert line(track(named("Melody"), END), track(notes([60]), END)) == [(60, 480)]


def test_drums_are_left_out():
    assert line(track(notes([80], channel=9), END), track(notes([60]), END)) == [(60, 480)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not MIDI"),
        (b"Dear diary", "not MIDI"),
        (b"MThd\0\0\0", "not MIDI"),
        (header(tracks=0), "no tracks"),
        (header() + track(END), "no notes"),
        (header() + track(notes([36], channel=9), END), "drums only"),
    ],
)
def test_what_holds_no_melody_is_refused_with_its_reason(content, reason):
    with pytest.raises(UnusableTune, match=reason):
        read_midi(content)


def test_more_notes_than_any_melody_has_are_refused(monkeypatch):
    monkeypatch.setattr("chromasonic.melody_generation.data.formats.midi.MOST_NOTES", 10)
    assert len(melody(track(notes([60] * 10), END)).pitches) == 10
    with pytest.raises(UnusableTune, match="too many notes"):
        melody(track(notes([60] * 11), END))


def test_endless_note_offs_without_notes_are_refused(monkeypatch):
    monkeypatch.setattr("chromasonic.melody_generation.data.formats.midi.MOST_EVENTS", 10)
    stray = b"\0\x80\x3c\0"
    assert melody(track(stray * 8, notes([60]), END)).pitches == [60]
    with pytest.raises(UnusableTune, match="too many notes"):
        melody(track(stray * 9, notes([60]), END))


@pytest.mark.parametrize("meta", [
    b"\0\xff\x59\2\x0b\0",  # a key of 11 sharps
    b"\0\xff\x51\3\0\0\0",  # tempo 0
    b"\0\xff\x58\4\0\2\x18\x08",  # 0 quarters to the bar
    b"\0\xff\x58\4\4\xff\x18\x08",
    b"\0\xff\x7f\0",
    b"\0\xf0\3abc",
    b"\0\xfe",
])  # fmt: skip
def test_nonsense_beside_the_notes_needs_no_mending(meta):
    read = melody(track(meta, notes([60, 62]), meta, END))
    assert read.pitches == [60, 62]
    assert not +read.repairs


def test_smpte_division_is_converted():
    # 25 frames of 40 ticks are 1000 a second, so 500 to a quarter of half a second.
    read = read_midi(b"MThd\0\0\0\6\0\0\0\1\xe7\x28" + track(notes([60], ticks=250), END))
    assert read.durations == [240]
    assert read.repairs["SMPTE division: a quarter taken as half a second"] == 1


def test_a_riff_wrapper_is_taken_off():
    inside = header() + track(notes([60, 62]), END)
    read = read_midi(b"RIFF\0\0\0\0RMIDdata" + len(inside).to_bytes(4, "little") + inside)
    assert read.pitches == [60, 62]
    assert read.repairs["RIFF wrapper removed"] == 1


def test_a_truncated_file_gives_what_is_whole():
    whole = header() + track(notes([60, 62, 64]), END)
    read = read_midi(whole[:-8])
    assert read.pitches == [60, 62, 64]  # the third has begun, but not ended
    assert (read.repairs["tracks cut short"], read.repairs["hanging notes ended"]) == (1, 1)


def test_hanging_notes_end_where_the_next_begins_or_after_a_quarter():
    hanging = b"\0\x90\x3c\x40" + delta(240) + b"\x90\x3e\x40"
    read = melody(track(hanging, END))
    assert list(zip(read.pitches, read.durations, strict=True)) == [(60, 240), (62, 480)]
    assert read.repairs["hanging notes ended"] == 2


def test_a_note_struck_again_without_an_end_does_not_cover_those_between():
    struck = b"".join(delta(240) + bytes([0x90, pitch, 64]) for pitch in (72, 60, 62, 72))
    read = melody(track(struck, END))
    assert list(zip(read.pitches, read.durations, strict=True)) == [
        (72, 240),
        (60, 240),
        (62, 240),
        (72, 480),
    ]


@pytest.mark.parametrize("length", [0, 5, 24, 60, 2**31])
def test_a_wrong_track_length_loses_no_later_track(length):
    body = notes([60, 62]) + END
    wrong = b"MTrk" + length.to_bytes(4, "big") + body
    read = melody(wrong, track(named("Melody"), notes([72]), END))
    assert read.pitches == [72]
    assert read.repairs["wrong track lengths"] == 1


def test_chunks_of_other_kinds_are_passed_over():
    assert melody(b"XFIH\0\0\0\4MTrk", track(notes([60]), END)).pitches == [60]


def test_a_message_with_a_pitch_over_127_is_left_out_and_the_rest_kept():
    read = melody(track(notes([60]), b"\0\x90\xbc\x40", notes([62]), END))
    assert read.pitches == [60, 62]
    assert read.repairs["messages with data bytes over 127"] == 1


def shuffled_ticks(sounding, rng):
    """A track of (onset, end, pitch), the events of each tick in an order drawn by chance."""
    events = [(time, rng.random(), is_on, pitch)
              for onset, end, pitch in sounding
              for time, is_on in ((onset, 1), (end, 0))]  # fmt: skip
    now, out = 0, b""
    for time, _, is_on, pitch in sorted(events):
        out += delta(time - now) + bytes([0x90 if is_on else 0x80, pitch, 64])
        now = time
    return track(out, END)


def of_one_pitch(*events):
    """A line of middle C whose events are (tick, 1 for on and 0 for off), as they stand."""
    now, out = 0, b""
    for time, is_on in events:
        out += delta(time - now) + bytes([0x90, 60, 64 * is_on])
        now = time
    return track(out, END)


def test_a_note_may_begin_before_the_last_one_of_its_pitch_is_ended_at_the_same_tick():
    legato = [(0, 1), (480, 1), (480, 0), (960, 0)]
    assert line(of_one_pitch(*legato)) == [(60, 480), (60, 480)]
    repeated = [(0, 1), *[(tick, on) for tick in range(240, 2400, 240) for on in (1, 0)]]
    assert line(of_one_pitch(*repeated, (2400, 0))) == [(60, 240)] * 10


def test_the_oldest_note_of_a_pitch_is_the_one_that_ends():
    overlapping = [(0, 1), (480, 1), (500, 0), (960, 1), (980, 0), (1440, 0)]
    read = melody(of_one_pitch(*overlapping))
    assert read.durations == [480, 480, 480]
    assert not +read.repairs


def test_channels_and_tracks_end_their_own_notes_only():
    low, high = notes([60], ticks=960), b"\0\x91\x48\x40" + delta(480) + b"\x81\x3c\0"
    read = melody(track(low, END), track(high, b"\0\x91\x3c\x40", delta(480), b"\x81\x48\0", END))
    assert read.pitches == [72]


@pytest.mark.parametrize("seed", range(60))
def test_the_order_of_events_within_a_tick_changes_no_note(seed):
    rng = random.Random(seed)
    now, tune, graces = 0, [], []
    for _ in range(40):
        length = rng.choice([120, 240, 480])
        tune.append((now, now + length, rng.randrange(60, 66)))
        if rng.random() < 0.4:
            graces.append((now, now, rng.randrange(58, 68)))
        now += length + rng.choice([0, 0, 0, 480])
    read = melody(shuffled_ticks(tune + graces, rng))
    assert list(zip(read.pitches, read.durations, strict=True)) == [
        (pitch, end - onset) for onset, end, pitch in tune
    ]
    assert read.repairs["notes of length 0 left out"] == len(graces)
    assert read.repairs["hanging notes ended"] == 0
    assert read.n_notes == len(tune) + len(graces)


def test_grace_notes_of_length_0_cost_no_note_though_their_end_stands_first():
    tune = [(480 * i, 480 * i + 480, 60 + i % 5) for i in range(20)]
    out, now = b"", 0
    for onset, end, pitch in tune:
        grace = pitch + 2
        out += delta(onset - now) + bytes([0x80, grace, 0, 0, 0x90, grace, 64])
        out += bytes([0, 0x90, pitch, 64]) + delta(end - onset) + bytes([0x80, pitch, 0])
        now = end
    read = melody(track(out, END))
    assert read.pitches == [pitch for *_, pitch in tune]
    assert +read.repairs == {"notes of length 0 left out": 20}


@pytest.mark.parametrize(
    ("events", "durations"),
    [
        ([(0, 0), (0, 1), (480, 0)], [480]),  # silenced before it begins
        ([(0, 0), (0, 1), (480, 0), (480, 1), (960, 0)], [480, 480]),
        ([(0, 0), (0, 1), (480, 0), (480, 0), (480, 1), (960, 0), (960, 0)], [480, 480]),
        ([(0, 1), (480, 0), (720, 0), (960, 1), (1200, 0)], [480, 240]),
    ],
)
def test_a_stray_note_off_costs_no_note(events, durations):
    read = melody(of_one_pitch(*events))
    assert read.durations == durations
    assert not +read.repairs


def test_a_lost_note_off_does_not_lengthen_the_later_notes_of_its_pitch():
    high = [(tick, tick + 480, 72) for tick in range(0, 4800, 960)]
    low = [(tick + 480, tick + 960, 60) for tick in range(0, 4800, 960)]
    whole = at(*high, *low)
    assert line(track(whole, END)) == [(72, 480), (60, 480)] * 5
    lost = whole.index(b"\x80\x48\x40")
    read = melody(track(whole[:lost] + b"\xb0\x48\x40" + whole[lost + 3 :], END))
    assert read.pitches == [72, 60] * 5
    assert read.repairs["hanging notes ended"] == 1


def random_file(rng):
    """Two monophonic tracks, none of them named, made by mido."""
    file = mido.MidiFile(ticks_per_beat=rng.choice([96, 480, 1000]))
    for channel in range(2):
        events = mido.MidiTrack()
        file.tracks.append(events)
        events.append(mido.MetaMessage("set_tempo", tempo=rng.randrange(1, 2**24)))
        for _ in range(rng.randrange(1, 60)):
            pitch, gap = rng.randrange(21, 109), rng.choice([0, 0, 0, 7, 100, 300])
            length = rng.randrange(1, 2000)
            on = {"note": pitch, "channel": channel}
            events.append(mido.Message("note_on", velocity=64, time=gap, **on))
            if rng.random() < 0.3:
                events.append(mido.Message("pitchwheel", pitch=rng.randrange(-8192, 8192)))
            off = rng.choice([("note_off", 64), ("note_on", 0)])
            events.append(mido.Message(off[0], velocity=off[1], time=length, **on))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def notes_by_mido(content):
    """(onset, end, pitch) of every note, in ticks of the file."""
    found = []
    for events in mido.MidiFile(file=io.BytesIO(content)).tracks:
        now, began = 0, {}
        for message in events:
            now += message.time
            if message.type == "note_on" and message.velocity:
                began[message.note] = now
            elif message.type in ("note_on", "note_off"):
                found.append((began.pop(message.note), now, message.note))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_notes_are_those_that_mido_reads(seed, monkeypatch):
    content = random_file(random.Random(seed))
    seen = []
    monkeypatch.setattr(
        "chromasonic.melody_generation.data.formats.midi.skyline",
        lambda notes: seen.extend(notes) or skyline(notes),
    )
    read_midi(content)
    assert Counter(map(tuple, seen)) == Counter(notes_by_mido(content))


def mutated(content, rng):
    content = bytearray(content)
    for _ in range(rng.choice([1, 3, 10, 50])):
        place = rng.randrange(len(content))
        kind = rng.random()
        if kind < 0.4:
            content[place] = rng.randrange(256)
        elif kind < 0.6:
            content[rng.randrange(min(40, len(content)))] = rng.randrange(256)
        elif kind < 0.8:
            del content[place : place + rng.randrange(1, 40)]
        else:
            content[place:place] = rng.randbytes(rng.randrange(1, 9))
        content = content or bytearray(b"\0")
    return bytes(content)


def test_each_of_400_mutated_files_is_read_or_refused_with_a_reason():
    rng = random.Random(0)
    outcomes = Counter()
    for _ in range(400):
        try:
            read = read_midi(mutated(random_file(rng), rng))
        except UnusableTune as error:
            outcomes[error.reason] += 1
        else:
            assert len(read.pitches) == len(read.durations) > 0
            assert all(0 <= pitch <= 127 for pitch in read.pitches)
            assert min(read.durations) >= 1
            outcomes["read"] += 1
    assert outcomes["read"] > 100
    assert set(outcomes) <= {"read", "not MIDI", "no notes", "no tracks", "drums only"}
