import random
from statistics import median

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from chromasonic.tuning._pruners import (
    MEDIAN_STARTUP_TRIALS,
    MEDIAN_WARMUP_FRACTION,
    PRUNERS,
    choose_pruner,
)
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.sampling.by_name import choose_sampler

N_EPOCHS = 20
WARM_UP = round(MEDIAN_WARMUP_FRACTION * N_EPOCHS)


def random_curves(seed, n_trials=30):
    rng = random.Random(seed)
    return [
        [rng.random() + 2 * rng.random() / epoch for epoch in range(1, N_EPOCHS + 1)]
        for _ in range(n_trials)
    ]


def run(make_search, curves, pruner):
    def objective(params, trial):
        yield from curves[trial.number]

    search = make_search(pruner=pruner, num_epochs=N_EPOCHS)
    search.run(objective, len(curves))
    return [(trial.ending, len(trial.learning_curve)) for trial in search.trials]


def pruned_by_the_median(curves):
    """The same, written as the rule reads."""
    endings, complete = [], []
    for losses in curves:
        for epoch in range(1, N_EPOCHS + 1):
            others = [other[epoch - 1] for other in complete]
            enough = len(complete) >= MEDIAN_STARTUP_TRIALS and epoch >= WARM_UP
            if enough and min(losses[:epoch]) > median(others):
                endings.append(("pruned", epoch))
                break
        else:
            endings.append(("completed", N_EPOCHS))
            complete.append(losses)
    return endings


def test_the_pruners_are_the_promised_ones():
    assert set(PRUNERS) == {"median", "successive_halving", "hyperband", "none"}


def test_another_name_is_refused_and_the_right_ones_are_named():
    with pytest.raises(ValueError, match=r"must be one of median, .*, none, but got 'middle'"):
        choose_pruner("middle", 20)


@pytest.mark.parametrize("seed", range(5))
def test_the_median_pruner_follows_its_rule(make_search, seed):
    curves = random_curves(seed)
    endings = run(make_search, curves, "median")
    assert endings == pruned_by_the_median(curves)
    assert {ending for ending, _ in endings} == {"pruned", "completed"}


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_nothing_is_pruned_before_the_warm_up_is_over(make_search, pruner):
    # Each trial is worse than all before it: whoever may prune, does.
    curves = [[float(number)] * N_EPOCHS for number in range(30)]
    epochs = [n for ending, n in run(make_search, curves, pruner) if ending == "pruned"]
    assert min(epochs) == WARM_UP >= N_EPOCHS / 5


def test_a_slow_starter_that_is_caught_up_by_the_warm_up_is_kept(make_search):
    quick = [[1.0] * N_EPOCHS for _ in range(10)]
    slow = [9.0] * (WARM_UP - 1) + [0.5] * (N_EPOCHS - WARM_UP + 1)
    assert run(make_search, [*quick, slow], "median")[-1] == ("completed", N_EPOCHS)


def test_none_prunes_nothing(make_search):
    curves = [[float(number)] * N_EPOCHS for number in range(30)]
    assert set(run(make_search, curves, "none")) == {("completed", N_EPOCHS)}


@pytest.mark.parametrize("num_epochs", [1, 2, 3, 20, 100])
@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_takes_every_number_of_epochs(make_search, losses_of, name, num_epochs):
    def objective(params):
        yield from losses_of(params, num_epochs)

    search = make_search(pruner=name, num_epochs=num_epochs)
    search.run(objective, 8)
    assert {trial.ending for trial in search.trials} <= {"completed", "pruned"}
    assert len(search.trials) == 8


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("name", PRUNERS)
def test_the_driver_prunes_as_optunas_own_loop_does(
    make_search, search_space, losses_of, name, sampler
):
    """Reference: `study.optimize` with `trial.report` and `trial.should_prune`."""

    def objective(params):
        yield from losses_of(params, N_EPOCHS)

    def optuna_objective(trial):
        losses = []
        for epoch, loss in enumerate(objective(suggest_params(search_space, trial)), 1):
            losses.append(loss)
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return min(losses)

    reference = optuna.create_study(storage=InMemoryStorage(), study_name="study")
    reference.sampler = choose_sampler(sampler, search_space, 0)
    reference.pruner = choose_pruner(name, N_EPOCHS)
    reference.optimize(optuna_objective, n_trials=30)

    search = make_search(sampler=sampler, pruner=name, num_epochs=N_EPOCHS)
    search.run(objective, 30)
    ours = search.study.trials
    assert [t.state for t in ours] == [t.state for t in reference.trials]
    assert [t.params for t in ours] == [t.params for t in reference.trials]
    assert [t.intermediate_values for t in ours] == [
        t.intermediate_values for t in reference.trials
    ]
    assert name == "none" or TrialState.PRUNED in [t.state for t in ours]
