import dataclasses
import json
import math
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from optuna.storages import InMemoryStorage
from typer.testing import CliRunner

from chromasonic import (
    Categorical,
    Float,
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
    Integer,
    Ordinal,
    Space,
    cli,
    refine_space,
    tune,
)
from chromasonic.bayesopt import read_space
from chromasonic.tuning.storage.opening import sqlite_url

SPACE = """
[rate]
low = 1e-4
high = 1e-2
log = true

[units]
low = 64
high = 512
step = 32

[idle]
low = 0.0
high = 1.0
"""

MODULE = """
def cost(params):
    return 0.01 / params["rate"] ** 0.5 + abs(params["units"] - 256) / 256

def gain(params):
    return -cost(params)

def failing(params):
    raise ValueError("no luck")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # Only for this test: the command puts the folder on the path itself.
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "space.toml").write_text(SPACE)

    def invoke(*arguments):
        return CliRunner().invoke(cli.app, list(arguments))

    yield invoke
    sys.modules.pop("mine", None)


@pytest.fixture
def search(run):
    def invoke(*arguments, objective="mine:cost", n_trials=30, output_dir="results"):
        return run(
            *("tune", objective, "--space", "space.toml", "--executor", "inline", "--seed", "1"),
            *("--output-dir", output_dir, "--n-trials", str(n_trials), *arguments),
        )

    return invoke


def results(folder="results"):
    with open(f"{folder}/optimization_results.json") as file:  # noqa: PTH123
        return json.load(file)


def one_line(done, exit_code=2):
    """The only line of an error."""
    assert done.exit_code == exit_code, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def next_command(done):
    """The words of the command that `refine` shows, without the program's name."""
    assert done.exit_code == 0, done.output
    program, *words = shlex.split(done.output.rpartition("To go on: ")[2])
    assert program == "chromasonic"
    return words


def test_a_search_is_refined_and_goes_on_with_the_command_that_is_shown(search, run, tmp_path):
    search()
    done = run("refine", "--from", "results")
    lines = done.output.splitlines()
    assert lines[0].startswith("rate: ")
    assert lines[0].endswith("at the upper end; widen to 0.1")
    assert [line.partition(":")[0] for line in lines[:3]] == ["rate", "units", "idle"]
    space = read_space("results/refined_space.toml")
    assert space["rate"] == Float(1e-4, 0.1, log=True)
    assert (
        f"# {lines[0].removeprefix('rate: ')}\n[rate]"
        in (tmp_path / "results/refined_space.toml").read_text()
    )

    words = next_command(done)
    fitting = [
        trial["number"]
        for trial in results()["trial_results"]
        if space["units"].contains(trial["params"]["units"])
    ]
    assert f"{len(fitting)} of 30 trials fit it." in lines
    assert words[words.index("--n-trials") + 1] == str(len(fitting) + 30)
    words[words.index("--n-trials") + 1] = str(len(fitting) + 6)
    going_on = run(*words)
    assert going_on.exit_code == 0, going_on.output
    assert f"{len(fitting)} of 30 trials of cost in sqlite:///results/study.db fit" in (
        going_on.output
    )
    found = results("results_refined")
    assert found["n_trials"] == len(fitting) + 6
    origins = [t["settings"].get("from", {}).get("trial") for t in found["trial_results"]]
    assert origins == [*fitting, *[None] * 6]
    assert found["best_value"] < results()["best_value"]
    assert found["earlier"]["trials"] == len(fitting)
    # The same command goes on, and a further refinement has a place of its own.
    words[words.index("--n-trials") + 1] = str(len(fitting) + 7)
    assert run(*words).exit_code == 0
    assert results("results_refined")["n_trials"] == len(fitting) + 7
    again = next_command(run("refine", "--from", "results_refined"))
    assert again[again.index("--output-dir") + 1] == "results_refined_2"


@pytest.mark.slow
def test_the_shown_command_keeps_what_the_search_was_told(search, run):
    search("--maximize", "--sampler", "random", "--pruner", "none", objective="mine:gain")
    words = next_command(run("refine", "--from", "results"))
    assert words[:2] == ["tune", "mine:gain"]
    assert "--maximize" in words
    for option, value in (("--sampler", "random"), ("--pruner", "none"), ("--executor", "inline")):
        assert words[words.index(option) + 1] == value
    assert run(*words).exit_code == 0


def test_the_space_goes_where_it_is_wanted(search, run, tmp_path):
    search(n_trials=12)
    done = run("refine", "--from", "results", "--space-file", "my spaces/next.toml")
    assert read_space(tmp_path / "my spaces/next.toml")
    assert not (tmp_path / "results/refined_space.toml").exists()
    words = next_command(done)
    assert words[words.index("--space") + 1] == "my spaces/next.toml"


