import os
import subprocess
import sys

import numpy as np
import optuna
import pytest
import scipy.special
from scipy.linalg import lapack
from threadpoolctl import ThreadpoolController

from chromasonic.any_objective import tune
from chromasonic.bayesopt import (
    GaussianProcess,
    OptimizationResult,
    Optimizer,
    Space,
    bayesian_optimization,
    find_next_point,
    parameter_importance,
)
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.proposals import Proposer
from chromasonic.tuning.sampling.by_name import GPSampler

SEVERAL = 3


@pytest.fixture(autouse=True)
def controller():
    """BLAS on several threads, whatever the machine has."""
    blas = ThreadpoolController().select(user_api="blas")
    with blas.limit(limits=SEVERAL):
        assert n_threads(blas) == {SEVERAL}
        yield blas


def n_threads(controller):
    return {library["num_threads"] for library in controller.info()}


def test_the_limit_holds_inside_and_what_was_before_comes_back(controller):
    for _ in range(2):
        with own_arithmetic():
            assert n_threads(controller) == {1}
        assert n_threads(controller) == {SEVERAL}


def test_an_error_inside_lifts_the_limit(controller):
    with pytest.raises(ValueError, match="inside"), own_arithmetic():
        raise ValueError("inside")
    assert n_threads(controller) == {SEVERAL}


def nested():
    with own_arithmetic(), own_arithmetic():
        pass


def test_a_nested_block_does_not_lift_the_limit_of_the_outer_one(controller):
    with own_arithmetic():
        nested()
        assert n_threads(controller) == {1}
    assert n_threads(controller) == {SEVERAL}


def test_a_block_ignores_and_keeps_the_error_states_of_numpy_and_scipy():
    with np.errstate(all="raise"), scipy.special.errstate(all="raise"):
        with own_arithmetic():
            assert np.exp(np.float64(1e5)) == np.inf
            assert np.exp(np.float64(-1e5)) == 0.0
            assert np.isnan(scipy.special.loggamma(np.nan))
            assert scipy.special.gamma(-1.0) != 0
        assert set(np.geterr().values()) == {"raise"}
        assert set(scipy.special.geterr().values()) == {"raise"}


BOUNDS = {"x": (0.0, 1.0), "y": (-1.0, 2.0)}
POINTS = [{"x": i / 19, "y": -1.0 + 3 * (i * 7 % 19) / 19} for i in range(20)]
VALUES = [(p["x"] - 0.3) ** 2 + 1e-3 * p["y"] for p in POINTS]


def told():
    optimizer = Optimizer(BOUNDS, n_initial=5)
    for point, value in zip(POINTS[:7], VALUES, strict=False):
        optimizer.tell(point, value)
    for _ in range(5):
        optimizer.ask()
    return optimizer


def result():
    return OptimizationResult(
        POINTS, VALUES, None, Space.from_bounds(BOUNDS), False, 0, {"kernel": "rbf"}
    )


def expected_gain():
    bayesian_optimization(
        lambda p: p["x"] ** 2, BOUNDS, 4, 3, min_expected_gain=1e-9, seed=0, verbose=False
    )


def fitted():
    encoded = Space.from_bounds(BOUNDS).encode(POINTS)
    return GaussianProcess(n_restarts=1).fit(encoded, VALUES)


