"""A study in PostgreSQL, with the server stopped, killed and cut off."""

import gc
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import optuna
import pytest
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState

from chromasonic.errors import StudyError
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.opening import close_storage, open_storage, safe_url
from chromasonic.tuning.storage.retry import Retry

pytestmark = pytest.mark.slow


class CutCable:
    """Stands between a client and a server, and cuts them off when a commit has arrived."""

    def __init__(self, port):
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut_at_commit = 0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                for source, target in ((client, server), (server, client)):
                    arguments = (source, target, source is client)
                    threading.Thread(target=self._carry, args=arguments, daemon=True).start()

    def _carry(self, source, target, is_client):
        with suppress(OSError):
            while data := source.recv(65536):
                if is_client and b"COMMIT" in data and self.cut_at_commit:
                    self.cut_at_commit -= 1
                    self.cuts += 1
                    # The server gets to know and does it; its answer never arrives.
                    source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    time.sleep(0.2)
                    break
                target.sendall(data)
        for end in (source, target):
            end.close()

    def close(self):
        self._listener.close()


@pytest.fixture
def cable(postgresql):
    cable = CutCable(postgresql.port)
    yield cable
    cable.close()


@pytest.fixture
def told():
    return []


@pytest.fixture
def open_patiently(told):
    opened = []

    def open_url(url, **options):
        storage = open_storage(url)
        opened.append(storage)
        return DriverStorage(storage, Retry(safe_url(url), on_warning=told.append, **options))

    yield open_url
    for storage in opened:
        storage.engine.dispose()