@pytest.mark.slow
def test_a_search_in_a_database_is_refined_and_gone_on_from(search, run, tmp_path):
    url = sqlite_url(tmp_path / "all.db")
    for name in ("one", "two"):
        search("--storage", url, "--study-name", name, n_trials=12)
    assert "Give the name as --study-name" in one_line(
        run("refine", "--from", "results", "--storage", url)
    )
    done = run("refine", "--from", "results", "--storage", url, "--study-name", "two")
    words = next_command(done)
    assert words[words.index("--from") :][:4] == ["--from", url, "--from-study", "two"]
    words[words.index("--n-trials") + 1] = "13"
    going_on = run(*words)
    assert going_on.exit_code == 0, going_on.output
    assert "12 of 12 trials of two in" in going_on.output
    assert results("results_refined")["n_trials"] == 13


def test_few_trials_and_trials_that_all_failed_change_nothing(search, run):
    search(objective="mine:failing", n_trials=3)
    done = run("refine", "--from", "results")
    assert "rate: 0 finished trials are too few to judge; keep 0.0001 to 0.01" in done.output
    assert read_space("results/refined_space.toml") == read_space("space.toml")
    assert "3 of 3 trials fit it." in done.output


@pytest.mark.parametrize("command", [("refine",), ("tune", "mine:cost", "--space", "space.toml")])
def test_a_folder_without_a_search_is_one_line(run, tmp_path, command):
    line = one_line(run(*command, "--from", "nowhere"))
    assert "no search results found in nowhere: it has neither study.db" in line
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "tuning_results").exists()


def test_a_search_that_measured_something_else_is_one_line(search, run, tmp_path):
    search(n_trials=2)
    line = one_line(search("--from", "results", objective="mine:gain", output_dir="new"))
    assert "the earlier search 'cost' was started with another objective" in line
    assert not (tmp_path / "new").exists()


def test_a_search_without_a_name_for_its_objective_says_how_to_go_on_from_python(run):
    tune(lambda params: params["x"], {"x": (0.0, 1.0)}, 3, executor="inline", output_dir="results")
    done = run("refine", "--from", "results")
    assert done.exit_code == 0
    assert "To go on, give tune or optimize this space, earlier=load_result(...), n_trials=6" in (
        done.output
    )


def test_refine_looks_where_a_search_leaves_its_results_unless_told_otherwise(run):
    done = run("refine")
    assert done.exit_code == 2
    assert "no search results found in hyperparameter_search_results" in done.stderr


