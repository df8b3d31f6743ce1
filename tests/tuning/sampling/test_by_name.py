from importlib.util import find_spec
from itertools import product

import optuna
import pytest
from optuna.storages import InMemoryStorage

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Space
from chromasonic.errors import MissingExtra, SpaceError
from chromasonic.tuning._pruners import choose_pruner
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.sampling import by_name as samplers
from chromasonic.tuning.sampling.by_name import SAMPLERS, GPSampler, choose_sampler

HAS_CMAES = find_spec("cmaes") is not None
INSTALLED = [name for name in SAMPLERS if name != "cmaes" or HAS_CMAES]
BOUNDLESS = [name for name in INSTALLED if name != "grid"]

N_TRIALS = 18
"""Eight more than TPE draws at random."""

CONDITIONAL = Space(
    {
        "kind": Categorical(["plain", "deep"]),
        "layers": Integer(2, 9, when={"kind": ["deep"]}),
        "x": Float(0.0, 1.0),
    }
)


def loss_of(params):
    return (params["x"] - 0.3) ** 2 + params.get("rate", 0.0)


def proposals(space, name, seed=0, pruner="none", forget=False):
    """The parameters of N_TRIALS trials; `forget` makes the sampler anew for each."""
    study = optuna.create_study(storage=InMemoryStorage(), study_name="study")
    study.pruner = choose_pruner(pruner, 9)
    asked = []
    for number in range(N_TRIALS):
        if forget or number == 0:
            study = optuna.load_study(storage=study._storage, study_name="study")
            study.sampler = choose_sampler(name, space, seed)
            study.pruner = choose_pruner(pruner, 9)
        trial = study.ask()
        asked.append(suggest_params(space, trial))
        study.tell(trial, loss_of(asked[-1]))
    return asked


def test_the_samplers_are_the_promised_ones():
    assert set(SAMPLERS) == {"auto", "gp", "tpe", "random", "grid", "qmc", "cmaes"}


def test_another_name_is_refused_and_the_right_ones_are_named(search_space):
    with pytest.raises(ValueError, match=r"one of auto, gp, .*, cmaes, but got 'bayes'"):
        choose_sampler("bayes", search_space, 0)


def test_auto_is_the_project_s_own(search_space):
    assert isinstance(choose_sampler("auto", search_space, 0), GPSampler)
    assert proposals(search_space, "auto") == proposals(search_space, "gp")


def test_a_sampler_without_its_package_says_how_to_get_it(search_space, monkeypatch):
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'Run: pip install "chromasonic\[cmaes\]"'):
        choose_sampler("cmaes", search_space, 0)


@pytest.mark.parametrize("name", INSTALLED)
def test_the_same_seed_gives_the_same_proposals_and_another_one_others(name, search_space):
    first = proposals(search_space, name, seed=5)
    assert proposals(search_space, name, seed=5) == first
    assert proposals(search_space, name, seed=6) != first


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
@pytest.mark.parametrize("name", INSTALLED)
def test_proposals_do_not_depend_on_what_the_process_has_done_before(name, pruner, search_space):
    remembered = proposals(search_space, name, pruner=pruner)
    assert proposals(search_space, name, pruner=pruner, forget=True) == remembered


@pytest.mark.parametrize("name", BOUNDLESS)
def test_conditional_proposals_do_not_either(name):
    remembered = proposals(CONDITIONAL, name)
    assert proposals(CONDITIONAL, name, forget=True) == remembered
    assert {"layers" in params for params in remembered} == {True, False}


@pytest.mark.parametrize("name", INSTALLED)
def test_proposals_differ_from_trial_to_trial(name, search_space):
    asked = proposals(search_space, name)
    assert len({repr(params) for params in asked}) == N_TRIALS


@pytest.mark.parametrize("name", BOUNDLESS)
def test_every_choice_is_tried(name, search_space):
    assert {params["kind"] for params in proposals(search_space, name)} == {"a", "b", "c"}


def test_qmc_covers_a_line_more_evenly_than_chance():
    space = Space({"x": Float(0.0, 1.0), "kind": Categorical(["a", "b"])})
    xs = [params["x"] for params in proposals(space, "qmc")][1:17]
    # 16 points in a row of a scrambled Sobol sequence: at most two in any eighth, by its design;
    # of 16 random ones some eighth has at most two with probability below 1e-2.
    assert max(sum(i / 8 <= x < (i + 1) / 8 for x in xs) for i in range(8)) <= 3


@pytest.mark.parametrize("name", BOUNDLESS)
def test_a_question_asked_again_after_a_crash_has_the_same_answer(name, search_space):
    study = optuna.create_study(storage=InMemoryStorage())
    study.sampler = choose_sampler(name, search_space, 0)
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, loss_of(suggest_params(search_space, trial)))
    once = optuna.Trial(study, study.ask()._trial_id).suggest_float("x", 0.0, 1.0)
    # A driver dies after the sampler has answered and before the answer is stored.
    again = optuna.load_study(storage=study._storage, study_name=study.study_name)
    again.sampler = choose_sampler(name, search_space, 0)
    last = again.get_trials(deepcopy=False)[-1]
    asked_anew = again.sampler.infer_relative_search_space(again, last)
    relative = again.sampler.sample_relative(again, last, asked_anew)
    distribution = last.distributions["x"]
    answer = relative.get("x")
    if answer is None:
        answer = again.sampler.sample_independent(again, last, "x", distribution)
    assert answer == once


def test_a_grid_covers_every_combination_once_and_then_the_search_ends(make_search, losses_of):
    space = Space(
        {
            "x": Float(0.0, 1.0),
            "rate": Fixed(0.5),
            "width": Integer(1, 2),
            "kind": Categorical(["a", "b", "c", "d"]),
        }
    )
    search = make_search(space, sampler="grid")
    assert search.run(lambda params: min(losses_of(params)), n_trials=100) == "exhausted"
    tried = sorted((t.params["x"], t.params["width"], t.params["kind"]) for t in search.trials)
    assert tried == sorted(product([0.0, 0.5, 1.0], [1, 2], ["a", "b", "c", "d"]))
    assert {t.params["rate"] for t in search.trials} == {0.5}
    assert search.run(lambda params: 0.0, n_trials=200) == "exhausted"
    assert len(search.trials) == 24


def test_a_grid_with_points_before_it_is_covered_in_the_same_order_after_a_restart(make_search):
    space = Space({"x": Float(0.0, 1.0), "kind": Categorical(["a", "b", "c", "d"])})
    orders = []
    for stops in ([100], range(1, 100)):
        search = make_search(space, sampler="grid")
        for place in (0.1, 0.2, 0.3, 0.4, 0.6):
            search.study.enqueue_trial({"x": place, "kind": "a"})
        for n_trials in stops:
            if search.run(lambda params: params["x"], n_trials) == "exhausted":
                break
        orders.append([trial.params for trial in search.trials])
    assert orders[0] == orders[1]
    assert len(orders[0]) == 5 + 12


def test_a_grid_of_conditional_parameters_is_refused():
    with pytest.raises(SpaceError, match=r"this space has conditional ones.*'random' or 'tpe'"):
        choose_sampler("grid", CONDITIONAL, 0)
