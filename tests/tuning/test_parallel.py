import os
import random
import signal
import time
from functools import partial

import optuna
import pytest
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from chromasonic.bayesopt import Categorical, Integer, Space
from chromasonic.errors import StudyError
from chromasonic.tuning._pruners import PRUNERS
from chromasonic.tuning.executors.processes.executor import ProcessExecutor
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.sampling.by_name import SAMPLERS
from chromasonic.tuning.storage.forwarding import ForwardingStorage
from chromasonic.tuning.study import attribute

HANGING_S = 60.0
"""What takes so long hangs."""

SLOTS = 3

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals of other systems differ"),
    pytest.mark.usefixtures("functions_travel"),
]


def processes(slots=SLOTS, **options):
    """Makes an executor of so many child processes."""
    return lambda objective, breakable: ProcessExecutor(objective, slots, **options)


@pytest.fixture
def hurried(losses_of):
    """An objective that yields five losses, after pauses that nobody can foretell."""

    def objective(params):
        for loss in losses_of(params):
            time.sleep(os.urandom(1)[0] / 255 * 0.006)
            yield loss

    return objective


@pytest.fixture
def scattered_walk(walk):
    """A walk whose start nothing can learn, so that some trials are pruned."""
    walk.start = lambda params: random.Random(repr(params)).random()
    return walk


def until(is_so):
    while not is_so():
        time.sleep(0.005)


