import os
import random
import signal
import subprocess
import sys
from ast import literal_eval
from functools import partial
from operator import itemgetter

import cloudpickle
import optuna
import psutil
import pytest
from optuna.storages import InMemoryStorage

from chromasonic.bayesopt import Categorical, Float, Integer, Space
from chromasonic.tuning._pruners import choose_pruner
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.driver import Driver
from chromasonic.tuning.executors._inline import InlineExecutor
from chromasonic.tuning.interrupt import Interrupt
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import read_result
from chromasonic.tuning.sampling.by_name import choose_sampler

SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "rate": Float(1e-4, 1.0, log=True),
        "width": Integer(1, 9),
        "kind": Categorical(["a", "b", "c"]),
    }
)


class Recorder(Observer):
    """Writes down what it is told, and may ask for the end after so many epochs."""

    def __init__(self, interrupt=None, end_after=None):
        self.told = []
        self.interrupt = interrupt
        self.end_after = end_after

    def on_trial_start(self, number, params):
        self.told.append(("start", number, dict(params)))

    def on_epoch(self, number, row):
        self.told.append(("epoch", number, row.epoch, row.loss))
        if len([event for event in self.told if event[0] == "epoch"]) == self.end_after:
            self.interrupt.request()

    def on_warning(self, message):
        self.told.append(("warning", message))

    def on_trial_end(self, record, checkpoint):
        content = sorted(path.name for path in checkpoint.iterdir()) if checkpoint else None
        self.told.append(("end", record.number, record.ending, content))


class Search:
    """One study, and the drivers that work on it, one after the other, as after a restart."""

    def __init__(
        self,
        space=SPACE,
        *,
        sampler="random",
        pruner="none",
        num_epochs=5,
        seed=0,
        storage=None,
    ):
        self.space, self.sampler, self.pruner = space, sampler, pruner
        self.num_epochs, self.seed = num_epochs, seed
        self.storage = storage or InMemoryStorage()
        optuna.create_study(storage=self.storage, study_name="study", direction="minimize")

    @property
    def study(self):
        study = optuna.load_study(storage=self.storage, study_name="study")
        study.sampler = choose_sampler(self.sampler, self.space, self.seed)
        study.pruner = choose_pruner(self.pruner, self.num_epochs)
        return study

    def run(
        self,
        objective,
        n_trials,
        *,
        end_after=None,
        checkpoints=None,
        executor=InlineExecutor,
        rules=None,
        cancelled=set,
        observers=(),
        scheduler=None,
        **limits,
    ):
        """Runs a driver, which is asked to end after `end_after` epochs; its stop reason."""
        interrupt = Interrupt()
        recorder = Recorder(interrupt, end_after)
        self.told = recorder.told
        driver = Driver(
            self.study,
            self.space,
            executor(objective, interrupt.breakable),
            Budget(n_trials, **limits),
            seed=self.seed,
            rules=rules,
            scheduler=scheduler,
            observers=[recorder, *observers],
            interrupt=interrupt,
            checkpoints=checkpoints,
            cancelled=cancelled,
        )
        return driver.run()

    @property
    def trials(self):
        return read_result(self.study).trials

    @property
    def outcome(self):
        """All that must be the same when the same search is run again."""
        return [
            (t.number, t.state, t.ending, t.params, t.value, [r.loss for r in t.learning_curve])
            for t in self.trials
        ]


@pytest.fixture
def make_search():
    return Search


@pytest.fixture
def functions_travel(request):
    """Lets child processes, which cannot import test modules, run what is defined in them."""
    modules = [request.module, sys.modules[__name__]]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def search_space():
    return SPACE


def curve(params, n_epochs=5):
    """The losses of a trial: they fall, from and to where the parameters say."""
    end = (params["x"] - 0.3) ** 2 + 0.1 * abs(params["width"] - 4)
    rng = random.Random(str(params))
    return [end + params["rate"] / n + 0.2 * rng.random() for n in range(1, n_epochs + 1)]


@pytest.fixture
def losses_of():
    return curve


@pytest.fixture
def falling():
    """An objective that yields five losses which its parameters decide."""

    def objective(params):
        yield from curve(params)

    return objective


class Walk:
    """An objective whose every loss depends on all before it and on a random state of its own."""

    def __init__(self, n_epochs=4):
        self.n_epochs = n_epochs
        self.epochs_run = []
        self.start = itemgetter("x")

    def __call__(self, params, trial):
        rng, place, epoch = random.Random(trial.seed), self.start(params), 0
        if trial.checkpoint is not None:
            state, place, epoch = literal_eval((trial.checkpoint / "walk.txt").read_text())
            rng.setstate(state)
        while epoch < self.n_epochs:
            epoch += 1
            place = 0.9 * place + 0.1 * rng.random()
            self.epochs_run.append((trial.number, epoch))
            text = repr((rng.getstate(), place, epoch))
            yield Epoch(place, save=partial(_write_walk, text=text))


def _write_walk(folder, text):
    (folder / "walk.txt").write_text(text)


@pytest.fixture
def walk():
    return Walk()


@pytest.fixture
def own_workers():
    """Finds the processes that this one has started for trials; zombies, too, but old ones."""
    before = psutil.Process().children()

    def is_worker(process):
        try:
            return "spawn_main" in " ".join(process.cmdline())
        except psutil.ZombieProcess:
            return process not in before
        except psutil.NoSuchProcess:
            return False

    return lambda: [child for child in psutil.Process().children() if is_worker(child)]


@pytest.fixture
def run_child(tmp_path):
    """Starts a script in a process of its own, which does not outlive the test."""
    children = []

    def start(script, *arguments):
        file = tmp_path / f"child_{len(children)}.py"
        file.write_text(script, encoding="utf-8")
        child = subprocess.Popen(
            [sys.executable, str(file), *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.stdout.close()
        child.wait()


@pytest.fixture
def folder_with_odd_name(tmp_path):
    return tmp_path / "a b%20c?d#e{f}"
