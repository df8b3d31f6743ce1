import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
from functools import partial
from importlib import import_module

import numpy as np
import optuna
import pytest
from optuna.pruners import MedianPruner
from optuna.storages import InMemoryStorage

from chromasonic import load_result, tune
from chromasonic.bayesopt import Categorical, Float, Space
from chromasonic.errors import (
    ExecutorError,
    ObjectiveError,
    SpaceError,
    StudyError,
    StudyMismatch,
)
from chromasonic.tuning._pruners import MEDIAN_STARTUP_TRIALS, MEDIAN_WARMUP_FRACTION, PRUNERS
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.sampling.by_name import SAMPLERS
from chromasonic.tuning.storage.opening import open_storage, sqlite_url

BOUNDS = {"x": (0.0, 1.0), "width": (1, 4), "kind": ["a", "b"]}
X = {"x": (0.0, 1.0)}


def bowl(params):
    return (params["x"] - 0.3) ** 2 + 0.1 * params["width"] + 0.05 * (params["kind"] == "b")


def falling(params):
    for epoch in range(1, 5):
        yield params["x"] + 1 / epoch


@pytest.fixture
def search():
    """`tune` in this process and without progress."""
    defaults = {"executor": "inline", "sampler": "random", "verbose": False, "seed": 0}

    def run(objective, space=X, n_trials=3, **options):
        return tune(objective, space, n_trials, **{**defaults, **options})

    return run


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be imported as `mine`, also a second time with other text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text):
        (tmp_path / "mine.py").write_text(text)
        sys.modules.pop("mine", None)

    yield write
    sys.modules.pop("mine", None)


def outcome(result):
    """All of a result that must be the same the next time."""
    return [
        (t.number, t.ending, t.params, t.value, [row.loss for row in t.learning_curve])
        for t in result.trials
    ]


def content(folder):
    return json.loads((folder / "optimization_results.json").read_text())


def list_tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# What comes back


def test_the_result_is_a_mapping_with_the_best_and_every_trial(search):
    result = search(bowl, BOUNDS, 6)
    assert {
        "best_params",
        "best_value",
        "total_time",
        "n_trials",
        "trial_results",
        "endings",
        "importance",
        "seed",
        "objective",
        "space",
        "direction",
    } <= set(result)
    assert result["n_trials"] == len(result["trial_results"]) == 6
    assert [trial["ending"] for trial in result["trial_results"]] == ["completed"] * 6
    assert result["endings"] == {"completed": 6}
    best = min(result["trial_results"], key=lambda trial: trial["value"])
    assert result["best_params"] == best["params"]
    assert result["best_value"] == best["value"] == bowl(result["best_params"])
    assert set(best["params"]) == set(BOUNDS)
    assert result.stopped_by == "n_trials"
    assert json.loads(json.dumps(result.to_dict()))["best_value"] == result["best_value"]


def test_a_space_object_serves_as_well_as_bounds(search):
    result = search(lambda params: params["x"], Space({"x": Float(5.0, 6.0)}))
    assert 5 <= result["best_value"] <= 6


def test_a_trial_in_a_generator_has_the_best_value_it_yields(search):
    result = search(lambda params: iter_losses(3.0, 1.0, 2.0), n_trials=1)
    (trial,) = result.trials
    assert (trial.value, trial.best_epoch, len(trial.learning_curve)) == (1.0, 2, 3)


def iter_losses(*losses):
    yield from losses


def test_every_ending_is_counted(search):
    def objective(params, trial):
        if trial.number == 0:
            raise ValueError("no luck")
        if trial.number == 1:
            yield -5.0
        yield float("nan") if trial.number == 1 else 1.0

    result = search(objective)
    assert [trial["ending"] for trial in result["trial_results"]] == [
        "failed",
        "diverged",
        "completed",
    ]
    assert result["endings"] == {"failed": 1, "diverged": 1, "completed": 1}
    assert [trial["value"] for trial in result["trial_results"]] == [None, None, 1.0]
    assert result["trial_results"][0]["reason"] == "ValueError: no luck"


