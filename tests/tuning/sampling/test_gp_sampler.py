import logging
import math
import pickle
import random

import numpy as np
import optuna
import pytest
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from chromasonic.tuning.sampling.by_name import GPSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)


def bowl(trial):
    """A loss with its minimum, 0, at x = 0.7, rate = 1e-3, width = 12, kind = b."""
    x = trial.suggest_float("x", 0.0, 1.0)
    rate = trial.suggest_float("rate", 1e-5, 1.0, log=True)
    width = trial.suggest_int("width", 1, 32)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    off = (x - 0.7) ** 2 + (math.log10(rate) + 3) ** 2 / 25 + (width - 12) ** 2 / 1000
    return off + 0.1 * (kind != "b")


def new_study(sampler=None, direction="minimize", storage=None, **options):
    return optuna.create_study(
        sampler=sampler or GPSampler(0),
        direction=direction,
        storage=storage or InMemoryStorage(),
        **options,
    )


@pytest.fixture(params=["memory", "sqlite", "journal"])
def make_storage(request, tmp_path):
    """Opens the same storage anew; that in memory stays open."""
    if request.param == "memory":
        storage = InMemoryStorage()
        return lambda: storage
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / 'study.db'}"
    return lambda: JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_it_is_better_than_chance_in_both_directions(direction, sign):
    def best(sampler):
        study = new_study(sampler, direction)
        study.optimize(lambda trial: sign * bowl(trial), n_trials=25)
        return sign * study.best_value

    ours = [best(GPSampler(seed)) for seed in range(5)]
    chance = [best(optuna.samplers.RandomSampler(seed)) for seed in range(5)]
    assert np.median(ours) < 0.3 * np.median(chance)
    assert max(ours) < min(chance)


@pytest.mark.parametrize("forget", ["never", "before every trial"])
def test_proposals_depend_on_the_history_alone(make_storage, forget):
    asked = propose(make_storage(), forget="never")
    assert propose_again(make_storage, forget) == asked


def propose(storage, forget, n_trials=14, name="first"):
    study = new_study(storage=storage, study_name=name)
    for _ in range(n_trials):
        ask_and_tell(study)
    return [trial.params for trial in study.trials]


def propose_again(make_storage, forget, n_trials=14):
    study = new_study(storage=make_storage(), study_name="again")
    for _ in range(n_trials):
        if forget == "before every trial":
            study = optuna.load_study(
                study_name="again", storage=make_storage(), sampler=GPSampler(0)
            )
        ask_and_tell(study)
    return [trial.params for trial in study.trials]


def ask_and_tell(study):
    """One trial of a conditional kind, every fifth failed and every fourth pruned."""
    trial = study.ask()
    loss = bowl(trial)
    if trial.params["kind"] == "b":
        loss += (trial.suggest_float("of b", -1.0, 1.0)) ** 2
    for epoch in range(3):
        trial.report(loss + 1 / (epoch + 1), epoch)
    if trial.number % 5 == 4:
        study.tell(trial, state=TrialState.FAIL)
    elif trial.number % 4 == 3:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, loss)


@pytest.mark.parametrize("forget", [False, True])
def test_what_runs_is_known_to_another_process_too(make_storage, forget):
    def propose_ahead(name, forget):
        study, losses = new_study(storage=make_storage(), study_name=name), []
        for number in range(14):
            if forget:
                study = optuna.load_study(
                    study_name=name, storage=make_storage(), sampler=GPSampler(0)
                )
            losses.append(bowl(study.ask()))
            if number >= 3:
                study.tell(number - 3, losses[number - 3])
        return [trial.params for trial in study.trials]

    assert propose_ahead("first", False) == propose_ahead("again", forget)


def test_another_seed_proposes_something_else_and_none_draws_one():
    firsts = []
    for sampler in (GPSampler(0), GPSampler(1), GPSampler(), GPSampler()):
        study = new_study(sampler)
        study.optimize(bowl, n_trials=2)
        firsts.append(study.trials[1].params["x"])
    assert len(set(firsts)) == 4