def once(file):
    """True the first time that it is called."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def endings(search):
    return [trial.ending for trial in search.trials]


def starts(search):
    """Number of times that each trial has begun in the last run."""
    numbers = [event[1] for event in search.told if event[0] == "start"]
    return {number: numbers.count(number) for number in numbers}


def warnings(search):
    return [event[1] for event in search.told if event[0] == "warning"]


# Determinism

PAIRS = [
    *((sampler, "median") for sampler in ("gp", "tpe", "random", "grid", "qmc")),
    *(("tpe", pruner) for pruner in ("successive_halving", "hyperband")),
]


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_the_same_seed_and_slots_give_the_same_search_whatever_the_speed(
    make_search, hurried, sampler, pruner
):
    outcomes = []
    for seed in (1, 1, 2):
        search = make_search(sampler=sampler, pruner=pruner, seed=seed)
        assert search.run(hurried, 16, executor=processes()) == "n_trials"
        outcomes.append(search.outcome)
    assert outcomes[0] == outcomes[1] != outcomes[2]
    assert "pruned" in {ending for outcome in outcomes for _, _, ending, *_ in outcome}


def test_one_slot_gives_what_the_inline_executor_gives(make_search, hurried):
    inline, process = (make_search(sampler="tpe", pruner="median") for _ in range(2))
    inline.run(hurried, 14)
    process.run(hurried, 14, executor=processes(1))
    assert process.outcome == inline.outcome


def test_a_grid_is_searched_once_by_several_slots(make_search, tmp_path):
    space = Space({"width": Integer(1, 3), "kind": Categorical(["a", "b"])})

    def objective(params):
        time.sleep(os.urandom(1)[0] / 255 * 0.006)
        return params["width"]

    search = make_search(space, sampler="grid")
    assert search.run(objective, 30, executor=processes()) == "exhausted"
    points = [(trial.params["width"], trial.params["kind"]) for trial in search.trials]
    assert sorted(points) == [(width, kind) for width in (1, 2, 3) for kind in "ab"]


class Onlooker:
    """Keeps what a study shows each trial."""

    def __init__(self):
        self.seen = []

    def look(self, study, trial):
        others = [other for other in study.get_trials() if other.number != trial.number]
        self.seen.append((trial.number, others))


class OnlookingSampler(RandomSampler):
    def __init__(self, onlooker):
        super().__init__(seed=0)
        self.onlooker = onlooker

    def before_trial(self, study, trial):
        self.onlooker.look(study, trial)


class OnlookingPruner(NopPruner):
    def __init__(self, onlooker):
        self.onlooker = onlooker

    def prune(self, study, trial):
        self.onlooker.look(study, trial)
        return False


@pytest.mark.parametrize("role", ["sampler", "pruner"])
def test_a_trial_sees_the_ends_of_those_a_slot_s_width_before_it_and_no_more(
    make_search, hurried, monkeypatch, role
):
    onlooker = Onlooker()
    monkeypatch.setitem(SAMPLERS, "onlooking", lambda space, seed: OnlookingSampler(onlooker))
    monkeypatch.setitem(PRUNERS, "onlooking", lambda num_epochs: OnlookingPruner(onlooker))
    search = make_search(**{role: "onlooking"})
    search.run(hurried, 12, executor=processes())
    assert {number for number, _ in onlooker.seen} == set(range(12))
    in_the_end = search.study.trials
    for number, others in onlooker.seen:
        assert [other.number for other in others] == list(range(number))
        for other in others:
            known = in_the_end[other.number]
            assert other.params == known.params
            assert attribute(other, "params") == attribute(known, "params")
            if other.number <= number - SLOTS:
                assert other == known
            else:
                assert other.state is TrialState.RUNNING
                assert (other.values, other.intermediate_values) == (None, {})
                assert attribute(other, "ending") is None


def test_without_determinism_all_that_has_ended_is_seen_and_nobody_waits(
    make_search, monkeypatch, tmp_path
):
    def objective(params, trial):
        if trial.number == 0:
            until((tmp_path / "5").exists)
        yield 1.0
        (tmp_path / str(trial.number)).touch()

    onlooker = Onlooker()
    monkeypatch.setitem(SAMPLERS, "onlooking", lambda space, seed: OnlookingSampler(onlooker))
    search = make_search(sampler="onlooking")
    rules = TrialRules(deterministic=False)
    assert search.run(objective, 6, executor=processes(2), rules=rules) == "n_trials"
    (before_last,) = [others for number, others in onlooker.seen if number == 5]
    states = [other.state for other in before_last]
    assert states == [TrialState.RUNNING, *[TrialState.COMPLETE] * 4]
    assert endings(search) == ["completed"] * 6


def test_all_slots_are_used_at_once(make_search, tmp_path):
    def objective(params, trial):
        (tmp_path / str(trial.number)).touch()
        until(lambda: len(list(tmp_path.iterdir())) >= SLOTS)
        return 1.0

    search = make_search()
    assert search.run(objective, 4, executor=processes()) == "n_trials"
    assert endings(search) == ["completed"] * 4


def test_a_pruned_trial_begins_no_epoch_that_nobody_wants(make_search, losses_of, tmp_path):
    def objective(params, trial):
        for loss in losses_of(params):
            with (tmp_path / str(trial.number)).open("a") as file:
                file.write("an epoch\n")
            yield loss

    search = make_search(pruner="median")
    search.run(objective, 14, executor=processes())
    assert "pruned" in endings(search)
    for trial in search.trials:
        begun = (tmp_path / str(trial.number)).read_text().count("\n")
        assert begun == len(trial.learning_curve)


@pytest.mark.parametrize(
    ("limits", "reason"), [({"patience": 4}, "patience"), ({"target": 0.25}, "target")]
)
def test_patience_and_target_end_a_search_at_the_same_trial_whatever_the_speed(
    make_search, hurried, limits, reason
):
    outcomes = []
    for _ in range(3):
        search = make_search(sampler="tpe")
        assert search.run(hurried, 40, executor=processes(), **limits) == reason
        assert search.run(hurried, 40, executor=processes(), **limits) == reason
        outcomes.append(search.outcome)
    assert SLOTS < len(outcomes[0]) < 40
    assert outcomes[0] == outcomes[1] == outcomes[2]


# Interruptions


@pytest.mark.parametrize("end_after", [4, 17])
def test_an_interrupted_search_ends_as_the_uninterrupted_one(
    make_search, scattered_walk, tmp_path, end_after
):
    whole, parts = (make_search(sampler="tpe", pruner="median") for _ in range(2))
    whole.run(scattered_walk, 16, executor=processes(), checkpoints=tmp_path / "whole")
    options = {"executor": processes(), "checkpoints": tmp_path / "parts"}
    n_runs = 0
    while parts.run(scattered_walk, 16, end_after=end_after, **options) == "interrupted":
        n_runs += 1
        states = {trial.state for trial in parts.study.trials}
        assert TrialState.RUNNING not in states
    assert n_runs >= 2
    assert parts.outcome == whole.outcome
    assert "pruned" in endings(whole)


def test_a_timeout_puts_all_that_runs_back_into_the_queue(make_search, tmp_path):
    def objective(params, trial):
        yield float(trial.number)
        if once(tmp_path / str(trial.number)):
            time.sleep(HANGING_S)

    search = make_search()
    assert search.run(objective, 3, executor=processes(), timeout_s=0.6) == "timeout"
    assert {trial.state for trial in search.study.trials} == {TrialState.WAITING}
    for number in range(3):
        (tmp_path / str(number)).touch()
    assert search.run(objective, 3, executor=processes()) == "n_trials"
    assert [trial.value for trial in search.trials] == [0.0, 1.0, 2.0]


# Crashes


def test_a_killed_trial_is_tried_again_and_ends_as_if_nothing_had_been(
    make_search, scattered_walk, tmp_path
):
    def killed_once(params, trial):
        for epoch in scattered_walk(params, trial):
            yield epoch
            if trial.number in (1, 4) and once(tmp_path / f"killed {trial.number}"):
                os.kill(os.getpid(), signal.SIGKILL)

    whole, killed = (make_search(sampler="tpe", pruner="median") for _ in range(2))
    whole.run(scattered_walk, 14, executor=processes())
    killed.run(killed_once, 14, executor=processes(), checkpoints=tmp_path / "checkpoints")
    assert killed.outcome == whole.outcome
    assert starts(killed) == {n: 2 if n in (1, 4) else 1 for n in range(14)}
    reason = "is tried again: the process of the trial was killed by SIGKILL"
    assert warnings(killed) == [f"trial 1 {reason}", f"trial 4 {reason}"]


def test_a_trial_that_is_killed_every_time_ends_as_killed(make_search):
    def objective(params, trial):
        yield 1.0
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    search = make_search()
    assert search.run(objective, 3, executor=processes(2)) == "n_trials"
    assert endings(search) == ["completed", "killed", "completed"]
    assert search.trials[1].reason == "the process of the trial was killed by SIGKILL"
    assert starts(search) == {0: 1, 1: 4, 2: 1}


def test_a_crash_that_a_trial_brings_upon_itself_ends_it(make_search):
    def objective(params, trial):
        yield 1.0
        if trial.number == 0:
            os.abort()

    search = make_search()
    search.run(objective, 3, executor=processes(2))
    assert endings(search) == ["failed", "completed", "completed"]
    assert starts(search)[0] == 1


def test_a_crash_in_a_process_that_others_have_used_is_believed_in_a_new_one(make_search):
    def objective(params, trial):
        yield float(os.getpid())
        if trial.number == 1:
            os.abort()

    search = make_search()
    search.run(objective, 3, executor=processes(1))
    assert endings(search) == ["completed", "failed", "completed"]
    assert starts(search) == {0: 1, 1: 2, 2: 1}
    assert "tried again: failed in a process that had run other trials" in str(search.told)


def test_a_trial_does_not_pay_for_what_an_earlier_one_has_left(make_search):
    left = []

    def objective(params, trial):
        yield 1.0
        if trial.number == 0:
            left.append("a lock")
        if left and trial.number == 1:
            raise RuntimeError("somebody holds the lock")
        yield 0.5

    search = make_search()
    search.run(objective, 3, executor=processes(1))
    assert endings(search) == ["completed"] * 3
    assert [len(trial.learning_curve) for trial in search.trials] == [2, 2, 2]


@pytest.mark.parametrize(
    ("rule", "is_frugal", "ending", "n_starts"),
    [
        ("retry", True, "completed", 2),
        ("retry", False, "out_of_memory", 2),
        ("fail", True, "out_of_memory", 1),
    ],
)
def test_a_trial_out_of_memory_is_tried_again_in_smaller_pieces(
    make_search, rule, is_frugal, ending, n_starts
):
    def objective(params, trial):
        yield 1.0
        if trial.number == 0 and not (is_frugal and trial.out_of_memory_before):
            raise MemoryError
        yield float(trial.out_of_memory_before)

    search = make_search()
    search.run(objective, 3, executor=processes(2), rules=TrialRules(on_oom=rule))
    assert endings(search) == [ending, "completed", "completed"]
    assert starts(search) == {0: n_starts, 1: 1, 2: 1}
    last = [row.loss for row in search.trials[0].learning_curve]
    assert last == ([1.0, 1.0] if ending == "completed" else [1.0])


def test_a_trial_over_its_memory_limit_is_tried_again_as_well(make_search):
    def objective(params, trial):
        greed = b"" if trial.out_of_memory_before else b"x" * 300_000_000
        yield 1.0
        if greed:
            time.sleep(HANGING_S)

    search = make_search()
    executor = processes(1, memory_limit=250_000_000)
    search.run(objective, 1, executor=executor, rules=TrialRules(on_oom="retry"))
    assert endings(search) == ["completed"]
    assert starts(search) == {0: 2}


def be_busy():
    while True:
        pass


def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


@pytest.mark.parametrize("how", [partial(time.sleep, HANGING_S), be_busy, stop_itself])
def test_a_trial_without_an_epoch_for_too_long_is_ended(make_search, how):
    def objective(params, trial):
        yield 1.0
        if trial.number == 1:
            how()
        yield 2.0

    search = make_search()
    search.run(objective, 4, executor=processes(2), rules=TrialRules(stall_timeout_s=0.3))
    assert endings(search) == ["completed", "timed_out", "completed", "completed"]
    assert search.trials[1].reason == "no epoch ended for 0.3 s"


def test_a_trial_whose_process_was_suspended_before_it_began_runs_in_another(
    make_search, walk, own_workers, monkeypatch
):
    monkeypatch.setattr("chromasonic.tuning.executors.processes._worker.BEGIN_WITHIN_S", 0.5)

    class Sandman(Observer):
        def on_trial_end(self, record, checkpoint):
            if record.number == 0:
                for child in own_workers():
                    child.suspend()

    search = make_search()
    options = {"executor": processes(1), "rules": TrialRules(stall_timeout_s=1.0)}
    search.run(walk, 3, observers=[Sandman()], **options)
    assert endings(search) == ["completed", "completed", "completed"]


def test_a_trial_that_takes_too_long_is_ended_though_its_epochs_end(make_search):
    def objective(params, trial):
        yield 1.0
        while trial.number == 1:
            time.sleep(0.02)
            yield 1.0

    search = make_search()
    search.run(objective, 4, executor=processes(2), rules=TrialRules(trial_timeout_s=0.4))
    assert endings(search) == ["completed", "timed_out", "completed", "completed"]
    assert search.trials[1].reason == "took more than 0.4 s"
    assert len(search.trials[1].learning_curve) > 1


def test_a_cancelled_trial_ends_at_once_and_does_not_count(make_search, tmp_path):
    def objective(params, trial):
        yield 1.0
        if trial.number == 1:
            (tmp_path / "hangs").touch()
            time.sleep(HANGING_S)

    search = make_search()

    def cancelled():
        return {1} if (tmp_path / "hangs").exists() else set()

    assert search.run(objective, 3, executor=processes(2), cancelled=cancelled) == "n_trials"
    assert [trial.number for trial in search.trials] == [0, 2, 3]
    cancelled_trial = search.study.trials[1]
    assert cancelled_trial.state is TrialState.FAIL
    assert attribute(cancelled_trial, "ending") == "cancelled"
    assert ("end", 1, "cancelled", None) in search.told


def test_a_loss_that_explodes_ends_its_trial(make_search):
    def objective(params, trial):
        yield 1.0
        yield 1e7 if trial.number == 1 else 1e5
        yield 0.5

    search = make_search()
    search.run(objective, 3, executor=processes(2))
    assert endings(search) == ["completed", "diverged", "completed"]
    assert search.trials[1].reason == "the loss became 1e+07"


# Files


def test_a_checkpoint_that_cannot_be_read_costs_its_trial_no_more_than_itself(
    make_search, walk, tmp_path
):
    whole, parts = make_search(), make_search()
    whole.run(walk, 5, executor=processes(2))
    options = {"executor": processes(2), "checkpoints": tmp_path}
    assert parts.run(walk, 5, end_after=6, **options) == "interrupted"
    files = list(tmp_path.rglob("walk.txt"))
    assert files
    for file in files:
        file.write_text(file.read_text()[:40])
    assert parts.run(walk, 5, **options) == "n_trials"
    assert parts.outcome == whole.outcome
    begins_again = [line for line in warnings(parts) if "its checkpoint could not be" in line]
    assert len(begins_again) == len(files)
    assert set(starts(parts).values()) == {1, 2}
    assert list(tmp_path.iterdir()) == []


class FullDisk(Observer):
    """Cannot keep what trial 1 leaves, the first time."""

    is_full = True

    def __init__(self):
        self.told = []

    def on_trial_end(self, record, checkpoint):
        if record.number == 1 and self.is_full:
            raise OSError("the disk is full")
        self.told.append((record.number, sorted(path.name for path in checkpoint.iterdir())))


def test_an_observer_with_a_full_disk_costs_nothing_and_is_told_again(make_search, walk, tmp_path):
    search, observer = make_search(), FullDisk()
    options = {"executor": processes(2), "checkpoints": tmp_path, "observers": [observer]}
    assert search.run(walk, 4, **options) == "n_trials"
    assert endings(search) == ["completed"] * 4
    warning = "cannot write the files of trial 1: OSError: the disk is full"
    assert warnings(search) == [warning]
    assert sorted(number for number, _ in observer.told) == [0, 2, 3]
    observer.is_full = False
    observer.told.clear()
    assert search.run(walk, 4, **options) == "n_trials"
    assert observer.told == [(1, ["epochs.json", "walk.txt"])]
    assert list(tmp_path.iterdir()) == []


class GoingAway(ForwardingStorage):
    """A storage that can no longer be used after so many calls, until it is back."""

    calls_left = None

    def _pass(self, call, /, *args, **kwargs):
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise StudyError("the storage must answer, but has not for 300 s.")
        return super()._pass(call, *args, **kwargs)


def test_a_search_whose_storage_went_away_goes_on_as_if_it_had_not(
    make_search, scattered_walk, tmp_path, random_moments, own_workers
):
    whole = make_search(sampler="tpe", pruner="median")
    whole.run(scattered_walk, 14, executor=processes())
    storage = GoingAway(InMemoryStorage())
    parts = make_search(sampler="tpe", pruner="median", storage=storage)
    options = {"executor": processes(), "checkpoints": tmp_path}
    # A fourth time in a row would cost a trial that is always on its way then.
    for _ in range(3):
        storage.calls_left = random_moments.randrange(10, 100)
        with pytest.raises(StudyError, match="has not for 300 s"):
            parts.run(scattered_walk, 14, **options)
        assert not own_workers()
        storage.calls_left = None
    assert parts.run(scattered_walk, 14, **options) == "n_trials"
    assert parts.outcome == whole.outcome
    assert list(tmp_path.iterdir()) == []


def test_trials_keep_their_checkpoints_when_the_storage_goes_away(make_search, walk, tmp_path):
    storage = GoingAway(InMemoryStorage())

    class Farewell(Observer):
        def on_epoch(self, number, row):
            if row.epoch == 2:
                storage.calls_left = 0

    search = make_search(storage=storage)
    options = {"executor": processes(1), "checkpoints": tmp_path}
    with pytest.raises(StudyError):
        search.run(walk, 2, observers=[Farewell()], **options)
    storage.calls_left = None
    search.run(walk, 2, **options)
    epochs = [event[2] for event in search.told if event[:2] == ("epoch", 0)]
    assert epochs == [3, 4]


def test_checkpoints_are_made_while_trials_run_and_survive_a_kill(make_search, tmp_path):
    """A trial that is killed after each epoch ends all the same, for it makes progress."""

    def objective(params, trial):
        from chromasonic.tuning.executors import _trial_run as trial_run

        trial_run.CHECKPOINT_EVERY_S = 0.0
        begin = int((trial.checkpoint / "n").read_text()) if trial.checkpoint else 0
        for n in range(begin + 1, 7):
            yield Epoch(float(n), save=lambda folder, n=n: (folder / "n").write_text(str(n)))
            if n > begin:
                os.kill(os.getpid(), signal.SIGKILL)

    search = make_search()
    search.run(objective, 1, executor=processes(1), checkpoints=tmp_path)
    (trial,) = search.trials
    assert (trial.ending, [row.loss for row in trial.learning_curve]) == (
        "completed",
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    )
    assert starts(search) == {0: 7}


def test_what_parallel_drivers_leave_is_a_study_that_others_can_read(make_search, hurried):
    search = make_search()
    search.run(hurried, 6, executor=processes())
    study = optuna.load_study(storage=search.storage, study_name="study")
    assert study.best_value == min(trial.value for trial in search.trials)
    assert [trial.number for trial in study.trials] == list(range(6))


def test_a_clock_that_jumps_changes_nothing(make_search, walk, monkeypatch):
    undisturbed, disturbed = make_search(), make_search()
    undisturbed.run(walk, 6, executor=processes(2))
    jumps = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: jumps.uniform(0.0, 4e9))
    limits = TrialRules(trial_timeout_s=HANGING_S, stall_timeout_s=HANGING_S)
    disturbed.run(walk, 6, executor=processes(2), rules=limits, timeout_s=HANGING_S)
    assert disturbed.outcome == undisturbed.outcome


class Slow(ForwardingStorage):
    """A storage that takes its time once, when the first trial ends."""

    seconds = 1.0

    def set_trial_state_values(self, trial_id, state, values=None):
        if state.is_finished():
            time.sleep(self.seconds)
            self.seconds = 0.0
        return super().set_trial_state_values(trial_id, state, values)


@pytest.mark.parametrize("limit", ["stall_timeout_s", "trial_timeout_s"])
def test_a_trial_that_has_waited_for_the_driver_has_not_stalled(make_search, limit):
    def objective(params):
        for _ in range(4):
            time.sleep(0.02)
            yield params["x"]

    search = make_search(storage=Slow(InMemoryStorage()))
    search.run(objective, 6, executor=processes(2), rules=TrialRules(**{limit: 0.7}))
    assert {trial.ending for trial in search.trials} == {"completed"}
