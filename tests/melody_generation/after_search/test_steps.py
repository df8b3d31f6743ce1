import json
import re
import signal

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from typer.testing import CliRunner

from chromasonic import cli
from chromasonic.errors import DataError, ModelError, StudyError
from chromasonic.melody_generation.after_search import _final_model as final_model
from chromasonic.melody_generation.after_search import repeats
from chromasonic.melody_generation.after_search import steps as after_search
from chromasonic.melody_generation.after_search._ensemble import choose_members, fit_weights
from chromasonic.melody_generation.after_search._final_model import refit_best_baseline
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import (
    RetrainingConfig,
    Training,
    train_again,
)
from chromasonic.melody_generation.after_search.steps import (
    AfterSearch,
    build_ensemble,
    train_final_model,
)
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.melody_generation.trained.files import load_model
from chromasonic.melody_generation.training import create_training_data
from chromasonic.tuning.records import SearchResult

V = 12
TRAIN, VALIDATION = create_training_data(30, 12, V, 0.8)
TEST = create_training_data(20, 12, V, 0.5, seed=1)[1]
SPACE = HyperparameterSearchSpace(
    learning_rate_range=(1e-2, 1e-1),
    batch_size_options=[8, 16],
    hidden_size_range=(4, 16),
    num_layers_range=(1, 1),
    dropout_range=(0.0, 0.2),
    embedding_dim_range=(4, 8),
    num_epochs=3,
)
SETTINGS = {"executor": "inline", "verbose": False, "top": 2, "repeats": 2}


def with_rhythm(tunes):
    return [np.stack([tune, np.where(tune % 2, 240, 480)], axis=1) for tune in tunes]


class Own(nn.Module):
    """A user's own model."""

    def __init__(self, vocab_size, embedding_dim, hidden_size, num_layers, dropout):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens):
        return self.head(self.embedding(tokens))


def searched(folder, data=(TRAIN, VALIDATION), model_class=LSTMMelodyModel, **settings):
    optimizer = HyperparameterOptimizer(model_class, SPACE, output_dir=folder, verbose=False)
    return optimizer.optimize(*data, V, n_trials=3, seed=1, executor="inline", **settings)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The result of a small search."""
    return searched(tmp_path_factory.mktemp("search"))


def finished(result, test=TEST):
    return FinishedSearch.of(result, TRAIN, VALIDATION, test)


def final(result, folder, test=TEST, **more):
    return train_final_model(result, TRAIN, VALIDATION, test, folder, **{**SETTINGS, **more})


def tokens_of(test, result):
    vocabulary = result["model"]["vocabulary"]
    return Melodies.from_data(test, test, V, vocabulary["tokens"]).train


def test_the_final_model_is_trained_tested_kept_and_loaded(done, tmp_path):
    model = final(done, tmp_path / "final")
    loaded = load_model(tmp_path / "final")
    scored = loaded.tune_nats(TEST)
    assert scored.loss == pytest.approx(model.card["test"]["loss"]["estimate"], rel=1e-6)
    assert model.card == loaded.card
    assert loaded.starts == dict(
        sorted(
            (int(token), sum(tune[0] == token for tune in TRAIN + VALIDATION))
            for token in {tune[0] for tune in TRAIN + VALIDATION}
        )
    )
    winner = json.loads((tmp_path / "winner.json").read_text())
    assert winner["trial"] == model.card["trial"]
    assert len(model.card["learning_curve"]) == winner["best_epoch"] == model.card["epochs"]
    card = (tmp_path / "final" / "MODEL_CARD.md").read_text()
    assert f"{model.card['test']['loss']['estimate']:.4f}" in card
    assert f"trial {winner['trial']} of the search `melody_search`" in card


def test_the_baseline_beside_it_has_counted_validation_tunes_too(done, tmp_path):
    """Reference: the n-gram's own loss, fitted anew with the discounts chosen on validation."""
    test = final(done, tmp_path / "final").card["test"]
    melodies = Melodies.from_data(TRAIN, VALIDATION, V)
    name, baseline = refit_best_baseline(melodies)
    assert test["ngram"] == name
    assert test["ngram_loss"] == pytest.approx(baseline.tune_nats(TEST).loss)
    everything = [*TRAIN, *VALIDATION]
    assert baseline.models[0]._levels[-1].counts.sum() == sum(len(t) - 1 for t in everything)


def test_the_test_tunes_are_scored_once(done, tmp_path, monkeypatch):
    model = final(done, tmp_path / "final")

    def never(*arguments):
        raise AssertionError("scored again")

    monkeypatch.setattr(final_model, "score_on_test", never)
    assert final(done, tmp_path / "final").card == model.card
    with pytest.raises(AssertionError, match="scored again"):
        final(done, tmp_path / "elsewhere")


