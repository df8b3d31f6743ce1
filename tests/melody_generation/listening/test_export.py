import json
import wave

import mido
import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from chromasonic import cli
from chromasonic.melody_generation.data import load_corpus
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.data.sources import DataSource
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.listening.export import (
    Playback,
    compare_with_held_out,
    write_melodies,
)
from chromasonic.melody_generation.listening.generation import Melody, generate
from chromasonic.melody_generation.listening.midi_file import write_midi
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.files import save_model
from chromasonic.melody_generation.trained.model import Network, TrainedModel


def described(tokens="pitch_duration", n_sequences=120):
    """Description of these tunes in a search."""
    source = DataSource("corpus", tokens, n_sequences, 0)
    split, _ = source.load()
    melodies = Melodies.from_data(split.train, split.validation, 88, tokens)
    return {**source.describe(), "sha256": melodies.fingerprint}


CLASS = f"{LSTMMelodyModel.__module__}.{LSTMMelodyModel.__qualname__}"


def made(tokens="pitch_duration", data=None):
    """An untrained model with a description of its data."""
    vocabulary = Vocabulary.of(tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build_model(LSTMMelodyModel, vocabulary, {"hidden_size": 8})
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.1)
    network = Network(module.eval(), OutputKind.EVERY_POSITION, CLASS, {"hidden_size": 8})
    card = {} if data is None else {"data": data}
    return TrainedModel((network,), (1.0,), vocabulary, {39: 1, 45: 2}, card)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(made(data=described()), tmp_path / "model")
    return lambda *arguments: CliRunner().invoke(cli.app, ["generate", *arguments])


def notes_of(file):
    """Pitches and lengths in ticks, as mido reads them."""
    notes, time = [], 0
    for message in mido.MidiFile(file).tracks[0]:
        time += message.time
        if message.type == "note_on" and message.velocity:
            start = time
        elif message.type in ("note_on", "note_off"):
            notes.append((message.note, time - start))
    return notes


def test_every_melody_becomes_a_midi_file_and_a_sound(tmp_path):
    melodies = generate(made(), 11, length=12)
    files = write_melodies(melodies, tmp_path, Playback(tempo=90.0, program=40), {"seed": 0})
    assert [file.name for file in files[:2]] == ["melody-01.mid", "melody-02.mid"]
    assert len(files) == 22
    described = json.loads((tmp_path / "melodies.json").read_text())
    assert described["settings"] == {"seed": 0}
    for melody, row, file in zip(melodies, described["melodies"], files[:11], strict=True):
        expected = list(zip(melody.pitches.tolist(), melody.durations.tolist(), strict=True))
        assert notes_of(file) == expected
        assert list(zip(row["pitches"], row["durations"], strict=True)) == expected
        with wave.open(str(file.with_suffix(".wav"))) as sound:
            seconds = sound.getnframes() / sound.getframerate()
        assert seconds >= melody.durations.sum() / 480 * 60 / 90


def test_people_are_the_test_tunes_and_copies_those_of_all_others():
    corpus = load_corpus(120, 0)
    tune = corpus.train[0]
    copy = Melody(tune[:30] + 21, corpus.durations.train[0][:30])
    found = compare_with_held_out([copy, copy], described(), Vocabulary.of("pitch_duration"))
    rows = {row.measure: row for row in found.rows}
    assert rows["longest_copy"].generated == 30
    assert found.n_people == sum(len(t) >= 30 for t in corpus.test)
    assert found.copied_share == 1.0
    pitches_alone = compare_with_held_out([copy, copy], described("pitch"), Vocabulary.of("pitch"))
    measures = {row.measure for row in pitches_alone.rows}
    assert measures == set(rows) - {"duration_entropy", "notes_per_quarter", "rhythmic_repetition"}
    assert rows["self_repetition"] in pitches_alone.rows


def test_the_command_leaves_all_there_is_to_hear_and_see(run, tmp_path):
    done = run("model", "-n", "3", "--length", "40", "--output-dir", "out", "--key", "D")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "measures.md",
        "melodies.json",
        "piano_roll.png",
        *(f"melody-{i}.{kind}" for i in (1, 2, 3) for kind in ("mid", "wav")),
    }
    assert "| self-repetition" in done.output
    assert "3 generated melodies" in (tmp_path / "out" / "measures.md").read_text()


def test_the_same_seed_gives_the_same_files(run, tmp_path):
    for folder, seed in (("1", "5"), ("2", "5"), ("3", "6")):
        assert run("model", "-n", "1", "--seed", seed, "--output-dir", folder).exit_code == 0
    first, second, third = (
        [(tmp_path / d / f"melody-1.{kind}").read_bytes() for kind in ("mid", "wav")]
        for d in ("1", "2", "3")
    )
    assert first == second
    assert first[0] != third[0]


def test_a_seed_tune_is_continued_from_its_file(run, tmp_path):
    pitches = np.array([62, 64, 66, 67, 69, 71, 73, 74])
    write_midi(tmp_path / "mine.mid", pitches, np.full(8, 240))
    done = run("model", "-n", "2", "--length", "12", "--seed-tune", "mine.mid")
    assert done.exit_code == 0, done.output
    for i in (1, 2):
        notes = notes_of(tmp_path / "melodies" / f"melody-{i}.mid")
        assert [pitch for pitch, _ in notes[:8]] == pitches.tolist()
        assert len(notes) == 12


def test_a_model_whose_data_are_unknown_is_heard_without_measures(run, tmp_path):
    save_model(made("pitch"), tmp_path / "bare")
    done = run("bare", "-n", "1")
    assert done.exit_code == 0, done.output
    assert "No measures beside people's tunes: the model does not tell" in done.output
    assert not (tmp_path / "melodies" / "measures.md").exists()


def test_measures_are_not_taken_from_tunes_that_have_changed(run, tmp_path):
    save_model(made(data={**described(), "n_sequences": 110}), tmp_path / "old")
    done = run("old", "-n", "1")
    assert done.exit_code == 0, done.output
    assert "No measures beside people's tunes: the tunes have changed" in done.output


def test_the_directory_of_a_search_leads_to_the_model_in_it(run, tmp_path):
    save_model(made(), tmp_path / "results" / "best_model")
    done = run("results")
    assert done.exit_code == 2
    assert "Did you mean results/best_model?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "a model folder must contain config.json"),
        (["model", "--key", "H"], "a key must be one such as D"),
        (["model", "--seed-tune", "gone.mid"], "there is no file or folder gone.mid"),
        (["model", "--seed-tune", "broken.mid"], "no tune in"),
        (["model", "--soundfont", "broken.mid"], "soundfont"),
        (["model", "--device", "tpu"], "a device must be"),
    ],
)
def test_a_mistake_is_told_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "broken.mid").write_bytes(b"no music")
    done = run(*arguments, "-n", "1")
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert message in line


@pytest.mark.parametrize(
    "arguments", [["-n", "0"], ["--length", "1"], ["--top-p", "1.5"], ["--temperature", "0"]]
)
def test_a_number_out_of_range_is_a_usage_error(run, arguments):
    assert run("model", *arguments).exit_code == 2
