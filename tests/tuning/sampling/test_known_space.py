import math
from collections import Counter

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from chromasonic.bayesopt import Categorical, Fixed, Float, Integer, Ordinal, Space
from chromasonic.tuning.distributions import suggest_params
from chromasonic.tuning.sampling.by_name import GPSampler

SPACE = Space(
    {
        "kind": Categorical(["plain", "deep", None]),
        "layers": Integer(2, 9, when={"kind": ["deep"]}),
        "size": Ordinal([16, 32, 64]),
        "rate": Float(1e-4, 1e-1, log=True),
        "step": Float(0.1, 0.9, step=0.2),
        "batch": Integer(1, 97, log=True, step=8),
        "constant": Fixed(3),
        "only": Categorical(["one"]),
    }
)


def new_study():
    return optuna.create_study(sampler=GPSampler(0, space=SPACE), storage=InMemoryStorage())


def loss_of(params):
    assert SPACE.contains(params)
    off = abs(params.get("layers", 9) - 4) / 8 + (math.log10(params["rate"]) + 3) ** 2 / 4
    return off + abs(params["size"] - 32) / 32 + abs(params["step"] - 0.3) + params["batch"] / 97


def test_a_known_space_is_searched_as_it_is():
    study = new_study()
    asked = []
    for _ in range(35):
        trial = study.ask()
        params = suggest_params(SPACE, trial)
        asked.append(trial.relative_params)
        study.tell(trial, loss_of(params))
    assert study.best_value < 0.35
    # From the first trial on all is chosen together, and no child where it does not count.
    assert all({"rate", "size", "step", "batch", "kind"} <= set(params) for params in asked)
    assert all(("layers" in params) == (params["kind"] == "deep") for params in asked)


def test_every_branch_of_a_known_space_is_looked_at_twice_before_the_model_is_asked():
    names = list("abcdef")
    own = {f"of {name}": Float(0.0, 1.0, when={"branch": [name]}) for name in names}
    space = Space({"branch": Categorical(names), **own})
    study = optuna.create_study(sampler=GPSampler(0, space=space))
    for _ in range(13):
        trial = study.ask()
        study.tell(trial, len(suggest_params(space, trial)["branch"]))
    counts = Counter(trial.params["branch"] for trial in study.trials[1:])
    assert counts == dict.fromkeys(names, 2)


def test_a_known_space_bears_trials_of_another_one():
    study = new_study()
    study.enqueue_trial({"kind": "plain"})
    study.add_trial(
        optuna.create_trial(
            params={"kind": "deep", "q": 2.0},
            distributions={
                "kind": CategoricalDistribution(["plain", "deep", None]),
                "q": FloatDistribution(0.0, 5.0),
            },
            state=TrialState.COMPLETE,
            value=1.0,
        )
    )
    for _ in range(8):
        trial = study.ask()
        study.tell(trial, loss_of(suggest_params(SPACE, trial)))
    assert 0.0 <= study.ask().suggest_float("q", 0.0, 5.0) <= 5.0
