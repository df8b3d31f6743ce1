"""Collections of music21, out of a package that has only the folders of its corpus."""

import sys

import numpy as np
import pytest

from chromasonic.errors import DataError, MissingExtra
from chromasonic.melody_generation.data import load_music21, load_tunes, split_tunes
from chromasonic.melody_generation.data.vocabulary import decode_pitches

SONG = "X:{n}\nT:a song\nM:4/4\nL:1/8\nK:{key}\n{music}\n\n"
WOULD_FAIL = "raise RuntimeError('music21 must not be imported')"


def song(number, seed, count=20, key="F"):
    letters = np.random.default_rng(seed).choice(list("CDEFGABcdefgab"), count)
    return SONG.format(n=number, key=key, music="".join(letters))


def chorale(seed, names=("Soprano", "Alto", "Tenor", "Bass")):
    """Parts of 20 random notes each, the first of them in octave 6, and the next below."""
    rng = np.random.default_rng(seed)
    listed, parts = "", ""
    for number, name in enumerate(names):
        listed += f"<score-part id='P{number}'><part-name>{name}</part-name></score-part>"
        notes = "".join(
            f"<note><pitch><step>{step}</step><octave>{6 - number}</octave></pitch>"
            "<duration>1</duration></note>"
            for step in rng.choice(list("CDEFGAB"), 20)
        )
        parts += f"<part id='P{number}'><measure>{notes}</measure></part>"
    return f"<score-partwise><part-list>{listed}</part-list>{parts}</score-partwise>"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """The folder of the corpus in a package that cannot be imported, but found."""
    essen, bach = tmp_path / "music21/corpus/essenFolksong", tmp_path / "music21/corpus/bach"
    essen.mkdir(parents=True)
    bach.mkdir()
    (tmp_path / "music21/__init__.py").write_text(WOULD_FAIL)
    (essen / "__init__.py").write_text(WOULD_FAIL)
    (essen / "license.txt").write_text("non-commercial")
    songs = song(1, 1) + song(2, 2, key="Z") + song(3, 3, count=10) + song(4, 1)
    (essen / "altdeu10.abc").write_text(songs)
    (essen / "lux.abc").write_text(song(1, 5))
    (bach / "bwv1.6.xml").write_text(chorale(1, ("Horn 1", "Soprano", "Bass")))
    (bach / "bwv10.7.xml").write_text(chorale(2))
    (bach / "bwv846.mxl").write_text("a prelude")
    (bach / "bwv277.krn").write_text("**kern")
    monkeypatch.delitem(sys.modules, "music21", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "music21/corpus"


def test_the_songs_of_essen_come_with_what_became_of_the_others(corpus):
    tunes = load_music21("essen")
    assert tunes.names == ["altdeu10.abc, tune 1", "lux.abc"]
    assert tunes.summary() == "kept 2 of 5: 1 not ABC, 1 too like another, 1 too short"
    assert "music21" not in sys.modules


def test_a_collection_is_read_as_the_same_files_in_a_folder_are(corpus):
    ours, folder = load_music21("essen"), load_tunes(corpus / "essenFolksong")
    assert ours.keys == folder.keys
    assert ours.skipped == folder.skipped
    for name in ("pitches", "durations"):
        pairs = zip(getattr(ours, name), getattr(folder, name), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)


def test_options_are_those_of_a_persons_own_tunes(corpus):
    tunes = load_music21("essen", min_notes=10, max_notes=12, keep_near_duplicates=True)
    assert [len(pitches) for pitches in tunes.pitches] == [12, 10, 12, 12]
    with pytest.raises(ValueError, match="min_notes must be at least 2"):
        load_music21("essen", min_notes=1)
    with pytest.raises(TypeError, match="shortest"):
        load_music21("essen", shortest=4)


def test_of_a_chorale_the_soprano_is_taken_also_where_horns_stand_above_it(corpus):
    tunes = load_music21("bach")
    assert tunes.names == ["bwv1.6.xml", "bwv10.7.xml"]
    octaves = [set((decode_pitches(pitches) // 12 - 1).tolist()) for pitches in tunes.pitches]
    assert octaves == [{5}, {6}]


def test_the_prelude_among_the_chorales_is_left_out(corpus):
    tunes = load_music21("bach")
    assert "bwv846.mxl" not in [*tunes.names, *(skipped.name for skipped in tunes.skipped)]
    assert [skipped.name for skipped in load_tunes(corpus / "bach").skipped] == ["bwv846.mxl"]


def test_a_collection_can_be_parted_like_any_tunes(corpus):
    (corpus / "essenFolksong/irl.abc").write_text(song(1, 6))
    parts = split_tunes(load_music21("essen"))
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [1, 1, 1]


def test_without_music21_its_installation_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(MissingExtra, match="pip install music21"):
        load_music21("bach")


def test_a_music21_without_its_corpus_is_named(corpus):
    (corpus / "bach").rename(corpus / "gone")
    with pytest.raises(DataError, match=r"is installed without its corpus: there is no .*bach"):
        load_music21("bach")


def test_a_collection_without_tunes_is_refused(corpus):
    for file in (corpus / "bach").glob("bwv1*"):
        file.unlink()
    with pytest.raises(DataError, match="bach has no tunes: no file"):
        load_music21("bach")


def test_an_unknown_collection_is_refused():
    with pytest.raises(ValueError, match="must be essen or bach, but got 'mozart'"):
        load_music21("mozart")