def test_reseeding_changes_nothing():
    study, other = new_study(), new_study()
    for _ in range(8):
        study.optimize(bowl, n_trials=1)
        other.sampler.reseed_rng()
        other.optimize(bowl, n_trials=1)
    assert [t.params for t in study.trials] == [t.params for t in other.trials]


def test_a_pickled_sampler_goes_on_the_same():
    study, other = new_study(), new_study()
    for _ in range(8):
        study.optimize(bowl, n_trials=1)
        other.sampler = pickle.loads(pickle.dumps(other.sampler))
        other.optimize(bowl, n_trials=1)
    assert [t.params for t in study.trials] == [t.params for t in other.trials]


def test_one_sampler_serves_two_studies_in_turn():
    alone = new_study()
    alone.optimize(bowl, n_trials=9)
    sampler = GPSampler(0)
    studies = [new_study(sampler), new_study(sampler, "maximize")]
    for _ in range(9):
        for study in studies:
            study.optimize(bowl, n_trials=1)
    assert [t.params for t in studies[0].trials] == [t.params for t in alone.trials]
    assert studies[1].trials[8].params != alone.trials[8].params


def test_the_first_trials_are_the_middle_and_then_spread_over_every_range():
    study = new_study(GPSampler(3, n_startup_trials=9))
    study.optimize(bowl, n_trials=9)
    assert study.trials[0].params["x"] == 0.5
    assert study.trials[0].params["width"] in (16, 17)
    cells = sorted(int(8 * trial.params["x"]) for trial in study.trials[1:])
    assert cells == list(range(8))


def test_trials_that_run_push_proposals_apart():
    study = new_study()
    study.optimize(bowl, n_trials=12)
    xs = []
    for _ in range(6):
        trial = study.ask()
        bowl(trial)
        xs.append(tuple(map(str, trial.params.values())))
    assert len(set(xs)) == 6
    # Without what runs the very same question has the very same answer but for the number.
    alone = optuna.create_study(sampler=GPSampler(0))
    alone.add_trials(study.get_trials(states=[TrialState.COMPLETE]))
    trial = alone.ask()
    bowl(trial)
    assert tuple(map(str, trial.params.values())) == xs[0]


def test_places_where_trials_fail_are_avoided():
    def objective(trial):
        loss = bowl(trial)
        if trial.params["x"] > 0.3:
            raise ValueError
        return loss

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = new_study()
    study.optimize(objective, n_trials=30, catch=ValueError)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    failed = [trial.state is TrialState.FAIL for trial in study.trials]
    # By chance 17.5 of these 25 would fail, and 10 or less once in 1,000 times.
    assert sum(failed[5:]) <= 10


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e30])
def test_values_without_measure_do_no_harm(value):
    study = new_study()
    study.optimize(lambda trial: value if bowl(trial) > 0.5 else bowl(trial), n_trials=30)
    finite = [t.value for t in study.trials if t.value is not None and abs(t.value) < 1]
    assert min(finite) < 0.06


def test_no_point_of_a_small_space_comes_twice_until_all_were_tried():
    study = new_study()
    for _ in range(13):
        trial = study.ask()
        loss = trial.suggest_int("i", 0, 3) + len(trial.suggest_categorical("c", ["", "a", "bb"]))
        study.tell(trial, float(loss))
    assert len({tuple(trial.params.values()) for trial in study.trials[:12]}) == 12


def test_what_an_enqueued_trial_fixes_is_kept_and_the_rest_fits_it():
    rng, unit = random.Random(0), optuna.distributions.FloatDistribution(0.0, 1.0)
    study = new_study()
    for _ in range(30):
        x, y = 0.7 * rng.random(), rng.random()
        study.add_trial(
            create_trial(
                params={"x": x, "y": y},
                distributions={"x": unit, "y": unit},
                value=(x - y) ** 2 - x,
            )
        )
    study.enqueue_trial({"x": 0.8})
    trial = study.ask({"x": unit, "y": unit})
    assert trial.params["x"] == 0.8
    assert trial.params["y"] == pytest.approx(0.8, abs=0.15)


