import optuna
import pytest
from optuna.trial import TrialState

from chromasonic.tuning.endings import Ending
from chromasonic.tuning.records import record_of
from chromasonic.tuning.recovery import MAX_TIMES_LOST, recover


@pytest.fixture
def study():
    return optuna.create_study()


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
    recover(study)
    (left,) = study.trials
    assert (left.state, left.number, left.params) == (TrialState.WAITING, 0, {"x": x})


def test_trials_that_have_ended_or_wait_are_left_alone(study):
    study.tell(study.ask(), 1.0)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.enqueue_trial({"x": 0.5})
    before = study.trials
    recover(study)
    assert study.trials == before


def test_a_trial_that_is_lost_too_often_ends(study):
    for _ in range(MAX_TIMES_LOST):
        die_while_running(study)
        recover(study)
        assert study.trials[0].state is TrialState.WAITING
    die_while_running(study)
    recover(study)
    (trial,) = study.trials
    record = record_of(trial)
    assert (record.state, record.ending) == ("FAIL", Ending.LOST)
    assert record.reason == f"the search died {MAX_TIMES_LOST + 1} times while this trial ran"
    recover(study)
    assert study.trials == [trial]


def test_losses_of_one_trial_do_not_count_against_another(study):
    for _ in range(MAX_TIMES_LOST + 2):
        trial = die_while_running(study)
        recover(study)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        study.tell(trial.number, 1.0)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
