"""Paths mean the directory of the call, whatever the objective does to the working directory."""

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chromasonic import load_result, read_space, tune
from chromasonic.cli import app
from chromasonic.paths import expand_home, user_path
from chromasonic.tuning.objective import Epoch

BOUNDS = {"x": (0.0, 1.0)}
FILES = {"best_hyperparameters.json", "optimization_report.txt", "optimization_results.json"}


def wanderer(params, trial):
    """Leaves the directory, and comes back to no other; continues from its checkpoint."""
    start = 0 if trial.checkpoint is None else int((trial.checkpoint / "epoch").read_text())
    Path("deeper").mkdir(exist_ok=True)
    os.chdir("deeper")
    for epoch in range(start, 3):
        yield Epoch(params["x"] + epoch, save=lambda folder, e=epoch: write(folder, e + 1))


def write(folder, epoch):
    (folder / "epoch").write_text(str(epoch))


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_an_objective_that_wanders_finds_and_leaves_everything_where_the_call_was(
    executor, here, functions_travel
):
    options = {"output_dir": "results", "executor": executor, "jobs": 1, "verbose": False}
    found = tune(wanderer, BOUNDS, 3, seed=0, **options)
    assert {trial.ending for trial in found.trials} == {"completed"}
    left = {path for path in below(here) if not path.startswith("results/")}
    assert left == set()
    assert FILES | {"study.db"} <= below(here / "results").union()
    os.chdir(here)
    assert len(load_result("results").trials) == 3
    more = tune(wanderer, BOUNDS, 5, seed=0, **options)
    assert [trial.params for trial in more.trials[:3]] == [t.params for t in found.trials]


def test_a_trial_goes_on_from_a_checkpoint_of_a_relative_directory(here):
    def objective(params, trial):
        for epoch in wanderer(params, trial):
            yield epoch
            seen.append(trial.checkpoint)
            if len(seen) == 2:
                import signal

                signal.raise_signal(signal.SIGINT)

    seen = []
    options = {"output_dir": "results", "executor": "inline", "verbose": False, "seed": 0}
    assert tune(objective, BOUNDS, 2, **options).stopped_by == "interrupted"
    os.chdir(here)
    found = tune(objective, BOUNDS, 2, **options)
    assert [trial.ending for trial in found.trials] == ["completed"] * 2
    assert {p for p in below(here) if "deeper" in Path(p).parts} == set()


@pytest.mark.parametrize("url", ["sqlite:///own.db", "sqlite:///sub/own.db"])
def test_a_relative_database_stays_where_the_call_was(url, here):
    tune(
        wanderer,
        BOUNDS,
        3,
        storage=url,
        study_name="own",
        executor="inline",
        verbose=False,
        seed=0,
    )
    file = here / url.removeprefix("sqlite:///")
    assert file.exists()
    assert [path for path in below(here) if path.endswith(".db")] == [str(file.relative_to(here))]
    os.chdir(here)
    assert len(load_result(url).trials) == 3


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def value(params):
    return params["x"]


def test_a_tilde_is_the_home_folder_in_python(here, home):
    options = {"executor": "inline", "verbose": False, "seed": 0}
    tune(value, BOUNDS, 2, output_dir="~/results", **options)
    assert below(home / "results") >= FILES
    assert len(load_result("~/results").trials) == 2
    tune(value, BOUNDS, 2, storage="sqlite:///~/own.db", study_name="own", **options)
    assert (home / "own.db").exists()
    assert len(load_result("sqlite:///~/own.db").trials) == 2
    (home / "space.toml").write_text("[x]\nlow = 0.0\nhigh = 1.0\n")
    assert list(read_space("~/space.toml")) == ["x"]
    assert list(here.iterdir()) == []


def test_a_tilde_is_the_home_folder_in_commands(here, home, monkeypatch):
    (home / "space.toml").write_text("[x]\nlow = 0.0\nhigh = 1.0\n")
    (here / "own_objective.py").write_text("def value(params):\n    return params['x']\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    place = "--output-dir=~/results"
    for command in (
        ["tune", "own_objective:value", "--space=~/space.toml", place, "--n-trials=2"],
        ["report", place, "--plot"],
        ["refine", "--from=~/results"],
    ):
        executor = ["--executor=inline"] if command[0] == "tune" else []
        done = CliRunner().invoke(app, [*command, *executor], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert FILES | {"refined_space.toml", "plots/parameters.png"} <= below(home / "results")
    assert not (here / "~").exists()


def test_a_user_who_does_not_exist_has_no_home(here):
    assert expand_home("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    assert user_path("~nobody-of-that-name/x") == here / "~nobody-of-that-name" / "x"
