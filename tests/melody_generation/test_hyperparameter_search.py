import inspect
import json
from collections import Counter

import pytest
import torch
from torch import nn

from chromasonic.bayesopt import Float
from chromasonic.errors import DataError, DeviceError, ModelError, StudyMismatch
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.models import LSTMMelodyModel, SonicLSTM
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.files import load_model
from chromasonic.melody_generation.training import create_training_data
from chromasonic.melody_generation.training.scoring import batches_for, score

V = 12
TRAIN, VALIDATION = create_training_data(30, 12, V, 0.8)
TIMES = {"identity", "timestamp", "total_time", "training_time", "seconds", "storage"}
FILES = ["best_hyperparameters.json", "optimization_results.json", "optimization_report.txt"]


def small_space(num_epochs=2):
    return HyperparameterSearchSpace(
        learning_rate_range=(1e-3, 1e-1),
        batch_size_options=[8, 16],
        hidden_size_range=(4, 16),
        num_layers_range=(1, 2),
        dropout_range=(0.0, 0.5),
        embedding_dim_range=(4, 8),
        num_epochs=num_epochs,
    )


def search(folder, n_trials=2, *, model_class=LSTMMelodyModel, space=None, data=None, **settings):
    optimizer = HyperparameterOptimizer(
        model_class, space or small_space(), output_dir=folder, verbose=False
    )
    train, validation = data or (TRAIN, VALIDATION)
    return optimizer.optimize(
        train, validation, V, n_trials=n_trials, **{"seed": 7, "executor": "inline", **settings}
    )


class EveryPosition(nn.Module):
    """A user's own model, scoring every position."""

    def __init__(self, vocab_size, embedding_dim, hidden_size, num_layers, dropout):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_size, num_layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens):
        return self.head(self.dropout(self.lstm(self.embedding(tokens))[0]))


class LastPosition(EveryPosition):
    """A user's own model, scoring the last position."""

    def forward(self, tokens):
        return super().forward(tokens)[:, -1]


class WithState(EveryPosition):
    """A user's own model, returning its state too."""

    def forward(self, tokens):
        hidden, state = self.lstm(self.embedding(tokens))
        return self.head(self.dropout(hidden)), state


class LooksAhead(EveryPosition):
    """A user's own model that is not causal."""

    def forward(self, tokens):
        hidden = self.embedding(tokens)
        return self.head(self.lstm(hidden + hidden.mean(1, keepdim=True))[0])


class FailsWhenWide(EveryPosition):
    """A user's own model that raises for some sizes."""

    def __init__(self, vocab_size, embedding_dim, hidden_size, num_layers, dropout):
        if hidden_size != 10:
            raise ZeroDivisionError(f"no heads for {hidden_size}")
        super().__init__(vocab_size, embedding_dim, hidden_size, num_layers, dropout)


