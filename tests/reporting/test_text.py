import numpy as np

from chromasonic.bayesopt import Float, Space
from chromasonic.reporting.text import (
    REPORT_TRIALS,
    best_baseline,
    importance_lines,
    params_line,
    report,
    summary_lines,
    trial_line,
)
from chromasonic.tuning.learning_curve import EpochRow


def test_the_report_has_the_form_of_the_guide(trial, result):
    params = {"learning_rate": 0.0015, "batch_size": 32, "hidden_size": 192}
    best = trial(
        5,
        params=params,
        learning_curve=(EpochRow(12, 2.1234, 2.0456, seconds=156.234),),
        best_epoch=12,
        n_parameters=127_488,
    )
    expected = """\
RANK 1: Trial 5
  Val Loss: 2.1234
  Train Loss: 2.0456
  Best Epoch: 12
  Training Time: 156.23s
  Parameters: 127,488
  Hyperparameters:
    learning_rate: 0.0015
    batch_size: 32
    hidden_size: 192
"""
    assert report(result([best])).endswith("\n\n" + expected)


def test_the_report_ranks_the_best_ten_of_the_trials_that_count(trial, result):
    trials = [trial(number, [20.0 - number]) for number in range(REPORT_TRIALS + 5)]
    trials.append(trial(99, [0.1], "pruned"))
    lines = report(result(trials)).splitlines()
    ranks = [line for line in lines if line.startswith("RANK")]
    assert ranks[0] == "RANK 1: Trial 14"
    assert ranks[-1] == "RANK 10: Trial 5"
    assert len(ranks) == REPORT_TRIALS
    assert "Trial 99" not in "\n".join(lines)


def test_what_a_trial_does_not_know_is_left_out_of_the_report(trial, result):
    text = report(result([trial(0, learning_curve=(EpochRow(1, 2.0),))]))
    assert "Train Loss" not in text
    assert "Parameters:" not in text.replace("Hyperparameters:", "")


def test_a_report_without_finished_trials_says_so(trial, result):
    assert "No trial has been trained to its end yet." in report(result())
    text = report(result([trial(0, [], "failed"), trial(1, [1.0], "pruned")]))
    assert "No trial has been trained to its end yet." in text
    assert "Trials: 2 (1 failed, 1 pruned)" in text


def test_the_summary_names_study_model_endings_and_the_best_beside_the_baseline(trial, result):
    trials = [trial(0, [2.0]), trial(1, [1.5], "stopped_early"), trial(2, [3.0], "pruned")]
    lines = summary_lines(
        result(
            trials,
            study_name="melody_search",
            seed=3,
            model={"name": "models.LSTM"},
            unit="nats per note",
            baselines={"bigram": 2.1, "trigram": 1.9},
        )
    )
    assert lines == [
        "Study: melody_search (seed 3)",
        "Model: models.LSTM",
        "Trials: 3 (1 completed, 1 stopped_early, 1 pruned)",
        "Total time: 1.50s",
        "Best value: 1.5000 nats per note (trial 1)",
        "Best n-gram on the same notes: 1.9000 nats per note (trigram)",
    ]


def test_the_factors_of_the_best_loss_are_told(trial, result):
    curve = (
        EpochRow(1, 3.0, metrics={"duration_loss": 1.0, "pitch_loss": 2.0}),
        EpochRow(2, 2.5, metrics={"duration_loss": 0.75, "pitch_loss": 1.75}),
    )
    best = trial(0, [3.0, 2.5], learning_curve=curve)
    lines = summary_lines(result([best], factors=["duration", "pitch"]))
    assert "  of which duration 0.7500, pitch 1.7500" in lines
    # A loss of a user's own is no part of another one.
    assert not any("of which" in line for line in summary_lines(result([best])))


def test_importance_is_told_with_intervals_the_most_important_first(trial, result):
    space = Space({"momentum": Float(0.0, 1.0), "rate": Float(0.0, 1.0)})
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(30)]
    trials = [trial(i, [2 + params["rate"]], params=params) for i, params in enumerate(points)]
    found = result(trials, space=space.to_dict())
    head, first, second = importance_lines(found)
    assert head.startswith("Importance of hyperparameters")
    assert first == "  rate      1.00 (1.00 to 1.00), alone 1.00 (1.00 to 1.00)"
    assert second.startswith("  momentum  0.00 (0.00 to 0.")
    assert first in report(found)
    assert "Importance" not in report(found, in_full=False)


def test_too_few_trials_have_no_importance(trial, result):
    lines = ["Importance of hyperparameters: not enough data yet"]
    assert importance_lines(result([trial(0)])) == lines


def test_an_empty_result_has_a_summary(result):
    assert summary_lines(result()) == ["Trials: 0 (none yet)", "Total time: 0.00s"]


def test_there_is_no_best_baseline_without_baselines(result):
    assert best_baseline(result()) is None
    assert best_baseline(result(baselines={})) is None


def test_a_trial_takes_one_line(trial):
    assert trial_line(trial(3, [2.0, 1.5])) == ("trial 3: 1.5000  completed after 2 epochs, 1.0s")
    assert trial_line(trial(4, [], "failed", reason="ValueError: no")) == (
        "trial 4: no value  failed after 0 epochs (ValueError: no), 0.0s"
    )
    assert "after 1 epoch," in trial_line(trial(5, [1.0], "pruned", reason="worse than others"))


def test_parameters_of_every_kind_take_one_line():
    params = {"rate": 0.00123456, "size": 64, "bias": True, "optimizer": None, "kind": "a b"}
    assert params_line(params) == ("rate=0.001235, size=64, bias=True, optimizer=None, kind=a b")