def test_a_search_in_which_all_fails_has_no_best(search):
    result = search(lambda params: 1 / 0)
    assert result["best_params"] == {}
    assert result["best_value"] is None
    assert result["endings"] == {"failed": 3}


# What can be tuned


def test_an_objective_with_a_second_argument_is_told_of_its_trial(search):
    told = []

    def objective(params, trial):
        told.append((trial.number, trial.seed, trial.checkpoint))
        return params["x"]

    search(objective)
    assert [number for number, _, _ in told] == [0, 1, 2]
    assert len({seed for _, seed, _ in told}) == 3
    assert {checkpoint for _, _, checkpoint in told} == {None}


def test_metrics_and_training_losses_of_an_epoch_are_kept(search):
    def objective(params, trial):
        yield Epoch(2.0, train_loss=1.5, metrics={"accuracy": 0.25})

    (row,) = search(objective, n_trials=1)["trial_results"][0]["learning_curve"]
    assert (row["epoch"], row["loss"], row["train_loss"], row["accuracy"]) == (1, 2, 1.5, 0.25)


def test_an_objective_can_be_named_by_where_it_is_imported_from(search, module):
    module("class Mine:\n    @staticmethod\n    def cost(params):\n        return params['x']\n")
    result = search("mine:Mine.cost", executor="process", jobs=1)
    assert result["best_value"] == result["best_params"]["x"]
    assert result["study_name"] == "cost"
    assert result["objective"] == "mine.Mine.cost"


def test_lambdas_and_closures_run_in_child_processes(search):
    shift = 5.0
    pids = search(lambda params: params["x"] + shift, executor="process", jobs=2)
    assert all(5 <= trial.value <= 6 for trial in pids.trials)
    result = search(lambda params: float(os.getpid()), executor="process", jobs=1, n_trials=2)
    assert os.getpid() not in {trial.value for trial in result.trials}


def test_a_partial_function_has_the_name_and_source_of_the_function_itself(search, tmp_path):
    def scaled(params, factor):
        return factor * params["x"]

    def other(params, factor):
        return -factor * params["x"]

    result = search(partial(scaled, factor=2.0), output_dir=tmp_path)
    assert result["study_name"] == "scaled"
    with pytest.raises(StudyMismatch, match="another objective"):
        search(partial(other, factor=2.0), output_dir=tmp_path, study_name="scaled")


def test_an_object_that_can_be_called_has_the_name_of_its_class(search):
    class Cost:
        def __call__(self, params):
            return params["x"]

    assert search(Cost())["study_name"] == "Cost"


# Maximising


def peak(params):
    for epoch in range(1, 5):
        yield Epoch((1 - abs(params["x"] - 0.3)) * epoch / 4, train_loss=10.0 + epoch)


def test_a_maximised_search_speaks_with_the_sign_of_the_objective_everywhere(
    search, tmp_path, capsys
):
    result = search(
        peak, {**X, "y": (0.0, 1.0)}, 16, maximize=True, output_dir=tmp_path, verbose=True
    )
    finished = [trial for trial in result.trials if trial.counts]
    assert result["best_value"] == max(trial.value for trial in finished) > 0.7
    assert result["best_value"] == pytest.approx(1 - abs(result["best_params"]["x"] - 0.3))
    assert [t.value for t in result.ranking()] == sorted((t.value for t in finished), reverse=True)
    for trial in result.trials:
        assert trial.value == trial.val_loss == max(row.loss for row in trial.learning_curve)
        losses = [row.train_loss for row in trial.learning_curve]
        assert losses == [11.0, 12.0, 13.0, 14.0][: len(losses)]
        assert trial.train_loss == losses[-1]
    assert "pruned" in result["endings"]

    files = content(tmp_path)
    assert files["direction"] == "maximize"
    assert files["best_value"] == result["best_value"]
    assert files["trial_results"] == result["trial_results"]
    best_file = json.loads((tmp_path / "best_hyperparameters.json").read_text())
    assert best_file["best_value"] == result["best_value"]
    report = (tmp_path / "optimization_report.txt").read_text()
    first, second = (trial for trial in result.ranking()[:2])
    assert f"RANK 1: Trial {first.number}\n  Value: {first.value:.4f}\n" in report
    assert f"RANK 2: Trial {second.number}\n  Value: {second.value:.4f}\n" in report
    shown = capsys.readouterr().out
    assert f"16 of 16, best {result['best_value']:.4f} (trial {first.number})" in shown
    assert f"trial 0: {result.trials[0].value:.4f}  completed" in shown
    assert "-0." not in shown + report


