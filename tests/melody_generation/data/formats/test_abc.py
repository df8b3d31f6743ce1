"""Every answer here was worked out by hand: MIDI 60 is `C`, 480 ticks are a quarter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.formats.abc import (
    read_abc,
    read_abc_file,
    read_tune,
    split_abc,
)
from chromasonic.melody_generation.data.tune_report import UnusableTune


def read(music, key="C", unit="1/8", meter="4/4"):
    return read_tune(f"X:1\nT:a tune\nM:{meter}\nL:{unit}\nK:{key}\n{music}\n")


def pitches(music, key="C"):
    return read(music, key).pitches.tolist()


def durations(music, **header):
    return read(music, **header).durations.tolist()


def test_letters_and_octave_marks_name_pitches():
    assert pitches("C, C D E F G A B c b c' c''") == [
        48, 60, 62, 64, 65, 67, 69, 71, 72, 83, 84, 96
    ]  # fmt: skip


def test_accidentals_raise_and_lower():
    assert pitches("^C | _D | =E | ^^F | __G") == [61, 61, 64, 67, 65]


@pytest.mark.parametrize("other", ["c", "C", "C,", "c'"])
def test_an_accidental_holds_to_the_barline_in_every_octave(other):
    with_sharp, after_bar = pitches(f"^c {other} | {other}")[1:]
    assert with_sharp == after_bar + 1


@pytest.mark.parametrize(
    "bar", ["|", "||", "|]", "|:", ":|", "::", "[|", "|1", ":|2", "[1", ":|["]
)
def test_every_kind_of_barline_ends_an_accidental(bar):
    assert pitches(f"^F {bar} F") == [66, 65]


def test_a_line_end_is_no_barline():
    assert pitches("^F\nF \\\nF") == [66, 66, 66]


def test_a_natural_overrides_the_key_until_the_barline():
    assert pitches("F =F F | F", key="G") == [66, 65, 65, 66]


@pytest.mark.parametrize(
    ("key", "altered"),
    [
        ("C", {}),
        ("G", {"F": 1}),
        ("D", {"F": 1, "C": 1}),
        ("F", {"B": -1}),
        ("Bb", {"B": -1, "E": -1}),
        ("F#", dict.fromkeys("FCGDAE", 1)),
        ("Cb", dict.fromkeys("BEADGCF", -1)),
        ("Am", {}),
        ("A Minor", {}),
        ("Gmin", {"B": -1, "E": -1}),
        ("F#m", {"F": 1, "C": 1, "G": 1}),
        ("D dor", {}),
        ("Edorian", {"F": 1, "C": 1}),
        ("AMix", {"F": 1, "C": 1}),
        ("G Lydian", {"F": 1, "C": 1}),
        ("Ephr", {}),
        ("B loc", {}),
        ("C aeolian", {"B": -1, "E": -1, "A": -1}),
        ("G ionian", {"F": 1}),
        ("G treble", {"F": 1}),
        ("D =c", {"F": 1}),
        ("Ddor ^c", {"C": 1}),
        ("Hp", {"F": 1, "C": 1}),
        ("HP", {}),
        ("none", {}),
        ("", {}),
    ],
)
def test_a_key_alters_its_letters(key, altered):
    natural = dict(zip("CDEFGAB", [60, 62, 64, 65, 67, 69, 71], strict=True))
    expected = [pitch + altered.get(letter, 0) for letter, pitch in natural.items()]
    assert pitches("CDEFGAB", key=key) == expected


NATURAL = dict(zip("CDEFGAB", [60, 62, 64, 65, 67, 69, 71], strict=True))


def signature(key):
    """The letters that a key alters, and by how much."""
    read = pitches("CDEFGAB", key=key)
    pairs = zip(NATURAL.items(), read, strict=True)
    return {letter: pitch - natural for (letter, natural), pitch in pairs if pitch != natural}


@pytest.mark.parametrize(
    ("key", "altered"),
    [
        ("D exp _b", {"B": -1}),
        ("D exp _B_e", {"B": -1, "E": -1}),
        ("Dexp ^f ^c ^g", {"F": 1, "C": 1, "G": 1}),
        ("A Exp", {}),
        ("exp ^f _e", {"F": 1, "E": -1}),
        ("none ^f", {"F": 1}),
        ("^f^c", {"F": 1, "C": 1}),
        ("D Phr ^f", {"B": -1, "E": -1, "F": 1}),
        ("G =f ^^c __b", {"C": 2, "B": -2}),
        ("Dmix=c", {"F": 1}),
        ("D exp _b clef=treble", {"B": -1}),
        ("D clef=treble _b", {"F": 1, "C": 1, "B": -1}),
    ],
)
def test_accidentals_of_a_key_are_added_to_it_or_stand_alone(key, altered):
    assert signature(key) == altered


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("B♭", "Bb"),
        ("F♯m", "F#m"),
        ("E♭ mix", "Eb mix"),
        ("E flat", "Eb"),
        ("B-flat major", "Bb"),
        ("F sharp minor", "F#m"),
        ("Csharp Phrygian", "C# phr"),
        ("Es", "Eb"),
        ("As", "Ab"),
        ("Des", "Db"),
        ("Ges-Dur", "Gb"),
        ("Fis", "F#"),
        ("Cis-Moll", "C#m"),
        ("fis moll", "F#m"),
        ("gis-moll", "G#m"),
        ("es-Moll", "Ebm"),
        ("H", "B"),
        ("H-Moll", "Bm"),
        ("h moll", "Bm"),
        ("Hm", "Bm"),
        ("H dor", "B dor"),
        ("B", "B"),
        ("B-Dur", "Bb"),
        ("b-Moll", "Bbm"),
        ("c-Moll", "Cm"),
        ("A-Dur", "A"),
        ("d minor", "Dm"),
        ("gmaj", "G"),
        ("bb major", "Bb"),
        ("Bes", "Bb"),
        ('G "capo 3"', "G"),
    ],
)
def test_a_key_may_be_written_in_other_ways(written, plain):
    assert signature(written) == signature(plain)


@pytest.mark.parametrize(
    "key",
    ["g", "es", "Bn", "X", "D foo", "E phr -8va", "G treble_8", "C shift=CD", "Gb7", "D ^/f"],
)
def test_a_key_of_which_any_part_is_unknown_is_refused(key):
    with pytest.raises(DataError, match="a key must be like"):
        pitches("CDE", key=key)


@pytest.mark.parametrize(
    ("header", "semitones"),
    [
        ("K:C clef=treble-8", -12),
        ("K:C treble+8", 12),
        ("K:C bass", 0),
        ("K:C clef=alto-15", -24),
        ("K:C octave=-1", -12),
        ("K:C transpose=2", 2),
        ("K:C clef=treble-8 transpose=-3 octave=2 middle=d", 9),
        ("V:1 octave=1\nK:C", 12),
        ("%%MIDI transpose -12\nK:C", -12),
        ("I:MIDI transpose 5\nK:C", 5),
        ("%%MIDI transpose 5\n%%MIDI rtranspose -2\nK:C", 3),
        ("%%transpose -1\nK:C", -1),
        ("K:C\n%%MIDI transpose 7", 7),
        ("K:C\nV:1 treble-8", -12),
        ('K:C\nV:1 name="Tenor +8" clef=treble-8 transpose=1', -11),
        ("K:C octave=1\nV:1 octave=-1", -12),
        ("K:C\n[K:octave=1]", 12),
        ("K:C\n[V:low octave=-1]", -12),
    ],
)
def test_what_transposes_the_music_counts(header, semitones):
    tune = read_tune(f"X:1\nL:1/8\n{header}\nC ^F c2\n")
    assert tune.pitches.tolist() == [pitch + semitones for pitch in (60, 66, 72)]


def test_voices_are_transposed_each_for_itself():
    head = "X:1\nV:T clef=treble-8\nV:B clef=bass octave=-1\nK:G transpose=1\n"
    tenor_first = read_tune(f"{head}V:T\nF G\nV:B\nC\nV:T\nA")
    assert tenor_first.pitches.tolist() == [66 - 11, 67 - 11, 69 - 11]
    assert read_tune(f"{head}[V:B] F\n[V:T] C").pitches.tolist() == [66 - 11]


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        ("%%propagate-accidentals pitch", [66, 78, 66, 65]),
        ("%%propagate-accidentals octave", [66, 77, 66, 65]),
        ("I:propagate-accidentals not", [66, 77, 65, 65]),
        ("%%MIDI nobarlines", [66, 77, 65, 65]),
    ],
)
def test_a_file_may_say_how_far_an_accidental_reaches(directive, expected):
    assert read_tune(f"X:1\n{directive}\nK:C\n^F f F | F").pitches.tolist() == expected


def test_the_key_can_change_between_and_within_lines():
    assert pitches("F\nK:G\nF [K:C] F") == [65, 66, 65]


def test_a_clef_leaves_the_key_alone():
    assert pitches("F [K:clef=bass] F", key="G") == [66, 66]


def test_lengths_multiply_the_unit():
    music = "A A2 A3/2 A3/ A/ A/2 A// A/4"
    assert durations(music) == [240, 480, 360, 360, 120, 120, 60, 60]


@pytest.mark.parametrize(("unit", "ticks"), [("1/4", 480), ("1/16", 120), (" 1/8", 240)])
def test_the_unit_is_a_part_of_a_whole_note(unit, ticks):
    assert durations("A", unit=unit) == [ticks]


@pytest.mark.parametrize(
    ("meter", "ticks"), [("2/4", 120), ("3/4", 240), ("6/8", 240), ("C|", 240), ("none", 240)]
)
def test_without_a_unit_the_meter_sets_it(meter, ticks):
    assert read_tune(f"X:1\nM:{meter}\nK:C\nA\n").durations.tolist() == [ticks]


def test_the_unit_can_change_within_a_line():
    assert durations("A [L:1/4] A") == [240, 480]


@pytest.mark.parametrize(
    ("music", "ticks"),
    [
        ("A>B", [360, 120]),
        ("A<B", [120, 360]),
        ("A>>B", [420, 60]),
        ("A<<<B", [30, 450]),
        ("A2>B2", [720, 240]),
        ("(A>.B)", [360, 120]),
        ("A>{c}B", [360, 120]),
        ("A>(B c)", [360, 120, 240]),
        ("A>B>c", [360, 180, 120]),
        ("z>A", [120]),
    ],
)
def test_broken_rhythm_takes_from_one_note_and_gives_to_the_other(music, ticks):
    assert durations(music) == ticks


@pytest.mark.parametrize(
    ("music", "meter", "ticks"),
    [
        ("(3ABc d", "4/4", [160, 160, 160, 240]),
        ("(2AB c", "6/8", [360, 360, 240]),
        ("(4ABcd e", "6/8", [180, 180, 180, 180, 240]),
        ("(5ABcde", "4/4", [96] * 5),
        ("(5ABcde", "6/8", [144] * 5),
        ("(6ABcdef", "4/4", [80] * 6),
        ("(3:2:2A2B c", "4/4", [320, 160, 240]),
        ("(3::2A2B c", "4/4", [320, 160, 240]),
        ("(3:2A2Bc d", "4/4", [320, 160, 160, 240]),
        ("((3ABc) d", "4/4", [160, 160, 160, 240]),
        ("(3A{e}Bc d", "4/4", [160, 160, 160, 240]),
        ("(3AzB c", "4/4", [160, 160, 240]),
    ],
)
def test_tuplets_share_out_their_time(music, meter, ticks):
    assert durations(music, meter=meter) == ticks


def test_ties_merge_into_one_note():
    tune = read("A2- | A B-\nB2 c-d e")
    assert tune.pitches.tolist() == [69, 71, 72, 74, 76]
    assert tune.durations.tolist() == [720, 720, 240, 240, 240]


def test_a_tie_carries_an_accidental_over_the_barline():
    tune = read("^f- | f f")
    assert tune.pitches.tolist() == [78, 77]
    assert tune.durations.tolist() == [480, 240]


def test_a_rest_ends_a_tie_and_lengthens_nothing():
    tune = read("A- z A z2 x B Z")
    assert tune.pitches.tolist() == [69, 69, 71]
    assert tune.durations.tolist() == [240, 240, 240]


def test_of_a_chord_the_top_note_stays():
    tune = read("[CEG]2 [c2A2] [^FA,]/ F [A-c-] c")
    assert tune.pitches.tolist() == [67, 72, 66, 66, 72]
    assert tune.durations.tolist() == [480, 480, 120, 240, 480]


@pytest.mark.parametrize(
    "ornament", ["{gag}", '"Am"', '"^slow"', "!trill!", "!f!", "~", "T", ".", "u", "H", "`", "y"]
)
def test_ornaments_add_no_notes(ornament):
    tune = read(f"A {ornament}B c")
    assert tune.pitches.tolist() == [69, 71, 72]
    assert tune.durations.tolist() == [240, 240, 240]


def test_lyrics_comments_and_other_fields_are_no_music():
    music = "A B % c d\nw: fa la\n%%abc directive\nN: a note\nP:B\nc\nr:a remark\n"
    assert pitches(music) == [69, 71, 72]


@pytest.mark.parametrize(
    "text",
    [
        "w: la\n+: dead beef",
        "w: la la\n% a comment between\n+:dead\n+: beef cafe",
        "w: la \\\ndead beef",
        "W: la\n+: dead beef",
        "N: dead\n+: beef",
        "  w: dead beef",
        "\tN:dead beef",
        "r: dead beef",
        "[r: dead beef]",
        "s: dead beef",
        "%%begintext\ndead beef\n\n|a cab|\n%%endtext",
        "%%text dead beef",
        "%dead beef",
        '"dead beef"',
        '"say \\"dead\\" beef"',
        '"50\\% dead"',
        '"50% dead"',
        '"_dead" % "beef',
        "!dead-beef!",
        "!D.C. al fine!",
        "!ff!",
        "+ff+",
        "+fermata+",
        "{dead}",
        "U: N = !dead!",
    ],
)
def test_text_is_never_read_as_notes(text):
    assert pitches(f"C D\n{text}\nE F") == [60, 62, 64, 65]


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ('"50\\% off"C D', [60, 62]),
        ('"a \\"b\\" c"C "Am"D', [60, 62]),
        ('C "100% sure" D % E', [60, 62]),
        ("C \\% D", [60, 62]),
        ("C!D E!F", [60, 62, 64, 65]),
        ("C !DEF! G", [60, 62, 64, 65, 67]),
        ("+CEG+ +A,A+ D", [67, 69, 62]),
        ("U:n = !turn!\nnC nD", [60, 62]),
        ("U:n = !turn!\nn C hD wE iF", [60, 62, 64, 65]),
        ("^C =3DC D=20\nE =\nF", [61, 60, 62, 64, 65]),
    ],
)
def test_no_note_is_taken_for_text(music, expected):
    assert pitches(music) == expected


@pytest.mark.parametrize(
    ("music", "message"),
    [
        ('C "dead D', 'closed, but " is not'),
        ("C {dead D", "closed, but { is not"),
        ("C [EG D", r"closed, but \[ is not"),
        ("C EG] D", r"closed, but \] is not"),
        ("C ^/F D", "quarter tones cannot be read"),
        ("C ^3/2F D", "quarter tones cannot be read"),
        ("C _ F", "an accidental must be"),
        ("C hello D", "music must have no other letters"),
        ("C Reel D", "music must have no other letters"),
        ("C to Coda", "music must have no other letters"),
        ("Fine", "music must have no other letters"),
        ("C f\N{LATIN SMALL LETTER U WITH DIAERESIS}r D", "music must have no other letters"),
        ("C D (1E", "a tuplet must be like"),
        ("C (12DEF", "a tuplet must be like"),
        ("m: ~G3 = G{A}G{F}G\n~G3", "macros"),
        ("%%voicemap drums\nC", "directive 'voicemap drums'"),
        ("%%transpose up\nC", "a transposition must be in semitones"),
        ("V:1 shift=CD\nC", "of a voice cannot be read"),
    ],
)
def test_what_changes_notes_and_cannot_be_read_is_refused(music, message):
    with pytest.raises(DataError, match=message):
        read(music)


def test_a_music_line_may_begin_with_a_letter_and_a_repeat():
    assert pitches("d:|\nG::\nA") == [74, 67, 69]


def test_endings_are_read_as_written_and_not_expanded():
    assert pitches("|: A |1 B :|2 c |] [1 d [2,3 e") == [69, 71, 72, 74, 76]


@pytest.mark.parametrize(
    "music",
    ["[V:1] A B\n[V:2] C D\n[V:1] c", "V:1\nA B\nV:2\nK:D\nC D\nV:1\nc", "A B\nV:low\nC\nV:\nc"],
)
def test_of_several_voices_the_first_stays(music):
    assert pitches(music) == [69, 71, 72]


def test_a_file_holds_many_tunes():
    text = "% a book\n\nX: 7\nT: One\nT: other name\nK:C\nA\n\nsome words\n\nX:8\nK:C\nBc"
    one, two = read_abc(text)
    assert (one.number, one.title, one.pitches.tolist()) == (7, "One", [69])
    assert (two.number, two.title, two.pitches.tolist()) == (8, "", [71, 72])


def test_windows_line_ends_read_the_same():
    text = "X:1\nL:1/8\nK:G\nF2 G\\\nF |\n"
    unix, windows = read_tune(text), read_tune(text.replace("\n", "\r\n"))
    np.testing.assert_array_equal(unix.pitches, windows.pitches)
    np.testing.assert_array_equal(unix.durations, windows.durations)


LINE_ENDS = ["\n", "\r\n", "\r", "\r\r\n"]


def read_file(text, encoding="utf-8"):
    """Pitches of each tune of a file, the reason of those that are refused."""
    content = text if isinstance(text, bytes) else text.encode(encoding)
    return [
        tune.reason if isinstance(tune, UnusableTune) else tune.pitches
        for tune in read_abc_file(content)
    ]


BOOK = "X:1\nT:One\nK:G\nF2 G\\\nF |\n\nX:2\nT:Zw\xf6lf\nK:C\nw: f\xfcr\nCD|\n"
NOTES_OF_BOOK = [[66, 67, 66], [60, 62]]


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"],
)
def test_a_file_reads_the_same_in_every_encoding_and_with_all_line_ends(encoding, end):
    assert read_file(BOOK.replace("\n", end), encoding) == NOTES_OF_BOOK


def test_lines_of_another_encoding_change_no_other_line():
    text = "X:1\nK:B♭\nN: \xe9\nBC\n"
    content = text.encode().replace("\xe9".encode(), b"\xe9\x85dead")
    assert read_file(content) == [[70, 60]]


@pytest.mark.parametrize("mark", [" ", "\t", "  \t ", "\ufeff", "\xa0", "\u200b"])
def test_what_stands_before_an_x_field_hides_no_tune(mark):
    assert read_file(BOOK.replace("X:", f"{mark}X:")) == NOTES_OF_BOOK
    assert read_file(BOOK.replace("\n\n", "\n").replace("X:", f"{mark}X:")) == NOTES_OF_BOOK


@pytest.mark.parametrize(
    ("header", "ticks"),
    [
        ("L:1/16", 120),
        ("M:2/4", 120),
        ("M:2/4\nL:1/4", 480),
        ("%abc-2.1\nC: Trad\nL:1/16", 120),
        ("\n L:1/16", 120),
        ("a book of tunes\n\nL:1/16\n\nmore words", 120),
        ("% L:1/16", 240),
    ],
)
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_the_fields_of_a_file_hold_for_all_its_tunes(header, ticks, between):
    book = f"{header}{between}X:1\nK:C\nC\n\nX:2\nL:1/2\nK:C\nC\n\nX:3\nK:C\nC\n"
    found = [tune.durations.tolist() for tune in read_abc(book)]
    assert found == [[ticks], [960], [ticks]]


def test_other_settings_of_a_file_hold_for_all_its_tunes_too():
    assert read_file("%%MIDI transpose -12\n\nX:1\nK:C\nC") == [[48]]
    assert read_file("U:n=!turn!\n\nX:1\nK:C\nnC") == [[60]]
    assert read_file("m: ~G3 = G{A}G{F}G\n\nX:1\nK:C\n~G3\n\nX:2\nK:C\nC") == ["not ABC"] * 2


def test_a_file_header_that_goes_on_for_ever_is_refused():
    with pytest.raises(UnusableTune, match="too large: too many fields before the first X"):
        list(read_abc_file(b"L:1/8\n" * 1000 + b"\nX:1\nK:C\nC"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T:No number\nK:G\nF\n\nX:2\nK:C\nC", [[66], [60]]),
        ("M:2/4\n\nT:No number\nK:G\nF\n\nX:2\nK:C\nC", [[66], [60]]),
        ("X:1\nK:C\nC\n\nT:No number\nK:G\nF\n\nX:3\nK:C\nD", [[60], [66], [62]]),
        ("X:1\nK:C\nCDE|\n\nFGA|Bcd|\n\nX:2\nK:C\nD", [[60, 62, 64], "not ABC", [62]]),
        ("CDE|FGA|\n\nX:2\nK:C\nD", ["not ABC", [62]]),
        ("X:1\nT:no key\n\nX:2\nK:C\nD", ["not ABC", [62]]),
        ("X:1\nK:C\nC\n\nSome words | in two columns\n\nX:2\nK:C\nD", [[60], [62]]),
        ("X:1\n\nT:spaced\n\nK:C\nC\n\nX:2\nK:C\nD", [[60], [62]]),
    ],
)
def test_nothing_that_could_be_a_tune_vanishes_uncounted(text, expected):
    assert read_file(text) == expected


def test_a_tune_without_a_number_is_still_a_tune():
    (tune,) = read_abc("T:Nameless\nK:C\nA\n")
    assert tune.number is None
    assert tune.pitches.dtype == tune.durations.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the tune has no K: field"),
        ("just some text\nwithout music", "the tune has no K: field"),
        ("X:1\nT:empty\nK:C\n", r"tune 1 \(empty\): the tune has no notes"),
        ("X:1\nK:C\nz4 | x2", "the tune has no notes"),
        ("X:3\nT:odd\nK:Z\nA", r"tune 3 \(odd\): a key must be like G"),
        ("X:1\nK:Gfoo\nA", "a key must be like G"),
        ("X:1\nK:G#\nA", "at most 7 sharps or flats"),
        ("X:1\nK:C\nA0", "a length must be like 3"),
        ("X:1\nK:C\nA/0", "a length must be like 3"),
        ("X:1\nK:C\nA1/2/3", "a length must be like 3"),
        ("X:1\nL:long\nK:C\nA", "a length must be like 3"),
        ("X:1\nK:C\n(3:0ABc", "a tuplet must be like"),
        ("X:1\nK:C\nA B & c d", "voices joined by &"),
    ],
)
def test_a_bad_tune_is_named_with_its_fault(text, message):
    with pytest.raises(DataError, match=message):
        read_tune(text)


@given(st.text("ABcz^_=,'0123/<>()-[]{}|:&VKLM \n!~\"", max_size=60))
def test_any_text_is_read_or_refused_with_an_explanation(music):
    try:
        tune = read(music)
    except DataError:
        return
    assert len(tune.pitches) == len(tune.durations) > 0
    assert tune.durations.min() > 0


def test_a_byte_order_mark_hides_no_tune():
    assert len(split_abc("\ufeffX:1\nK:C\nA\n\nX:2\nK:C\nA\n")) == 2


def test_good_tunes_can_be_read_around_a_bad_one():
    text = "X:1\nK:C\nA\n\nX:2\nK:?\nA\n\nX:3\nK:C\nB\n"
    with pytest.raises(DataError, match="tune 2"):
        list(read_abc(text))
    first, _, third = split_abc(text)
    assert [read_tune(tune).number for tune in (first, third)] == [1, 3]