def rates_of_slow_starters(seed, pruned_counts_as_complete):
    """Decimal logarithm of the rate of a search's last trials.

    A small rate ends best, at 1e-4, and begins worst.
    """

    def objective(trial):
        place = math.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True))
        end = (place + 4.0) ** 2 / 9.0 + (trial.suggest_float("width", 0.0, 1.0) - 0.5) ** 2
        slowness = (-1.0 - place) / 2.0
        for epoch in range(12):
            loss = end + slowness * (1.0 - (epoch + 1) / 12)
            trial.report(loss, epoch)
            if trial.should_prune():
                if pruned_counts_as_complete:
                    return loss
                raise optuna.TrialPruned
        return end

    study = new_study(GPSampler(seed))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3)
    study.optimize(objective, n_trials=40)
    assert pruned_counts_as_complete or len(study.get_trials(states=[TrialState.PRUNED])) > 20
    return [math.log10(trial.params["rate"]) for trial in study.trials[-15:]]


def test_a_trial_whose_process_died_between_two_values_gets_the_others_it_would_have_had():
    whole, broken = new_study(), new_study()
    for study in (whole, broken):
        study.optimize(bowl, n_trials=8)
    trial = whole.ask()
    bowl(trial)
    unit, storage = optuna.distributions.FloatDistribution(0.0, 1.0), broken._storage
    trial_id = storage.create_new_trial(broken._study_id)
    storage.set_trial_param(trial_id, "x", trial.params["x"], unit)
    resumed = optuna.Trial(broken, trial_id)
    bowl(resumed)
    assert resumed.params == trial.params


@pytest.mark.slow
def test_slow_starters_that_never_finish_mislead_less_than_their_last_losses_would():
    ours, misled = [], []
    for seed in range(5):
        ours.append(abs(np.median(rates_of_slow_starters(seed, False)) + 4.0))
        misled.append(abs(np.median(rates_of_slow_starters(seed, True)) + 4.0))
    # All around the optimum are pruned here, so that how good it is cannot be seen.
    assert np.mean(ours) < 0.9
    # To take the last loss of a pruned trial for its value is what would move it.
    assert np.mean(misled) > 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "pruner",
    [
        pytest.param(
            optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
            id="successive halving",
        ),
        pytest.param(
            optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
            id="hyperband",
        ),
    ],
)
@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_under_a_pruner_the_model_chooses(pruner, direction, sign):
    def best(sampler):
        losses = []

        def objective(trial):
            losses.append(bowl(trial))
            for epoch in range(9):
                trial.report(sign * (losses[-1] + 0.5 / (epoch + 1)), epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return sign * losses[-1]

        # Hyperband deals trials out to brackets by the study's name, which would be a random one.
        study = new_study(sampler, direction, study_name="bowl")
        study.pruner = pruner
        study.optimize(objective, n_trials=40)
        assert len(study.get_trials(states=[TrialState.PRUNED])) > 10
        return min(losses)

    ours = [best(GPSampler(seed)) for seed in range(5)]
    chance = [best(optuna.samplers.RandomSampler(seed)) for seed in range(5)]
    assert np.median(ours) < 0.2 * np.median(chance)


def test_pruned_trials_without_a_curve_are_taken(caplog):
    study = new_study()
    for _ in range(12):
        trial = study.ask()
        loss = bowl(trial)
        if trial.number % 2:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, loss)
    bowl(study.ask())
    assert not caplog.records


def test_constraints_are_kept():
    def objective(trial):
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        trial.set_constraint("sum", 0.9 - x - y)
        trial.set_constraint("x", x - 0.8)
        return x**2 + y

    study = new_study()
    study.optimize(objective, n_trials=40)
    kept = [all(c <= 0 for c in trial.constraints.values()) for trial in study.trials]
    # Without constraints the search would be where they are broken most.
    assert max(trial.constraints["sum"] for trial in study.trials[15:]) < 0.3
    # On the border x + y = 0.9 the least is at x = 0.5: 0.25 + 0.4.
    best = min(trial.value for trial, k in zip(study.trials, kept, strict=True) if k)
    assert best == pytest.approx(0.65, abs=0.03)


