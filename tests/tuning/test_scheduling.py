import optuna
import pytest
from optuna.trial import TrialState

from chromasonic.bayesopt import Space
from chromasonic.tuning.budget import StopReason
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import record_of
from chromasonic.tuning.running_trials import RunningTrial
from chromasonic.tuning.sampling.by_name import choose_sampler
from chromasonic.tuning.scheduling import (
    Curves,
    QueueAndPruner,
    Turn,
    Verdict,
    Visibility,
)


@pytest.fixture
def study():
    return optuna.create_study()


def whole(study):
    """The study itself, for a scheduler whose trials see everything."""
    return lambda number: study


def curves(waiting=(), running=None, next_number=0):
    return Curves(waiting, {}, running or {}, {}, next_number, n_left=99)


def test_a_waiting_trial_comes_before_a_new_one(study):
    scheduler = QueueAndPruner(study, whole(study))
    assert scheduler.next_turn(curves([2, 5], next_number=2)) == Turn(2, None)
    assert scheduler.next_turn(curves(next_number=6)) == Turn(None, None)


def test_no_turn_is_left_when_a_finite_space_is_exhausted():
    space = Space.from_bounds({"x": [1, 2]})
    study = optuna.create_study(sampler=choose_sampler("grid", space, 0))
    scheduler = QueueAndPruner(study, whole(study))
    for number in range(2):
        assert scheduler.next_turn(curves(next_number=number)) == Turn()
        trial = study.ask()
        suggest_params(space, trial)
        study.tell(trial, 1.0)
    assert scheduler.next_turn(curves(next_number=2)) is None


@pytest.mark.parametrize(("loss", "verdict"), [(9.0, Verdict.STOP), (0.5, Verdict.GO_ON)])
def test_the_verdict_is_that_of_the_studys_pruner(loss, verdict):
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    for _ in range(3):
        trial = study.ask()
        trial.report(1.0, 1)
        study.tell(trial, 1.0)
    trial = study.ask()
    trial.report(loss, 1)
    frozen = study.trials[-1]
    running = {3: RunningTrial(frozen, [EpochRow(1, loss)])}
    scheduler = QueueAndPruner(study, whole(study))
    assert scheduler.after_epoch(curves(running=running), 3) is verdict


def ended(n):
    """The records of so many trials."""
    study = optuna.create_study()
    for value in range(n):
        study.tell(study.ask(), float(value))
    return {trial.number: record_of(trial, maximize=False) for trial in study.trials}


def test_with_n_slots_a_trial_knows_those_up_to_n_before_it():
    visible = Visibility(n_slots=3)
    assert [t.number for t in visible.known(5, ended(5))] == [0, 1, 2]
    assert visible.must_wait(5, [2])
    assert not visible.must_wait(5, [3, 4])


def test_trials_taken_over_from_an_earlier_search_are_known_to_all():
    visible = Visibility(n_slots=3, n_given=4)
    assert [t.number for t in visible.known(4, ended(4))] == [0, 1, 2, 3]


def test_without_determinism_every_ended_trial_is_known_and_none_is_waited_for():
    visible = Visibility(n_slots=None)
    assert [t.number for t in visible.known(0, ended(4))] == [0, 1, 2, 3]
    assert not visible.must_wait(9, [0])


class Rounds:
    """Begins three trials, then gives each waiting one an epoch at a time."""

    def __init__(self, n_trials):
        self.n_trials = n_trials
        self.turns = []

    def next_turn(self, seen):
        n_begun = len(seen.waiting) + len(seen.running) + len(seen.ended)
        if n_begun < self.n_trials:
            turn = Turn(None, 1)
        else:
            fewest = min(seen.waiting, key=lambda number: self.turns.count(number))
            turn = Turn(fewest, 1)
        self.turns.append(n_begun if turn.number is None else turn.number)
        return turn

    def after_epoch(self, seen, number):
        return Verdict.GO_ON


class PauseAfterEachEpoch(Rounds):
    """The same by its verdicts."""

    def next_turn(self, seen):
        return Turn(super().next_turn(seen).number)

    def after_epoch(self, seen, number):
        return Verdict.PAUSE


@pytest.mark.parametrize("scheduler", [Rounds, PauseAfterEachEpoch])
def test_trials_that_run_in_turns_of_one_epoch_have_the_curves_of_uninterrupted_ones(
    make_search, walk, tmp_path, scheduler
):
    without_pauses = make_search()
    without_pauses.run(walk, 3, checkpoints=tmp_path / "whole")
    in_turns = make_search()
    rounds = scheduler(3)
    stopped_by = in_turns.run(walk, 3, checkpoints=tmp_path / "turns", scheduler=rounds)
    assert stopped_by is StopReason.N_TRIALS
    assert in_turns.outcome == without_pauses.outcome
    # Each trial is begun, then all take turns: none runs to its end at once.
    assert rounds.turns[:6] == [0, 1, 2, 0, 1, 2]


def test_a_search_ends_when_its_scheduler_has_no_turn_left(make_search, walk):
    class Two(Rounds):
        def next_turn(self, seen):
            return Turn() if len(seen.ended) < 2 else None

    search = make_search()
    assert search.run(walk, 9, scheduler=Two(9)) is StopReason.EXHAUSTED
    assert [trial.state for trial in search.trials] == [TrialState.COMPLETE.name] * 2
