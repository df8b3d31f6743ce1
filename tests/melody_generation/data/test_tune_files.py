"""Loading a user's own tunes: what is found, kept, repaired and skipped."""

import io
import os
import random
import zipfile
from collections import Counter

import mido
import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.formats.abc import read_tune
from chromasonic.melody_generation.data.tune_files import load_tunes
from chromasonic.melody_generation.data.vocabulary import decode_pitches


def random_pitches(seed, count=20):
    return [random.Random(f"{seed} {i}").randrange(50, 90) for i in range(count)]


def midi(pitches, ticks=240, channel=0, meta=()):
    """The bytes of a file with one note after the other."""
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack(meta))
    for pitch in pitches:
        file.tracks[0].append(mido.Message("note_on", note=pitch, channel=channel))
        file.tracks[0].append(mido.Message("note_off", note=pitch, channel=channel, time=ticks))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def abc(seed, number=1, count=20):
    letters = "".join(random.Random(seed).choices("CDEFGABcdefgab", k=count))
    return f"X:{number}\nT:a tune\nM:4/4\nL:1/8\nK:C\n{letters}\n\n"


def musicxml(seed, count=20):
    steps = [random.Random(f"{seed} {i}").choice("CDEFGAB") for i in range(count)]
    notes = "".join(
        f"<note><pitch><step>{s}</step><octave>4</octave></pitch><duration>1</duration></note>"
        for s in steps
    )
    return f"<score-partwise><part><measure>{notes}</measure></part></score-partwise>".encode()


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def fill(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def music():
    """One sound file of every kind."""
    return {
        "a.mid": midi(random_pitches(1)),
        "b/c.MIDI": midi(random_pitches(2)),
        "b/d.kar": midi(random_pitches(3)),
        "e.abc": abc(4),
        "f.musicxml": musicxml(5),
        "g.xml": musicxml(6),
        "h.mxl": zipped({"x.xml": musicxml(7)}),
    }


def test_every_kind_of_file_in_a_folder_is_read_in_the_order_of_names(tmp_path):
    tunes = load_tunes(fill(tmp_path, music()))
    assert tunes.names == sorted(music())
    assert tunes.summary() == "kept 7 of 7"
    assert tunes.repairs == []
    assert decode_pitches(tunes.pitches[0]).tolist() == random_pitches(1)
    assert tunes.durations[0].tolist() == [240] * 20
    for pitches, durations in zip(tunes.pitches, tunes.durations, strict=True):
        assert pitches.dtype == durations.dtype == np.int64
        assert pitches.shape == durations.shape


def test_a_zip_of_files_gives_what_the_folder_gives(tmp_path):
    folder = load_tunes(fill(tmp_path / "folder", music()))
    archive = load_tunes(fill(tmp_path, {"a.zip": zipped(music())}) / "a.zip")
    assert archive.names == folder.names
    assert archive.keys == folder.keys
    assert all(map(np.array_equal, archive.durations, folder.durations))


@pytest.mark.parametrize("name", sorted(music()))
def test_a_single_file_gives_its_tune(tmp_path, name):
    path = fill(tmp_path, music()) / name
    assert load_tunes(str(path)).names == [path.name]


def test_an_abc_file_gives_each_of_its_tunes(tmp_path):
    content = abc(1) + "X:2\nK:C\n[\n\n" + abc(3, number=3)
    tunes = load_tunes(fill(tmp_path, {"book.abc": content}))
    assert tunes.names == ["book.abc, tune 1", "book.abc, tune 3"]
    assert tunes.summary() == "kept 2 of 3: 1 not ABC"
    assert decode_pitches(tunes.pitches[1]).tolist() == read_tune(abc(3)).pitches.tolist()


def test_files_of_other_kinds_and_hidden_ones_are_passed_over(tmp_path):
    others = {"readme.txt": "x", ".hidden.mid": "x", ".git/a.mid": "x", "a.mid": music()["a.mid"]}
    assert load_tunes(fill(tmp_path, others)).summary() == "kept 1 of 1"


def test_what_a_mac_adds_to_a_zip_is_passed_over(tmp_path):
    content = zipped({"a.mid": music()["a.mid"], "__MACOSX/._a.mid": "x", "._b.mid": "x"})
    fill(tmp_path, {"a.zip": content})
    assert load_tunes(tmp_path / "a.zip").summary() == "kept 1 of 1"


def test_the_summary_counts_reasons_the_commonest_first(tmp_path):
    files = {"1.mid": "x", "2.mid": "y", "3.mid": midi([60] * 3), "4.mid": midi(random_pitches(0))}
    tunes = load_tunes(fill(tmp_path, files))
    assert tunes.summary() == "kept 1 of 4: 2 not MIDI, 1 too short"
    assert [skipped.name for skipped in tunes.skipped] == ["1.mid", "2.mid", "3.mid"]


def hanging_midi(pitches, n_hanging):
    """Notes one after the other, of which the first few are never ended."""
    content = midi(pitches)
    for _ in range(n_hanging):
        content = content.replace(b"\x80", b"\xb0", 1)
    return content


def test_the_summary_tells_of_tunes_with_many_mended_notes(tmp_path):
    # Each pitch once, so that each lost end leaves one note hanging.
    rising, falling = list(range(40, 80)), list(range(90, 50, -1))
    files = {"a.mid": hanging_midi(rising, 9), "b.mid": midi(falling)}
    tunes = load_tunes(fill(tmp_path, files), keep_near_duplicates=True)
    assert tunes.summary() == "kept 2 of 2; 1 tune with many notes mended: 9 of 40 notes"
    assert tunes.mended == {"a.mid": (9, 40)}
    assert tunes.repairs == [("a.mid", "9 hanging notes ended")]
    files = {"b.mid": hanging_midi(falling, 4), "c.mid": "no music"}
    tunes = load_tunes(fill(tmp_path, files), keep_near_duplicates=True)
    assert tunes.summary() == (
        "kept 2 of 3: 1 not MIDI; 2 tunes with many notes mended: 13 of 80 notes"
    )


def test_two_mended_notes_of_40_are_not_many(tmp_path):
    tunes = load_tunes(fill(tmp_path, {"a.mid": hanging_midi(list(range(40, 80)), 2)}))
    assert tunes.summary() == "kept 1 of 1"
    assert tunes.mended == {"a.mid": (2, 40)}


def test_the_mended_notes_of_a_tune_in_pieces_are_counted_once(tmp_path):
    fill(tmp_path, {"a.mid": hanging_midi(list(range(21, 101)), 20)})
    tunes = load_tunes(tmp_path, max_notes=40, too_long="split", keep_near_duplicates=True)
    assert len(tunes.names) == 2
    assert tunes.summary().endswith("1 tune with many notes mended: 20 of 80 notes")


def test_notes_of_length_0_that_are_left_out_are_counted(tmp_path):
    content = midi(random_pitches(0), ticks=0)[:-4] + midi(random_pitches(1))[22:]
    track = content.index(b"MTrk") + 4
    length = (len(content) - track - 4).to_bytes(4, "big")
    files = {"a.mid": content[:track] + length + content[track + 4 :]}
    tunes = load_tunes(fill(tmp_path, files))
    assert decode_pitches(tunes.pitches[0]).tolist() == random_pitches(1)
    assert tunes.summary() == "kept 1 of 1; 1 tune with many notes mended: 20 of 40 notes"


def test_long_tunes_are_cut(tmp_path):
    tunes = load_tunes(fill(tmp_path, {"a.mid": midi(random_pitches(0, 90))}), max_notes=40)
    assert decode_pitches(tunes.pitches[0]).tolist() == random_pitches(0, 90)[:40]
    assert tunes.repairs == [("a.mid", "cut from 90 to 40 notes")]


def test_long_tunes_are_split_into_pieces_of_one_key(tmp_path):
    fill(tmp_path, {"a.mid": midi(random_pitches(0, 90))})
    tunes = load_tunes(tmp_path, max_notes=40, too_long="split")
    assert [len(pitches) for pitches in tunes.pitches] == [30, 30, 30]
    assert decode_pitches(np.concatenate(tunes.pitches)).tolist() == random_pitches(0, 90)
    assert tunes.names[2] == "a.mid, piece 3 of 3"
    assert len(set(tunes.keys)) == 1


def test_notes_outside_the_piano_are_folded_by_octaves_or_dropped(tmp_path):
    inside = random_pitches(0)
    fill(tmp_path, {"a.mid": midi([20, 0, *inside, 109, 127])})
    folded, dropped = load_tunes(tmp_path), load_tunes(tmp_path, outside="drop")
    assert decode_pitches(folded.pitches[0]).tolist() == [32, 24, *inside, 97, 103]
    assert folded.repairs == [("a.mid", "4 notes outside the piano folded")]
    assert decode_pitches(dropped.pitches[0]).tolist() == inside
    one = load_tunes(fill(tmp_path / "one", {"b.mid": midi([20, *inside])}))
    assert one.repairs == [("b.mid", "1 note outside the piano folded")]
    assert dropped.repairs == [("a.mid", "4 notes outside the piano dropped")]


def test_very_long_notes_are_shortened_to_32_quarters(tmp_path):
    tunes = load_tunes(fill(tmp_path, {"a.mid": midi(random_pitches(0), ticks=0xFFFFFFF)}))
    assert set(tunes.durations[0].tolist()) == {32 * 480}
    assert tunes.repairs == [("a.mid", "20 notes longer than 32 quarters shortened")]


def test_near_duplicates_are_skipped_unless_they_are_wanted(tmp_path):
    tune = random_pitches(0)
    fill(tmp_path, {"a.mid": midi(tune), "b.mid": midi([pitch + 3 for pitch in tune])})
    tunes = load_tunes(tmp_path)
    assert tunes.skipped == [("b.mid", "too like another", "a.mid")]
    assert load_tunes(tmp_path, keep_near_duplicates=True).summary() == "kept 2 of 2"


SOUND = midi(random_pitches(0, 30))
TRACK = SOUND.index(b"MTrk")
NOTE = SOUND.index(b"\x90")
KEPT = None


def with_bytes(place, *values):
    return SOUND[:place] + bytes(values) + SOUND[place + len(values) :]


def inserted(place, values):
    """Bytes put into the track, whose length grows with them."""
    length = int.from_bytes(SOUND[TRACK + 4 : TRACK + 8], "big") + len(values)
    head = SOUND[: TRACK + 4] + length.to_bytes(4, "big") + SOUND[TRACK + 8 : place]
    return head + values + SOUND[place:]


def meta(kind, *values):
    return inserted(TRACK + 8, bytes([0, 0xFF, kind, len(values), *values]))


# Kind of damage, file name, content, reason for which it is skipped (`KEPT`: none).
MALFORMED = [
    ("empty", "a.mid", b"", "not MIDI"),
    ("empty", "a.abc", b"", "not ABC"),
    ("empty", "a.xml", b"", "not XML"),
    ("empty", "a.mxl", b"", "bad archive"),
    ("text", "a.mid", b"Once upon a time", "not MIDI"),
    ("text", "a.kar", b"\n" * 5000, "not MIDI"),
    ("text", "a.xml", b"Once upon a time", "not XML"),
    ("text", "a.abc", b"Once upon a time", "not ABC"),
    ("text", "a.mxl", b"Once upon a time", "bad archive"),
    ("header cut", "a.mid", SOUND[:3], "not MIDI"),
    ("header cut", "a.mid", SOUND[:13], "not MIDI"),
    ("header alone", "a.mid", SOUND[:14], "no tracks"),
    ("header alone", "a.mid", SOUND[:18], "no notes"),
    ("header alone", "a.mid", SOUND[:22], "no notes"),
    ("truncated", "a.mid", SOUND[:60], "too short"),
    ("truncated", "a.mid", SOUND[:-1], KEPT),
    ("truncated", "a.mid", SOUND[:-4], KEPT),
    ("truncated", "a.mid", SOUND[:-7], KEPT),
    ("truncated", "a.mid", SOUND[:-20], KEPT),
    ("header length", "a.mid", with_bytes(4, 0, 0, 0, 0), KEPT),
    ("header length", "a.mid", with_bytes(4, 255, 255, 255, 255), KEPT),
    ("format", "a.mid", with_bytes(8, 0, 9), KEPT),
    ("format", "a.mid", with_bytes(8, 0, 2), KEPT),
    ("number of tracks", "a.mid", with_bytes(10, 0, 0), KEPT),
    ("number of tracks", "a.mid", with_bytes(10, 255, 255), KEPT),
    ("division 0", "a.mid", with_bytes(12, 0, 0), KEPT),
    ("SMPTE division", "a.mid", with_bytes(12, 0xE8, 40), KEPT),
    ("SMPTE division", "a.mid", with_bytes(12, 0xE3, 100), KEPT),
    ("SMPTE division", "a.mid", with_bytes(12, 0x80, 0), KEPT),
    ("RIFF", "a.mid", b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + SOUND, KEPT),
    ("RIFF", "a.mid", b"RIFF\0\0\0\0RMIDdata\0\0\0\0", "not MIDI"),
    ("bytes before", "a.mid", b"\0" * 128 + SOUND, KEPT),
    ("bytes after", "a.mid", SOUND + b"\0" * 100, KEPT),
    ("bytes after", "a.mid", SOUND + b"\r\n<!-- a web page -->", KEPT),
    ("track length", "a.mid", with_bytes(TRACK + 4, 0, 0, 0, 0), KEPT),
    ("track length", "a.mid", with_bytes(TRACK + 4, 0, 0, 0, 99), KEPT),
    ("track length", "a.mid", with_bytes(TRACK + 4, 255, 255, 255, 255), KEPT),
    ("track name", "a.mid", with_bytes(TRACK, 0), "no tracks"),
    ("foreign chunk", "a.mid", SOUND[:TRACK] + b"XFKM\0\0\0\2ab" + SOUND[TRACK:], KEPT),
    ("data byte", "a.mid", with_bytes(NOTE + 1, 200), KEPT),
    ("data byte", "a.mid", with_bytes(NOTE + 2, 200), KEPT),
    ("data byte", "a.mid", inserted(NOTE - 1, b"\0\xc0\xff"), KEPT),
    ("no status", "a.mid", with_bytes(NOTE, 0), "no notes"),
    ("unknown status", "a.mid", inserted(NOTE - 1, b"\0\xf5"), "no notes"),
    ("real-time status", "a.mid", inserted(NOTE - 1, b"\0\xf8"), KEPT),
    ("delta too long", "a.mid", inserted(NOTE - 1, b"\xff\xff\xff\xff\xff"), "no notes"),
    ("huge delta", "a.mid", inserted(NOTE - 1, b"\xff\xff\xff\x7f\xb0\0\0"), KEPT),
    ("key signature", "a.mid", meta(0x59, 11, 0), KEPT),
    ("key signature", "a.mid", meta(0x59, 0, 7), KEPT),
    ("key signature", "a.mid", meta(0x59), KEPT),
    ("tempo", "a.mid", meta(0x51, 0, 0, 0), KEPT),
    ("tempo", "a.mid", meta(0x51), KEPT),
    ("time signature", "a.mid", meta(0x58, 0, 2, 24, 8), KEPT),
    ("time signature", "a.mid", meta(0x58, 4, 255, 0, 0), KEPT),
    ("meta length", "a.mid", inserted(NOTE - 1, b"\0\xff\1\xff\xff\xff\x7f"), "no notes"),
    ("sysex without end", "a.mid", inserted(NOTE - 1, b"\0\xf0\xff\x7f"), "no notes"),
    ("early end", "a.mid", meta(0x2F), "no notes"),
    ("hanging notes", "a.mid", SOUND.replace(b"\x80", b"\xb0"), KEPT),
    ("notes without length", "a.mid", midi(random_pitches(0), ticks=0), "no notes"),
    ("drums only", "a.mid", midi(random_pitches(0), channel=9), "drums only"),
    ("too short", "a.mid", midi(random_pitches(0, 15)), "too short"),
    ("another format", "a.mid", zipped({"a.mid": SOUND}), "not MIDI"),
    ("another format", "a.mid", musicxml(0), "not MIDI"),
    ("another format", "a.xml", SOUND, "not XML"),
    ("another format", "a.abc", SOUND, "not ABC"),
    ("another format", "a.mxl", SOUND, "bad archive"),
    ("XML cut", "a.xml", musicxml(0)[:-5], "not XML"),
    ("XML of other things", "a.xml", b"<svg/>", "not MusicXML"),
    ("XML entities", "a.xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "unsafe XML"),
    ("XML too deep", "a.xml", b"<a>" * 5000 + b"</a>" * 5000, "too large"),
    ("XML numbers", "a.xml", musicxml(0).replace(b">4<", b">1e99<", 1), "bad numbers"),
    ("XML numbers", "a.xml", musicxml(0).replace(b">1<", b">inf<", 1), "bad numbers"),
    ("mxl cut", "a.mxl", zipped({"a.xml": musicxml(0)})[:-9], "bad archive"),
    ("mxl without score", "a.mxl", zipped({"a.txt": "x"}), "no score"),
    ("mxl bomb", "a.mxl", zipped({"a.xml": b"\0" * 20_000_000}), "too large"),
    ("too large", "a.mid", SOUND + b"\0" * 10_000_000, "too large"),
    ("ABC numbers", "a.abc", b"X:1\nK:C\n" + b"C0" * 20, "not ABC"),
    ("ABC numbers", "a.abc", b"X:1\nK:C\nC" + b">" * 4000, "bad numbers"),
    ("ABC numbers", "a.abc", b"X:1\nK:C\n" + b"".join(b"C/%d" % i for i in range(1, 99)),
     "bad numbers"),
    ("ABC signs", "a.abc", b"X:1\nK:C\n" + b"^" * 90_000, "not ABC"),
    ("ABC signs", "a.abc", b"X:1\nK:C\n" + b"[" * 4000, "not ABC"),
    ("ABC signs", "a.abc", b"X:1\nK:C\n" + b"{" * 90_000, "not ABC"),
    ("ABC too large", "a.abc", b"X:1\nK:C\n" + b"CDEF\n" * 25_000, "too large"),
    ("ABC encoding", "a.abc", abc(0).replace("a tune", "\xe9t\xe9").encode("latin-1"), KEPT),
]  # fmt: skip


def test_the_table_has_60_malformed_files_of_20_kinds():
    assert len(MALFORMED) >= 60
    assert len({kind for kind, *_ in MALFORMED}) >= 20


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [row[1:] for row in MALFORMED],
    ids=[f"{kind}-{i}" for i, (kind, *_) in enumerate(MALFORMED)],
)
def test_a_malformed_file_is_kept_or_skipped_with_its_reason(tmp_path, name, content, reason):
    fill(tmp_path, {name: content, "sound.mid": midi(random_pitches("sound"))})
    tunes = load_tunes(tmp_path)
    assert "sound.mid" in tunes.names
    assert {skipped.name: skipped.reason for skipped in tunes.skipped} == (
        {} if reason is KEPT else {name: reason}
    )
    if reason is KEPT and name == "a.mid":
        kept = decode_pitches(tunes.pitches[0]).tolist()
        # All but at most a few notes, in their places, are those of the sound file.
        assert len(kept) >= 26
        assert kept in (random_pitches(0, 30)[-len(kept) :], random_pitches(0, 30)[: len(kept)])


def test_a_zip_inside_is_skipped_and_never_opened(tmp_path):
    files = {"a.mid": SOUND, "b.zip": zipped({"c.mid": SOUND}), "d.tar.gz": b"x"}
    fill(tmp_path, {"a.zip": zipped(files)})
    tunes = load_tunes(tmp_path / "a.zip")
    assert tunes.summary() == "kept 1 of 3: 2 archives inside"


def test_a_zip_bomb_is_skipped_and_its_neighbours_are_kept(tmp_path):
    fill(tmp_path, {"a.zip": zipped({"a.mid": SOUND, "bomb.mid": b"\0" * 50_000_000})})
    assert load_tunes(tmp_path / "a.zip").summary() == "kept 1 of 2: 1 too large"


def test_no_more_is_read_than_the_limit_in_all(tmp_path, monkeypatch):
    limit = len(SOUND) + 1
    monkeypatch.setattr("chromasonic.melody_generation.data.tune_files.MOST_BYTES_IN_ALL", limit)
    fill(tmp_path, {"a.mid": SOUND, "b.mid": midi(random_pitches(1)), "c.mid": SOUND})
    assert load_tunes(tmp_path).summary() == "kept 1 of 3: 2 over the limit"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_too_many_files_are_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("chromasonic.melody_generation.data._tune_sources.MOST_FILES", 2)
    files = {f"{i}.mid": SOUND for i in range(3)}
    folder = fill(tmp_path / "folder", files)
    path = folder if kind == "folder" else fill(tmp_path, {"a.zip": zipped(files)}) / "a.zip"
    with pytest.raises(DataError, match="at most 2 files"):
        load_tunes(path)


def test_a_zip_whose_list_of_members_is_too_long_is_refused(tmp_path):
    content = bytearray(zipped({"a.mid": SOUND}))
    end = content.rindex(b"PK\5\6")
    content[end + 12 : end + 16] = (2**31).to_bytes(4, "little")
    fill(tmp_path, {"a.zip": bytes(content)})
    with pytest.raises(DataError, match=r"a\.zip is not a valid zip: .*too many members"):
        load_tunes(tmp_path / "a.zip")


def test_an_encrypted_or_oddly_packed_member_is_skipped(tmp_path):
    content = bytearray(zipped({"a.mid": SOUND, "b.mid": SOUND}))
    entry = content.rindex(b"PK\1\2")
    content[entry + 8] |= 1
    fill(tmp_path, {"a.zip": bytes(content)})
    assert load_tunes(tmp_path / "a.zip").summary() == "kept 1 of 2: 1 bad archive"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.mid", SOUND)
        archive.writestr("b.mid", SOUND, zipfile.ZIP_LZMA)
    fill(tmp_path, {"b.zip": out.getvalue()})
    assert load_tunes(tmp_path / "b.zip").summary() == "kept 1 of 2: 1 bad archive"


def test_names_in_a_zip_reach_neither_the_disk_nor_the_terminal_as_they_are(tmp_path):
    names = {"../../up.mid": SOUND, "a\x1b[2J.mid": midi(random_pitches(1))}
    fill(tmp_path / "in", {"a.zip": zipped(names)})
    tunes = load_tunes(tmp_path / "in/a.zip")
    assert tunes.names == ["a?[2J.mid"]
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_a_loop_of_links_ends_and_is_named(tmp_path):
    fill(tmp_path, {"a.mid": SOUND})
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.mid").symlink_to(tmp_path / "nowhere")
    tunes = load_tunes(tmp_path)
    assert tunes.names == ["a.mid"]
    assert {skipped[:2] for skipped in tunes.skipped} == {
        ("loop", "links to folders"),
        ("gone.mid", "cannot be opened"),
    }


def test_a_named_pipe_is_skipped_and_not_waited_for(tmp_path):
    fill(tmp_path, {"a.mid": SOUND})
    os.mkfifo(tmp_path / "b.mid")
    assert load_tunes(tmp_path).summary() == "kept 1 of 2: 1 not a file"


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ({}, "gone", "there is no"),
        ({}, ".", "has no tunes: no file ends in .abc"),
        ({"a.txt": b"x"}, "a.txt", r"must end in .*but got a\.txt"),
        ({"a.zip": b"x"}, "a.zip", "is not a valid zip"),
        ({"a.zip": zipped({})}, "a.zip", "has no tunes: no file ends in"),
        ({"a.mid": b"x"}, ".", r"kept 0 of 1: 1 not MIDI\. The first is a\.mid"),
        ({"a.mid": b"x"}, "a.mid", "kept 0 of 1: 1 not MIDI"),
    ],
)
def test_no_set_is_empty_in_silence(tmp_path, files, name, message):
    with pytest.raises(DataError, match=message) as caught:
        load_tunes(fill(tmp_path, files) / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"min_notes": 1}, {"max_notes": 15}, {"too_long": "shrink"}, {"outside": "keep"}],
)
def test_an_option_out_of_range_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match="but got"):
        load_tunes(tmp_path, **options)


def test_of_300_mutated_files_none_is_lost(tmp_path):
    rng = random.Random(0)
    sound = [(name.rsplit(".")[-1].lower(), content) for name, content in music().items()]
    files = {}
    for number in range(300):
        suffix, content = sound[number % len(sound)]
        damaged = bytearray(content if isinstance(content, bytes) else content.encode())
        for _ in range(rng.choice([1, 3, 10])):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        files[f"{number:03}.{suffix}"] = bytes(damaged)
    tunes = load_tunes(fill(tmp_path, files), keep_near_duplicates=True)
    came_back = {name.split(",")[0] for name in tunes.names}
    came_back |= {skipped.name.split(",")[0] for skipped in tunes.skipped}
    assert came_back == set(files)
    assert all(skipped.reason for skipped in tunes.skipped)
    assert Counter(name[-3:] for name in tunes.names)["mid"] > 10