def test_no_choice_and_no_weight_depends_on_the_test_tunes(done, tmp_path):
    other = [tune[::-1].copy() for tune in TEST]
    one, two = final(done, tmp_path / "1" / "final"), final(done, tmp_path / "2" / "final", other)
    for old, new in zip(
        one.networks[0].module.parameters(), two.networks[0].module.parameters(), strict=True
    ):
        assert torch.equal(old, new)
    assert one.card["key"] == two.card["key"]
    assert one.card["test"]["loss"] != two.card["test"]["loss"]


def test_one_melody_is_told_in_the_singular(done, tmp_path):
    final(done, tmp_path / "final", TEST[:1])
    assert "1 melody with 11 scored notes" in (tmp_path / "final" / "MODEL_CARD.md").read_text()
    after = AfterSearch(finished(done, TEST[:1]), tmp_path)
    assert any(line.startswith("Only 1 melody to test on:") for line in after.warnings())


def test_the_same_seed_gives_the_same_final_model(done, tmp_path):
    one, two = final(done, tmp_path / "1" / "final"), final(done, tmp_path / "2" / "final")
    assert one.card["test"] == two.card["test"]


def test_an_ensemble_is_weighted_tested_kept_and_loaded(done, tmp_path):
    model = build_ensemble(
        done, TRAIN, VALIDATION, TEST, tmp_path / "ensemble", size=3, **SETTINGS
    )
    loaded = load_model(tmp_path / "ensemble")
    assert len(loaded.networks) == 3
    assert sum(loaded.weights) == pytest.approx(1.0)
    test = model.card["test"]
    assert loaded.tune_nats(TEST).loss == pytest.approx(test["loss"]["estimate"], rel=1e-6)
    gain = test["minus_best_member"]
    alone = test["loss"]["estimate"] - test["best_member_loss"]
    assert gain["estimate"] == pytest.approx(alone)
    assert gain["low"] <= gain["estimate"] <= gain["high"]
    best_alone = min(member["val_loss"] for member in model.card["members"])
    assert model.card["validation_loss"] <= best_alone + 1e-9
    assert "| trial | seed | weight |" in (tmp_path / "ensemble" / "MODEL_CARD.md").read_text()


def test_more_members_than_trainings_are_trained_besides(done, tmp_path):
    model = build_ensemble(
        done, TRAIN, VALIDATION, TEST, tmp_path / "ensemble", size=6, **SETTINGS
    )
    assert len({(m["trial"], m["repeat"]) for m in model.card["members"]}) == 6


def test_rhythm_goes_all_the_way(tmp_path):
    train, validation, test = map(with_rhythm, (TRAIN, VALIDATION, TEST))
    result = searched(tmp_path / "search", (train, validation), tokens="pitch_duration")
    arguments = (result, train, validation, test)
    model = train_final_model(*arguments, tmp_path / "search" / "final", **SETTINGS)
    factors = model.card["test"]["factors"]
    assert list(factors) == ["duration", "pitch"]
    assert sum(factors.values()) == pytest.approx(model.card["test"]["loss"]["estimate"])
    # The duration of these notes follows from their pitch, but not the other way round.
    assert result.trials[0].learning_curve[-1].metrics["duration_loss"] > 0
    ensemble = build_ensemble(*arguments, tmp_path / "search" / "e", size=2, **SETTINGS)
    assert list(ensemble.card["test"]["factors"]) == ["duration", "pitch"]
    assert load_model(tmp_path / "search" / "e").tune_nats(
        tokens_of(test, result)
    ).loss == pytest.approx(ensemble.card["test"]["loss"]["estimate"], rel=1e-6)


def test_a_model_of_ones_own_goes_all_the_way(tmp_path):
    class Hidden(Own):
        """A class that cannot be imported."""

    result = searched(tmp_path, model_class=Hidden)
    with pytest.raises(ModelError, match=r"Hidden is not.*pass the class as model_class"):
        train_final_model(result, TRAIN, VALIDATION, TEST, tmp_path / "final", **SETTINGS)
    model = final(result, tmp_path / "final", model_class=Hidden)
    assert isinstance(model.networks[0].module, Hidden)
    assert isinstance(load_model(tmp_path / "final", Hidden).networks[0].module, Hidden)


# Going on


