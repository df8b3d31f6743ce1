import math
import random
from contextlib import suppress
from datetime import timedelta

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState, create_trial

from chromasonic.tuning.mirrored_storage import MirroredStorage
from chromasonic.tuning.storage import close_storage, open_storage, sqlite_url
from chromasonic.tuning.storage_proxy import StorageProxy

MINIMIZE = [StudyDirection.MINIMIZE]
DISTRIBUTIONS = {
    "x": FloatDistribution(0.0, 1.0),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(1, 9),
    "kind": CategoricalDistribution(["a", None, 2, True]),
}
ATTRIBUTES = [1, "text", None, [1, [2.5]], {"a": {"b": (1, 2)}}, (1, 2), {}, 1e300]
LOSSES = [0.5, -1e9, 0.0, math.inf, -math.inf, math.nan]


class Counting(StorageProxy):
    """Counts how often trials are read."""

    def __init__(self, storage):
        super().__init__(storage)
        self.reads = 0

    def _pass(self, call, /, *args, **kwargs):
        self.reads += call.__name__ in ("get_trial", "get_all_trials")
        return super()._pass(call, *args, **kwargs)


class TestOptunasSuiteInMemory(StorageTestCase):
    @pytest.fixture
    def storage(self):
        return MirroredStorage(InMemoryStorage())


class TestOptunasSuiteOverSQLite(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path):
        opened = open_storage(sqlite_url(tmp_path / "study.db"))
        yield MirroredStorage(opened)
        close_storage(opened)


@pytest.fixture(params=["memory", "sqlite"])
def other(request, tmp_path):
    """What is mirrored."""
    if request.param == "memory":
        yield InMemoryStorage()
        return
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    yield storage
    close_storage(storage)


@pytest.fixture
def mirror(other):
    return MirroredStorage(other)


@pytest.fixture
def study_id(mirror):
    return mirror.create_new_study(MINIMIZE, "mine")


def content(trial):
    """All that a trial holds but its times, so that nan equals nan."""
    return repr(
        (
            trial.number,
            trial._trial_id,
            trial.state,
            trial.values,
            dict(sorted(trial.params.items())),
            dict(sorted(trial.distributions.items())),
            dict(sorted(trial.user_attrs.items())),
            dict(sorted(trial.system_attrs.items())),
            dict(sorted(trial.intermediate_values.items())),
        )
    )


def same_time(one, other):
    if one is None or other is None:
        return one is other
    return abs(one - other) <= timedelta(seconds=1)


def require_equal(mirrored, stored):
    assert [content(trial) for trial in mirrored] == [content(trial) for trial in stored]
    for one, other in zip(mirrored, stored, strict=True):
        assert same_time(one.datetime_start, other.datetime_start)
        assert same_time(one.datetime_complete, other.datetime_complete)


def act(storage, study_id, trial_id, action, draw):
    """Does one of the things that are done to trials, if it may be done now."""
    match action:
        case "create":
            storage.create_new_trial(study_id)
        case "queue":
            template = create_trial(
                state=TrialState.WAITING, user_attrs={"n": 1}, system_attrs={"fixed": {"x": 0.5}}
            )
            storage.create_new_trial(study_id, template)
        case "insert":
            template = create_trial(
                params={"x": 0.5},
                distributions={"x": DISTRIBUTIONS["x"]},
                value=1.5,
                intermediate_values={1: 2.5},
            )
            storage.create_new_trial(study_id, template)
        case "param":
            name = draw.choice(sorted(DISTRIBUTIONS))
            distribution = DISTRIBUTIONS[name]
            inner = {"x": draw.random(), "rate": 0.01, "width": draw.randint(1, 9)}
            value = inner.get(name, draw.randrange(4))
            storage.set_trial_param(trial_id, name, float(value), distribution)
        case "begin":
            storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        case "complete":
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [draw.choice(LOSSES)])
        case "prune":
            storage.set_trial_state_values(trial_id, TrialState.PRUNED, [draw.random()])
        case "fail":
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
        case "report":
            storage.set_trial_intermediate_value(trial_id, draw.randint(1, 3), draw.choice(LOSSES))
        case "user":
            storage.set_trial_user_attr(trial_id, draw.choice("ab"), draw.choice(ATTRIBUTES))
        case "system":
            storage.set_trial_system_attr(trial_id, draw.choice("ab"), draw.choice(ATTRIBUTES))


ACTIONS = [
    *("create", "create", "queue", "insert", "param", "param", "begin", "complete", "prune"),
    *("fail", "report", "report", "user", "system"),
]


@pytest.fixture(scope="module")
def database_url(tmp_path_factory):
    """One for all examples, each with a study of its own: making it takes longest."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield sqlite_url(tmp_path_factory.mktemp("mirror") / "study.db")
    optuna.logging.set_verbosity(optuna.logging.INFO)


@settings(max_examples=30)
@given(
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), max_size=30),
    seed=st.integers(0, 2**16),
)
def test_after_anything_the_mirror_tells_what_a_fresh_read_tells(database_url, actions, seed):
    written, fresh = open_storage(database_url), open_storage(database_url)
    mirror = MirroredStorage(written)
    study_id = mirror.create_new_study(MINIMIZE)
    draw = random.Random(seed)
    for action, which in actions:
        trials = mirror.get_all_trials(study_id)
        trial_id = trials[which % len(trials)]._trial_id if trials else None
        if trials or action in ("create", "queue", "insert"):
            # What the database refuses must change neither.
            with suppress(UpdateFinishedTrialError):
                act(mirror, study_id, trial_id, action, draw)
    stored = fresh.get_all_trials(study_id)
    require_equal(mirror.get_all_trials(study_id), stored)
    require_equal([mirror.get_trial(trial._trial_id) for trial in stored], stored)
    for state in TrialState:
        chosen = [trial for trial in stored if trial.state is state]
        require_equal(mirror.get_all_trials(study_id, states=(state,)), chosen)
    close_storage(fresh)
    close_storage(written)