def test_a_maximised_search_is_the_mirror_image_of_a_minimised_one(search):
    def mirrored(params):
        return -bowl(params)

    up = search(bowl, BOUNDS, 14, maximize=True, sampler="gp")
    down = search(mirrored, BOUNDS, 14, sampler="gp")
    assert [t.params for t in up.trials] == [t.params for t in down.trials]
    assert [t.value for t in up.trials] == [-t.value for t in down.trials]
    assert up["best_value"] == max(t.value for t in up.trials) == -down["best_value"]


def test_the_importance_of_parameters_does_not_depend_on_the_direction(search):
    space = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    up = search(lambda params: params["x"], space, 25, maximize=True)
    down = search(lambda params: -params["x"], space, 25)
    assert up["importance"] == down["importance"]
    first, second = up["importance"]
    assert first["name"] == "x"
    assert first["total"]["estimate"] > 0.9 > 0.1 > second["total"]["estimate"]


def test_the_study_of_a_maximised_search_has_its_direction_and_values(search, tmp_path):
    result = search(peak, n_trials=4, pruner="none", maximize=True, output_dir=tmp_path)
    study = optuna.load_study(study_name="peak", storage=f"sqlite:///{tmp_path}/study.db")
    assert study.direction.name == "MAXIMIZE"
    assert study.best_value == result["best_value"] > 0
    assert [t.value for t in study.trials] == [t.value for t in result.trials]
    assert study.trials[0].intermediate_values == {
        row.epoch: row.loss for row in result.trials[0].learning_curve
    }


def test_a_study_with_values_of_the_opposite_sign_is_refused(search, tmp_path):
    search(peak, n_trials=2, maximize=True, output_dir=tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute("UPDATE study_directions SET direction = 'MINIMIZE'")
        database.commit()
    for read in (
        lambda: search(peak, n_trials=3, maximize=True, output_dir=tmp_path),
        lambda: load_result(tmp_path),
    ):
        with pytest.raises(StudyError, match="with the opposite sign"):
            read()


def test_trials_under_way_are_in_the_result_with_their_curves(search, tmp_path):
    def objective(params, trial):
        yield 2.0
        if trial.number == 1:
            signal.raise_signal(signal.SIGINT)
        yield 1.0

    result = search(objective, n_trials=3, output_dir=tmp_path)
    assert [trial.number for trial in result.trials] == [0]
    (running,) = result.running
    assert (running.number, running.state, running.ending) == (1, "WAITING", "")
    assert [row.loss for row in running.learning_curve] == [2.0]
    assert running.params.keys() == {"x"}
    assert load_result(tmp_path / "optimization_results.json").running == result.running
    assert search(objective, n_trials=1, output_dir=tmp_path / "other").running == ()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("job", "Did you mean jobs"), ("qqq", "There are timeout, patience, target, sampler")],
)
def test_an_option_that_does_not_exist_is_refused_with_a_hint(search, name, hint):
    with pytest.raises(TypeError, match=f"a search has no option '{name}'. {hint}"):
        search(bowl, BOUNDS, **{name: 2})


def test_the_target_of_a_maximised_search_is_a_least_value(search):
    result = search(
        lambda params, trial: 0.1 * trial.number, n_trials=9, maximize=True, target=0.4
    )
    assert result.stopped_by == "target"
    assert result["best_value"] == pytest.approx(0.4)