ENTRIES = {
    "ask": lambda: told().ask(),
    "surrogate": lambda: told().surrogate().predict([[0.1, 0.2]]),
    "draws": lambda: told().surrogate().sample([[0.1, 0.2]], 3, np.random.default_rng(0)),
    "loop": lambda: bayesian_optimization(lambda p: p["x"], BOUNDS, 4, 3, seed=0, verbose=False),
    "expected gain": expected_gain,
    "importance": lambda: parameter_importance(BOUNDS, POINTS, VALUES),
    "convergence": lambda: result().convergence,
    "surrogate of a result": lambda: result().surrogate,
    "Gaussian process": lambda: fitted().sample_y([[0.1, 0.2]]),
    "likelihood": lambda: fitted().log_marginal_likelihood(),
    "next point": lambda: find_next_point(fitted(), BOUNDS, VALUES, "pi", rng=0),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_factorises_on_one_thread_whatever_the_user_has_set(
    controller, monkeypatch, entry
):
    seen = []
    for name in ("dpotrf", "dtrtri"):
        monkeypatch.setattr(lapack, name, watched(getattr(lapack, name), controller, seen))
    with np.errstate(all="raise"), scipy.special.errstate(all="raise"):
        ENTRIES[entry]()
        assert set(np.geterr().values()) == {"raise"}
    assert set(seen) == {(1, "ignore")}
    assert n_threads(controller) == {SEVERAL}


def watched(function, controller, seen):
    def call(*arguments, **options):
        seen.extend((n, np.geterr()["under"]) for n in n_threads(controller))
        return function(*arguments, **options)

    return call


@pytest.mark.parametrize("sampler", ["gp", "tpe", "random", "qmc", "cmaes"])
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_an_objective_that_has_numpy_raise_ends_no_search(sampler, pruner):
    def objective(params):
        np.seterr(all="raise")
        here = (params["x"] - 0.3) ** 2 + (params["y"] - 0.7) ** 2 * (params["k"] == "a")
        for epoch in range(3):
            yield here + 0.1 / (epoch + 1)

    before = np.geterr()
    try:
        np.seterr(all="raise")
        found = tune(
            objective,
            {"x": (0.0, 1.0), "y": (1e-6, 1.0), "k": ["a", "b"]},
            20,
            sampler=sampler,
            pruner=pruner,
            seed=0,
            executor="inline",
            verbose=False,
        )
        assert set(np.geterr().values()) == {"raise"}
    finally:
        np.seterr(**before)
    assert {trial.ending for trial in found.trials} <= {"completed", "pruned"}
    assert found["n_trials"] == 20


def test_the_objective_of_a_loop_has_the_threads_and_errors_of_the_user(controller):
    seen = []

    def objective(params):
        seen.append((n_threads(controller) == {SEVERAL}, np.geterr()["over"]))
        return params["x"]

    with np.errstate(over="raise"):
        bayesian_optimization(objective, BOUNDS, 4, 3, seed=0, verbose=False)
    assert set(seen) == {(True, "raise")}


FORK = """
import os, threading
from threadpoolctl import ThreadpoolController
from chromasonic.any_objective import tune
from chromasonic.bayesopt import (
    GaussianProcess,
    OptimizationResult,
    Optimizer,
    Space,
    bayesian_optimization,
    find_next_point,
    parameter_importance,
)
from chromasonic.bayesopt.arithmetic import own_arithmetic

controller = ThreadpoolController().select(user_api="blas")
n_threads = lambda: {library["num_threads"] for library in controller.info()}
held, done = threading.Event(), threading.Event()

def hold():
    with own_arithmetic():
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
if os.fork() == 0:
    print(n_threads(), flush=True)
    with own_arithmetic():
        print(n_threads(), flush=True)
    os._exit(0)
os.wait()
done.set()
thread.join()
print(n_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_forked_while_a_thread_holds_the_limit_neither_waits_nor_keeps_it():
    assert run_with_two_threads(FORK) == ["{2}", "{1}", "{2}"]


def test_the_sampler_proposes_on_one_thread_and_the_objective_has_all(controller, monkeypatch):
    while_proposing, in_objective = [], []
    propose = Proposer.propose

    def watched(self, *arguments):
        while_proposing.append(n_threads(controller))
        return propose(self, *arguments)

    def objective(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        in_objective.append(n_threads(controller))
        return x

    monkeypatch.setattr(Proposer, "propose", watched)
    optuna.create_study(sampler=GPSampler(0)).optimize(objective, n_trials=8)
    assert while_proposing == [{1}] * 7
    assert in_objective == [{SEVERAL}] * 8


THREADS = """
import sys, threading
import optuna
from threadpoolctl import ThreadpoolController
from chromasonic.bayesopt.proposals import Proposer
from chromasonic.tuning.sampling.by_name import GPSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)
controller = ThreadpoolController().select(user_api="blas")
propose = Proposer.propose
seen = set()

def n_threads():
    return [library["num_threads"] for library in controller.info()]

def watched(self, *arguments):
    seen.update(n_threads())
    return propose(self, *arguments)

def search(seed):
    study = optuna.create_study(sampler=GPSampler(seed))
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), 15, n_jobs=2)

before = n_threads()
Proposer.propose = watched
threads = [threading.Thread(target=search, args=(seed,)) for seed in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(seen, n_threads() == before)
"""


def test_threads_of_several_studies_take_turns_and_leave_what_was_before():
    # In this process the main thread holds the limit, and others must not change it.
    assert run_with_two_threads(THREADS) == ["{1} True"]


def run_with_two_threads(script):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()
