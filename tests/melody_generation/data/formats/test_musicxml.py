"""Scores written by hand; every answer was worked out by hand."""

import io
import random
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


def plain(step, octave=4, duration=2, **tags):
    """A note with these elements only: no voice unless one is given."""
    rest = "".join(f"<{name}>{value}</{name}>" for name, value in tags.items())
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>{duration}</duration>{rest}</note>"


def back(duration):
    return f"<backup><duration>{duration}</duration></backup>"


def melody(*steps, **tags):
    return "".join(plain(step, 5, **tags) for step in steps)


def bass(*steps, **tags):
    return "".join(plain(step, 3, **tags) for step in steps)


def pitches(*measures):
    return read_musicxml(score(*measures)).pitches


def test_two_staves_that_both_call_their_voice_1_are_two_lines():
    right, left = melody("C", "D", voice=1, staff=1), bass("C", "D", voice=1, staff=2)
    assert pitches(right + back(4) + left) == [72, 74]
    assert pitches(left + back(4) + right) == [72, 74]


def test_staves_without_voices_are_two_lines():
    right, left = melody("C", "D", staff=1), bass("C", "D", staff=2)
    assert pitches(right + back(4) + left, left + back(4) + right) == [72, 74] * 2


def test_without_voices_and_staves_the_time_tells_lines_apart():
    assert pitches(melody("C", "D") + back(4) + bass("C", "D")) == [72, 74]
    assert pitches(melody("C", "D") + "<backup/>" + bass("C", "D")) == [72, 74]


def test_three_lines_of_one_voice_are_told_apart_measure_by_measure():
    layers = melody("C", "D") + back(4) + bass("E", "F") + back(4) + bass("C", "C")
    assert pitches(layers, layers) == [72, 74] * 2


def test_a_line_goes_on_after_a_second_one_within_its_measure():
    # Beats 1 and 2 of both, then beats 3 and 4 of both.
    one = melody("C", "D", voice=1) + back(4) + bass("C", "D", voice=2)
    two = melody("E", "F", voice=1) + back(4) + bass("E", "F", voice=2)
    assert pitches(one + two) == [72, 74, 76, 77]


def test_a_line_whose_later_half_is_written_first_is_put_in_order():
    later = "<forward><duration>4</duration></forward>" + melody("E", "F")
    assert pitches(later + back(8) + melody("C", "D")) == [72, 74, 76, 77]


def test_a_voice_that_changes_its_name_goes_on_as_the_same_line():
    names = ["1", "3", " 1 ", "melody"]
    measures = [
        melody("C", "D", voice=name, staff=1) + back(4) + bass("C", "D", voice=5, staff=2)
        for name in names
    ]
    assert pitches(*measures) == [72, 74] * 4


def test_a_voice_that_pauses_lets_no_lower_one_of_its_staff_in():
    rest = "<note><rest/><duration>4</duration><voice>1</voice></note>"
    one = melody("C", "D", voice=1) + back(4) + bass("C", "D", voice=2)
    two = rest + back(4) + bass("E", "F", voice=2)
    assert pitches(one, two, one) == [72, 74, 72, 74]


def test_a_measure_that_one_staff_leaves_out_is_not_filled_from_another():
    right, left = melody("C", "D", staff=1), bass("C", "D", staff=2)
    assert pitches(right + back(4) + left, left, right + back(4) + left) == [72, 74] * 2


def test_a_line_does_not_fall_into_the_gaps_of_another():
    gap = "<forward><duration>4</duration></forward>"
    assert pitches(melody("C") + gap + melody("D") + back(8) + bass(*"CDEF")) == [72, 74]


def test_cue_notes_take_time_and_grace_notes_none():
    cue = plain("G", 6, 4).replace("<pitch>", "<cue/><pitch>")
    grace = "<note><grace/><pitch><step>A</step><octave>6</octave></pitch></note>"
    high = plain("C", 5) + grace + plain("D", 5)
    assert pitches(high + back(4) + cue + back(4) + bass("C", "D")) == [72, 74]
    assert pitches(plain("C", 5) + cue + plain("D", 5) + back(8) + bass(*"CDEF")) == [72, 74]


def test_a_chord_over_two_staves_has_its_top_note_in_each():
    low = plain("C", 3, staff=2).replace("<pitch>", "<chord/><pitch>")
    high = plain("G", 5, staff=1).replace("<pitch>", "<chord/><pitch>")
    assert pitches(melody("C", staff=1) + low + melody("D", staff=1)) == [72, 74]
    assert pitches(melody("C", staff=1) + high + melody("D", staff=1)) == [79, 74]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_voices_are_called_the_upper_staff_is_the_melody(seed):
    rng = random.Random(seed)
    expected, measures = [], []
    for _ in range(6):
        steps = rng.choices("CDEFGAB", k=4)
        expected += [72 + "C D EF G A B".index(step) for step in steps]
        names = rng.choices(["1", "2", "x", None], k=2)
        right, left = ({"voice": name} if name else {} for name in names)
        staves = [melody(*steps, staff=1, **right), bass(*"CDEF", staff=2, **left)]
        rng.shuffle(staves)
        measures.append(back(8).join(staves))
    assert pitches(*measures) == expected


def test_a_transposition_holds_for_the_staff_that_it_names():
    one = "<divisions>2</divisions><transpose number='2'><chromatic>-12</chromatic></transpose>"
    right, left = melody("C", "D", staff=1), bass("C", "D", staff=2)
    assert line(score(right + back(4) + left, attributes=one)) == [(72, 480), (74, 480)]
    two = one.replace("'2'", "'1'").replace("-12", "2")
    assert line(score(right + back(4) + left, attributes=two)) == [(74, 480), (76, 480)]


@pytest.mark.parametrize("kind", ["start", "continue"])
def test_a_tie_that_is_only_drawn_is_a_tie(kind):
    tied = f"<notations><slur type='start'/><tied type='{kind}'/></notations>"
    stop = "<notations><tied type='stop'/></notations>"
    assert line(score(note("C", inside=tied), note("C", inside=stop) + note("C"))) == [
        (60, 960),
        (60, 480),
    ]


@pytest.mark.parametrize("sign", ["<slur type='start'/>", "<tied type='let-ring'/>"])
def test_what_looks_like_a_tie_but_is_none_joins_nothing(sign):
    content = note("C", inside=f"<notations>{sign}</notations>") + note("C")
    assert line(score(content)) == [(60, 480), (60, 480)]


def test_a_tie_lasts_over_many_notes_in_each_of_two_lines():
    tied = "<notations><tied type='stop'/><tied type='start'/></notations>"
    high = note("C", 5, inside=tied) * 3 + note("D", 5)
    low = note("C", 3, inside=tied) * 3 + note("D", 3)
    assert line(score(high + back(8) + low)) == [(72, 1440), (74, 480)]


def test_endless_notes_of_one_voice_at_one_time_are_refused():
    with pytest.raises(UnusableTune, match="too large: more than 16"):
        read_musicxml(score((note("C") + "<backup/>") * 17))


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