def test_the_other_direction_is_another_search(search, tmp_path):
    search(bowl, BOUNDS, output_dir=tmp_path)
    with pytest.raises(StudyMismatch, match=r"direction \(then minimize, now maximize\)"):
        search(bowl, BOUNDS, output_dir=tmp_path, maximize=True)


# Going on


def test_the_total_of_trials_includes_those_of_the_call_before(search, tmp_path):
    first = search(bowl, BOUNDS, 2, output_dir=tmp_path)
    second = search(bowl, BOUNDS, 5, output_dir=tmp_path)
    assert [trial.number for trial in second.trials] == [0, 1, 2, 3, 4]
    assert outcome(second)[:2] == outcome(first)
    assert outcome(second) == outcome(search(bowl, BOUNDS, 5))
    assert second["total_time"] >= first["total_time"]
    assert content(tmp_path)["n_trials"] == 5


def test_a_search_that_is_complete_gives_its_result_again_and_calls_nothing(search, tmp_path):
    calls = []

    def objective(params):
        calls.append(params)
        return params["x"]

    first = search(objective, output_dir=tmp_path)
    again = search(objective, output_dir=tmp_path)
    assert outcome(again) == outcome(first)
    assert len(calls) == 3


def test_another_space_is_refused_and_its_parameters_are_named(search, tmp_path):
    search(bowl, BOUNDS, output_dir=tmp_path)
    before = (tmp_path / "optimization_results.json").read_text()
    with pytest.raises(StudyMismatch, match=r"another space \(width, kind\)"):
        search(bowl, {**BOUNDS, "width": (1, 5), "kind": ["a", "c"]}, output_dir=tmp_path)
    assert (tmp_path / "optimization_results.json").read_text() == before


def test_another_objective_is_refused_and_named(search, tmp_path):
    search(bowl, BOUNDS, output_dir=tmp_path)
    with pytest.raises(StudyMismatch, match=r"another objective .*peak"):
        search(peak, BOUNDS, output_dir=tmp_path, study_name="bowl")


def test_a_changed_source_is_refused_unless_it_is_accepted(search, module, tmp_path):
    results = tmp_path / "results"
    module("def cost(params):\n    return params['x']\n")
    search("mine:cost", n_trials=2, output_dir=results)
    module("def cost(params):\n    return 10 + params['x']\n")
    with pytest.raises(StudyMismatch, match=r"source of the objective.*accept_changed_source"):
        search("mine:cost", output_dir=results)
    accepted = search("mine:cost", output_dir=results, accept_changed_source=True)
    assert [trial.value > 5 for trial in accepted.trials] == [False, False, True]
    assert len(search("mine:cost", n_trials=4, output_dir=results).trials) == 4


def test_the_source_of_a_lambda_is_its_own_and_not_that_of_the_line_it_stands_in(module, tmp_path):
    call = """from chromasonic import tune

def search(folder):
    settings = {{"jobs": 1, "sampler": "random", "executor": "inline", "verbose": False}}
    return tune({cost}, {{"x": (0.0, 1.0)}}, n_trials={n}, seed=1, output_dir=folder, **settings)
"""

    def search_with(cost, n):
        module(call.format(cost=cost, n=n))
        return import_module("mine").search(tmp_path / "results")

    assert len(search_with("lambda params: params['x']", 1).trials) == 1
    assert len(search_with("lambda params: params['x']", 2).trials) == 2
    with pytest.raises(StudyMismatch, match="source of the objective"):
        search_with("lambda params: 1 + params['x']", 2)


def test_an_accepted_source_accepts_nothing_else(search, tmp_path):
    search(bowl, BOUNDS, output_dir=tmp_path)
    with pytest.raises(StudyMismatch, match=r"space \(x\)"):
        search(bowl, {**BOUNDS, "x": (0.0, 2.0)}, output_dir=tmp_path, accept_changed_source=True)


