import json
import math

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from chromasonic.bayesopt import Float, Space, parameter_importance
from chromasonic.bayesopt.analysis.importance import MIN_POINTS
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import EpochRow, best_row
from chromasonic.tuning.records import SearchResult, read_result
from chromasonic.tuning.study import PREFIX, set_attribute

SPACE = Space({"learning_rate": Float(1e-4, 1e-1, log=True), "dropout": Float(0.0, 0.5)})
DESCRIPTION = {
    "study_name": "melody_search",
    "seed": 3,
    "unit": "nats per note",
    "space": SPACE.to_dict(),
    "training_parameters": ["learning_rate"],
}
TRIAL_KEYS = [
    *("number", "state", "ending", "reason", "params", "value", "val_loss", "train_loss"),
    *("best_epoch", "training_time", "n_parameters", "learning_curve"),
]


@pytest.fixture
def study():
    study = optuna.create_study()
    set_attribute(study, "description", DESCRIPTION)
    set_attribute(study, "total_time", 12.3456)
    return study


def add_trial(study, losses, ending=Ending.COMPLETED, learning_rate=0.01):
    """A trial as the driver leaves it; its number is how many there were."""
    epochs = [
        {"epoch": i, "loss": loss, "train_loss": loss - 0.1, "seconds": 0.5, "n_parameters": 7}
        for i, loss in enumerate(losses, start=1)
    ]
    kept = {
        "params": {"learning_rate": learning_rate, "dropout": 0.2},
        "epochs": epochs,
        "ending": ending.value,
        "reason": "",
    }
    finite = [loss for loss in losses if math.isfinite(loss)]
    complete = ending.state is TrialState.COMPLETE
    study.add_trial(
        create_trial(
            state=ending.state,
            value=min(finite) if complete else None,
            user_attrs={PREFIX + key: value for key, value in kept.items()},
        )
    )


def test_the_best_trial_is_the_one_with_the_lowest_loss(study):
    for losses in ([3.0, 2.5], [2.0, 2.2], [2.6]):
        add_trial(study, losses)
    result = read_result(study)
    assert result.best_trial.number == 1
    assert (result.best_trial.value, result.best_trial.best_epoch) == (2.0, 1)
    assert [trial.number for trial in result.ranking()] == [1, 0, 2]


def test_of_equal_trials_the_earliest_is_the_best(study):
    for losses in ([3.0], [2.0], [2.0]):
        add_trial(study, losses)
    assert read_result(study).best_trial.number == 1


def test_of_equal_epochs_the_first_is_the_best(study):
    add_trial(study, [2.0, 1.0, 1.0])
    assert read_result(study).trials[0].best_epoch == 2


def test_losses_that_are_no_numbers_are_never_the_best(study):
    add_trial(study, [math.nan, 2.0, math.inf, -math.inf])
    (trial,) = read_result(study).trials
    assert (trial.value, trial.best_epoch) == (2.0, 2)
    assert best_row([EpochRow(1, math.nan)]) is None


def test_pruned_trials_keep_their_loss_diverged_ones_have_none_and_neither_counts(study):
    add_trial(study, [1.0], Ending.PRUNED)
    add_trial(study, [0.5, math.nan], Ending.DIVERGED)
    add_trial(study, [2.0], Ending.STOPPED_EARLY)
    result = read_result(study)
    assert [trial.value for trial in result.trials] == [1.0, None, 2.0]
    assert [trial.counts for trial in result.trials] == [False, False, True]
    assert result["best_value"] == 2.0


def test_cancelled_and_waiting_trials_are_no_part_of_the_result(study):
    add_trial(study, [2.0])
    add_trial(study, [1.0], Ending.CANCELLED)
    study.enqueue_trial({"dropout": 0.1})
    result = read_result(study)
    assert result["n_trials"] == 1
    assert [trial.number for trial in result.trials] == [0]