def masked(value):
    """JSON without times and paths."""
    if isinstance(value, dict):
        return {k: None if k in TIMES else masked(v) for k, v in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def results_in(folder):
    return masked(json.loads((folder / "optimization_results.json").read_text()))


# Result and files


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "results"
    return search(folder, 4, pruner="none"), folder


def test_the_result_is_the_mapping_of_the_guide(finished):
    result, _ = finished
    assert {
        "best_params",
        "best_value",
        "total_time",
        "n_trials",
        "trial_results",
        "model_params",
        "training_params",
    } <= set(result)
    assert result["n_trials"] == len(result["trial_results"]) == 4
    best = min(result["trial_results"], key=lambda trial: trial["value"])
    assert (result["best_params"], result["best_value"]) == (best["params"], best["value"])
    assert best["value"] == min(row["loss"] for row in best["learning_curve"])
    assert result["total_time"] > 0
    assert result.stopped_by == "n_trials"


def test_every_trial_has_the_agreed_keys(finished):
    keys = (
        "number, state, ending, reason, params, value, val_loss, train_loss, best_epoch, "
        "training_time, n_parameters, learning_curve"
    )
    for trial in finished[0]["trial_results"]:
        assert set(keys.split(", ")) <= set(trial)
        assert set(small_space().space) == set(trial["params"])


def test_model_params_build_the_model(finished):
    result, _ = finished
    model = LSTMMelodyModel(vocab_size=V, **result["model_params"])
    assert sum(p.numel() for p in model.parameters()) == result.best_trial.n_parameters
    assert {**result["model_params"], **result["training_params"]} == result["best_params"]
    assert set(result["training_params"]) == {"learning_rate", "batch_size"}


def test_the_files_hold_what_the_result_holds(finished):
    result, folder = finished
    results = json.loads((folder / "optimization_results.json").read_text())
    best = json.loads((folder / "best_hyperparameters.json").read_text())
    for key in ("best_params", "best_value", "n_trials", "trial_results", "total_time"):
        assert results[key] == json.loads(json.dumps(result[key]))
    assert best["best_params"] == result["best_params"]
    assert {"timestamp", "schema_version", "versions", "seed", "space", "model"} <= set(results)
    assert {"data", "direction", "storage"} <= set(results)
    assert results["seed"] == 7
    assert results["data"]["train"] == {"melodies": 24, "notes": 24 * 12}
    assert (folder / "study.db").exists()
    assert [p.name for p in folder.iterdir() if p.name.startswith(".unfinished")] == []


def test_the_report_ranks_the_trials(finished):
    result, folder = finished
    report = (folder / "optimization_report.txt").read_text()
    places = [
        report.index(f"RANK {i}: Trial {t.number}") for i, t in enumerate(result.ranking(), 1)
    ]
    assert places == sorted(places)
    for label in ("Val Loss", "Train Loss", "Best Epoch", "Training Time", "Parameters"):
        assert report.count(f"{label}:") >= 4
    assert f"{result.best_trial.n_parameters:,}" in report


def test_the_best_models_weights_reproduce_the_best_loss(finished):
    result, folder = finished
    model = load_model(folder / "best_model", LSTMMelodyModel).networks[0].module
    batches = batches_for(OutputKind.EVERY_POSITION, VALIDATION, model, torch.device("cpu"))
    assert score(model, batches).loss == pytest.approx(result["best_value"], rel=1e-7)


# Determinism and resume


def test_the_same_seed_gives_the_same_files_apart_from_times(tmp_path):
    for name in ("one", "two"):
        search(tmp_path / name, 3, pruner="median")
    assert results_in(tmp_path / "one") == results_in(tmp_path / "two")
    search(tmp_path / "three", 3, seed=8)
    assert results_in(tmp_path / "three") != results_in(tmp_path / "one")


def test_a_search_goes_on_to_its_total_as_if_it_had_not_stopped(finished, tmp_path):
    search(tmp_path, 1, pruner="none")
    assert search(tmp_path, 4, pruner="none", seed=None)["n_trials"] == 4
    whole = results_in(finished[1])
    assert results_in(tmp_path) == whole
    assert search(tmp_path, 4, pruner="none")["n_trials"] == 4, "nothing is left to do"


def test_the_number_of_threads_of_the_process_is_as_before(tmp_path):
    before = torch.get_num_threads()
    search(tmp_path, 1)
    assert torch.get_num_threads() == before


@pytest.fixture
def begun(tmp_path):
    search(tmp_path, 1, space=small_space(1))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": (TRAIN[1:], VALIDATION)}, "data"),
        ({"data": (TRAIN, VALIDATION[1:])}, "data"),
        ({"space": small_space(2)}, r"number of epochs \(then 1, now 2\)"),
        ({"space": small_space(1).fixed(dropout=0.25)}, r"space \(dropout\)"),
        ({"space": small_space(1).with_parameter("weight_decay", Float(0, 1))}, "space"),
        ({"model_class": EveryPosition}, "model"),
        ({"seed": 8}, "seed 7, but got 8"),
    ],
)
def test_a_search_of_something_else_is_refused_and_the_difference_named(begun, change, named):
    before = results_in(begun)
    with pytest.raises(StudyMismatch, match=rf"was started with (another )?{named}"):
        search(begun, 2, **{"space": small_space(1), **change})
    assert results_in(begun) == before


def test_a_changed_model_source_may_be_accepted(begun, monkeypatch):
    source = inspect.getsource(LSTMMelodyModel)
    monkeypatch.setattr(inspect, "getsource", lambda cls: source + "\n# changed")
    with pytest.raises(StudyMismatch, match=r"another model source.*--accept-changed-model"):
        search(begun, 2, space=small_space(1))
    result = search(begun, 2, space=small_space(1), accept_changed_model=True)
    assert result["n_trials"] == 2
    assert search(begun, 3, space=small_space(1))["n_trials"] == 3


def test_sampler_pruner_and_total_may_change(begun):
    result = search(begun, 2, space=small_space(1), sampler="random", pruner="none")
    assert [trial["settings"]["sampler"] for trial in result["trial_results"]] == [
        "gp",
        "random",
    ]


def test_a_fresh_search_begins_anew_and_keeps_the_old_one(begun):
    old = results_in(begun)
    result = search(begun, 1, space=small_space(1), seed=8, fresh=True)
    assert (result["study_name"], result["n_trials"]) == ("melody_search~2", 1)
    assert results_in(begun / "earlier" / "melody_search") == old


# Models of the user's own