def test_fresh_begins_a_new_study_and_keeps_the_old_one_beside_it(search, tmp_path):
    old = search(bowl, BOUNDS, 2, output_dir=tmp_path)
    new = search(bowl, {**BOUNDS, "x": (0.0, 2.0)}, 3, output_dir=tmp_path, fresh=True, seed=9)
    assert (new["study_name"], new["seed"], len(new.trials)) == ("bowl~2", 9, 3)
    assert content(tmp_path / "earlier" / "bowl")["trial_results"] == old["trial_results"]
    with pytest.raises(StudyMismatch, match=r"space \(x\)"):
        search(bowl, BOUNDS, output_dir=tmp_path, seed=9)


# Seeds


def noisy(params, trial):
    rng = random.Random(trial.seed)
    for _ in range(3):
        yield params["x"] + rng.random()


@pytest.mark.usefixtures("functions_travel")
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_seed_and_jobs_give_the_same_search_twice(search, jobs):
    def objective(params, trial):
        yield from noisy(params, trial)

    options = {"executor": "process", "jobs": jobs, "sampler": "gp", "n_trials": 7}
    first = search(objective, **options)
    assert outcome(first) == outcome(search(objective, **options))
    assert outcome(first) != outcome(search(objective, **{**options, "seed": 1}))
    if jobs == 1:
        assert outcome(first) == outcome(search(objective, sampler="gp", n_trials=7))


def test_a_seed_that_is_drawn_is_shown_and_stored(search, tmp_path, capsys):
    first = search(noisy, seed=None, verbose=True, output_dir=tmp_path)
    assert f"seed {first['seed']}: a new search" in capsys.readouterr().out
    assert content(tmp_path)["seed"] == first["seed"]
    assert search(noisy, seed=None, output_dir=tmp_path, n_trials=4)["seed"] == first["seed"]
    assert outcome(search(noisy, seed=first["seed"])) == outcome(first)
    with pytest.raises(StudyMismatch, match=f"seed {first['seed']}, but got 123456789012"):
        search(noisy, seed=123456789012, output_dir=tmp_path)


def test_two_searches_without_a_seed_differ(search):
    assert outcome(search(noisy, seed=None)) != outcome(search(noisy, seed=None))


# What is kept, and where


@pytest.mark.parametrize(("executor", "jobs"), [("inline", 1), ("process", 2)])
def test_without_an_output_directory_nothing_is_left_on_disk(
    search, tmp_path, monkeypatch, executor, jobs
):
    folders = [tmp_path / "here", tmp_path / "temporary", tmp_path / "home"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[0])
    monkeypatch.setenv("TMPDIR", str(folders[1]))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("HOME", str(folders[2]))

    def objective(params, trial):
        for _ in range(2):
            yield Epoch(params["x"], save=lambda folder: (folder / "state").write_text("x"))

    assert tempfile.gettempdir() == str(folders[1])
    assert len(search(objective, executor=executor, jobs=jobs).trials) == 3
    assert [list_tree(folder) for folder in folders] == [[], [], []]


def test_an_output_directory_holds_the_study_and_the_files(search, tmp_path):
    search(bowl, BOUNDS, output_dir=tmp_path / "new" / "results")
    names = {path.name for path in (tmp_path / "new" / "results").iterdir()}
    assert names >= {
        "study.db",
        "best_hyperparameters.json",
        "optimization_results.json",
        "optimization_report.txt",
    }
    assert not {"best_model", "checkpoints", ".cancel"} & names


def test_a_study_can_be_kept_at_a_database_url(search, tmp_path):
    url = sqlite_url(tmp_path / "elsewhere.db")
    search(bowl, BOUNDS, 2, storage=url)
    result = search(bowl, BOUNDS, 4, storage=url)
    assert len(result.trials) == 4
    assert result["storage"] == url
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_study_can_be_kept_in_a_storage_of_optunas(search, tmp_path, kind):
    url = sqlite_url(tmp_path / "study.db")
    storage = InMemoryStorage() if kind == "memory" else open_storage(url)
    search(bowl, BOUNDS, 2, storage=storage)
    result = search(bowl, BOUNDS, 4, storage=storage)
    assert len(result.trials) == 4
    study = optuna.load_study(storage=storage, study_name="bowl")
    assert [trial.value for trial in study.trials] == [trial.value for trial in result.trials]
    assert study.best_params == result["best_params"]
    if kind == "file":
        storage.engine.dispose()


