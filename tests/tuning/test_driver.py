import copy
import math
import random
import sqlite3
import sys
import time

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from chromasonic.bayesopt import Float, Space
from chromasonic.errors import ExecutorError
from chromasonic.tuning._ledger import Ledger
from chromasonic.tuning._pruners import PRUNERS
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors import _trial_run as trial_run
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.executors._trial_run import TrialRun
from chromasonic.tuning.executors.protocol import EpochEnded, TrialPaused, TrialStarted
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import read_result
from chromasonic.tuning.session import load_result
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.retry import Retry
from chromasonic.tuning.study import attribute

POINT = {"x": 0.5, "rate": 0.1, "width": 3, "kind": "b"}


class Clock:
    """A clock that stands still until someone moves it."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


# The total


def test_the_total_of_trials_counts_those_of_earlier_runs(make_search, falling):
    search = make_search()
    for n_trials, expected in ((3, 3), (5, 5), (4, 5), (5, 5)):
        assert search.run(falling, n_trials) == "n_trials"
        assert len(search.trials) == expected
    assert [trial.number for trial in search.trials] == [0, 1, 2, 3, 4]


def test_trials_that_ended_badly_count_towards_the_total(make_search):
    def objective(params):
        raise ZeroDivisionError

    search = make_search()
    search.run(objective, 4)
    assert [trial.ending for trial in search.trials] == ["failed"] * 4
    assert search.run(objective, 4) == "n_trials"
    assert len(search.trials) == 4


def test_the_total_time_sums_all_runs(make_search, clock):
    def objective(params):
        for _ in range(3):
            clock.now += 2.0
            yield 1.0

    search = make_search()
    search.run(objective, 2, _started=clock.now)
    clock.now += 500.0
    search.run(objective, 3, _started=clock.now)
    result = read_result(search.study)
    assert result.total_time == 3 * 3 * 2.0
    assert [trial.training_time for trial in result.trials] == [6.0] * 3
    assert [row.seconds for row in result.trials[0].learning_curve] == [2.0] * 3


# Values and endings


def test_the_value_of_a_trial_is_its_best_loss(make_search):
    def objective(params):
        for epoch, loss in enumerate([0.9, 0.4, 0.6, 0.4, 0.7], 1):
            yield Epoch(loss, train_loss=loss / 2, metrics={"n_parameters": 12, "epoch_": epoch})

    search = make_search()
    search.run(objective, 1)
    (trial,) = search.trials
    assert (trial.value, trial.val_loss, trial.train_loss, trial.best_epoch) == (0.4, 0.4, 0.2, 2)
    assert trial.n_parameters == 12
    assert search.study.trials[0].value == 0.4
    assert search.study.trials[0].intermediate_values == {1: 0.9, 2: 0.4, 3: 0.6, 4: 0.4, 5: 0.7}


def test_stopping_early_is_complete(make_search):
    def objective(params):
        yield 1.0
        return Ending.STOPPED_EARLY

    search = make_search()
    search.run(objective, 1)
    (trial,) = search.trials
    assert (trial.ending, trial.state, trial.value) == ("stopped_early", "COMPLETE", 1.0)


def bad_epoch(kind):
    if kind == "error":
        raise ZeroDivisionError("nothing works\nat all")
    if kind == "exit":
        sys.exit(3)
    if kind == "memory":
        raise MemoryError("no room")
    if kind == "unstorable":
        return Epoch(1.0, metrics={"model": object()})
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.get(kind)


BAD = [
    ("error", "failed", "ZeroDivisionError: nothing works"),
    ("exit", "failed", "SystemExit: 3"),
    ("memory", "out_of_memory", "MemoryError: no room"),
    ("nan", "diverged", "the loss became nan"),
    ("inf", "diverged", "the loss became inf"),
    ("-inf", "diverged", "the loss became -inf"),
    ("none", "failed", "TypeError: an objective must give a number, but it gave None"),
    ("unstorable", "failed", "TypeError: a metric must be what JSON can hold"),
]


@pytest.mark.parametrize("epochs_before", [0, 2])
@pytest.mark.parametrize(("kind", "ending", "reason"), BAD)
def test_a_trial_that_ends_badly_costs_nothing_else(
    make_search, kind, ending, reason, epochs_before
):
    def objective(params, trial):
        for _ in range(epochs_before):
            yield 0.5
        yield bad_epoch(kind) if trial.number == 1 else 1.0

    search = make_search()
    assert search.run(objective, 4) == "n_trials"
    assert [trial.ending for trial in search.trials] == [
        "completed",
        ending,
        "completed",
        "completed",
    ]
    bad = search.trials[1]
    assert bad.reason.startswith(reason)
    assert bad.state == "FAIL"
    assert not bad.counts
    assert search.study.trials[1].value is None
    finite = [row.loss for row in bad.learning_curve if math.isfinite(row.loss)]
    assert finite == [0.5] * epochs_before
    assert (bad.value, bad.val_loss) == (None, None)


def test_the_log_of_a_failure_is_kept_with_the_study(make_search):
    def objective(params):
        raise ZeroDivisionError("nothing works")

    search = make_search()
    search.run(objective, 1)
    log = attribute(search.study.trials[0], "log")
    assert "Traceback" in log
    assert "nothing works" in log


def test_a_trial_that_fails_every_time_teaches_the_sampler_nothing(make_search, falling):
    """Reference: the same proposals as when these trials are not there to be learnt from."""

    def sometimes(params, trial):
        if trial.number in (3, 5):
            raise ZeroDivisionError
        yield from falling(params)

    search = make_search(sampler="tpe")
    search.run(sometimes, 14)
    plain = make_search(sampler="tpe")
    plain.run(falling, 3)
    assert [t.params for t in search.trials[:3]] == [t.params for t in plain.trials]
    completed = [t for t in search.study.trials if t.state is TrialState.COMPLETE]
    assert len(completed) == 12


def test_pruning_compares_with_the_trials_before(make_search):
    curves = [[1.0] * 5] * 5 + [[2.0] * 5, [0.5] * 5, [0.9, 0.9, 0.9, 1.1, 1.1], [1.2] * 5]

    def objective(params, trial):
        yield from curves[trial.number]

    search = make_search(pruner="median", num_epochs=5)
    search.run(objective, len(curves))
    ended = [(t.ending, len(t.learning_curve), t.reason) for t in search.trials[5:]]
    assert ended == [
        ("pruned", 2, "worse than others after epoch 2"),
        ("completed", 5, ""),
        ("completed", 5, ""),
        ("pruned", 2, "worse than others after epoch 2"),
    ]
    pruned = search.trials[5]
    assert (pruned.state, pruned.value, pruned.counts) == ("PRUNED", 2.0, False)


# Limits


def test_a_timeout_puts_the_running_trial_back_into_the_queue(make_search, clock):
    begun = []

    def objective(params, trial):
        begun.append(trial.number)
        for _ in range(4):
            clock.now += 1.0
            yield params["x"]

    search = make_search()
    assert search.run(objective, 9, timeout_s=6.0, _started=clock.now) == "timeout"
    assert [trial.state.name for trial in search.study.trials] == ["COMPLETE", "WAITING"]
    waiting = attribute(search.study.trials[1], "params")
    assert search.run(objective, 2, timeout_s=60.0, _started=clock.now) == "n_trials"
    assert begun == [0, 1, 1]
    assert search.trials[1].params == waiting


def test_patience_and_target_end_the_search(make_search):
    values = [0.9, 0.5, 0.6, 0.7, 0.1, 0.8]

    def objective(params, trial):
        return values[trial.number]

    search = make_search()
    assert search.run(objective, 9, patience=2) == "patience"
    assert len(search.trials) == 4
    assert search.run(objective, 9, patience=2) == "patience"
    assert len(search.trials) == 4, "nothing has become better since"
    assert search.run(objective, 9, target=0.1) == "target"
    assert len(search.trials) == 5


def test_initial_points_are_tried_first(make_search, falling):
    search = make_search()
    points = [{**POINT, "x": x} for x in (0.9, 0.1)]
    for point in points:
        search.study.enqueue_trial(point)
    search.run(falling, 3)
    assert [trial.params for trial in search.trials[:2]] == points
    assert [event[1] for event in search.told if event[0] == "start"] == [0, 1, 2]


def test_an_interrupted_trial_runs_before_the_initial_points_that_still_wait(make_search, falling):
    search = make_search()
    for x in (0.9, 0.1, 0.5):
        search.study.enqueue_trial({**POINT, "x": x})
    search.run(falling, 4, end_after=2)
    search.run(falling, 4)
    assert [event[1] for event in search.told if event[0] == "start"] == [0, 1, 2, 3]


# Interruptions


def test_an_interrupted_trial_goes_back_under_its_own_number_and_runs_first(make_search, falling):
    search = make_search()
    assert search.run(falling, 4, end_after=7) == "interrupted"
    states = [trial.state.name for trial in search.study.trials]
    assert states == ["COMPLETE", "WAITING"]
    params = attribute(search.study.trials[1], "params")
    assert len(search.trials) == 1, "it has not ended"
    assert search.run(falling, 4) == "n_trials"
    assert search.told[0] == ("start", 1, params)
    assert [trial.number for trial in search.trials] == [0, 1, 2, 3]


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_an_interrupted_trial_teaches_nothing(make_search, falling, sampler):
    whole = make_search(sampler=sampler, pruner="median")
    whole.run(falling, 16)
    parts = make_search(sampler=sampler, pruner="median")
    while parts.run(falling, 16, end_after=12) == "interrupted":
        pass
    assert parts.outcome == whole.outcome


def test_an_objective_that_raises_keyboard_interrupt_by_itself_fails_its_trial_alone(make_search):
    def objective(params, trial):
        if trial.number == 1:
            raise KeyboardInterrupt
        return 1.0

    search = make_search()
    assert search.run(objective, 3) == "n_trials"
    assert [trial.ending for trial in search.trials] == ["completed", "failed", "completed"]
    assert "KeyboardInterrupt" in search.trials[1].reason


def test_an_error_outside_of_trials_leaves_the_study_in_order(make_search, walk, tmp_path):
    class Fragile(InlineExecutor):
        def poll(self, timeout_s):
            if walk.epochs_run[-1:] == [(1, 2)]:
                raise ExecutorError("trials cannot be run any more.")
            return super().poll(timeout_s)

    search = make_search()
    with pytest.raises(ExecutorError, match="cannot be run any more"):
        search.run(walk, 3, checkpoints=tmp_path, executor=Fragile)
    assert [trial.state.name for trial in search.study.trials] == ["COMPLETE", "WAITING"]


def saves_by_raising(error):
    def objective(params):
        def save(folder):
            raise error

        yield Epoch(1.0, save=save)
        yield Epoch(1.0, save=save)

    return objective


def test_a_pause_on_a_full_disk_queues_the_trial_all_the_same(make_search, tmp_path):
    search = make_search()
    objective = saves_by_raising(OSError("the disk is full"))
    assert search.run(objective, 3, end_after=1, checkpoints=tmp_path) == "interrupted"
    assert [trial.state.name for trial in search.study.trials] == ["WAITING"]
    warning = "trial 0 could not write its checkpoint: OSError: the disk is full"
    assert ("warning", warning) in search.told


def test_a_save_that_is_broken_costs_its_trial_only(make_search, tmp_path):
    search = make_search()
    objective = saves_by_raising(ZeroDivisionError("cannot save"))
    assert search.run(objective, 2, checkpoints=tmp_path) == "n_trials"
    for trial in search.trials:
        assert (trial.ending, trial.reason) == ("failed", "ZeroDivisionError: cannot save")


# Determinism


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", ["gp", "tpe", "random", "qmc", "grid"])
def test_the_same_seed_gives_the_same_search(make_search, falling, sampler, pruner):
    outcomes = []
    for seed in (4, 4, 5):
        search = make_search(sampler=sampler, pruner=pruner, seed=seed)
        search.run(falling, 14)
        outcomes.append(search.outcome)
    assert outcomes[0] == outcomes[1] != outcomes[2]


@pytest.mark.parametrize("pruner", ["median", "hyperband", "successive_halving"])
@pytest.mark.parametrize("sampler", ["gp", "tpe", "random", "qmc", "grid"])
def test_a_search_stopped_after_any_trial_goes_on_as_if_it_had_not_been(
    make_search, falling, sampler, pruner
):
    whole = make_search(sampler=sampler, pruner=pruner)
    whole.run(falling, 14)
    assert len(whole.trials) == 14
    for stop in range(1, 14):
        parts = make_search(sampler=sampler, pruner=pruner)
        parts.run(falling, stop)
        parts.run(falling, 14)
        assert parts.outcome == whole.outcome, f"stopped after {stop} trials"


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_kill_between_a_verdict_and_its_record_changes_no_verdict(
    make_search, falling, monkeypatch, pruner
):
    left_behind = []

    def end(ledger, *arguments, **options):
        left_behind.append(copy.deepcopy(whole.storage))
        return truly_end(ledger, *arguments, **options)

    truly_end = Ledger.end
    whole = make_search(pruner=pruner)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "end", end)
        whole.run(falling, 14)
    assert len(left_behind) == 14
    for number, storage in enumerate(left_behind):
        killed = make_search(pruner=pruner)
        killed.storage = DriverStorage(storage, Retry("of the test"))
        killed.run(falling, 14)
        assert killed.outcome == whole.outcome, f"killed as trial {number} ended"


def test_every_trial_has_a_seed_of_its_own_that_stays(make_search):
    seeds = {}

    def objective(params, trial):
        seeds.setdefault(trial.number, set()).add(trial.seed)
        yield 1.0
        yield 1.0

    search = make_search()
    search.run(objective, 5, end_after=5)
    search.run(objective, 5)
    assert [len(of_trial) for of_trial in seeds.values()] == [1] * 5
    assert len(set.union(*seeds.values())) == 5


# Checkpoints


def test_a_trial_with_checkpoints_goes_on_where_it_was(make_search, walk, tmp_path):
    whole = make_search()
    whole.run(walk, 3, checkpoints=tmp_path / "whole")
    everything = [(number, epoch) for number in range(3) for epoch in range(1, 5)]
    assert walk.epochs_run == everything
    for stop in range(1, len(everything)):
        walk.epochs_run.clear()
        parts = make_search()
        folder = tmp_path / str(stop)
        assert parts.run(walk, 3, end_after=stop, checkpoints=folder) == "interrupted"
        parts.run(walk, 3, checkpoints=folder)
        assert parts.outcome == whole.outcome, f"interrupted after epoch {stop} of all"
        assert walk.epochs_run == everything, "an epoch was repeated or left out"


def test_a_trial_interrupted_after_every_epoch_still_equals_the_uninterrupted_one(
    make_search, walk, tmp_path
):
    whole = make_search()
    whole.run(walk, 2, checkpoints=tmp_path / "whole")
    parts = make_search()
    n_runs = 0
    while parts.run(walk, 2, end_after=1, checkpoints=tmp_path / "parts") == "interrupted":
        n_runs += 1
    assert n_runs == 8
    assert parts.outcome == whole.outcome


def test_a_continued_trial_is_pruned_as_the_uninterrupted_one(make_search, tmp_path):
    def objective(params, trial):
        start = int((trial.checkpoint / "n").read_text()) if trial.checkpoint else 0
        for n in range(start + 1, 6):

            def save(folder, n=n):
                (folder / "n").write_text(str(n))

            yield Epoch(params["x"] + 1 / n if params["x"] < 0.5 else 2 - params["x"], save=save)

    for pruner in ("median", "successive_halving", "hyperband"):
        whole = make_search(pruner=pruner)
        whole.run(objective, 12, checkpoints=tmp_path / "whole")
        parts = make_search(pruner=pruner)
        folder = tmp_path / pruner
        while parts.run(objective, 12, end_after=3, checkpoints=folder) == "interrupted":
            pass
        assert parts.outcome == whole.outcome
        assert "pruned" in {trial.ending for trial in whole.trials}


class TwoSlots:
    """Runs two trials by turns; whose turn it is depends on their epochs, not on the process."""

    slots = 2

    def __init__(self, objective, breakable):
        self.objective, self.breakable = objective, breakable
        self.runs, self.n_epochs, self.untold = {}, {}, []

    def submit(self, task):
        self.runs[task.number] = TrialRun(self.objective, task, self.breakable)
        self.n_epochs[task.number] = len(task.epochs)
        self.untold.append(TrialStarted(task.number))

    def poll(self, timeout_s):
        if self.untold:
            untold, self.untold = self.untold, []
            return untold
        number = min(self.runs, key=lambda number: (self.n_epochs[number], number))
        event = self.runs[number].step()
        self.n_epochs[number] += 1
        if not isinstance(event, EpochEnded):
            self.stop(number)
        return [event]

    def go_on(self, number):
        pass

    def stop(self, number):
        self.runs.pop(number).close()

    kill = stop

    def pause(self, number):
        self.runs[number].try_to_save()
        self.stop(number)
        self.untold.append(TrialPaused(number))

    def close(self):
        for number in list(self.runs):
            self.stop(number)


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
@pytest.mark.parametrize("end_after", [3, 7])
def test_two_trials_at_a_time_go_on_as_if_they_had_not_been_interrupted(
    make_search, walk, tmp_path, sampler, end_after
):
    def search(name, **options):
        storage = JournalStorage(JournalFileBackend(str(tmp_path / f"{name}.journal")))
        search = make_search(sampler=sampler, pruner="median", storage=storage)
        options |= {"executor": TwoSlots, "checkpoints": tmp_path / name}
        while search.run(walk, 16, **options) == "interrupted":
            pass
        return search

    walk.start = lambda params: random.Random(str(params)).random()
    whole = search("whole")
    assert [event[:2] for event in whole.told[:3]] == [("start", 0), ("start", 1), ("epoch", 0)]
    assert "pruned" in {trial.ending for trial in whole.trials}
    assert search("parts", end_after=end_after).outcome == whole.outcome


def test_a_driver_that_died_over_its_verdict_comes_to_it_again(
    make_search, walk, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial_run, "CHECKPOINT_EVERY_S", 0.0)
    whole = make_search(pruner="median")
    whole.run(walk, 12, checkpoints=tmp_path / "whole")
    assert "pruned" in {trial.ending for trial in whole.trials}
    parts, end = make_search(pruner="median"), Driver._end

    def die(self, number, ending, *args):
        if ending is Ending.PRUNED:
            raise SystemExit
        end(self, number, ending, *args)

    with monkeypatch.context() as dying:
        dying.setattr(Driver, "_end", die)
        with pytest.raises(SystemExit):
            parts.run(walk, 12, checkpoints=tmp_path / "parts")
    parts.run(walk, 12, checkpoints=tmp_path / "parts")
    assert parts.outcome == whole.outcome


def test_an_objective_without_checkpoints_starts_again(make_search, falling, tmp_path):
    whole, parts = make_search(), make_search()
    whole.run(falling, 2)
    parts.run(falling, 2, end_after=3, checkpoints=tmp_path)
    parts.run(falling, 2, checkpoints=tmp_path)
    assert parts.outcome == whole.outcome
    assert [event[2] for event in parts.told if event[:2] == ("epoch", 0)] == [1, 2, 3, 4, 5]


def test_no_checkpoint_outlives_its_trial(make_search, walk, tmp_path):
    search = make_search()
    search.run(walk, 2, end_after=5, checkpoints=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    search.run(walk, 2, checkpoints=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_a_study_that_is_gone_is_not_continued(make_search, walk, tmp_path):
    old = make_search(seed=1)
    old.run(walk, 1, end_after=2, checkpoints=tmp_path)
    walk.epochs_run.clear()
    new = make_search(seed=1)
    new.run(walk, 1, checkpoints=tmp_path)
    assert walk.epochs_run == [(0, epoch) for epoch in (1, 2, 3, 4)]


# Observers


def test_observers_are_told_everything_in_order(make_search, walk, tmp_path):
    search = make_search()
    search.run(walk, 2, checkpoints=tmp_path)
    expected = []
    for trial in search.trials:
        expected.append(("start", trial.number, trial.params))
        for row in trial.learning_curve:
            expected.append(("epoch", trial.number, row.epoch, row.loss))
        expected.append(("end", trial.number, "completed", ["epochs.json", "walk.txt"]))
    assert search.told == expected


def test_observers_are_told_of_bad_ends_too(make_search):
    def objective(params, trial):
        yield math.nan if trial.number == 0 else bad_epoch("error")

    search = make_search()
    search.run(objective, 2)
    ends = [event for event in search.told if event[0] == "end"]
    assert ends == [("end", 0, "diverged", None), ("end", 1, "failed", None)]


def test_the_end_of_a_trial_whose_driver_died_before_it_told_is_told(
    make_search, walk, tmp_path, monkeypatch
):
    search = make_search()

    def die(self, record):
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(Driver, "_announce_end", die)
        with pytest.raises(SystemExit):
            search.run(walk, 2, checkpoints=tmp_path)
    search.run(walk, 2, checkpoints=tmp_path)
    assert search.told[0] == ("end", 0, "completed", ["epochs.json", "walk.txt"])
    assert [event[1] for event in search.told if event[0] == "end"] == [0, 1]


# Killed drivers

KILLED = """
import random, sys, time
from pathlib import Path
from chromasonic.bayesopt import Float, Space
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.executors import _trial_run as trial_run
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.session import SearchPlan, open_session
from chromasonic.tuning.study import Fingerprint