@pytest.mark.slow
def test_ctrl_c_on_the_next_search_loses_nothing(search, run, tmp_path):
    (tmp_path / "mine.py").write_text(
        MODULE + "\ndef slow(params):\n    import time\n    for _ in range(3):\n"
        "        time.sleep(0.2 * (params['rate'] > 0.011))\n        yield cost(params)\n"
    )
    search(objective="mine:slow", n_trials=20)
    words = next_command(run("refine", "--from", "results"))
    command = [sys.executable, "-m", "chromasonic", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    options = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as going_on:
        next(line for line in going_on.stdout if "of 20 trials of slow" in line)
        next(line for line in going_on.stdout if line.startswith("trial "))
        going_on.send_signal(signal.SIGINT)
        output, _ = going_on.communicate(timeout=120)
    assert going_on.returncode == 130
    assert "goes on from here" in output
    taken = results("results_refined")["earlier"]["trials"]
    words[words.index("--n-trials") + 1] = str(taken + 2)
    assert run(*words).exit_code == 0
    found = results("results_refined")
    assert found["n_trials"] == taken + 2
    assert [t["number"] for t in found["trial_results"]] == list(range(taken + 2))


# Melodies


@pytest.mark.slow
def test_a_melody_search_is_refined_and_gone_on_from(run, tmp_path):
    (tmp_path / "space.toml").write_text(
        "[learning_rate]\nlow = 1e-4\nhigh = 1e-3\nlog = true\n[hidden_size]\nlow = 4\nhigh = 16\n"
        "[embedding_dim]\nvalue = 8\n"
    )
    done = run(
        *("search", "--data", "synthetic", "--n-sequences", "24", "--epochs", "2"),
        *("--space", "space.toml", "--output-dir", "results", "--device", "cpu"),
        *("--executor", "inline", "--n-trials", "12", "--seed", "3", "--model", "gru"),
    )
    assert done.exit_code == 0, done.output
    refined = run("refine", "--from", "results")
    assert "learning_rate: " in refined.output
    words = next_command(refined)
    assert words[:3] == ["search", "--model", "gru"]
    words[words.index("--n-trials") + 1] = "13"
    assert run(*words).exit_code == 0
    found = results("results_refined")
    assert found["n_trials"] == 13
    best = min(found["trial_results"], key=lambda trial: trial["value"] or math.inf)
    # Weights are there of a trial that ran here, and of no other.
    is_own = "from" not in best["settings"]
    model = tmp_path / "results_refined/best_model/config.json"
    assert model.exists() == is_own
    if is_own:
        assert json.loads(model.read_text())["card"]["trial"] == best["number"]
    # The other data of another search are another thing.
    words[words.index("--n-sequences") + 1] = "30"
    words[words.index("--output-dir") + 1] = "other"
    assert "the earlier search 'melody_search' was started with another data" in one_line(
        run(*words)
    )


def test_a_best_trial_of_an_earlier_search_has_no_weights_here(tmp_path):
    from chromasonic.melody_generation.training import create_training_data

    data = create_training_data(20, 12, 12, 0.8)
    space = HyperparameterSearchSpace.from_space(
        Space({"learning_rate": Float(1e-3, 1e-1, log=True), "hidden_size": Integer(4, 8)}), 1
    )
    searches = [
        HyperparameterOptimizer(_model(), space, output_dir=tmp_path / name, verbose=False)
        for name in ("old", "new")
    ]
    options = {"vocab_size": 12, "executor": "inline", "seed": 0, "sampler": "random"}
    old = searches[0].optimize(*data, n_trials=4, **options)
    worst = {"learning_rate": 1e-3, "hidden_size": 4}
    new = searches[1].optimize(*data, n_trials=5, earlier=old, initial_points=[worst], **options)
    assert new["best_value"] == old["best_value"]
    assert new.best_trial.origin["trial"] == old.best_trial.number
    assert (tmp_path / "old/best_model").exists()
    assert not (tmp_path / "new/best_model").exists()
    report = (tmp_path / "new/optimization_report.txt").read_text()
    assert f"trial {old.best_trial.number} of melody_search in sqlite:///" in report


def _model():
    from chromasonic.melody_generation.models import RNNMelodyModel

    return RNNMelodyModel


# Of use


WIDE = Space(
    {
        "rate": Float(1e-4, 1e-2, log=True),
        "units": Integer(64, 512, step=32),
        "batch": Ordinal([16, 32, 64]),
        "dropout": Float(0.0, 0.5),
        "kind": Categorical(["adam", "sgd"]),
        "unused": Float(0.0, 1.0),
    }
)


def valley(rate, units):
    """A loss as of training: a slanting valley of rate, units and batch, best at these two."""

    def loss(params):
        r = math.log10(params["rate"] / rate)
        u = math.log2(params["units"] / units)
        b = math.log2(params["batch"] / 32)
        bowl = 0.08 * u**2 + 0.05 * b**2 + 0.5 * (params["dropout"] - 0.2) ** 2
        return 0.3 * (r - 0.3 * b + 0.2 * u) ** 2 + bowl + 0.05 * (params["kind"] == "sgd")

    return loss


def compared(loss, sampler, first, more, seeds):
    """Best losses after as many further trials: in the first space, and in a refined one."""
    found = []
    for seed in range(seeds):
        options = {"executor": "inline", "verbose": False, "seed": seed, "sampler": sampler}
        storage = InMemoryStorage()
        old = tune(loss, WIDE, first, storage=storage, **options)
        plain = tune(loss, WIDE, first + more, storage=storage, **options)
        refinement = refine_space(old)
        total = len(refinement.fitting_trials) + more
        refined = tune(loss, refinement.space, total, earlier=old, **options)
        # The best may lie where the new space is not.
        found.append((plain["best_value"], min(old["best_value"], refined["best_value"])))
    return np.array(found).T


@pytest.mark.slow
def test_a_refined_space_reaches_an_optimum_that_the_first_one_did_not_hold():
    plain, refined = compared(valley(4e-2, 900), "gp", 25, 15, seeds=4)
    assert (refined < 0.5 * plain).all()


@pytest.mark.slow
def test_a_refined_space_is_no_worse_where_the_first_one_held_the_optimum():
    plain, refined = compared(valley(1.5e-3, 250), "tpe", 30, 20, seeds=8)
    gains = np.log(plain / refined)
    # A paired test over the seeds: no sign of a loss, nor one that counts.
    assert gains.mean() / (gains.std(ddof=1) / math.sqrt(len(gains))) > -1.65
    assert gains.mean() > -0.05


def test_a_search_without_a_trial_leads_to_a_command_that_runs(run, search, monkeypatch):
    from chromasonic.tuning.session import load_result

    search(n_trials=1)
    empty = dataclasses.replace(load_result(Path("results"), None), trials=())
    monkeypatch.setattr("chromasonic.tuning.session.load_result", lambda *a, **k: empty)
    done = run("refine", "--from", "results")
    assert done.exit_code == 0, done.output
    assert "--n-trials 1" in done.output


def test_the_space_of_a_study_elsewhere_is_written_where_one_is(run, search, tmp_path):
    search(n_trials=2)
    url = f"sqlite:///{tmp_path / 'results' / 'study.db'}"
    done = run("refine", "--storage", url)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "refined_space.toml").exists()
    assert not (tmp_path / "hyperparameter_search_results").exists()