def test_two_studies_share_a_directory_by_their_names(search, tmp_path):
    search(bowl, BOUNDS, 2, output_dir=tmp_path)
    search(falling, X, 3, output_dir=tmp_path)
    assert len(search(bowl, BOUNDS, 2, output_dir=tmp_path).trials) == 2


# What is tried, and for how long


def test_initial_points_are_tried_first_and_only_once(search, tmp_path):
    points = [{"x": 0.25, "width": 3, "kind": "b"}, {"x": 0.5, "width": 1, "kind": "a"}]
    first = search(bowl, BOUNDS, output_dir=tmp_path, initial_points=points)
    assert [trial.params for trial in first.trials[:2]] == points
    assert first.trials[2].params not in points
    second = search(bowl, BOUNDS, 5, output_dir=tmp_path, initial_points=points)
    assert all(trial.params not in points for trial in second.trials[2:])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_can_be_named(search, sampler):
    space = {"width": (1, 4), "kind": ["a", "b"]}
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
        space = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    result = search(lambda params: float(len(str(params))), space, 4, sampler=sampler)
    assert result["endings"] == {"completed": 4}
    recorded = {trial.settings["sampler"] for trial in result.trials}
    assert recorded == {"gp" if sampler == "auto" else sampler}


def test_patience_ends_a_search_that_finds_nothing_better(search):
    values = [3.0, 2.0, 1.0, 1.0, 5.0, 4.0, 0.0]
    result = search(lambda params, trial: values[trial.number], n_trials=7, patience=3)
    assert result.stopped_by == "patience"
    assert [trial.value for trial in result.trials] == values[:6]


def test_a_target_ends_a_search_that_has_reached_it(search):
    result = search(lambda params, trial: 5.0 - trial.number, n_trials=9, target=3.0)
    assert result.stopped_by == "target"
    assert result["best_value"] == 3.0


def test_a_timeout_puts_the_running_trial_back_and_it_runs_first_later(search, tmp_path):
    forever = [True]
    seen = []

    def objective(params):
        seen.append(params)
        while True:
            yield params["x"]
            if not forever[0]:
                return

    while not seen:
        first = search(objective, n_trials=2, timeout=0.5, output_dir=tmp_path)
        assert first.stopped_by == "timeout"
        assert first.trials == ()
    forever[0] = False
    second = search(objective, n_trials=2, output_dir=tmp_path)
    assert [trial.number for trial in second.trials] == [0, 1]
    assert seen[0] == seen[1] == second.trials[0].params


# Pruning without knowing how long a trial is


def random_curves(seed, lengths):
    rng = random.Random(seed)
    return [[rng.random() + 2 * rng.random() / e for e in range(1, n + 1)] for n in lengths]


def pruned_by_optuna(curves):
    """Reference: Optuna's median pruner, told at each trial how long the longest has been."""
    study = optuna.create_study()
    endings, longest = [], 1
    for curve in curves:
        study.pruner = MedianPruner(
            MEDIAN_STARTUP_TRIALS, n_warmup_steps=round(MEDIAN_WARMUP_FRACTION * longest)
        )
        trial = study.ask()
        for epoch, loss in enumerate(curve, start=1):
            trial.report(loss, epoch)
            if epoch < longest and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                endings.append(("pruned", epoch))
                break
        else:
            study.tell(trial, min(curve))
            endings.append(("completed", len(curve)))
            longest = max(longest, len(curve))
    return endings


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lengths", ["equal", "mixed"])
def test_bad_trials_are_pruned_as_if_their_length_were_known(search, seed, lengths):
    rng = random.Random(seed)
    n_epochs = [20 if lengths == "equal" else rng.randint(1, 20) for _ in range(25)]
    curves = random_curves(seed, n_epochs)

    def objective(params, trial):
        yield from curves[trial.number]

    result = search(objective, n_trials=25)
    endings = [(trial.ending, len(trial.learning_curve)) for trial in result.trials]
    assert endings == pruned_by_optuna(curves)
    assert "pruned" in result["endings"]
    if lengths == "equal":
        first = min(epochs for ending, epochs in endings if ending == "pruned")
        assert first >= round(MEDIAN_WARMUP_FRACTION * 20)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_function_that_returns_one_number_is_never_pruned(search, pruner):
    """It has already ended: pruning would lose its value and save nothing."""
    result = search(lambda params, trial: float(trial.number), n_trials=20, pruner=pruner)
    assert result["endings"] == {"completed": 20}


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_other_pruner_ends_bad_trials_before_their_last_epoch(search, pruner):
    def objective(params, trial):
        yield from [float(trial.number)] * 9

    result = search(objective, n_trials=20, pruner=pruner)
    lengths = {len(trial.learning_curve) for trial in result.trials if trial.ending == "pruned"}
    assert (pruner == "none") == (lengths == set())
    assert max(lengths, default=1) < 9


