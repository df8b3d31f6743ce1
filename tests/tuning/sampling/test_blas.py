import os
import subprocess
import sys

import optuna
import pytest
from threadpoolctl import ThreadpoolController

from chromasonic.bayesopt.proposals import Proposer
from chromasonic.tuning.sampling._blas import one_blas_thread
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
        with one_blas_thread():
            assert n_threads(controller) == {1}
        assert n_threads(controller) == {SEVERAL}


def test_an_error_inside_lifts_the_limit(controller):
    with pytest.raises(ValueError, match="inside"), one_blas_thread():
        raise ValueError("inside")
    assert n_threads(controller) == {SEVERAL}


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
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{1} True\n"