@pytest.mark.usefixtures("functions_travel")
@pytest.mark.parametrize(
    ("model_class", "predicts"),
    [
        (EveryPosition, "every_position"),
        (LastPosition, "last_position"),
        (WithState, "every_position"),
    ],
)
def test_the_guides_example_runs_with_a_model_of_ones_own(tmp_path, model_class, predicts):
    """The guide's complete example, small, and its last step the way that works."""
    train_data, val_data = create_training_data(
        num_sequences=20, sequence_length=8, vocab_size=V, train_split=0.8
    )
    search_space = small_space(1)
    optimizer = HyperparameterOptimizer(
        model_class=model_class,
        search_space=search_space,
        device="cpu",
        output_dir=str(tmp_path / "results"),
        verbose=True,
    )
    results = optimizer.optimize(
        train_data=train_data,
        val_data=val_data,
        vocab_size=V,
        n_trials=2,
        timeout=3600,
        study_name="my_search",
        sampler="tpe",
        pruner="median",
    )
    assert results["model"]["predicts"] == predicts
    assert Counter(trial["ending"] for trial in results["trial_results"]) == {"completed": 2}
    model = model_class(vocab_size=V, **results["model_params"])
    assert isinstance(model, nn.Module)
    assert all((tmp_path / "results" / name).exists() for name in FILES)


def test_the_sonic_lstm_can_be_searched(tmp_path):
    space = HyperparameterSearchSpace.sonic_lstm(num_epochs=1).fixed(
        lstm_units_1=8, lstm_units_2=4, embedding_dim=4
    )
    result = search(tmp_path, 2, model_class=SonicLSTM, space=space)
    assert result["model"]["predicts"] == "last_position"
    assert {trial["ending"] for trial in result["trial_results"]} == {"completed"}


def test_a_model_that_is_not_causal_is_told_of_in_one_line(tmp_path, capsys):
    optimizer = HyperparameterOptimizer(LooksAhead, small_space(1), output_dir=tmp_path)
    result = optimizer.optimize(TRAIN, VALIDATION, V, n_trials=1, seed=0, executor="inline")
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "is not causal" in line]) == 1
    assert result["model"]["predicts"] == "every_position_not_causal"
    assert result["best_value"] > 0.5, "it was not scored on notes that it saw"


def test_a_model_that_fails_inside_a_trial_costs_that_trial_only(tmp_path):
    result = search(tmp_path, 6, model_class=FailsWhenWide, sampler="random")
    endings = {t["params"]["hidden_size"]: t["ending"] for t in result["trial_results"]}
    assert "failed" in endings.values()
    assert all((size == 10) == (ending != "failed") for size, ending in endings.items())
    failed = next(t for t in result["trial_results"] if t["ending"] == "failed")
    assert "ZeroDivisionError: no heads for" in failed["reason"]
    assert result["n_trials"] == 6


def test_a_model_class_that_cannot_be_searched_is_refused_before_anything_is_made(tmp_path):
    class NoSuchArgument(nn.Module):
        def __init__(self, vocab_size):
            super().__init__()

    with pytest.raises(ModelError, match=r"NoSuchArgument\.__init__ takes"):
        search(tmp_path / "results", model_class=NoSuchArgument)
    assert list(tmp_path.iterdir()) == []


def test_building_the_best_params_says_what_the_guide_gets_wrong(finished):
    with pytest.raises(ModelError, match="but got learning_rate"):
        build_model(LSTMMelodyModel, Vocabulary(V), finished[0]["best_params"])


# Arguments that are wrong


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_without_a_gpu_says_what_to_do():
    with pytest.raises(DeviceError, match="--device cpu or --device auto"):
        HyperparameterOptimizer(LSTMMelodyModel, small_space(), device="cuda")


def test_auto_picks_a_device_that_is_there():
    optimizer = HyperparameterOptimizer(LSTMMelodyModel, small_space(), device="auto")
    assert optimizer.device.type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    ("model_class", "space", "problem"),
    [
        (LSTMMelodyModel(V), small_space(), "model_class must be a class"),
        (LSTMMelodyModel, {"dropout": 0.1}, "search_space must be a HyperparameterSearchSpace"),
    ],
)
def test_wrong_things_to_search_are_refused(model_class, space, problem):
    with pytest.raises(TypeError, match=problem):
        HyperparameterOptimizer(model_class, space)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (([], VALIDATION), "train_data must hold at least one tune"),
        ((TRAIN, []), "val_data must hold at least one tune"),
        (([[1]], VALIDATION), "at least 2 notes"),
        (([[1, V]], VALIDATION), f"from 0 to {V - 1}"),
        (([[1, 2.5]], VALIDATION), "must be integers"),
        ((TRAIN, [["c", "d"]]), "small integers"),
    ],
)
def test_data_that_cannot_be_used_are_refused_before_anything_is_made(tmp_path, data, problem):
    with pytest.raises(DataError, match=problem):
        search(tmp_path / "results", data=data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"n_trials": 0}, "n_trials must be"),
        ({"sampler": "bayes"}, "a sampler must be one of"),
        ({"pruner": "middle"}, "a pruner must be one of"),
        ({"timeout": -1}, "timeout must be"),
        ({"initial_points": [{"dropout": 0.1}]}, "lacks"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_made(tmp_path, settings, problem):
    with pytest.raises(ValueError, match=problem):
        search(tmp_path / "results", **settings)
    assert list(tmp_path.iterdir()) == []
