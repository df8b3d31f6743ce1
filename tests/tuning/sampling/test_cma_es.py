import pickle

import optuna
import pytest
from optuna.storages import InMemoryStorage

from chromasonic.bayesopt import Categorical, Float, Integer, Space
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.sampling._cma_es import CmaEsByTrialSampler

pytest.importorskip("cmaes")

SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "rate": Float(1e-4, 1.0, log=True),
        "width": Integer(1, 64),
        "kind": Categorical(["a", "b"]),
        "depth": Integer(1, 3, when={"kind": ["b"]}),
    }
)


def bowl(params):
    return (params["x"] - 0.3) ** 2 + (params["width"] / 64 - 0.5) ** 2


def search(n_trials, sign=1.0, direction="minimize", sampler=None, space=SPACE):
    study = optuna.create_study(
        storage=InMemoryStorage(),
        direction=direction,
        sampler=sampler or CmaEsByTrialSampler(space, 3),
    )
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, sign * bowl(suggest_params(space, trial)))
    return study


def test_it_comes_closer_to_the_optimum_than_random_points():
    found = search(120).best_value
    random = search(120, sampler=optuna.samplers.RandomSampler(seed=3)).best_value
    assert found < 0.2 * random


def test_a_maximised_study_is_the_mirror_image():
    down, up = search(40), search(40, sign=-1.0, direction="maximize")
    assert [trial.params for trial in up.trials] == [trial.params for trial in down.trials]


def test_proposals_depend_on_the_trials_the_seed_and_the_number_alone():
    whole = search(40)
    again = optuna.create_study(storage=InMemoryStorage())
    for trial in whole.trials[:30]:
        again.add_trial(trial)
    for expected in whole.trials[30:]:
        again.sampler = CmaEsByTrialSampler(SPACE, 3)
        trial = again.ask()
        params = suggest_params(SPACE, trial)
        assert trial.params == expected.params
        again.tell(trial, bowl(params))


def test_nothing_that_a_study_holds_is_unpickled():
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a stranger has run",))

    study = search(10)
    other = optuna.create_study(storage=InMemoryStorage(), sampler=CmaEsByTrialSampler(SPACE, 3))
    for trial in study.trials:
        trial.system_attrs["cma:optimizer:0"] = pickle.dumps(Evil()).hex()
        other.add_trial(trial)
    suggest_params(SPACE, other.ask())


def test_a_space_of_categories_alone_is_searched_at_random():
    space = Space({"kind": Categorical(["a", "b", "c"])})
    study = optuna.create_study(sampler=CmaEsByTrialSampler(space, 3))
    kinds = {suggest_params(space, study.ask())["kind"] for _ in range(20)}
    assert kinds == {"a", "b", "c"}
