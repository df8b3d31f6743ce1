import random
import sqlite3
import threading

import optuna
import pytest
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import (
    IntegrityError,
    OperationalError,
    PendingRollbackError,
    ProgrammingError,
)

from chromasonic.errors import StudyError
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.forwarding import ForwardingStorage
from chromasonic.tuning.storage.opening import open_storage, sqlite_url
from chromasonic.tuning.storage.retry import Retry

MINIMIZE = [StudyDirection.MINIMIZE]
GONE = OperationalError("SELECT 1", {}, Exception("the server is gone\nand more"))

# Storing goes on until the disk is full; then room is made, as a user would.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import optuna
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.opening import open_storage, sqlite_url
from chromasonic.tuning.storage.retry import Retry

def make_room(line):
    print(line, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = Path(sys.argv[1])
storage = DriverStorage(open_storage(sqlite_url(file)), Retry("mine", on_warning=make_room))
study = optuna.create_study(storage=storage, study_name="mine")
full = file.with_name("study.db-wal").stat().st_size + 40_000
resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
for number in range(20):
    trial = study.ask()
    trial.set_user_attr("much", "x" * 9_000)
    study.tell(trial, float(number))
"""


class Unreliable(ForwardingStorage):
    """Fails so many times, `before` or `after` it has done what it was asked."""

    def __init__(self, storage, error=GONE):
        super().__init__(storage)
        self.error = error
        self.before = self.after = 0
        self.calls = 0

    def _pass(self, call, /, *args, **kwargs):
        self.calls += 1
        if self.before:
            self.before -= 1
            raise StorageInternalError("during the commit") from self.error
        result = call(*args, **kwargs)
        if self.after:
            self.after -= 1
            raise self.error
        return result


class Worst(ForwardingStorage):
    """Most calls fail, before or after they are done, but those that make a trial."""

    def __init__(self, storage, seed):
        super().__init__(storage)
        self.rng = random.Random(seed)

    def _pass(self, call, /, *args, **kwargs):
        if call.__name__ == "create_new_trial":
            return call(*args, **kwargs)
        turn = self.rng.choice(["fails", "is lost", "succeeds"])
        if turn == "fails":
            raise StorageInternalError("during the commit") from GONE
        result = call(*args, **kwargs)
        if turn == "is lost":
            raise GONE
        return result


class Time:
    """Passes only while somebody sleeps, or an attempt takes some."""

    def __init__(self):
        self.now = 0.0
        self.naps = []

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def database():
    return Unreliable(InMemoryStorage())


@pytest.fixture
def told():
    return []


@pytest.fixture
def retry(clock, told):
    return Retry("db", on_warning=told.append, sleep=clock.sleep, clock=clock)


@pytest.fixture
def storage(database, retry):
    return DriverStorage(database, retry)


@pytest.fixture
def trial_id(storage):
    return storage.create_new_trial(storage.create_new_study(MINIMIZE, "mine"))


@pytest.fixture
def file_storage(tmp_path, told):
    """A file whose lock is waited for in short, so that a test need not."""
    opened = open_storage(sqlite_url(tmp_path / "study.db"), sqlite_timeout_s=0.01)
    yield DriverStorage(opened, Retry("file", on_warning=told.append))
    opened.engine.dispose()


def test_a_call_that_fails_for_a_while_returns_in_the_end(storage, database, trial_id, told):
    database.before = 5
    storage.set_trial_user_attr(trial_id, "x", 1)
    assert storage.get_trial(trial_id).user_attrs == {"x": 1}
    assert told == [
        "the storage db is away (Exception: the server is gone): trying again for up to 300 s",
        "the storage db is back after 3 s",
    ]


def test_the_pauses_grow_to_five_seconds(retry, clock):
    pauses, before = [], 0.0

    def attempt(number):
        nonlocal before
        pauses.append(clock.now - before)
        before = clock.now
        raise GONE

    with pytest.raises(StudyError):
        retry(attempt)
    assert pauses[:9] == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
    assert max(clock.naps) <= 0.1 + 1e-9


def test_an_outage_that_lasts_too_long_ends_in_one_clear_line(storage, database, trial_id, clock):
    database.before = 10**9
    with pytest.raises(StudyError) as caught:
        storage.get_all_studies()
    assert str(caught.value) == (
        "the storage db must answer, but has not for 300 s: Exception: the server is gone. All "
        "trials stored so far are safe. Run the same command again once it is back."
    )
    assert clock.now == pytest.approx(300.0)


def test_who_is_asked_to_end_waits_no_longer(storage, database, retry, clock):
    database.before = 10**9
    retry.should_give_up = lambda: clock.now > 7.0
    with pytest.raises(StudyError, match=r"but has not for 7 s"):
        storage.get_all_studies()


def test_after_giving_up_nothing_is_waited_for_until_the_storage_is_back(
    storage, database, trial_id, clock, told
):
    database.before = 10**9
    with pytest.raises(StudyError):
        storage.get_all_studies()
    ended = clock.now
    with pytest.raises(StudyError):
        storage.set_trial_user_attr(trial_id, "x", 1)
    assert clock.now == ended
    assert len(told) == 1

    database.before = 0
    storage.get_all_studies()
    database.before = 1
    storage.get_all_studies()
    assert len(told) == 3


def test_a_connection_lost_in_the_middle_of_a_transaction_is_tried_again(storage, database, told):
    """Optuna reads trials again in the same transaction, which hides what went wrong first."""
    hidden = PendingRollbackError("Can't reconnect until invalid transaction is rolled back")
    hidden.__context__ = GONE
    database.error, database.before = hidden, 1
    assert storage.get_all_studies() == []
    assert "the server is gone" in told[0]


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError("SELECT 1", {}, Exception("relation does not exist")),
        OperationalError("SELECT 1", {}, sqlite3.OperationalError("no such table: trials")),
    ],
)
def test_what_time_does_not_mend_fails_at_once(storage, database, trial_id, clock, error):
    if isinstance(error.orig, sqlite3.Error):
        error.orig.sqlite_errorcode = sqlite3.SQLITE_ERROR
    database.error, database.before, database.calls = error, 1, 0
    with pytest.raises(StudyError, match=r"the storage db can no longer be used: .*(exist|such)"):
        storage.get_all_studies()
    assert database.calls == 1
    assert clock.naps == []


def test_a_mistake_of_the_caller_is_raised_as_it_is(storage, database, trial_id, clock):
    with pytest.raises(KeyError):
        storage.get_trial(99)
    with pytest.raises(DuplicatedStudyError):
        storage.create_new_study(MINIMIZE, "mine")
    with pytest.raises(KeyError):
        storage.delete_study(99)
    database.error, database.after = IntegrityError("INSERT", {}, Exception("twice")), 1
    with pytest.raises(IntegrityError):
        storage.set_trial_user_attr(trial_id, "x", 1)
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert clock.naps == []


@pytest.mark.parametrize(
    ("state", "values"),
    [(TrialState.COMPLETE, [1.0]), (TrialState.FAIL, None), (TrialState.WAITING, None)],
)
def test_a_trial_that_was_told_before_the_connection_was_lost_counts_as_told(
    storage, database, trial_id, state, values
):
    database.after = 1
    assert storage.set_trial_state_values(trial_id, state, values)
    trial = storage.get_trial(trial_id)
    assert (trial.state, trial.values) == (state, values)


def test_a_trial_that_somebody_else_ended_otherwise_does_not_count_as_told(
    storage, database, retry, trial_id
):
    def end_otherwise(line):
        database.forwards_to.set_trial_state_values(trial_id, TrialState.COMPLETE, [2.0])

    retry.on_warning = end_otherwise
    database.before = 1
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])


def test_a_waiting_trial_that_was_started_before_the_connection_was_lost_is_started(
    storage, database
):
    study_id = storage.create_new_study(MINIMIZE)
    trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.WAITING))
    database.after = 1
    assert storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    # Nobody can start it twice, all the same.
    assert not storage.set_trial_state_values(trial_id, TrialState.RUNNING)


def test_a_study_that_was_made_before_the_connection_was_lost_is_that_study(storage, database):
    database.after = 1
    study_id = storage.create_new_study(MINIMIZE, "mine")
    assert [study._study_id for study in storage.get_all_studies()] == [study_id]
    database.after = 1
    storage.delete_study(study_id)
    assert storage.get_all_studies() == []


def test_a_trial_whose_making_was_lost_leaves_an_empty_one_that_runs(storage, database):
    study_id = storage.create_new_study(MINIMIZE)
    assert storage.get_all_trials(study_id) == []
    database.after = 1
    trial_id = storage.create_new_trial(study_id)
    orphan, trial = storage.get_all_trials(study_id)
    assert (trial._trial_id, orphan.state, orphan.user_attrs) == (trial_id, TrialState.RUNNING, {})


@pytest.mark.parametrize("seed", range(10))
def test_every_call_may_fail_before_and_after_it_is_done_and_the_study_is_the_same(retry, seed):
    def drive(study):
        study.enqueue_trial({"x": 0.5})
        for _ in range(3):
            trial = study.ask()
            value = trial.suggest_float("x", 0, 1)
            trial.report(value, 1)
            trial.set_user_attr("name", "value")
            study.tell(trial, value)
        return [(t.state, t.params, t.values, t.user_attrs) for t in study.trials]

    expected = drive(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)))
    storage = DriverStorage(Worst(InMemoryStorage(), seed), retry)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    assert drive(study) == expected


def test_a_locked_file_is_waited_for(file_storage, tmp_path, told):
    study = optuna.create_study(storage=file_storage)
    trial = study.ask()
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(1.0, lambda: other.execute("ROLLBACK")).start()
    study.tell(trial, 1.0)
    other.close()
    assert study.best_value == 1.0
    assert told[0] == (
        "the storage file is away (OperationalError: database is locked): "
        "trying again for up to 300 s"
    )
    assert told[1].startswith("the storage file is back after ")


def test_a_reader_that_never_ends_does_not_keep_the_driver_from_writing(
    file_storage, tmp_path, told
):
    study = optuna.create_study(storage=file_storage)
    study.tell(study.ask(), 0.0)
    reader = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    reader.execute("BEGIN")
    count = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
    assert reader.execute(count).fetchone() == (1,)
    # So much that the log written ahead must be moved into the file, which the reader forbids.
    for _ in range(30):
        trial = study.ask()
        trial.set_user_attr("much", "x" * 200_000)
        study.tell(trial, 0.0)
    assert reader.execute(count).fetchone() == (1,)
    reader.execute("ROLLBACK")
    assert reader.execute(count).fetchone() == (31,)
    reader.close()
    assert told == []


def test_a_full_disk_is_waited_for(tmp_path, run_child):
    file = tmp_path / "study.db"
    child = run_child(FULL_DISK, file)
    away, back = child.stdout.read().splitlines()
    assert child.wait() == 0
    assert "the storage mine is away (OperationalError: d" in away
    assert "the storage mine is back" in back
    with sqlite3.connect(file) as connection:
        values = connection.execute("SELECT value FROM trial_values ORDER BY trial_id").fetchall()
        (check,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    assert values == [(float(number),) for number in range(20)]
    assert check == "ok"


def test_an_ended_trial_whose_making_was_lost_is_not_made_twice(storage, database):
    study_id = storage.create_new_study(MINIMIZE)
    assert storage.get_all_trials(study_id) == []
    templates = [
        create_trial(
            state=TrialState.FAIL,
            intermediate_values={1: float("nan")},
            user_attrs={"epochs": [{"loss": float("nan")}], "number": number},
        )
        for number in range(2)
    ]
    for template in templates:
        database.after = 1
        storage.create_new_trial(study_id, template)
    assert [t.user_attrs["number"] for t in storage.get_all_trials(study_id)] == [0, 1]
    # One that failed before it was made is made.
    database.before = 1
    trial_id = storage.create_new_trial(study_id, templates[0])
    assert storage.get_trial(trial_id).number == 2