def test_large_values_are_not_pruned_where_they_are_wanted(search):
    curves = [[float(number)] * 5 for number in range(12)]
    up = search(lambda p, trial: iter_losses(*curves[trial.number]), n_trials=12, maximize=True)
    assert up["endings"] == {"completed": 12}
    down = search(lambda p, trial: iter_losses(*curves[trial.number]), n_trials=12)
    assert down["endings"] == {"completed": 5, "pruned": 7} | down["endings"]
    assert down["endings"]["pruned"] == 7


def test_a_pruned_trial_is_not_asked_for_its_next_epoch(search):
    asked = []

    def objective(params, trial):
        for epoch in range(10):
            asked.append((trial.number, epoch))
            yield float(trial.number)

    result = search(objective, n_trials=6)
    pruned = result.trials[-1]
    assert pruned.ending == "pruned"
    assert [e for n, e in asked if n == pruned.number] == [*range(len(pruned.learning_curve))]


# Mistakes


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (5, "an objective must be a function, but got 5"),
        (None, "an objective must be a function, but got None"),
        ("mine", "must be named module:function, but got 'mine'"),
        ("no_such_module:cost", "no_such_module:cost must be importable, but: ModuleNotFound"),
        ("math:no_such_name", "math:no_such_name must be importable, but: AttributeError"),
        ("math:pi", "math:pi must be a function, but it is 3.14"),
    ],
)
def test_what_is_no_objective_is_refused(search, objective, message, tmp_path):
    with pytest.raises(ObjectiveError, match=message):
        search(objective, output_dir=tmp_path / "results")
    assert list_tree(tmp_path) == []


def test_a_module_that_breaks_while_it_is_imported_is_told_with_its_cause(search, module):
    module("1 / 0\n")
    with pytest.raises(ObjectiveError, match=r"mine:cost must be .* ZeroDivisionError") as caught:
        search("mine:cost")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("given", [None, True, "0.5", [1.0], {}])
def test_an_objective_that_gives_no_number_fails_with_the_reason(search, given):
    result = search(lambda params: given, n_trials=1)
    (trial,) = result.trials
    assert trial.ending == "failed"
    assert "an objective must give a number" in trial.reason


