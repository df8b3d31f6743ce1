import sys

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.errors import DataError, MissingExtra
from chromasonic.melody_generation.data import decode_pitches, load_corpus
from chromasonic.melody_generation.data.formats.midi import read_midi
from chromasonic.melody_generation.listening.midi_file import write_midi

notes = st.lists(st.tuples(st.integers(21, 108), st.integers(1, 15360)), min_size=1, max_size=60)


def notes_by_mido(path):
    """(onset, end, pitch) of every note, in ticks."""
    (track,) = mido.MidiFile(path).tracks
    found, now, began = [], 0, {}
    for message in track:
        now += message.time
        if message.type == "note_on" and message.velocity:
            began[message.note] = now
        elif message.type in ("note_on", "note_off"):
            found.append((began.pop(message.note), now, message.note))
    assert not began
    return found


@given(notes=notes)
def test_mido_and_our_own_reader_give_the_notes_back(notes, tmp_path_factory):
    pitches, durations = zip(*notes, strict=True)
    path = write_midi(tmp_path_factory.mktemp("midi") / "tune.mid", pitches, durations)
    ends = np.cumsum(durations).tolist()
    assert notes_by_mido(path) == list(zip([0, *ends], ends, pitches, strict=False))
    read = read_midi(path.read_bytes())
    assert (read.pitches, read.durations) == (list(pitches), list(durations))
    assert not +read.repairs


def test_tunes_of_the_corpus_come_back_from_their_files(tmp_path):
    corpus = load_corpus(50)
    for tokens, durations in zip(corpus.train, corpus.durations.train, strict=True):
        path = write_midi(tmp_path / "tune.mid", decode_pitches(tokens), durations)
        read = read_midi(path.read_bytes())
        assert read.pitches == decode_pitches(tokens).tolist()
        assert read.durations == durations.tolist()


def test_the_file_is_byte_for_byte_as_the_standard_says(tmp_path):
    path = write_midi(tmp_path / "a.mid", [60], [480], tempo=120, program=40)
    # Of format 0, one track, 480 to a quarter; a quarter of 500000 us; 480 is 0x83 0x60.
    events = [
        "00 ff 03 06" + b"Melody".hex(),
        "00 ff 51 03 07 a1 20",
        "00 c0 28",
        "00 90 3c 50",
        "83 60 80 3c 00",
        "00 ff 2f 00",
    ]
    track = bytes.fromhex("".join(events))
    head = bytes.fromhex("00000006 0000 0001 01e0")
    assert path.read_bytes() == b"MThd" + head + b"MTrk" + len(track).to_bytes(4, "big") + track


@pytest.mark.parametrize("tempo", [10, 60, 88.5, 120, 1000])
def test_the_tempo_makes_the_file_last_as_long_as_it_should(tempo, tmp_path):
    path = write_midi(tmp_path / "a.mid", [60, 62, 64], [480, 240, 1200], tempo)
    assert mido.MidiFile(path).length == pytest.approx(4 * 60 / tempo, rel=1e-5)


@pytest.mark.parametrize(
    ("pitches", "durations", "said"),
    [
        ([], [], "a note at least"),
        ([60, 62], [480], r"shape \(2,\) and durations of shape \(1,\)"),
        ([[60]], [[480]], "as many durations as pitches"),
        ([20], [480], r"lie in 21\.\.108, but got 20"),
        ([60.5], [480], "MIDI pitches must be whole numbers"),
        ([60], [0], r"lie in 1\.\.15360 ticks, but got 0"),
        ([60], [15361], "but got 15361"),
        ([60], [1.5], "durations must be whole numbers of ticks, but got dtype float64"),
    ],
)
def test_notes_that_cannot_be_played_are_refused(pitches, durations, said, tmp_path):
    with pytest.raises(DataError, match=said):
        write_midi(tmp_path / "a.mid", pitches, durations)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tempo", [0, -5, 9.9, 1001, float("nan"), float("inf")])
def test_a_tempo_that_cannot_be_played_is_refused(tempo, tmp_path):
    with pytest.raises(ValueError, match=r"tempo must lie in 10\.\.1000 quarters a minute"):
        write_midi(tmp_path / "a.mid", [60], [480], tempo)


@pytest.mark.parametrize("program", [-1, 128])
def test_a_program_that_midi_does_not_have_is_refused(program, tmp_path):
    with pytest.raises(ValueError, match=r"program must lie in 0\.\.127"):
        write_midi(tmp_path / "a.mid", [60], [480], program=program)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_midi(tmp_path / "a.mid", [60], [480])
    old = path.read_bytes()

    def half(self, filename):
        filename.write_bytes(b"MThd")
        raise OSError("the disk is full")

    monkeypatch.setattr(mido.MidiFile, "save", half)
    with pytest.raises(OSError, match="the disk is full"):
        write_midi(path, [72], [480])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_without_mido_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(MissingExtra, match=r'pip install "chromasonic\[melody\]"'):
        write_midi(tmp_path / "a.mid", [60], [480])
