import json
import logging
from dataclasses import replace
from itertools import permutations

import optuna
import pytest
from optuna.storages import InMemoryStorage

from chromasonic.bayesopt import Fixed
from chromasonic.errors import SpaceError, StudyError, StudyInUse, StudyMismatch
from chromasonic.reporting.result_files import write_result_files
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import read_result
from chromasonic.tuning.session import SearchPlan, load_result, open_session
from chromasonic.tuning.storage.opening import sqlite_url
from chromasonic.tuning.study import Fingerprint, attribute, open_study

POINT = {"x": 0.5, "rate": 0.1, "width": 3, "kind": "b"}

HOLDER = """
import sys, time
from pathlib import Path
from chromasonic.bayesopt import Float, Space
from chromasonic.reporting.result_files import write_result_files
from chromasonic.tuning.session import SearchPlan, open_session
from chromasonic.tuning.study import Fingerprint

space = Space({"x": Float(0.0, 1.0)})
plan = SearchPlan(space, 5, Fingerprint({"vocabulary": 88}), Path(sys.argv[1]), "mine")
with open_session(plan):
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def make_plan(tmp_path, search_space):
    def make(**changes):
        settings = {
            "space": search_space,
            "num_epochs": 5,
            "fingerprint": Fingerprint({"vocabulary": 88}),
            "output_dir": tmp_path / "results",
            "study_name": "mine",
            **changes,
        }
        return SearchPlan(**settings)

    return make


@pytest.fixture
def run(falling):
    """Runs a plan to `n_trials` and gives its result."""

    def run_plan(plan, n_trials):
        with open_session(plan) as session:
            executor = InlineExecutor(falling)
            budget = Budget(n_trials)
            Driver(session.study, plan.space, executor, budget, seed=session.seed).run()
            return read_result(session.study)

    return run_plan


def test_a_search_is_kept_in_its_folder_and_goes_on_there(make_plan, run):
    first = run(make_plan(seed=3), 2)
    second = run(make_plan(), 5)
    assert second["seed"] == 3
    assert second["study_name"] == "mine"
    assert second["storage"].endswith("results/study.db")
    assert second.trials[:2] == first.trials
    assert len(second.trials) == 5


def test_a_search_that_was_continued_equals_one_that_was_not(make_plan, run):
    whole = run(make_plan(seed=3, storage=InMemoryStorage()), 6)
    storage = InMemoryStorage()
    for n_trials in (1, 4, 6):
        parts = run(make_plan(seed=3, storage=storage), n_trials)
    assert [t.params for t in parts.trials] == [t.params for t in whole.trials]
    assert [t.value for t in parts.trials] == [t.value for t in whole.trials]


def test_a_drawn_seed_is_kept(make_plan):
    plan = make_plan(storage=InMemoryStorage())
    with open_session(plan) as session:
        drawn = session.seed
        assert attribute(session.study, "description")["seed"] == drawn
    with open_session(plan) as session:
        assert session.seed == drawn


def test_initial_points_are_tried_first_and_only_by_a_new_study(make_plan, run):
    points = [POINT, {**POINT, "x": 0.25}]
    plan = make_plan(initial_points=points, seed=0, storage=InMemoryStorage())
    result = run(plan, 3)
    assert [t.params for t in result.trials[:2]] == points
    assert result.trials[2].params not in points
    assert POINT not in [t.params for t in run(plan, 6).trials[2:]]


def test_initial_points_that_a_driver_that_died_left_out_are_tried(make_plan, run):
    points = [{**POINT, "x": x} for x in (0.1, 0.2, 0.3)]
    storage = InMemoryStorage()
    plan = make_plan(initial_points=points, storage=storage)
    open_study(storage, "mine", plan.fingerprint).enqueue_trial(points[0])
    result = run(plan, 3)
    assert [t.params for t in result.trials] == points


@pytest.mark.parametrize(
    ("point", "problem"),
    [
        ({**POINT, "x": 2.0}, "x.*must be"),
        ({"x": 0.5}, "lacks 'rate'"),
        ({**POINT, "y": 1}, "but got 'y'"),
    ],
)
def test_an_initial_point_outside_the_space_is_refused_before_anything_is_made(
    make_plan, tmp_path, point, problem
):
    with pytest.raises(SpaceError, match=problem):
        make_plan(initial_points=[point])
    assert list(tmp_path.iterdir()) == []


def test_a_plan_names_the_sampler_that_auto_stands_for(make_plan):
    assert make_plan().sampler == make_plan(sampler="auto").sampler == "gp"
    assert make_plan(sampler="tpe").sampler == "tpe"


def test_a_study_goes_on_with_another_sampler_which_learns_from_the_first(make_plan, run):
    results = {}
    for first in ("qmc", "random"):
        storage = InMemoryStorage()
        before = run(make_plan(seed=3, storage=storage, sampler=first), 8).trials
        results[first] = run(make_plan(storage=storage), 10).trials
        assert results[first][:8] == before
    # The same seed and number: what was tried before is all that tells them apart.
    assert results["qmc"][8].params != results["random"][8].params


@pytest.mark.parametrize("wrong", [{"sampler": "bayes"}, {"pruner": "middle"}])
def test_wrong_names_are_refused_before_anything_is_made(make_plan, tmp_path, wrong):
    with pytest.raises(ValueError, match=f"a {next(iter(wrong))} must be one of"):
        make_plan(**wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_fresh_search_moves_the_files_of_the_old_one_and_nothing_of_the_users(
    make_plan, run, tmp_path
):
    results = tmp_path / "results"
    run(make_plan(seed=1), 3)
    (results / "best_model").mkdir()
    (results / "best_model" / "weights.safetensors").write_text("weights")
    (results / "optimization_report.txt").write_text("RANK 1")
    (results / "thesis.tex").write_text("mine")
    (results / ".hidden").write_text("mine")

    assert len(run(make_plan(fresh=True, seed=2), 1).trials) == 1
    earlier = results / "earlier" / "mine"
    assert (earlier / "best_model" / "weights.safetensors").read_text() == "weights"
    assert (earlier / "optimization_report.txt").read_text() == "RANK 1"
    assert {path.name for path in results.iterdir() if path.is_file()} >= {
        "thesis.tex",
        ".hidden",
        "study.db",
    }
    assert not (results / "optimization_report.txt").exists()

    again = run(make_plan(), 2)
    assert (again["study_name"], again["seed"], len(again.trials)) == ("mine~2", 2, 2)
    assert len(load_result(results, "mine").trials) == 2
    old = optuna.load_study(storage=sqlite_url(results / "study.db"), study_name="mine")
    assert len(old.trials) == 3


def test_a_fresh_search_may_be_of_something_else(make_plan, run):
    storage = InMemoryStorage()
    run(make_plan(storage=storage), 1)
    other = make_plan(fingerprint=Fingerprint({"vocabulary": 12}), storage=storage)
    with pytest.raises(StudyMismatch, match="vocabulary"):
        run(other, 2)
    run(replace(other, fresh=True), 1)
    assert len(run(other, 2).trials) == 2


def test_the_first_search_may_be_asked_for_afresh(make_plan, run, tmp_path):
    assert run(make_plan(fresh=True), 1)["study_name"] == "mine"
    assert not (tmp_path / "results" / "earlier").exists()


def test_two_studies_share_a_folder_without_mixing_their_checkpoints(make_plan, walk):
    storage = InMemoryStorage()

    def drive(name, end_after_one):
        plan = make_plan(study_name=name, seed=0, storage=storage)
        interrupt = Interrupt()
        observer = Observer()
        if end_after_one:
            observer.on_epoch = lambda number, row: interrupt.request()
        with open_session(plan) as session:
            Driver(
                session.study,
                plan.space,
                InlineExecutor(walk, interrupt.breakable),
                Budget(1),
                seed=0,
                observers=[observer],
                interrupt=interrupt,
                checkpoints=plan.output_dir / "checkpoints",
            ).run()
        epochs, walk.epochs_run = walk.epochs_run, []
        return [epoch for _, epoch in epochs]

    assert drive("one", end_after_one=True) == [1]
    assert drive("two", end_after_one=True) == [1]
    assert drive("one", end_after_one=False) == [2, 3, 4]
    assert drive("two", end_after_one=False) == [2, 3, 4]
    left = make_plan().output_dir / "checkpoints"
    assert list(left.rglob("*")) == []


def test_a_second_driver_is_refused_and_a_killed_one_is_in_nobodys_way(
    make_plan, run_child, tmp_path, search_space
):
    space = search_space.fix(rate=0.1, width=1, kind="a")
    child = run_child(HOLDER, tmp_path / "results")
    assert child.stdout.readline() == "open\n"
    plan = make_plan(space=space)
    with pytest.raises(StudyInUse, match="another one is running there"):
        open_session(plan).__enter__()
    child.kill()
    child.wait()
    with open_session(plan) as session:
        assert session.study.study_name == "mine"


def test_a_database_elsewhere_has_one_driver_too(make_plan, tmp_path):
    url = sqlite_url(tmp_path / "shared" / "study.db")
    here = make_plan(output_dir=tmp_path / "here", storage=url)
    there = make_plan(output_dir=tmp_path / "there", storage=url)
    other_study = make_plan(output_dir=tmp_path / "other", storage=url, study_name="other")
    with open_session(here):
        with pytest.raises(StudyInUse):
            open_session(there).__enter__()
        with open_session(other_study):
            pass
    with open_session(there):
        pass


def test_the_database_of_a_search_has_one_driver_however_it_is_named(make_plan, tmp_path):
    by_directory = make_plan(output_dir=tmp_path / "here")
    (tmp_path / "link").symlink_to(tmp_path / "here", target_is_directory=True)
    url = sqlite_url(tmp_path / "link" / "study.db")
    by_url = make_plan(output_dir=tmp_path / "there", storage=url)
    by_url_alone = make_plan(output_dir=None, storage=url)
    for first, second in permutations([by_directory, by_url, by_url_alone], 2):
        with open_session(first), pytest.raises(StudyInUse):
            open_session(second).__enter__()


def test_passwords_do_not_get_into_the_description(make_plan, monkeypatch):
    monkeypatch.setattr(
        "chromasonic.tuning.session.open_storage", lambda url, **_: InMemoryStorage()
    )
    plan = make_plan(storage="postgresql://anna:s3cret@host/db")
    with open_session(plan) as session:
        text = json.dumps(dict(session.study.user_attrs))
    assert "postgresql://anna:***@host/db" in text
    assert "s3cret" not in text


def test_optunas_own_lines_are_not_shown_and_its_verbosity_comes_back(make_plan, capfd):
    before = optuna.logging.get_verbosity()
    with open_session(make_plan(storage=InMemoryStorage())) as session:
        session.study.tell(session.study.ask(), 1.0)
        assert optuna.logging.get_verbosity() == logging.ERROR
    assert optuna.logging.get_verbosity() == before
    assert "Trial" not in "".join(capfd.readouterr())


def test_a_space_of_constants_can_be_run(make_plan, run, search_space):
    space = search_space
    for name, value in POINT.items():
        space = space.with_parameter(name, Fixed(value))
    plan = make_plan(space=space, storage=InMemoryStorage())
    assert [t.params for t in run(plan, 2).trials] == [POINT, POINT]


def test_a_finished_search_can_be_read_where_it_is(make_plan, run, tmp_path):
    result = run(make_plan(), 3)
    assert load_result(tmp_path / "results", "mine").trials == result.trials


def test_a_result_read_from_its_file_is_that_of_the_study(make_plan, run, tmp_path):
    run(make_plan(), 3)
    from_study = load_result(tmp_path / "results")
    write_result_files(from_study, tmp_path / "mailed")
    from_file = load_result(tmp_path / "mailed")
    assert from_file.trials == from_study.trials
    assert from_file.fingerprint == from_study.fingerprint
    assert from_file.identity == from_study.identity
    assert dict(from_file.description) == dict(from_study.description)
    # So a new search can start from it.
    again = make_plan(output_dir=tmp_path / "next", earlier=from_file)
    assert len(run(again, 3).trials) == 3


def test_the_file_tells_which_of_several_studies_is_meant(make_plan, run, tmp_path):
    run(make_plan(study_name="first"), 1)
    run(make_plan(study_name="second"), 2)
    with pytest.raises(StudyError, match=r"must hold exactly one study, but it holds first, sec"):
        load_result(tmp_path / "results")
    write_result_files(load_result(tmp_path / "results", "second"), tmp_path / "results")
    assert len(load_result(tmp_path / "results").trials) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"trial_results": [{}]}'])
def test_a_damaged_results_file_is_told_in_one_line(text, tmp_path):
    file = tmp_path / "optimization_results.json"
    file.write_text(text)
    with pytest.raises(StudyError, match=r"cannot read .*_results.json: .*\. Write it"):
        load_result(file)


def test_reading_where_no_search_is_says_so_and_makes_nothing(make_plan, run, tmp_path):
    with pytest.raises(StudyError, match=r"no search results found in .*nowhere: it has neither"):
        load_result(tmp_path / "nowhere", "mine")
    assert list(tmp_path.iterdir()) == []
    run(make_plan(), 1)
    with pytest.raises(StudyError, match=r"must hold a study 'yours', but it holds mine"):
        load_result(tmp_path / "results", "yours")
