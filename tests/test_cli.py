import json
import os
import subprocess
import sys
import typing

import pytest
from typer.testing import CliRunner

from chromasonic import __version__, cli
from chromasonic.cli import _options as options
from chromasonic.cli._run_options import run_options
from chromasonic.cli.commands.search import ModelName
from chromasonic.errors import ChromasonicError
from chromasonic.melody_generation.models import MODELS
from chromasonic.tuning._pruners import PRUNERS
from chromasonic.tuning.run_options import DEFAULTS
from chromasonic.tuning.sampling.by_name import SAMPLERS

SPACE = """
[learning_rate]
low = 1e-3
high = 1e-1
log = true

[batch_size]
choices = [4, 8]

[hidden_size]
low = 4
high = 16

[embedding_dim]
value = 8
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)

    def invoke(*arguments):
        return CliRunner().invoke(cli.app, list(arguments))

    return invoke


@pytest.fixture
def search(run):
    def invoke(*arguments, n_trials=2):
        return run(
            *("search", "--data", "synthetic", "--n-sequences", "24", "--epochs", "2"),
            *(
                "--space",
                "space.toml",
                "--output-dir",
                "results",
                "--device",
                "cpu",
                "--executor",
                "inline",
            ),
            *("--n-trials", str(n_trials), *arguments),
        )

    return invoke


def results(path="results"):
    with open(f"{path}/optimization_results.json") as file:  # noqa: PTH123
        return json.load(file)


def test_the_names_of_the_command_line_are_those_of_the_package():
    assert list(typing.get_args(options.SamplerName)) == list(SAMPLERS)
    assert list(typing.get_args(options.PrunerName)) == list(PRUNERS)
    assert list(typing.get_args(ModelName)) == list(MODELS)


def test_version_is_told(run):
    assert run("--version").output.strip() == f"chromasonic {__version__}"


def test_a_search_leaves_its_files_and_plots(search, tmp_path):
    done = search("--seed", "5", "--plot")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "results").iterdir()} >= {
        "best_hyperparameters.json",
        "optimization_results.json",
        "optimization_report.txt",
        "study.db",
        "plots",
        "best_model",
    }
    assert len(list((tmp_path / "results/plots").glob("*.png"))) == 4
    assert results()["seed"] == 5
    assert "Best n-gram" in done.output
    assert "nats per note" in done.output


def test_the_same_command_goes_on_to_the_total(search):
    search(n_trials=1)
    done = search(n_trials=3)
    assert done.exit_code == 0
    assert "going on after 1 of 3 trials" in done.output
    assert [trial["number"] for trial in results()["trial_results"]] == [0, 1, 2]


def test_a_search_that_is_complete_shows_its_result_again(search):
    search()
    before = results()["trial_results"]
    assert search().exit_code == 0
    assert results()["trial_results"] == before


def test_fresh_begins_anew_and_keeps_the_old(search, tmp_path):
    search("--seed", "1")
    old = results()["trial_results"]
    assert search("--fresh", "--seed", "2", n_trials=1).exit_code == 0
    assert results()["n_trials"] == 1
    assert results()["study_name"] == "melody_search~2"
    assert results("results/earlier/melody_search")["trial_results"] == old
    # Without --fresh it is the new one that goes on.
    assert search(n_trials=2).exit_code == 0
    assert results()["study_name"] == "melody_search~2"


def test_the_files_can_be_written_again_from_the_study(search, run, tmp_path):
    search()
    before = results()
    for name in ("best_hyperparameters.json", "optimization_results.json"):
        (tmp_path / "results" / name).unlink()
    done = run("report", "--output-dir", "results")
    assert done.exit_code == 0, done.output
    after = results()
    assert {**before, "timestamp": ""} == {**after, "timestamp": ""}


def one_line(done, exit_code=2):
    """The only line of an error."""
    assert done.exit_code == exit_code, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return lines[0]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (("--n-sequences", "30"), "data"),
        (("--epochs", "3"), "number of epochs"),
        (("--model", "gru"), "model"),
        (("--seed", "8"), "seed 7"),
    ],
)
def test_another_search_on_the_same_study_is_refused(search, changed, named):
    search("--seed", "7", n_trials=1)
    before = results()
    line = one_line(search(*changed, n_trials=2))
    assert named in line
    assert "--fresh" in line
    assert results() == before


def test_another_space_on_the_same_study_is_refused_and_its_parameter_named(search, tmp_path):
    search(n_trials=1)
    (tmp_path / "space.toml").write_text(SPACE.replace("high = 16", "high = 32"))
    assert "space (hidden_size)" in one_line(search())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "tpu"), "a device must be cpu, cuda"),
        (("--space", "no_such.toml"), "no_such.toml"),
        (("--storage", "nonsense"), "a storage must be a database URL"),
        (("--n-sequences", "1"), "n"),
    ],
)
def test_a_mistake_costs_one_line_and_exit_code_2(search, arguments, message):
    assert message in one_line(search(*arguments))


def test_a_cuda_device_that_is_not_there_is_told(search):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA GPU")
    line = one_line(search("--device", "cuda"))
    assert "--device cpu or --device auto" in line


@pytest.mark.parametrize(
    "arguments", [("--n-trials", "0"), ("--epochs", "x"), ("--sampler", "best"), ("--nonsense",)]
)
def test_a_wrong_flag_is_a_usage_error(search, arguments):
    done = search(*arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert arguments[0] in done.stderr


def test_a_report_of_no_search_is_one_line(run):
    assert "no search results found in nowhere" in one_line(
        run("report", "--output-dir", "nowhere")
    )


def test_a_search_in_which_no_trial_ends_well_says_so(search, monkeypatch):
    from chromasonic.melody_generation.training import loop as training

    def explode(*arguments):
        raise MemoryError("no memory")

    monkeypatch.setattr(training, "score", explode)
    done = search()
    assert done.exit_code == 1
    assert "No trial has been trained to its end" in done.stderr
    assert {trial["ending"] for trial in results()["trial_results"]} == {"out_of_memory"}


def test_a_time_limit_ends_the_running_trial_within_an_epoch_and_it_runs_first_later(search):
    arguments = ("--data", "corpus", "--n-sequences", "600", "--seed", "3", "--epochs", "3")
    done = search(*arguments, "--timeout", "1.5", n_trials=50)
    assert done.exit_code == (0 if results()["best_params"] else 1), done.output
    assert "Stopped: timeout" in done.output
    ended = results()["n_trials"]
    assert ended < 50
    again = search(*arguments, n_trials=ended + 1)
    assert [trial["number"] for trial in results()["trial_results"]] == list(range(ended + 1))
    assert again.exit_code == 0, again.output


# Tuning any objective

OBJECTIVES = """
import itertools
import time

