import optuna
import pytest
from optuna.trial import TrialState

from chromasonic.tuning._recovery import (
    BAD_CHECKPOINT,
    IN_USED_PROCESS,
    MOST_TIMES,
    OUT_OF_MEMORY,
    SEARCH_DIED,
    Setbacks,
)
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import TrialEnded
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import record_of
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.running_trials import RunningTrial


@pytest.fixture
def study():
    return optuna.create_study()


class SavedEpochs:
    """Checkpoints that keep so many epochs of every trial."""

    def __init__(self, epochs=0):
        self.epochs = epochs
        self.discarded = []

    def latest(self, number):
        return None, [EpochRow(epoch + 1, 1.0) for epoch in range(self.epochs)]

    def discard(self, number):
        self.discarded.append(number)


def setbacks(study, saved_epochs=0, on_oom="retry"):
    return Setbacks(study, SavedEpochs(saved_epochs), TrialRules(on_oom=on_oom))


def recover(study, saved_epochs=0):
    setbacks(study, saved_epochs).recover()


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
    for _ in range(MOST_TIMES):
        die_while_running(study)
        recover(study)
        assert study.trials[0].state is TrialState.WAITING
    die_while_running(study)
    recover(study)
    (trial,) = study.trials
    record = record_of(trial, maximize=False)
    assert (record.state, record.ending) == ("FAIL", Ending.LOST)
    assert record.reason == f"{SEARCH_DIED}, {MOST_TIMES + 1} times"
    recover(study)
    assert study.trials == [trial]


def test_losses_of_one_trial_do_not_count_against_another(study):
    for _ in range(MOST_TIMES + 2):
        trial = die_while_running(study)
        recover(study)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        study.tell(trial.number, 1.0)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_a_trial_that_makes_progress_is_never_given_up(study):
    for epoch in range(2 * MOST_TIMES + 2):
        die_while_running(study)
        recover(study, epoch)
        assert study.trials[0].state is TrialState.WAITING


def test_the_count_of_setbacks_begins_anew_after_progress(study):
    def lose(saved_epoch):
        die_while_running(study)
        recover(study, saved_epoch)
        return study.trials[0].state

    states = [lose(saved_epoch) for saved_epoch in (0, 0, 0, 5, 5, 5, 5)]
    assert states == [TrialState.WAITING] * 6 + [TrialState.FAIL]


MISFORTUNES = {
    "killed": Ending.KILLED,
    OUT_OF_MEMORY: Ending.OUT_OF_MEMORY,
    BAD_CHECKPOINT: Ending.FAILED,
}


def retry_reason(study, kind, **rules):
    """The reason why trial 0, which has begun from a checkpoint, is tried again after that."""
    running = RunningTrial(study.trials[0], [EpochRow(1, 1.0)])
    event = TrialEnded(0, MISFORTUNES[kind], kind)
    return setbacks(study, **rules).register(running, event)


def test_each_kind_of_setback_counts_for_itself(study):
    study.ask()
    again = {
        kind: [retry_reason(study, kind) is not None for _ in range(times)]
        for kind, times in (("killed", 4), (OUT_OF_MEMORY, 2), (BAD_CHECKPOINT, 2))
    }
    assert again == {
        "killed": [True, True, True, False],
        OUT_OF_MEMORY: [True, False],
        BAD_CHECKPOINT: [True, False],
    }


def test_a_trial_remembers_what_it_has_met(study):
    study.ask()
    for kind, had in (("killed", False), (OUT_OF_MEMORY, True)):
        retry_reason(study, kind)
        assert setbacks(study).had(study.trials[0], OUT_OF_MEMORY) is had


def test_running_out_of_memory_stands_unless_the_rules_say_retry(study):
    study.ask()
    assert retry_reason(study, OUT_OF_MEMORY, on_oom="fail") is None
    assert retry_reason(study, OUT_OF_MEMORY, on_oom="retry") == OUT_OF_MEMORY


def test_a_checkpoint_that_could_not_be_continued_is_discarded(study):
    study.ask()
    checkpoints = SavedEpochs(1)
    running = RunningTrial(study.trials[0], [EpochRow(1, 1.0)])
    of_study = Setbacks(study, checkpoints, TrialRules())
    reason = of_study.register(running, TrialEnded(0, Ending.FAILED, "KeyError: 'lstm'"))
    assert reason == f"{BAD_CHECKPOINT} (KeyError: 'lstm')"
    assert checkpoints.discarded == [0]


def test_a_trial_that_fails_after_an_epoch_of_its_own_has_failed(study):
    study.ask()
    running = RunningTrial(study.trials[0], [EpochRow(1, 1.0)])
    running.add(EpochRow(2, 0.5))
    event = TrialEnded(0, Ending.FAILED, "KeyError: 'lstm'")
    assert setbacks(study).register(running, event) is None


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.OUT_OF_MEMORY])
def test_an_end_in_a_process_that_others_have_used_is_believed_the_second_time(study, ending):
    study.ask()
    event = TrialEnded(0, ending, "no room", in_used_process=True)

    def register(on_oom="retry"):
        running = RunningTrial(study.trials[0], [])
        running.add(EpochRow(1, 0.5))
        return setbacks(study, on_oom=on_oom).register(running, event)

    assert register() == f"{IN_USED_PROCESS} (no room)"
    assert setbacks(study).had(study.trials[0], IN_USED_PROCESS)
    assert register(on_oom="fail") is None