def best_kept(study):
    kept = [t for t in study.trials if t.value is not None and max(t.constraints.values()) <= 0]
    return min(trial.value for trial in kept)


def test_a_constraint_that_only_some_trials_set_is_kept():
    def objective(trial):
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        if trial.number % 3:
            trial.set_constraint("sum", 0.9 - x - y)
        return x**2 + y

    study = new_study()
    study.optimize(objective, n_trials=40)
    late = [t.params["x"] + t.params["y"] for t in study.trials[15:]]
    # Without constraints both would go to 0.
    assert np.median(late) > 0.8


def test_a_trial_that_broke_one_constraint_and_set_no_other_counts_as_broken():
    def objective(trial):
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        trial.set_constraint("x", 1.0 if x < 0.4 else -1.0)
        if x >= 0.4:
            trial.set_constraint("y", 0.2 - y)
        return x + y

    late = []
    for seed in range(5):
        study = new_study(GPSampler(seed))
        study.optimize(objective, n_trials=30)
        assert best_kept(study) == pytest.approx(0.6, abs=0.05)
        late += [trial.value for trial in study.trials[15:]]
    # Were such trials taken to be fine, the best would be among them, at 0.
    assert np.median(late) > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_where_every_trial_broke_a_constraint_the_search_goes_where_it_is_kept(seed):
    def objective(trial):
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)
        trial.set_constraint("near", abs(x - 0.83) + abs(y - 0.21) - 0.05)
        return x

    study = new_study(GPSampler(seed))
    study.optimize(objective, n_trials=25)
    # A point drawn at random keeps it once in 200 times.
    assert not any(trial.constraints["near"] <= 0 for trial in study.trials[:5])
    assert best_kept(study) < 0.83


def test_a_constraint_that_is_broken_alike_everywhere_does_no_harm():
    def objective(trial):
        trial.set_constraint("never", 1.0)
        return bowl(trial)

    study = new_study()
    study.optimize(objective, n_trials=15)
    assert len({str(trial.params) for trial in study.trials}) == 15


def test_threads_share_a_sampler():
    study = new_study()
    study.optimize(bowl, n_trials=24, n_jobs=2)
    assert len(study.trials) == 24
    assert study.best_value < 0.2
    assert len({str(trial.params) for trial in study.trials}) == 24


def test_every_storage_serves_with_threads(make_storage):
    study = optuna.create_study(sampler=GPSampler(0), storage=make_storage())
    study.optimize(bowl, n_trials=10, n_jobs=2)
    assert len(study.trials) == 10


def test_several_objectives_are_handed_over_and_that_is_said_once(caplog):
    def asked():
        study = optuna.create_study(sampler=GPSampler(0), directions=["minimize", "maximize"])
        for _ in range(14):
            trial = study.ask()
            study.tell(trial, (bowl(trial), trial.params["x"]))
        return [trial.params for trial in study.trials]

    with caplog.at_level(logging.WARNING):
        first = asked()
    assert [r.getMessage() for r in caplog.records] == [
        "GPSampler has one objective: Optuna's TPESampler takes this study over."
    ]
    assert asked() == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_startup_trials": 0}, "n_startup_trials must be at least 1, but got 0"),
        ({"acquisition": "eii"}, "acquisition must be one of"),
        ({"kernel": "matern"}, "kernel must be one of"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GPSampler(**options)


def test_trials_from_elsewhere_are_learned_from():
    rng = random.Random(0)
    space = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    study = new_study()
    for _ in range(20):
        x = rng.random()
        study.add_trial(create_trial(params={"x": x}, distributions=space, value=(x - 0.3) ** 2))
    study.optimize(lambda trial: (trial.suggest_float("x", 0.0, 1.0) - 0.3) ** 2, n_trials=2)
    assert min(abs(trial.params["x"] - 0.3) for trial in study.trials[20:]) < 0.05
