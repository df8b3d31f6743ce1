import math
import random
from contextlib import suppress
from datetime import timedelta

import optuna
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState, create_trial

from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.forwarding import ForwardingStorage
from chromasonic.tuning.storage.opening import close_storage, open_storage, sqlite_url
from chromasonic.tuning.storage.retry import Retry

MINIMIZE = [StudyDirection.MINIMIZE]
DISTRIBUTIONS = {
    "x": FloatDistribution(0.0, 1.0),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(1, 9),
    "kind": CategoricalDistribution(["a", None, 2, True]),
}
ATTRIBUTES = [1, "text", None, [1, [2.5]], {"a": {"b": (1, 2)}}, (1, 2), {}, 1e300]
VALUES = [0.5, -1e9, 0.0, math.inf, -math.inf]
LOSSES = [*VALUES, math.nan]


class Counting(ForwardingStorage):
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
        return DriverStorage(InMemoryStorage(), Retry("db"))


@pytest.mark.slow
class TestOptunasSuiteOverSQLite(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path):
        opened = open_storage(sqlite_url(tmp_path / "study.db"))
        yield DriverStorage(opened, Retry("db"))
        close_storage(opened)


@pytest.fixture(params=["memory", "sqlite"])
def other(request, tmp_path):
    """The storage behind the mirror."""
    if request.param == "memory":
        yield InMemoryStorage()
        return
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    yield storage
    close_storage(storage)


@pytest.fixture
def mirror(other):
    return DriverStorage(other, Retry("db"))


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
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [draw.choice(VALUES)])
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
@example(actions=[("create", 0), ("param", 0), ("param", 0)], seed=80)
@given(
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), max_size=30),
    seed=st.integers(0, 2**16),
)
def test_after_anything_the_mirror_tells_what_a_fresh_read_tells(database_url, actions, seed):
    written, fresh = open_storage(database_url), open_storage(database_url)
    mirror = DriverStorage(written, Retry("db"))
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


def test_what_a_reader_was_given_is_not_changed_by_later_writes(mirror, study_id):
    trial_id = mirror.create_new_trial(study_id)
    mirror.set_trial_user_attr(trial_id, "first", [1])
    given = [
        mirror.get_trial(trial_id),
        *mirror.get_all_trials(study_id, deepcopy=False),
        *mirror.get_all_trials(study_id),
    ]
    every = mirror.get_all_trials(study_id, deepcopy=False)
    before = [content(trial) for trial in given]
    mirror.set_trial_user_attr(trial_id, "second", 2)
    mirror.set_trial_system_attr(trial_id, "third", 3)
    mirror.set_trial_intermediate_value(trial_id, 1, 0.5)
    mirror.set_trial_param(trial_id, "x", 0.5, DISTRIBUTIONS["x"])
    mirror.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    mirror.create_new_trial(study_id)
    assert [content(trial) for trial in given] == before
    assert len(every) == 1
    assert content(mirror.get_trial(trial_id)) != before[0]


def test_what_a_reader_does_with_a_deep_copy_changes_nothing_here(mirror, study_id):
    trial_id = mirror.create_new_trial(study_id)
    mirror.set_trial_user_attr(trial_id, "list", [1])
    (copied,) = mirror.get_all_trials(study_id)
    copied.user_attrs["list"].append(2)
    copied.intermediate_values[1] = 0.5
    assert mirror.get_trial(trial_id).user_attrs == {"list": [1]}
    assert mirror.get_trial(trial_id).intermediate_values == {}


def test_what_is_written_first_and_changed_later_is_kept_as_it_was(mirror, study_id):
    trial_id = mirror.create_new_trial(study_id)
    rows = [{"epoch": 1}]
    mirror.set_trial_user_attr(trial_id, "rows", rows)
    rows.append({"epoch": 2})
    assert mirror.get_trial(trial_id).user_attrs == {"rows": [{"epoch": 1}]}


def test_a_trial_made_behind_its_back_is_adopted_with_the_next_one(other, mirror, study_id):
    mirror.create_new_trial(study_id)
    orphan = other.create_new_trial(study_id)
    other.set_trial_user_attr(orphan, "whose", "nobody's")
    assert len(mirror.get_all_trials(study_id)) == 1
    new = mirror.create_new_trial(study_id)
    assert [trial.number for trial in mirror.get_all_trials(study_id)] == [0, 1, 2]
    assert mirror.get_trial(orphan).user_attrs == {"whose": "nobody's"}
    mirror.set_trial_user_attr(new, "whose", "mine")
    mirror.set_trial_user_attr(orphan, "state", "adopted")
    require_equal(mirror.get_all_trials(study_id), other.get_all_trials(study_id))
    assert mirror.get_trial_id_from_study_id_trial_number(study_id, 1) == orphan


def test_a_parameter_set_twice_is_what_the_other_storage_makes_of_it(other, mirror, study_id):
    trial_id = mirror.create_new_trial(study_id)
    for width in (6.0, 7.0):
        mirror.set_trial_param(trial_id, "width", width, DISTRIBUTIONS["width"])
    require_equal(mirror.get_all_trials(study_id), other.get_all_trials(study_id))


def test_trials_are_read_once_and_when_they_are_made(study_id, mirror, other):
    counting = Counting(other)
    again = DriverStorage(counting, Retry("db"))
    trial_id = again.create_new_trial(study_id)
    reads = counting.reads
    for epoch in range(1, 20):
        again.set_trial_intermediate_value(trial_id, epoch, 0.5)
        again.get_all_trials(study_id)
        again.get_trial(trial_id)
        again.get_n_trials(study_id)
    assert counting.reads == reads <= 2


def test_a_write_that_fails_is_not_mirrored(other, study_id):
    class Full(ForwardingStorage):
        def _pass(self, call, /, *args, **kwargs):
            if call.__name__ == "set_trial_user_attr":
                raise OSError("the disk is full")
            return super()._pass(call, *args, **kwargs)

    mirror = DriverStorage(Full(other), Retry("db"))
    trial_id = mirror.create_new_trial(study_id)
    with pytest.raises(OSError, match="the disk is full"):
        mirror.set_trial_user_attr(trial_id, "a", 1)
    assert mirror.get_trial(trial_id).user_attrs == {}


def test_studies_do_not_mix_and_a_deleted_one_is_forgotten(mirror, study_id):
    second = mirror.create_new_study(MINIMIZE, "other")
    here, there = mirror.create_new_trial(study_id), mirror.create_new_trial(second)
    mirror.set_trial_user_attr(here, "a", 1)
    mirror.delete_study(study_id)
    assert [trial._trial_id for trial in mirror.get_all_trials(second)] == [there]
    assert mirror.get_trial(there).user_attrs == {}
    with pytest.raises(KeyError):
        mirror.get_trial(here)