@pytest.mark.parametrize("maximize", [False, True])
def test_a_generator_that_yields_nothing_fails_with_the_reason(search, maximize):
    result = search(lambda params: iter_losses(), n_trials=1, maximize=maximize)
    assert "must yield at least one loss" in result.trials[0].reason


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"jobs": 0}, ValueError, "jobs must be a whole number of at least 1, but got 0"),
        ({"jobs": 1.5}, ValueError, "jobs must be a whole number of at least 1, but got 1.5"),
        ({"threads": 0}, ValueError, "threads must be a whole number of at least 1, but got 0"),
        ({"threads": "2"}, ValueError, "threads must be a whole number .* but got '2'"),
        ({"memory_limit": "lots"}, ValueError, "a size of memory must be such as 2GB"),
        ({"memory_limit": 0}, ValueError, "a size of memory must be such as 2GB"),
        ({"on_oom": "ignore"}, ValueError, "on_oom must be 'fail' or 'retry'"),
        (
            {"executor": "cloud"},
            ValueError,
            "must be one of process, inline, ray, but got 'cloud'",
        ),
        ({"jobs": 2}, ExecutorError, "the inline executor must have one job, but got jobs=2"),
        ({"n_trials": 0}, ValueError, "n_trials must be a whole number of at least 1"),
        ({"patience": 0}, ValueError, "patience must be a whole number of at least 1"),
        ({"timeout": 0}, ValueError, "timeout must be more than 0 seconds"),
        ({"trial_timeout": -1}, ValueError, "trial_timeout must be more than 0 seconds"),
        ({"stall_timeout": 0}, ValueError, "stall_timeout must be more than 0 seconds"),
        ({"sampler": "best"}, ValueError, "a sampler must be one of"),
        ({"pruner": "middle"}, ValueError, "a pruner must be one of"),
        ({"initial_points": [{"x": 2.0}]}, ValueError, "x"),
        ({"seed": -1}, ValueError, "a seed must be a whole number of at least 0, but got -1"),
        ({"seed": "one"}, ValueError, "a seed must be a whole number of at least 0"),
        ({"space": {"x": (1.0, 0.0)}}, SpaceError, "x"),
        ({"space": {}}, SpaceError, "at least one"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_is_written(
    search, tmp_path, options, error, message
):
    with pytest.raises(error, match=message):
        search(lambda params: 1.0, **{"output_dir": tmp_path / "results", **options})
    assert list_tree(tmp_path) == []


def test_options_may_be_scalars_of_numpy(search, tmp_path):
    plain = search(
        bowl, BOUNDS, n_trials=6, seed=5, initial_points=[{"x": 0.5, "width": 2, "kind": "b"}]
    )
    found = search(
        bowl,
        BOUNDS,
        n_trials=np.int64(6),
        seed=np.int64(5),
        jobs=np.int32(1),
        threads=np.uint8(1),
        timeout=np.float32(600),
        patience=np.int16(50),
        target=np.float64(-1.0),
        maximize=np.False_,
        deterministic=np.True_,
        initial_points=[{"x": np.float32(0.5), "width": np.int8(2), "kind": np.str_("b")}],
        output_dir=tmp_path,
    )
    assert [trial.params for trial in found.trials] == [trial.params for trial in plain.trials]
    assert [trial.params for trial in load_result(tmp_path).trials] == [
        trial.params for trial in found.trials
    ]
    assert json.loads((tmp_path / "optimization_results.json").read_text())["seed"] == 5


def test_initial_points_and_earlier_trials_keep_true_apart_from_one(search, tmp_path):
    space = {"flag": Categorical([1, True, "a"]), "x": (0.0, 1.0)}
    first = [{"flag": flag, "x": 0.5} for flag in (True, 1, "a")]
    options = {"initial_points": first, "sampler": "gp"}
    found = search(lambda p: p["x"], space, 4, output_dir=tmp_path / "a", **options)
    flags = [trial.params["flag"] for trial in found.trials]
    assert [repr(flag) for flag in flags[:3]] == ["True", "1", "'a'"]
    wider = {**space, "x": (-1.0, 1.0)}
    after = search(
        lambda p: p["x"],
        wider,
        6,
        output_dir=tmp_path / "b",
        earlier=load_result(tmp_path / "a"),
        accept_changed_source=True,
    )
    assert [repr(trial.params["flag"]) for trial in after.trials[:4]] == [*map(repr, flags)]


def test_a_space_where_true_becomes_one_is_another(search, tmp_path):
    search(bowl_of_flag, {"flag": [True, "a"]}, 1, output_dir=tmp_path)
    with pytest.raises(StudyMismatch, match=r"another space \(flag\)"):
        search(bowl_of_flag, {"flag": [1, "a"]}, 2, output_dir=tmp_path)


def bowl_of_flag(params):
    return 1.0 if params["flag"] == "a" else 0.5