trial_run.CHECKPOINT_EVERY_S = 0.0
SPACE = Space({"x": Float(0.0, 1.0), "y": Float(1e-3, 1.0, log=True)})
folder, n_trials, sampler = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def objective(params, trial):
    # Where it starts nothing can learn, so that some trials are pruned.
    rng, place, epoch = random.Random(trial.seed), random.Random(repr(params)).random(), 0
    if trial.checkpoint:
        state, place, epoch = eval((trial.checkpoint / "state").read_text())
        rng.setstate(state)
    while epoch < 4:
        epoch += 1
        place = 0.8 * place + params["y"] * rng.random()
        text = repr((rng.getstate(), place, epoch))
        time.sleep(0.005)
        yield Epoch(place, save=lambda folder: (folder / "state").write_text(text))


class Progress(Observer):
    def on_trial_start(self, number, params):
        print("start", number, flush=True)

    def on_epoch(self, number, row):
        print("epoch", number, row.epoch, flush=True)

    def on_trial_end(self, record, checkpoint):
        print("end", record.number, flush=True)


plan = SearchPlan(SPACE, 4, Fingerprint({"space": 1}), folder, "mine", sampler=sampler, seed=9)
with open_session(plan) as session:
    stopped_by = Driver(
        session.study,
        SPACE,
        InlineExecutor(objective),
        Budget(n_trials),
        seed=session.seed,
        observers=[Progress()],
        checkpoints=folder / "checkpoints",
    ).run()