def test_what_was_broken_off_goes_on_and_nothing_is_trained_twice(done, tmp_path, monkeypatch):
    chosen = [Training(t.number, 1, t.params) for t in done.trials]
    config = RetrainingConfig(tmp_path, executor="inline")
    begun = []
    train = repeats.MelodyObjective.__call__

    def counted(objective, params, trial):
        begun.append(trial.seed)
        if len(begun) == 2:
            signal.raise_signal(signal.SIGINT)
        return train(objective, params, trial)

    monkeypatch.setattr(repeats.MelodyObjective, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        train_again(finished(done), chosen, config)
    models = train_again(finished(done), chosen, config)
    assert len(models) == 3
    # The first was not begun again, the second was, with the seed it had.
    assert len(begun) == 4
    assert begun[1] == begun[2]
    monkeypatch.setattr(repeats.MelodyObjective, "__call__", train)
    undisturbed = train_again(
        finished(done), chosen, RetrainingConfig(tmp_path / "o", executor="inline")
    )
    assert [m.card["val_loss"] for m in models.values()] == [
        m.card["val_loss"] for m in undisturbed.values()
    ]


def test_a_deleted_or_damaged_model_is_trained_again(done, tmp_path):
    chosen = [Training(t.number, 1, t.params) for t in done.trials]
    config = RetrainingConfig(tmp_path, executor="inline")
    before = train_again(finished(done), chosen, config)
    (tmp_path / "models" / chosen[0].name / "config.json").unlink()
    (tmp_path / "models" / chosen[1].name / "weights.safetensors").write_bytes(b"no")
    after = train_again(finished(done), chosen, config)
    assert [m.card["val_loss"] for m in after.values()] == [
        m.card["val_loss"] for m in before.values()
    ]


def test_trainings_of_another_search_do_not_count(done, tmp_path):
    config = RetrainingConfig(tmp_path, executor="inline")
    training = Training(0, 1, done.trials[0].params)
    (first,) = train_again(finished(done), [training], config).values()
    changed = Training(0, 1, {**done.trials[0].params, "dropout": 0.5})
    (second,) = train_again(finished(done), [changed], config).values()
    assert first.card["key"] != second.card["key"]
    assert first.card["val_loss"] != second.card["val_loss"]


# Mistakes


def test_melodies_of_another_search_are_refused(done, tmp_path):
    with pytest.raises(DataError, match="must be those of the search, but they differ"):
        train_final_model(done, TRAIN[1:], VALIDATION, TEST, tmp_path / "final")


def test_a_search_of_something_else_is_refused():
    other = SearchResult((), 0.0, {"study_name": "s"}, "now")
    for make in (
        lambda: FinishedSearch.of(other, TRAIN, VALIDATION, TEST),
        lambda: FinishedSearch.from_source(other),
    ):
        with pytest.raises(StudyError, match="is not of a melody model"):
            make()


def test_a_search_without_a_finished_trial_is_refused(done):
    empty = SearchResult((), 0.0, done.description, "now")
    with pytest.raises(StudyError, match="no completed trial yet"):
        FinishedSearch.of(empty, TRAIN, VALIDATION, TEST)


def test_an_ensemble_of_one_is_refused(done, tmp_path):
    with pytest.raises(ValueError, match="at least 2 members"):
        build_ensemble(done, TRAIN, VALIDATION, TEST, tmp_path / "e", size=1, **SETTINGS)


# Choosing and weighing members


def nats_of(rng, n_members, n_notes=400):
    return torch.from_numpy(rng.gamma(2.0, 1.0, (n_members, n_notes)))


def test_weights_are_those_that_an_independent_optimiser_finds():
    for seed in range(5):
        nats = nats_of(np.random.default_rng(seed), 4)
        probabilities = (-nats).exp().numpy()

        def loss(logits, probabilities=probabilities):
            shares = np.exp(logits - np.logaddexp.reduce(logits))
            return -np.log(shares @ probabilities).mean()

        reference = minimize(loss, np.zeros(4), method="BFGS")
        assert loss(np.log(fit_weights(nats))) == pytest.approx(reference.fun, abs=1e-6)


def test_a_useless_member_weighs_next_to_nothing():
    good = nats_of(np.random.default_rng(0), 2)
    weights = fit_weights(torch.cat([good, good[:1] + 5.0]))
    assert weights[2] < 1e-6
    assert sum(weights) == pytest.approx(1.0)


def test_very_improbable_notes_do_not_vanish():
    nats = torch.full((2, 3), 2000.0, dtype=torch.float64)
    nats[0, 0] = 1990.0
    assert all(np.isfinite(fit_weights(nats)))


def test_members_are_chosen_one_by_one_as_brute_force_chooses_them():
    nats = nats_of(np.random.default_rng(1), 6, 50)
    chosen = choose_members(nats, 4)
    kept = []
    for _ in range(4):
        others = [i for i in range(6) if i not in kept]
        kept.append(min(others, key=lambda i: -(-nats[[*kept, i]]).exp().mean(0).log().mean()))
    assert chosen == kept
    assert len(set(choose_members(nats, 6))) == 6


# The commands


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(
        "[learning_rate]\nlow = 1e-2\nhigh = 1e-1\nlog = true\n"
        "[hidden_size]\nlow = 4\nhigh = 8\n[embedding_dim]\nvalue = 4\n"
    )
    return lambda *arguments: CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture
def ready(run):
    done = run(
        *("search", "--data", "synthetic", "--n-sequences", "24", "--epochs", "2", "--seed", "1"),
        *("--space", "space.toml", "--output-dir", "results", "--device", "cpu"),
        *("--executor", "inline", "--n-trials", "3"),
    )
    assert done.exit_code == 0, done.output
    return run


INLINE = ("--from", "results", "--executor", "inline", "--device", "cpu", "--top", "2")


def test_the_commands_after_a_search_leave_a_tested_model_and_an_ensemble(ready, tmp_path):
    done = ready("confirm", *INLINE, "--repeats", "2")
    assert done.exit_code == 0, done.output
    assert "Winner, trained again with fresh seeds: trial" in done.output
    assert "Winner" in (tmp_path / "results" / "optimization_report.txt").read_text()
    for command, folder in (("train", "final_model"), ("ensemble", "ensemble")):
        done = ready(command, *INLINE, "--repeats", "2")
        assert done.exit_code == 0, done.output
        assert "Test loss:" in done.output
        assert f"Model: results/{folder}" in done.output
        assert load_model(tmp_path / "results" / folder).card["data"]["source"] == "synthetic"
    assert "Only 5 melodies to test on" in done.output
    ready("train", *INLINE, "--output-dir", "elsewhere", "--repeats", "2")
    assert (tmp_path / "elsewhere" / "weights.safetensors").exists()


def test_the_lines_of_further_trainings_name_the_trials_of_the_search(ready):
    lines = ready("train", *INLINE, "--repeats", "2").output.splitlines()
    told = [line for line in lines if re.match(r"trial \d+, seed \d: loss \d\.\d{4}, ", line)]
    assert len(told) == 4
    assert all(re.search(r" epochs in \d+\.\ds; [12] of 2$", line) for line in told)


def test_a_tied_configuration_can_be_trained_instead(ready, tmp_path):
    ready("confirm", *INLINE, "--repeats", "2")
    winner = json.loads((tmp_path / "results" / "winner.json").read_text())
    other = winner["candidates"][1]["trial"]
    done = ready("train", *INLINE, "--repeats", "2", "--trial", str(other))
    assert done.exit_code == 0, done.output
    assert load_model(tmp_path / "results" / "final_model").card["trial"] == other
    done = ready("train", *INLINE, "--repeats", "2", "--trial", "77")
    assert done.exit_code == 2
    assert "must be one of those trained again" in done.stderr


def test_a_report_written_again_still_names_the_winner(ready, tmp_path):
    ready("confirm", *INLINE, "--repeats", "2")
    file = tmp_path / "results" / "optimization_report.txt"
    before = file.read_text()
    file.unlink()
    assert ready("report", "--output-dir", "results").exit_code == 0
    assert file.read_text() == before


def test_a_fresh_search_sets_the_old_winner_aside(ready, tmp_path):
    ready("confirm", *INLINE, "--repeats", "2")
    done = ready(
        *("search", "--data", "synthetic", "--n-sequences", "24", "--epochs", "2", "--seed", "2"),
        *("--space", "space.toml", "--output-dir", "results", "--device", "cpu", "--fresh"),
        *("--executor", "inline", "--n-trials", "3"),
    )
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "results" / "winner.json").exists()
    assert (tmp_path / "results" / "earlier" / "melody_search" / "winner.json").exists()


@pytest.mark.parametrize("command", ["confirm", "train", "ensemble"])
def test_a_directory_without_a_search_is_told_in_one_line(run, command):
    done = run(command, "--from", "nowhere")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no search results found in nowhere")


def test_a_damaged_result_file_is_told_in_one_line(ready, tmp_path):
    file = tmp_path / "results" / "optimization_results.json"
    file.write_text(file.read_text()[:-200])
    done = ready("train", "--from", str(file), *INLINE[2:])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "error: cannot read" in line
    assert "chromasonic report" in line


def test_a_search_from_python_cannot_be_gone_on_with_from_the_command_line(done, run, tmp_path):
    from chromasonic.reporting.result_files import write_result_files

    write_result_files(done, tmp_path / "results")
    answer = run("train", *INLINE)
    assert answer.exit_code == 2
    assert "were passed in Python" in answer.stderr


def test_ctrl_c_is_told_in_a_word(ready, monkeypatch):
    def broken_off(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(after_search.AfterSearch, "winner", broken_off)
    done = ready("train", *INLINE)
    assert done.exit_code == 130
    assert done.stderr == "Interrupted.\n"
