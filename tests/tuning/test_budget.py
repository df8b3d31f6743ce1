import pytest

from chromasonic.tuning.budget import Budget
from chromasonic.tuning.records import TrialRecord


def trial(number, value, state="COMPLETE"):
    return TrialRecord(
        number, state, "completed", "", {}, value, value, None, 1, 0.0, None, learning_curve=[]
    )


def trials(*values):
    return [trial(number, value) for number, value in enumerate(values)]


def test_trials_that_run_count_towards_the_total():
    budget = Budget(n_trials=3)
    assert budget.spent(trials(1.0), n_running=1) is None
    assert budget.spent(trials(1.0), n_running=2) == "n_trials"
    assert budget.spent(trials(1.0, 2.0, 3.0), n_running=0) == "n_trials"
    assert budget.spent(trials(1.0, 2.0, 3.0, 4.0), n_running=0) == "n_trials"


def test_time_runs_out(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("chromasonic.tuning.budget.time.monotonic", lambda: now)
    budget = Budget(9, timeout_s=10.0, _started=1000.0)
    assert (budget.elapsed_s, budget.out_of_time, budget.spent([], 0)) == (0.0, False, None)
    now = 1009.9
    assert (budget.out_of_time, budget.spent([], 0)) == (False, None)
    now = 1010.0
    assert (budget.elapsed_s, budget.out_of_time, budget.spent([], 0)) == (10.0, True, "timeout")


def test_without_a_timeout_there_is_always_time():
    assert not Budget(1, _started=-1e12).out_of_time


def test_a_target_ends_the_search_when_it_is_reached():
    budget = Budget(9, target=0.5)
    assert budget.spent(trials(0.6, 0.51), 0) is None
    assert budget.spent(trials(0.6, 0.5), 0) == "target"
    assert budget.spent(trials(0.4, 0.6), 0) == "target"


def test_patience_counts_the_trials_since_the_last_better_one():
    budget = Budget(9, patience=2)
    assert budget.spent([], 0) is None
    assert budget.spent(trials(1.0, 2.0), 0) is None
    assert budget.spent(trials(1.0, 2.0, 0.9, 3.0), 0) is None
    assert budget.spent(trials(1.0, 2.0, 0.9, 3.0, 0.95), 0) == "patience"
    assert budget.spent(trials(1.0, 1.0, 1.0), 0) == "patience", "an equal value is no better"


def test_values_of_trials_that_were_cut_short_are_no_better_ones():
    ended = [*trials(1.0), trial(1, 0.1, "PRUNED"), trial(2, None, "FAIL")]
    assert Budget(9, target=0.5).spent(ended, 0) is None
    assert Budget(9, patience=2).spent(ended, 0) == "patience"


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "3", None])
def test_a_number_of_trials_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="n_trials must be a whole number of at least 1"):
        Budget(bad)


@pytest.mark.parametrize("bad", [0, -1, 2.5, True])
def test_a_patience_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="patience must be a whole number of at least 1"):
        Budget(1, patience=bad)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan")])
def test_a_timeout_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="timeout must be more than 0 seconds"):
        Budget(1, timeout_s=bad)