print("stopped by", stopped_by, flush=True)
"""
N_KILLED_TRIALS = 13


def states_in(folder):
    """Number and state of each trial in the database, as a stranger reads them."""
    connection = sqlite3.connect(folder / "study.db")
    rows = connection.execute("SELECT number, state FROM trials ORDER BY number").fetchall()
    connection.close()
    return rows


def search_outcome(folder):
    return [
        (t.number, t.ending, t.params, t.value, [row.loss for row in t.learning_curve])
        for t in load_result(folder, "mine").trials
    ]


@pytest.fixture
def uninterrupted(run_child, tmp_path):
    def run(sampler):
        child = run_child(KILLED, tmp_path / "whole", N_KILLED_TRIALS, sampler)
        assert child.stdout.read().endswith("stopped by n_trials\n")
        return search_outcome(tmp_path / "whole")

    return run


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_driver_killed_at_random_moments_loses_at_most_the_running_trial(
    run_child, tmp_path, uninterrupted, random_moments, sampler
):
    folder = tmp_path / "killed"
    told = []
    # Three kills, for a trial that is lost four times is given up.
    for _ in range(3):
        child = run_child(KILLED, folder, N_KILLED_TRIALS, sampler)
        told += [child.stdout.readline() for _ in range(random_moments.randrange(1, 22))]
        time.sleep(random_moments.random() * 0.02)
        child.kill()
        told += child.stdout.readlines()
        child.wait()

        ended = {int(line.split()[1]) for line in told if line.startswith("end")}
        states = states_in(folder)
        kept = {number for number, state in states if state in ("COMPLETE", "PRUNED")}
        assert ended <= kept, "a trial that had ended was lost"
        assert [number for number, _ in states] == list(range(len(states)))
        assert len(states) - len(kept) <= 1, "more than the running trial was lost"
    child = run_child(KILLED, folder, N_KILLED_TRIALS, sampler)
    assert child.stdout.read().endswith("stopped by n_trials\n")
    outcome = search_outcome(folder)
    assert outcome == uninterrupted(sampler)
    assert "pruned" in {ending for _, ending, *_ in outcome}


@pytest.mark.slow
def test_a_driver_killed_while_it_begins_is_in_nobodys_way(
    run_child, tmp_path, uninterrupted, random_moments
):
    folder = tmp_path / "killed"
    for _ in range(3):
        child = run_child(KILLED, folder, N_KILLED_TRIALS, "random")
        while not folder.exists():
            time.sleep(0.002)
        time.sleep(random_moments.random() * 0.6)
        child.kill()
        child.wait()
    child = run_child(KILLED, folder, N_KILLED_TRIALS, "random")
    assert child.stdout.read().endswith("stopped by n_trials\n")
    assert search_outcome(folder) == uninterrupted("random")


def test_what_the_driver_reads_is_a_study_that_others_can_read(make_search, falling):
    """Optuna's own view agrees with the records."""
    search = make_search(Space({"x": Float(0.0, 1.0)}))
    search.run(lambda params: (params["x"] - 0.3) ** 2, 6)
    study = optuna.load_study(storage=search.storage, study_name="study")
    assert study.best_value == min(trial.value for trial in search.trials)
    assert study.best_params == read_result(study)["best_params"]


def test_an_observer_that_cannot_write_after_an_epoch_costs_nothing(
    make_search, falling, recorder
):
    class OnAFullDisk(Observer):
        def on_epoch(self, number, row):
            raise OSError("the disk is full")

    undisturbed, search = make_search(), make_search()
    undisturbed.run(falling, 3)
    assert search.run(falling, 3, observers=[OnAFullDisk(), recorder]) == "n_trials"
    assert search.outcome == undisturbed.outcome
    warning = "cannot write the files of the search: OSError: the disk is full"
    assert [event for event in recorder.told if event[0] == "warning"] == [("warning", warning)]