def bowl(params):
    return (params["x"] - 0.3) ** 2 + 0.1 * params["width"]

def rising(params):
    for epoch in range(1, 5):
        yield params["x"] * epoch

def broken(params):
    raise ValueError("no luck")

def endless(params, trial):
    for epoch in itertools.count():
        yield float(params["x"])
        time.sleep(0.02)
        if trial.number > 0 and epoch > 3:
            return

not_a_function = 5
"""
TUNE_SPACE = """
[x]
low = 0.0
high = 1.0

[width]
low = 1
high = 3
"""


@pytest.fixture
def tune(run, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OBJECTIVES)
    (tmp_path / "tune.toml").write_text(TUNE_SPACE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def invoke(objective="mine:bowl", *arguments, n_trials=2, space="tune.toml"):
        return run(
            *("tune", objective, "--space", space, "--output-dir", "results"),
            *("--executor", "inline", "--sampler", "random", "--n-trials", str(n_trials)),
            *arguments,
        )

    yield invoke
    sys.modules.pop("mine", None)


def test_a_function_is_tuned_with_files_and_plots(tune, tmp_path):
    done = tune("mine:rising", "--maximize", "--plot", "--seed", "5", n_trials=3)
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "results").iterdir()} >= {
        "best_hyperparameters.json",
        "optimization_results.json",
        "optimization_report.txt",
        "study.db",
        "plots",
    }
    assert len(list((tmp_path / "results/plots").glob("*.png"))) == 4
    found = results()
    assert found["seed"] == 5
    assert found["objective"] == "mine.rising"
    assert found["best_value"] == 4 * max(t["params"]["x"] for t in found["trial_results"])
    assert f"Best value: {found['best_value']:.4f}" in done.output


def test_a_module_beside_the_user_is_found_by_child_processes_too(tune):
    done = tune("mine:bowl", "--executor", "process")
    assert done.exit_code == 0, done.output
    assert results()["endings"] == {"completed": 2}


def test_the_same_tuning_command_goes_on_to_the_total(tune):
    tune(n_trials=1)
    done = tune(n_trials=3)
    assert done.exit_code == 0
    assert "going on after 1 of 3 trials" in done.output
    assert [trial["number"] for trial in results()["trial_results"]] == [0, 1, 2]


def test_a_tuning_in_which_no_trial_ends_well_exits_with_1(tune):
    done = tune("mine:broken")
    assert done.exit_code == 1
    assert "ValueError: no luck" in done.stdout
    assert len(done.stderr.strip().splitlines()) == 1
    assert results()["endings"] == {"failed": 2}


def test_a_report_finds_the_only_study_whatever_its_name(tune, run, tmp_path):
    tune()
    before = results()
    (tmp_path / "results/optimization_results.json").unlink()
    done = run("report", "--output-dir", "results")
    assert done.exit_code == 0, done.output
    assert {**results(), "timestamp": ""} == {**before, "timestamp": ""}
    tune("mine:rising")
    (tmp_path / "results/optimization_results.json").unlink()
    line = one_line(run("report", "--output-dir", "results"))
    assert "must hold exactly one study" in line
    assert "holds bowl, rising. Give the name as --study-name" in line
    assert run("report", "--output-dir", "results", "--study-name", "bowl").exit_code == 0
    assert results()["study_name"] == "bowl"
    # The files that are there tell which of the two is meant.
    assert run("report", "--output-dir", "results").exit_code == 0
    assert results()["study_name"] == "bowl"


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("mine", "must be named module:function, but got 'mine'"),
        ("mine:", "must be named module:function"),
        ("no_such_module:cost", "no_such_module:cost must be importable"),
        ("mine:no_such_function", "mine:no_such_function must be importable"),
        ("mine:not_a_function", "must be a function, but it is 5"),
        ("crashing:cost", "crashing:cost must be importable, but: ZeroDivisionError"),
        ("nonsense:cost", "nonsense:cost must be importable, but: SyntaxError"),
    ],
)
def test_an_objective_that_is_not_there_is_one_line(tune, tmp_path, objective, message):
    (tmp_path / "crashing.py").write_text("1 / 0\n")
    (tmp_path / "nonsense.py").write_text("def cost(:\n")
    assert message in one_line(tune(objective))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (None, "other.toml"),
        ("x = [0.0, 1.0]", "x"),
        ("[x]\nlow = 1.0\nhigh = 0.0", "x"),
        ("[x]\nlow = 0.0", "x"),
        ("[x", "other.toml"),
        ("", "other.toml"),
    ],
)
def test_a_space_that_makes_no_sense_is_one_line(tune, tmp_path, space, message):
    if space is not None:
        (tmp_path / "other.toml").write_text(space)
    assert message in one_line(tune(space="other.toml"))
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--storage", "nonsense"), "a storage must be a database URL"),
        (("--jobs", "2"), "the inline executor must have one job"),
        (("--output-dir", "/proc/nowhere"), "the output directory /proc/nowhere must be writable"),
    ],
)
def test_a_tuning_mistake_costs_one_line_and_exit_code_2(tune, arguments, message):
    assert message in one_line(tune("mine:bowl", *arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--n-trials", "0"),
        ("--sampler", "best"),
        ("--executor", "cloud"),
        ("--memory-limit", "lots"),
        ("--timeout", "0"),
        ("--on-oom", "ignore"),
        ("--nonsense",),
    ],
)
def test_a_wrong_tuning_flag_is_a_usage_error(tune, arguments):
    done = tune("mine:bowl", *arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert arguments[0] in done.stderr


@pytest.mark.parametrize("missing", [("tune",), ("tune", "mine:bowl"), ("cancel",)])
def test_what_must_be_given_is_asked_for(run, missing):
    done = run(*missing)
    assert done.exit_code == 2
    assert "Missing" in done.stderr


def test_another_tuning_on_the_same_study_is_refused(tune, tmp_path):
    tune("mine:bowl", "--seed", "7")
    before = results()
    (tmp_path / "tune.toml").write_text(TUNE_SPACE.replace("high = 3", "high = 4"))
    assert "space (width)" in one_line(tune(n_trials=3))
    (tmp_path / "tune.toml").write_text(TUNE_SPACE)
    assert "direction (then minimize, now maximize)" in one_line(tune("mine:bowl", "--maximize"))
    assert "seed 7" in one_line(tune("mine:bowl", "--seed", "8"))
    assert results() == before


def test_a_changed_function_must_be_accepted(tune, tmp_path):
    tune()
    (tmp_path / "mine.py").write_text(OBJECTIVES.replace("0.3", "0.31"))
    sys.modules.pop("mine")
    assert "--accept-changed-source" in one_line(tune(n_trials=3))
    assert tune("mine:bowl", "--accept-changed-source", n_trials=3).exit_code == 0
    assert results()["n_trials"] == 3


def test_an_output_directory_that_is_a_file_is_one_line(tune, tmp_path):
    (tmp_path / "results").write_text("mine")
    line = one_line(tune())
    assert "the output directory results must be writable" in line
    assert (tmp_path / "results").read_text() == "mine"


def test_a_broken_database_is_one_line_and_stays_as_it_is(tune, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/study.db").write_text("this is no database, but long enough " * 99)
    before = (tmp_path / "results/study.db").read_bytes()
    line = one_line(tune())
    assert "study.db cannot be opened" in line
    assert "move it away" in line
    assert (tmp_path / "results/study.db").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("tune", "crashing:cost", "--space", "tune.toml"), ZeroDivisionError),
        (("cancel", "3", "--output-dir", "nowhere"), None),
        (("report", "--output-dir", "nowhere"), None),
    ],
)
def test_debug_shows_where_an_error_comes_from(tune, run, tmp_path, arguments, cause):
    (tmp_path / "crashing.py").write_text("1 / 0\n")
    done = run(*arguments, "--debug")
    assert isinstance(done.exception, ChromasonicError)
    if cause is not None:
        assert isinstance(done.exception.__cause__, cause)
    one_line(run(*arguments))


# Cancelling


def test_there_is_nothing_to_cancel_where_no_search_runs(tune, run, tmp_path):
    line = one_line(run("cancel", "3", "--output-dir", "nowhere"))
    assert "no search is running in nowhere" in line
    assert not (tmp_path / "nowhere").exists()
    tune()
    assert "no search is running in results" in one_line(
        run("cancel", "0", "--output-dir", "results")
    )
    assert not (tmp_path / "results/.cancel").exists()


def test_a_trial_to_cancel_is_a_number(run):
    assert run("cancel", "first").exit_code == 2
    assert run("cancel", "--", "-1").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "inline"])
def test_a_running_trial_that_is_cancelled_ends_and_does_not_count(tune, tmp_path, executor):
    command = [sys.executable, "-m", "chromasonic"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    options = {"--space": "tune.toml", "--output-dir": "results", "--n-trials": "2"}
    options |= {"--executor": executor, "--jobs": "1", "--sampler": "random", "--pruner": "none"}
    words = [word for option in options.items() for word in option]
    search = subprocess.Popen(
        [*command, "tune", "mine:endless", *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    try:
        # It never ends on its own.
        next(line for line in search.stdout if line.startswith("trial 0: x="))
        unknown, cancelled = [
            subprocess.run(
                [*command, "cancel", number, "--output-dir", "results"],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
            )
            for number in ("99", "0")
        ]
        assert unknown.returncode == 2
        assert "trial 99 must be running, but is not. Running now: 0." in unknown.stderr
        assert cancelled.returncode == 0, cancelled.stderr
        assert "will end trial 0" in cancelled.stdout
        output, _ = search.communicate(timeout=120)
    finally:
        search.kill()
        search.communicate()
    assert search.returncode == 0
    assert "cancelled" in output
    found = results()
    assert found["n_trials"] == 2
    assert [trial["number"] for trial in found["trial_results"]] == [1, 2]
    assert found["endings"] == {"completed": 2}


def test_the_command_line_has_every_option_of_a_search_with_the_same_default():
    # Points to try first are written in Python alone.
    assert {**run_options(), "initial_points": ()} == DEFAULTS
