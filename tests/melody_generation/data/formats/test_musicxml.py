"""Scores written by hand; every answer was worked out by hand."""

import io
import zipfile

import pytest

from chromasonic.melody_generation.data.formats.musicxml import read_musicxml, read_mxl
from chromasonic.melody_generation.data.tune_report import UnusableTune


def note(step, octave=4, duration=2, inside="", alter=0, voice=1):
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
    return (
        f"<note>{inside}{pitch}<duration>{duration}</duration>" + f"<voice>{voice}</voice></note>"
    )


def score(*measures, attributes="<divisions>2</divisions>", before=""):
    first = f"<measure><attributes>{attributes}</attributes>"
    inside = "</measure><measure>".join(measures)
    part = f"<part id='P1'>{first}{inside}</measure></part>"
    return f"{before}<score-partwise>{part}</score-partwise>".encode()


def line(content):
    read = read_musicxml(content)
    return list(zip(read.pitches, read.durations, strict=True))


TIE_START, TIE_STOP = "<tie type='start'/>", "<tie type='stop'/>"
REST = "<note><rest/><duration>2</duration></note>"


def test_notes_have_pitch_and_duration():
    assert line(score(note("C") + note("F", 5, 1, alter=1) + note("B", 3, 4, alter=-1))) == [
        (60, 480),
        (78, 240),
        (58, 960),
    ]


def test_divisions_may_change_on_the_way():
    change = "<attributes><divisions>4</divisions></attributes>"
    assert line(score(note("C"), change + note("C"))) == [(60, 480), (60, 240)]


def test_of_a_chord_the_top_note_stays_and_rests_lengthen_nothing():
    chord = note("C") + note("G", inside="<chord/>") + note("E", inside="<chord/>")
    assert line(score(chord + REST + note("D"))) == [(67, 480), (62, 480)]


def test_ties_are_joined_over_the_barline():
    assert line(score(note("C", inside=TIE_START), note("C", inside=TIE_STOP) + note("C"))) == [
        (60, 960),
        (60, 480),
    ]


def test_a_tie_does_not_reach_over_a_rest_or_to_another_pitch():
    tied = note("C", inside=TIE_START)
    assert line(score(tied + REST + note("C") + tied + note("D"))) == [
        (60, 480),
        (60, 480),
        (60, 480),
        (62, 480),
    ]


@pytest.mark.parametrize("kind", ["<grace/>", "<cue/>"])
def test_grace_and_cue_notes_are_left_out(kind):
    assert line(score(note("D", inside=kind) + note("C"))) == [(60, 480)]


def test_a_transposing_instrument_comes_out_as_it_sounds():
    b_flat = "<divisions>2</divisions><transpose><chromatic>-2</chromatic></transpose>"
    octave = "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
    assert line(score(note("C"), attributes=b_flat)) == [(58, 480)]
    assert line(score(note("C"), attributes=f"<divisions>2</divisions>{octave}")) == [(48, 480)]


def test_the_highest_of_the_fuller_voices_is_taken():
    low, high = note("C", 3, voice=1) * 4, note("C", 5, voice=2) * 3
    ornament = note("C", 7, voice=3)
    assert line(score(low + "<backup/>" + high + ornament)) == [(72, 480)] * 3


def test_a_part_of_drums_is_passed_over():
    drums = (
        "<part id='P1'><measure><note><unpitched/><duration>1</duration></note></measure></part>"
    )
    tune = f"<part id='P2'><measure>{note('C', duration=1)}</measure></part>"
    content = f"<score-partwise>{drums}{tune}</score-partwise>".encode()
    assert line(content) == [(60, 480)]


def named_parts(**steps):
    """A score of one note in each part, with the part's name."""
    names = "".join(
        f"<score-part id='{name}'><part-name>{name}</part-name></score-part>" for name in steps
    )
    parts = "".join(
        f"<part id='{name}'><measure>{note(step, duration=1) if step else ''}</measure></part>"
        for name, step in steps.items()
    )
    return f"<score-partwise><part-list>{names}</part-list>{parts}</score-partwise>".encode()


