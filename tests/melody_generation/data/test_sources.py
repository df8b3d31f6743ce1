import numpy as np
import pytest

from chromasonic.errors import DataError
from chromasonic.melody_generation.data import load_corpus
from chromasonic.melody_generation.data.sources import DataSource

TUNE = "X:{n}\nK:C\nL:1/8\n{notes}\n"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(40):
        notes = "".join(rng.choice(list("CDEFGABcdefg"), 24))
        (tmp_path / f"{n}.abc").write_text(TUNE.format(n=n, notes=notes))
    return tmp_path


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def parts(split):
    return [split.train, split.validation, split.test]


@pytest.mark.parametrize("tokens", ["pitch", "pitch_duration"])
def test_the_corpus_is_what_load_corpus_gives(tokens):
    split, lines = DataSource("corpus", tokens, 100, 3).load()
    corpus = load_corpus(100, 3)
    expected = corpus.notes if tokens == "pitch_duration" else corpus.pitches
    assert all(map(same, parts(split), parts(expected)))
    assert lines == []


@pytest.mark.parametrize("tokens", ["pitch", "pitch_duration"])
def test_a_description_leads_back_to_the_same_melodies(folder, tokens, monkeypatch):
    source = DataSource(str(folder), tokens, 30, 5, {"max_notes": 20})
    described = source.describe()
    again = DataSource.from_description({**described, "train": {}, "sha256": "0"})
    monkeypatch.chdir("/")
    first, second = source.load()[0], again.load()[0]
    assert all(map(same, parts(first), parts(second)))
    assert max(len(tune) for part in parts(first) for tune in part) == 20


def test_a_relative_path_is_kept_as_an_absolute_one(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert DataSource(folder.name).describe()["source"] == str(folder)


def test_a_users_tunes_are_told_and_some_are_taken(folder):
    (folder / "broken.mid").write_bytes(b"no")
    split, lines = DataSource(str(folder), "pitch", 25).load()
    assert lines == [
        f"{folder}: kept 40 of 41: 1 not MIDI",
        "  broken.mid: not MIDI (no MIDI header)",
        "using 25 of 40; --n-sequences 40 uses all",
    ]
    assert sum(map(len, parts(split))) == 25
    everything, lines = DataSource(str(folder), "pitch", None).load()
    assert sum(map(len, parts(everything))) == 40
    assert len(lines) == 2


def test_of_many_tunes_left_out_the_first_are_told(folder):
    for n in range(8):
        (folder / f"broken{n}.mid").write_bytes(b"no")
    _, lines = DataSource(str(folder), "pitch", None).load()
    assert lines[1] == "  broken0.mid: not MIDI (no MIDI header)"
    assert lines[-1] == "  and 3 more"
    assert len(lines) == 7


def test_more_tunes_than_the_corpus_has_are_all_of_them():
    split, lines = DataSource("corpus", "pitch", 10_000).load()
    everything = load_corpus()
    assert lines == ["corpus: all 3893 tunes, the most there are"]
    assert all(map(same, parts(split), parts(everything.pitches)))


def test_a_collection_that_music21_does_not_have_is_refused():
    with pytest.raises(DataError, match="must be music21:essen or music21:bach"):
        DataSource("music21:mozart")


def test_the_tunes_of_a_smaller_count_are_among_those_of_a_larger_one(folder):
    few, many = (DataSource(str(folder), "pitch", n).load()[0] for n in (20, 35))
    for small, large in zip(parts(few), parts(many), strict=True):
        assert {t.tobytes() for t in small} <= {t.tobytes() for t in large}


def test_a_users_much_mended_tunes_are_named_with_numbers(folder):
    notes = b"".join(bytes([60, 0x90, pitch, 64]) for pitch in range(40, 70))
    track = b"MTrk" + (len(notes) + 4).to_bytes(4, "big") + notes + b"\0\xff\x2f\0"
    (folder / "a.mid").write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0" + track)
    _, lines = DataSource(str(folder), "pitch", None).load()
    assert lines == [
        f"{folder}: kept 41 of 41; 1 tune with many notes mended: 30 of 30 notes",
        "  a.mid: 30 of 30 notes mended (30 hanging notes ended)",
    ]


def test_synthetic_melodies_have_a_test_of_their_own():
    split, _ = DataSource("synthetic", "pitch", 40).load()
    train, validation, test = ({tuple(t) for t in part} for part in parts(split))
    assert (len(train), len(validation)) == (32, 8)
    assert len(test) == 8
    assert not test & (train | validation)


def test_synthetic_melodies_have_no_rhythm():
    with pytest.raises(DataError, match="synthetic melodies have no rhythm"):
        DataSource("synthetic")


def test_melodies_given_in_python_cannot_be_loaded_again():
    with pytest.raises(DataError, match="were passed in Python"):
        DataSource.from_description({"train": {}, "sha256": "0"})
