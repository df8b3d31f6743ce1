from dataclasses import replace

import pytest

from chromasonic.tuning.budget import Budget
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.records import TrialRecord


def trial(number, value, state="COMPLETE"):
    curve = () if value is None else (EpochRow(1, value),)
    return TrialRecord(number, state, "completed", "", {}, curve, best_epoch=1)


def trials(*values):
    return [trial(number, value) for number, value in enumerate(values)]


def spent(budget, ended):
    """The reason why no trial should follow these, if none is running."""
    return budget.spent(len(ended), lambda: ended)


def test_trials_that_run_count_towards_the_total():
    budget = Budget(n_trials=3)
    reasons = [budget.spent(n_begun, lambda: trials(1.0)) for n_begun in (1, 2, 3, 4)]
    assert reasons == [None, None, "n_trials", "n_trials"]


def test_the_trials_that_have_ended_are_read_only_where_they_matter():
    def nobody_should_ask():
        raise AssertionError

    assert Budget(3, timeout_s=60.0).spent(2, nobody_should_ask) is None
    for limit in ({"target": 0.5}, {"patience": 2}):
        with pytest.raises(AssertionError):
            Budget(3, **limit).spent(2, nobody_should_ask)


def test_time_runs_out(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("chromasonic.tuning.budget.time.monotonic", lambda: now)
    budget = Budget(9, timeout_s=10.0, _started=1000.0)
    assert (budget.elapsed_s, budget.out_of_time, spent(budget, [])) == (0.0, False, None)
    now = 1009.9
    assert (budget.out_of_time, spent(budget, [])) == (False, None)
    now = 1010.0
    assert (budget.elapsed_s, budget.out_of_time, spent(budget, [])) == (10.0, True, "timeout")


def test_without_a_timeout_there_is_always_time():
    assert not Budget(1, _started=-1e12).out_of_time


def test_a_target_ends_the_search_when_it_is_reached():
    budget = Budget(9, target=0.5)
    assert spent(budget, trials(0.6, 0.51)) is None
    assert spent(budget, trials(0.6, 0.5)) == "target"
    assert spent(budget, trials(0.4, 0.6)) == "target"


def test_patience_counts_the_trials_since_the_last_better_one():
    budget = Budget(9, patience=2)
    assert spent(budget, []) is None
    assert spent(budget, trials(1.0, 2.0)) is None
    assert spent(budget, trials(1.0, 2.0, 0.9, 3.0)) is None
    assert spent(budget, trials(1.0, 2.0, 0.9, 3.0, 0.95)) == "patience"
    assert spent(budget, trials(1.0, 1.0, 1.0)) == "patience", "an equal value is no better"


def test_values_of_trials_that_were_cut_short_are_no_better_ones():
    ended = [*trials(1.0), trial(1, 0.1, "PRUNED"), trial(2, None, "FAIL")]
    assert spent(Budget(9, target=0.5), ended) is None
    assert spent(Budget(9, patience=2), ended) == "patience"


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


def test_trials_of_an_earlier_search_set_the_mark_but_use_up_no_patience():
    budget = Budget(99, patience=2)
    earlier = [
        replace(record, settings={"from": {"trial": record.number}})
        for record in trials(0.5, 1.0, 1.0, 1.0)
    ]
    later = [trial(number, 1.0) for number in (4, 5)]
    assert spent(budget, earlier) is None
    assert spent(budget, [*earlier, later[0]]) is None
    assert spent(budget, [*earlier, *later]) == "patience"
    assert spent(Budget(99, target=0.5), earlier) == "target"
