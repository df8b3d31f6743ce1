"""Spaces that an Optuna study shows only as it goes: conditions, changing ranges, odd choices."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import InMemoryStorage

from chromasonic.tuning.sampling.by_name import GPSampler


def new_study(seed=0):
    return optuna.create_study(sampler=GPSampler(seed), storage=InMemoryStorage())


def branches(trial):
    """The better branch, b, has its optimum, 0, where all its three parameters are 0.2."""
    if trial.suggest_categorical("branch", ["a", "b"]) == "b":
        return sum((trial.suggest_float(name, 0.0, 1.0) - 0.2) ** 2 for name in ("u", "v", "w"))
    return 0.5 + (trial.suggest_float("z", 0.0, 1.0) - 0.8) ** 2


def layers(trial):
    """Each layer has its own width, the best of which is 20."""
    n_layers = trial.suggest_int("n_layers", 1, 3)
    widths = [trial.suggest_int(f"width {i}", 1, 64) for i in range(n_layers)]
    return sum(abs(width - 20) for width in widths) / 64 / n_layers + 0.3 * (n_layers != 2)


def test_children_are_modelled():
    def best(sampler):
        study = optuna.create_study(sampler=sampler)
        study.optimize(branches, n_trials=30)
        return study.best_value

    ours = [best(GPSampler(seed)) for seed in range(5)]
    chance = [best(optuna.samplers.RandomSampler(seed)) for seed in range(5)]
    assert max(ours) < 0.01
    assert np.median(ours) < 0.1 * np.median(chance)


def test_every_branch_is_tried_before_the_model_is_asked():
    names = list("abcdef")

    def objective(trial):
        branch = trial.suggest_categorical("branch", names)
        return sum(trial.suggest_float(f"{branch} {i}", 0.0, 1.0) for i in range(3))

    for seed in range(5):
        study = new_study(seed)
        study.optimize(objective, n_trials=13)
        assert {trial.params["branch"] for trial in study.trials} == set(names)


def test_children_of_an_ordered_parent_are_modelled():
    study = new_study()
    study.optimize(layers, n_trials=40)
    assert study.best_params["n_layers"] == 2
    assert study.best_value < 0.1


def test_the_model_proposes_no_child_where_it_is_not_asked_for():
    study = new_study()
    study.optimize(branches, n_trials=12)
    trial = study.ask()
    proposed = trial.relative_params
    branch = proposed["branch"]
    assert set(proposed) == {"branch", *("uvw" if branch == "b" else "z")}


def test_a_parameter_that_comes_later_is_modelled_and_earlier_trials_still_teach():
    def shorter(trial):
        return (trial.suggest_float("x", 0.0, 1.0) - 0.6) ** 2 + 0.25

    def longer(trial):
        return shorter(trial) - 0.25 + (trial.suggest_float("y", 0.0, 1.0) - 0.3) ** 2

    study = new_study()
    study.optimize(shorter, n_trials=8)
    study.optimize(longer, n_trials=10)
    assert study.best_params["x"] == pytest.approx(0.6, abs=0.05)
    assert study.best_params["y"] == pytest.approx(0.3, abs=0.05)


def test_a_condition_that_no_single_parent_explains_is_borne():
    def objective(trial):
        a, b = (trial.suggest_categorical(name, [False, True]) for name in "ab")
        loss = 1.0 - 0.3 * a - 0.3 * b
        if a and b:
            loss += (trial.suggest_float("y", 0.0, 1.0) - 0.2) ** 2
        return loss

    study = new_study()
    study.optimize(objective, n_trials=30)
    assert study.best_params["a"]
    assert study.best_params["b"]
    assert abs(study.best_params["y"] - 0.2) < 0.1


def test_a_branch_that_only_a_continuous_value_opens_is_borne():
    def objective(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        return (trial.suggest_float("y", 0.0, 1.0) - 0.2) ** 2 if x > 0.5 else 1.0 - x

    study = new_study()
    study.optimize(objective, n_trials=30)
    assert abs(study.best_params["y"] - 0.2) < 0.1


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.6), (-1.0, 3.0), (2.0, 3.0)])
def test_a_range_may_change(low, high):
    study = new_study()
    study.optimize(lambda trial: (trial.suggest_float("x", 0.0, 1.0) - 0.4) ** 2, n_trials=10)
    study.optimize(lambda trial: (trial.suggest_float("x", low, high) - 0.4) ** 2, n_trials=10)
    late = [trial.params["x"] for trial in study.trials[10:]]
    assert all(low <= x <= high for x in late)
    best = min(max(0.4, low), high)
    # What was found before the range changed need not be found again.
    seen = [trial.params["x"] for trial in study.trials if low <= trial.params["x"] <= high]
    assert min(abs(x - best) for x in seen) < 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("log", [False, True])
def test_a_range_may_depend_on_another_value(log, seed):
    def objective(trial):
        low = trial.suggest_float("low", 0.1, 1.0)
        return (trial.suggest_float("x", low, 2.0, log=log) - 0.5) ** 2

    study = new_study(seed)
    study.optimize(objective, n_trials=25)
    assert study.best_value < 1e-3


def test_integers_of_another_step_are_borne():
    study = new_study()
    for step in (1, 3, 4):
        study.optimize(lambda t, step=step: abs(t.suggest_int("n", 0, 12, step=step) - 8.0), 8)
        assert all(trial.params["n"] % step == 0 for trial in study.trials[-8:])
    assert study.best_value == 0.0


def test_what_is_asked_for_where_it_never_was_is_chosen_from_its_range():
    study = new_study()
    study.optimize(branches, n_trials=25)
    trial = study.ask({"branch": CategoricalDistribution(["a", "b"])})
    missing = "z" if trial.params["branch"] == "b" else "u"
    assert 0.0 <= trial.suggest_float(missing, 0.0, 1.0) <= 1.0


@pytest.mark.parametrize(
    "choices",
    [
        (None, False, "x"),
        (True, False),
        ("1", 1),
        (float("nan"), 2.0),
        (3, 1, 2),
        (0.1, math.inf, -1),
        ("a", "a", "b"),
        (1, True, 1.0),
        ((1, 2), (3,)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_any_choices_come_back_as_they_are(choices):
    def objective(trial):
        value = trial.suggest_categorical("c", choices)
        assert any(value is choice for choice in choices)
        return trial.suggest_float("x", 0.0, 1.0)

    study = new_study()
    study.optimize(objective, n_trials=12)
    distribution = CategoricalDistribution(choices)
    places = {distribution.to_internal_repr(choice) for choice in choices}
    assert {distribution.to_internal_repr(t.params["c"]) for t in study.trials} == places