@pytest.mark.parametrize("name", ["Soprano", "Voice", "Melody"])
def test_the_part_named_as_the_melody_is_taken_before_earlier_ones(name):
    assert line(named_parts(Horn="C", Alto="D", **{name: "E"})) == [(64, 480)]


def test_without_such_a_name_and_without_notes_in_it_the_first_part_is_taken():
    assert line(named_parts(Horn="C", Alto="D")) == [(60, 480)]
    assert line(named_parts(Horn="C", Soprano="")) == [(60, 480)]


def test_the_parts_of_a_timewise_score_have_names_too():
    content = named_parts(Horn="C", Soprano="D").decode().replace("partwise", "timewise")
    for part in ("Horn", "Soprano"):
        content = content.replace(f"<part id='{part}'><measure>", f"<measure><part id='{part}'>")
    content = content.replace("</measure></part>", "</part></measure>")
    assert line(content.encode()) == [(62, 480)]


def test_a_timewise_score_is_read_as_a_partwise_one():
    parts = [f"<part id='P1'>{note(s, duration=1)}</part><part id='P2'/>" for s in "CD"]
    measures = "".join(f"<measure>{part}</measure>" for part in parts)
    content = f"<score-timewise>{measures}</score-timewise>".encode()
    assert line(content) == [(60, 480), (62, 480)]


def test_a_document_type_without_declarations_is_fine():
    doctype = "<!DOCTYPE score-partwise PUBLIC 'x' 'http://localhost/partwise.dtd'>"
    assert line(score(note("C"), before=doctype)) == [(60, 480)]


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not XML"),
        (b"<a>", "not XML"),
        (b"MThd", "not XML"),
        (b"<?xml version='1.0' encoding='no-such'?><a/>", "not XML"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "not XML"),
        (b"<html/>", "not MusicXML"),
        (b"<score-partwise/>", "no notes"),
        (score(REST), "no notes"),
        (score("&b;", before=BOMB), "unsafe XML"),
        (score("", before="<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/hostname'>]>"), "unsafe"),
        (b"<a>" * 100, "too large"),
        (score(note("H")), "bad numbers"),
        (score(note("C", octave="nan")), "bad numbers"),
        (score(note("C", octave="1e999999999")), "bad numbers"),
        (score(note("C", duration="long")), "bad numbers"),
        (score(note("C", duration=-4)), "bad numbers"),
        (score(note("C"), attributes="<divisions>0</divisions>"), "bad numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(content, reason):
    with pytest.raises(UnusableTune, match=reason):
        read_musicxml(content)


def test_too_many_elements_are_refused_before_the_tree_stands(monkeypatch):
    monkeypatch.setattr("chromasonic.melody_generation.data.formats.musicxml.MOST_ELEMENTS", 1000)
    with pytest.raises(UnusableTune, match="too large"):
        read_musicxml(score("<a/>" * 1000))


def packed(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


def container(path):
    return f"<container><rootfiles><rootfile full-path='{path}'/></rootfiles></container>"


def test_the_score_that_the_container_names_is_read():
    content = packed(
        **{"META-INF__container_xml": container("b.xml")},
        a_xml=score(note("C")),
        b_xml=score(note("D")),
    )
    assert read_mxl(content).pitches == [62]


def test_without_a_container_the_first_score_is_read():
    assert read_mxl(packed(a_musicxml=score(note("E")))).pitches == [64]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "bad archive"),
        (b"PK\3\4 and no more", "bad archive"),
        (packed(a_xml=score(note("C")))[:-30], "bad archive"),
        (packed(), "no score"),
        (packed(**{"META-INF__container_xml": container("gone.xml")}), "no score"),
        (packed(a_xml=b" " * 11_000_000), "too large"),
    ],
)
def test_a_bad_archive_is_refused_with_its_reason(content, reason):
    with pytest.raises(UnusableTune, match=reason):
        read_mxl(content)
