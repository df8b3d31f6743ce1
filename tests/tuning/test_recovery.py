import optuna
import pytest
from optuna.trial import TrialState

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.records import record_of
from chromasonic.tuning.recovery import (
    BAD_CHECKPOINT,
    MOST_TIMES,
    OUT_OF_MEMORY,
    SEARCH_DIED,
    count_setback,
    had_setback,
    may_retry,
    recover,
)


@pytest.fixture
def study():
    return optuna.create_study()


def no_checkpoint(number):
    return 0


def die_while_running(study):
    """The trial that a driver had on its way when it died."""
    waiting = study.get_trials(states=(TrialState.WAITING,))
    if not waiting:
        return study.ask()
    study._storage.set_trial_state_values(waiting[0]._trial_id, TrialState.RUNNING)
    return waiting[0]


def test_a_trial_left_running_goes_back_into_the_queue_as_it_was(study):
    trial = study.ask()
    x = trial.suggest_float("x", 0.0, 1.0)
    recover(study, no_checkpoint)
    (left,) = study.trials
    assert (left.state, left.number, left.params) == (TrialState.WAITING, 0, {"x": x})


def test_trials_that_have_ended_or_wait_are_left_alone(study):
    study.tell(study.ask(), 1.0)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.enqueue_trial({"x": 0.5})
    before = study.trials
    recover(study, no_checkpoint)
    assert study.trials == before


def test_a_trial_that_is_lost_too_often_ends(study):
    for _ in range(MOST_TIMES):
        die_while_running(study)
        recover(study, no_checkpoint)
        assert study.trials[0].state is TrialState.WAITING
    die_while_running(study)
    recover(study, no_checkpoint)
    (trial,) = study.trials
    record = record_of(trial)
    assert (record.state, record.ending) == ("FAIL", Ending.LOST)
    assert record.reason == f"{SEARCH_DIED}, {MOST_TIMES + 1} times"
    recover(study, no_checkpoint)
    assert study.trials == [trial]


def test_losses_of_one_trial_do_not_count_against_another(study):
    for _ in range(MOST_TIMES + 2):
        trial = die_while_running(study)
        recover(study, no_checkpoint)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        study.tell(trial.number, 1.0)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_a_trial_that_makes_progress_is_never_given_up(study):
    for epoch in range(2 * MOST_TIMES + 2):
        die_while_running(study)
        recover(study, lambda number, epoch=epoch: epoch)
        assert study.trials[0].state is TrialState.WAITING


def test_the_count_of_setbacks_begins_anew_after_progress(study):
    def lose(saved_epoch):
        die_while_running(study)
        recover(study, lambda number: saved_epoch)
        return study.trials[0].state

    states = [lose(saved_epoch) for saved_epoch in (0, 0, 0, 5, 5, 5, 5)]
    assert states == [TrialState.WAITING] * 6 + [TrialState.FAIL]


def try_again(study, setback, epoch=0):
    return may_retry(setback, count_setback(study._storage, study.trials[0], setback, epoch))


def test_each_kind_of_setback_counts_for_itself(study):
    study.ask()
    again = {
        setback: [try_again(study, setback) for _ in range(times)]
        for setback, times in (("killed", 4), (OUT_OF_MEMORY, 2), (BAD_CHECKPOINT, 2))
    }
    assert again == {
        "killed": [True, True, True, False],
        OUT_OF_MEMORY: [True, False],
        BAD_CHECKPOINT: [True, False],
    }


def test_a_trial_remembers_what_it_has_met(study):
    study.ask()
    assert not had_setback(study.trials[0], OUT_OF_MEMORY)
    try_again(study, "killed")
    assert not had_setback(study.trials[0], OUT_OF_MEMORY)
    try_again(study, OUT_OF_MEMORY)
    assert had_setback(study.trials[0], OUT_OF_MEMORY)
