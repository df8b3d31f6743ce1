import json
import typing

import pytest
from typer.testing import CliRunner

from chromasonic import __version__, cli
from chromasonic.cli import options
from chromasonic.cli.commands.search import ModelName
from chromasonic.melody_generation.models import MODELS
from chromasonic.tuning.pruners import PRUNERS
from chromasonic.tuning.samplers import SAMPLERS

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
    assert "there must be a search in nowhere" in one_line(
        run("report", "--output-dir", "nowhere")
    )


def test_a_search_in_which_no_trial_ends_well_says_so(search, monkeypatch):
    from chromasonic.melody_generation import training

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