def test_a_trial_has_the_keys_of_the_contract(study):
    add_trial(study, [2.0, 1.5])
    (trial,) = read_result(study)["trial_results"]
    assert list(trial) == [*TRIAL_KEYS, "settings"]
    assert (trial["state"], trial["ending"]) == ("COMPLETE", "completed")
    assert trial["value"] == trial["val_loss"] == 1.5
    assert trial["train_loss"] == pytest.approx(1.4)
    assert (trial["training_time"], trial["n_parameters"]) == (1.0, 7)
    assert list(trial["learning_curve"][0]) == ["epoch", "loss", "train_loss", "seconds"]


def test_a_result_has_the_guides_keys_and_what_was_searched(study):
    add_trial(study, [2.0])
    result = read_result(study, stopped_by="n_trials")
    guide = {"timestamp", "total_time", "best_params", "best_value", "n_trials", "trial_results"}
    assert guide <= result.keys()
    assert result["best_params"] == {"learning_rate": 0.01, "dropout": 0.2}
    assert result["training_params"] == {"learning_rate": 0.01}
    assert result["model_params"] == {"dropout": 0.2}
    assert (result["total_time"], result["seed"], result["schema_version"]) == (12.346, 3, 1)
    assert len(result) == len(list(result))
    assert result.stopped_by == "n_trials"
    assert result.space == SPACE


def test_a_result_without_finished_trials_has_no_best(study):
    add_trial(study, [math.nan], Ending.DIVERGED)
    result = read_result(study)
    assert result.best_trial is None
    assert (result["best_params"], result["best_value"], result["n_trials"]) == ({}, None, 1)


def test_a_result_survives_json(study):
    add_trial(study, [2.0, 1.5])
    result = read_result(study)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result


def test_a_result_is_the_same_from_a_file_and_from_memory(study, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    add_trial(study, [2.0, math.nan])
    optuna.copy_study(
        from_study_name=study.study_name, from_storage=study._storage, to_storage=storage
    )
    copy = optuna.load_study(study_name=study.study_name, storage=storage)
    # Unlike ==, text takes nan for equal to nan.
    assert repr(read_result(copy).trials) == repr(read_result(study).trials)


def add_trials_where_the_rate_decides(study, n_trials):
    for i in range(n_trials):
        add_trial(study, [2.0 + i], learning_rate=1e-3 * (i + 1))


def test_importance_is_none_until_there_is_enough_data(study):
    add_trials_where_the_rate_decides(study, MIN_POINTS - 1)
    assert read_result(study)["importance"] is None
    add_trial(study, [1.0], learning_rate=5e-4)
    first, _ = read_result(study)["importance"]
    assert list(first) == ["name", "main", "total"]
    assert list(first["main"]) == list(first["total"]) == ["estimate", "low", "high"]
    assert first["name"] == "learning_rate"
    assert first["total"]["low"] > 0


def test_only_trials_that_count_and_lie_in_the_space_decide_what_is_important(study):
    add_trials_where_the_rate_decides(study, 20)
    before = read_result(study).importance
    add_trial(study, [9.0], Ending.PRUNED)
    add_trial(study, [9.0], Ending.DIVERGED)
    add_trial(study, [9.0], learning_rate=1.0)
    assert read_result(study).importance == before


def test_importance_is_worked_out_only_when_asked_for_and_once(study, monkeypatch):
    calls = []

    def counting(space, points, values):
        calls.append(len(points))
        return parameter_importance(space, points, values)

    monkeypatch.setattr("chromasonic.tuning.records.parameter_importance", counting)
    add_trial(study, [2.0])
    result = read_result(study)
    assert result["best_value"] == 2.0
    assert calls == []
    assert result["importance"] == result["importance"] == result.to_dict()["importance"]
    assert result.importance is None
    assert calls == [1]


def test_a_result_without_a_space_has_no_importance():
    result = SearchResult((), 0.0, {}, "2024-01-15T10:30:45.123456")
    assert result.space is None
    assert result["importance"] is None
