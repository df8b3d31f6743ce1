import re
from pathlib import Path

import pytest

from chromasonic.melody_generation.data import decode_pitches, load_corpus, load_tunes
from chromasonic.melody_generation.listening.midi_file import write_midi
from chromasonic.melody_generation.trained.files import load_model
from chromasonic.tuning.objective import Trial

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run_blocks(name):
    """The names that the Python blocks of a page leave, run one after the other."""
    text = (DOCS / name).read_text(encoding="utf-8")
    names = {"__name__": "page"}
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        # With its line in the page, so that an error tells where it is.
        exec(compile("\n" * line + block[1], name, "exec"), names)
    return names


@pytest.fixture
def my_tunes(tmp_path, monkeypatch):
    """A reader's directory, with a folder of MIDI files of which one is damaged."""
    monkeypatch.chdir(tmp_path)
    corpus = load_corpus(60)
    notes = zip(corpus.pitches.train, corpus.durations.train, strict=True)
    for i, (pitches, ticks) in enumerate(notes):
        write_midi(tmp_path / "my_tunes" / f"{i}.mid", decode_pitches(pitches), ticks)
    (tmp_path / "my_tunes" / "damaged.mid").write_bytes(b"no MIDI")
    return tmp_path


def test_every_block_of_the_page_on_bayesian_optimization_runs(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names = run_blocks("bayesian_optimization.md")
    assert {"trajectory.png", "comparison.png"} == {path.name for path in tmp_path.iterdir()}
    assert names["result"].importance[0].names == ("x",)


def test_every_block_of_the_page_on_tuning_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run_blocks("tuning.md")
    result = names["result"]
    assert result["n_trials"] == 12
    assert abs(result["best_params"]["x"] - 0.3) < 0.1
    assert (tmp_path / "results" / "optimization_results.json").exists()
    assert str(result["best_params"]) in capsys.readouterr().out

    # What the page says of the second objective: it goes on where its checkpoint is.
    resumable = names["resumable"]
    whole = [*resumable({"x": 0.5}, Trial(0, seed=1))]
    whole[3].save(tmp_path)
    rest = [*resumable({"x": 0.5}, Trial(0, seed=1, checkpoint=tmp_path))]
    assert len(whole) == 10
    assert [epoch.loss for epoch in rest] == [epoch.loss for epoch in whole[4:]]
    tuned = names["tune"](resumable, {"x": (-1.0, 1.0)}, 3, executor="inline", verbose=False)
    assert tuned["endings"] == {"completed": 3}


def test_every_block_of_the_page_on_melody_searches_runs(my_tunes, capsys):
    names = run_blocks("search.md")
    assert list(names["space"].space) == [
        *("learning_rate", "batch_size", "hidden_size", "num_layers", "dropout", "embedding_dim"),
        *("weight_decay", "transposition"),
    ]
    assert "damaged.mid not MIDI" in capsys.readouterr().out


def test_every_block_of_the_page_on_what_follows_a_search_runs(my_tunes):
    names = run_blocks("after_search.md")
    for folder, members in (("final_model", 1), ("ensemble", 2)):
        assert (my_tunes / "results" / folder / "MODEL_CARD.md").exists()
        model = load_model(my_tunes / "results" / folder)
        assert len(model.networks) == members
        assert model.vocabulary.tokens == "pitch_duration"
    heard = load_tunes(my_tunes / "melody-0.mid")
    assert [len(pitches) for pitches in heard.pitches] == [40]
    # What the page says of the next search: it begins with the trials of the first.
    assert names["results"]["n_trials"] == 4
    assert sum(trial.origin is not None for trial in names["results"].trials) == 3