@contextmanager
def dropped_connections():
    """Collects the connections that the block leaves open, of which psycopg would warn later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


class TestOptunasSuite(StorageTestCase):
    @pytest.fixture
    def storage(self, postgresql_url, open_patiently):
        return open_patiently(postgresql_url)

    def test_pickle_storage(self, storage):
        # It leaves its copy to the garbage collector.
        with dropped_connections():
            super().test_pickle_storage(storage)


@pytest.fixture
def stored(postgresql, postgresql_url):
    """Rows of the tables, read through a separate connection."""

    def read(statement):
        return postgresql.run(statement, database=postgresql_url.rpartition("/")[2])

    return read


def write_trials(study, numbers):
    for number in numbers:
        trial = study.ask()
        trial.set_user_attr("mark", number)
        study.tell(trial, float(number))


MARKS = """
SELECT value_json::int, value FROM trials
JOIN trial_user_attributes USING (trial_id) JOIN trial_values USING (trial_id)
WHERE state = 'COMPLETE' ORDER BY 1
"""


def test_a_server_killed_amid_writes_loses_no_trial_and_doubles_none(
    postgresql, postgresql_url, open_patiently, stored, told
):
    study = optuna.create_study(storage=open_patiently(postgresql_url))
    moments = {30: threading.Event(), 60: threading.Event()}
    n_trials = 90

    def kill_in_these_moments():
        for moment in moments.values():
            moment.wait()
            postgresql.kill()
            time.sleep(2.0)
            postgresql.start()

    killer = threading.Thread(target=kill_in_these_moments)
    killer.start()
    try:
        for number in range(n_trials):
            if number in moments:
                moments[number].set()
            write_trials(study, [number])
    finally:
        for moment in moments.values():
            moment.set()
        killer.join()
    assert stored(MARKS) == [(number, float(number)) for number in range(n_trials)]
    numbers = [row[0] for row in stored("SELECT number FROM trials ORDER BY number")]
    assert numbers == list(range(len(numbers)))
    # A trial that is made meanwhile is tried again by Optuna itself, which tells nobody.
    assert [" is away (" in line for line in told] == [True, False] * (len(told) // 2)


def test_a_server_that_restarts_is_not_even_noticed_between_two_writes(
    postgresql, postgresql_url, open_patiently, stored, told
):
    study = optuna.create_study(storage=open_patiently(postgresql_url))
    for number in range(3):
        write_trials(study, [number])
        postgresql.restart()
    assert len(stored(MARKS)) == 3
    assert told == []


def test_a_commit_whose_answer_was_lost_is_not_made_twice(
    postgresql, postgresql_url, cable, open_patiently, stored
):
    database = postgresql_url.rpartition("/")[2]
    storage = open_patiently(postgresql.url(database, port=cable.port))
    study = optuna.create_study(storage=storage)
    for number in range(5):
        trial = study.ask()
        cable.cut_at_commit = 1
        trial.set_user_attr("mark", number)
        cable.cut_at_commit = 1
        trial.suggest_float("x", 0, 1)
        cable.cut_at_commit = 1
        study.tell(trial, float(number))
    assert cable.cuts == 15
    assert stored(MARKS) == [(number, float(number)) for number in range(5)]
    assert stored("SELECT count(*) FROM trials") == [(5,)]
    assert stored("SELECT count(*) FROM trial_params") == [(5,)]


def test_a_trial_whose_commit_was_lost_is_left_empty_and_running(
    postgresql, postgresql_url, cable, open_patiently
):
    database = postgresql_url.rpartition("/")[2]
    study = optuna.create_study(storage=open_patiently(postgresql.url(database, port=cable.port)))
    storage, study_id = study._storage, study._study_id
    assert storage.get_all_trials(study_id) == []
    cable.cut_at_commit = 1
    trial_id = storage.create_new_trial(study_id)
    assert cable.cuts == 1
    orphan, trial = storage.get_all_trials(study_id)
    assert trial._trial_id == trial_id
    assert (orphan.number, orphan.state, orphan.user_attrs) == (0, TrialState.RUNNING, {})


def test_a_server_that_stays_away_ends_the_search_with_one_line(
    postgresql, postgresql_url, open_patiently
):
    storage = open_patiently(postgresql_url, patience_s=1.0)
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    postgresql.stop()
    with pytest.raises(StudyError) as caught:
        study.tell(trial, 1.0)
    line = str(caught.value)
    assert "\n" not in line
    assert "must answer, but has not for 1 s: OperationalError: connection failed: " in line
    assert line.endswith(
        "All trials stored so far are safe. Run the same command again once it is back."
    )


def test_a_table_that_is_missing_is_not_waited_for(
    postgresql, postgresql_url, open_patiently, stored
):
    study = optuna.create_study(storage=open_patiently(postgresql_url))
    trial = study.ask()
    stored("DROP TABLE trial_values")
    with pytest.raises(
        StudyError, match=r'can no longer be used: .*"trial_values" does not exist'
    ):
        study.tell(trial, 1.0)


@pytest.mark.parametrize(
    ("user", "password", "database", "says"),
    [
        ("anna", "wr0ng-s3cret", "postgres", "password authentication failed"),
        ("anna", "", "postgres", "no password supplied"),
        ("nobody", "s3cret", "postgres", 'role "nobody" does not exist'),
        ("postgres", "s3cret", "nowhere", 'database "nowhere" does not exist'),
        ("anna", "s3cret", "postgres", "permission denied"),
    ],
)
def test_what_the_server_refuses_is_one_line_without_the_password(
    postgresql, user, password, database, says
):
    # Optuna drops a storage that cannot make its tables, with its connection.
    with dropped_connections():
        with pytest.raises(StudyError, match=says) as caught:
            open_storage(postgresql.url(database, user, password))
        line = str(caught.value)
        del caught
    assert "s3cret" not in line
    assert "\n" not in line


def test_a_password_among_the_options_of_a_url_is_hidden_too(postgresql):
    url = f"postgresql+psycopg:///nowhere?host=127.0.0.1&port={postgresql.port}&user=anna"
    with pytest.raises(StudyError, match="password authentication failed") as caught:
        open_storage(f"{url}&password=wr0ng")
    assert "password=***" in str(caught.value)
    assert "wr0ng" not in str(caught.value)


def test_a_password_may_hold_any_letter(postgresql, open_patiently):
    postgresql.run("CREATE ROLE bert SUPERUSER LOGIN PASSWORD '{a}%b@/:?c'")
    database = postgresql.new_database()
    url = postgresql.url(database, "bert", "%7Ba%7D%25b%40%2F%3A%3Fc")
    study = optuna.create_study(storage=open_patiently(url))
    write_trials(study, [1])
    assert study.best_value == 1.0


def test_searches_that_start_at_once_on_a_fresh_database_all_make_their_tables(postgresql_url):
    def create(number):
        storage = open_storage(postgresql_url)
        optuna.create_study(storage=storage, study_name=f"study {number}")
        close_storage(storage)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(6)))
    storage = open_storage(postgresql_url)
    assert len(optuna.get_all_study_names(storage)) == 6
    close_storage(storage)
