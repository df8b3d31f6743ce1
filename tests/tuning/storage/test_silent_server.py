"""PostgreSQL that accepts everything and never answers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import optuna
import psycopg
import pytest
from sqlalchemy import make_url

from chromasonic.errors import StudyError
from chromasonic.tuning.storage import _answering as answering
from chromasonic.tuning.storage import opening
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.lease import Lease
from chromasonic.tuning.storage.opening import close_storage, open_storage, safe_url
from chromasonic.tuning.storage.retry import Retry

pytestmark = pytest.mark.slow

PATIENCE_S = 1.0
"""How long a server may be silent in these tests, instead of 20 s."""

HANGS_S = 20.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(opening, "ANSWER_WITHIN_S", PATIENCE_S)
    monkeypatch.setattr(opening, "CONNECT_TIMEOUT_S", 2)


@pytest.fixture
def open_here():
    opened = []

    def open_one(url, **options):
        opened.append(open_storage(url, **options))
        return opened[-1]

    yield open_one
    for storage in opened:
        close_storage(storage)


@pytest.fixture
def deaf_url():
    """A server that lets everybody connect and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql+psycopg://anna:s3cret@127.0.0.1:{listener.getsockname()[1]}/studies"


def write(storage, n=1):
    study = optuna.load_study(study_name="s", storage=storage)
    for _ in range(n):
        study.tell(study.ask(), 1.0)


def test_a_server_that_never_answers_is_told_when_a_study_is_opened(deaf_url):
    began = time.monotonic()
    with pytest.raises(StudyError, match="cannot be opened") as error:
        open_storage(deaf_url)
    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert time.monotonic() - began < HANGS_S


def test_a_call_waits_for_a_silent_server_and_succeeds_once_it_answers(
    postgresql, postgresql_url, open_here
):
    told = []
    storage = DriverStorage(
        open_here(postgresql_url), Retry(safe_url(postgresql_url), on_warning=told.append)
    )
    optuna.create_study(study_name="s", storage=storage)
    write(storage)
    silence = postgresql.silent()
    silence.__enter__()
    threading.Timer(8 * PATIENCE_S, silence.__exit__, (None, None, None)).start()
    write(storage)
    assert len(told) == 2
    assert "is away" in told[0]
    assert "is back" in told[1]
    # The database, not the memory of the driver.
    trials = optuna.load_study(study_name="s", storage=open_here(postgresql_url)).trials
    assert [trial.value for trial in trials if trial.state.is_finished()] == [1.0, 1.0]


@pytest.mark.parametrize("is_connected", [True, False])
def test_who_wants_to_end_does_not_wait_for_a_silent_server(
    postgresql, postgresql_url, open_here, monkeypatch, is_connected
):
    monkeypatch.setattr(opening, "ANSWER_WITHIN_S", 1000.0)
    monkeypatch.setattr(opening, "CONNECT_TIMEOUT_S", 1000)
    ends_at = float("inf")

    def should_give_up():
        return time.monotonic() > ends_at

    retry = Retry("of the test")
    retry.should_give_up = should_give_up
    storage = open_here(postgresql_url, should_give_up=should_give_up)
    optuna.create_study(study_name="s", storage=storage)
    if not is_connected:
        close_storage(storage)
    with postgresql.silent():
        ends_at = time.monotonic() + 1.0
        with pytest.raises(StudyError, match="must answer, but has not"):
            write(DriverStorage(storage, retry))
        assert time.monotonic() - ends_at < 5.0


def test_a_lease_is_given_back_without_waiting_for_a_silent_server(postgresql, postgresql_url):
    began = time.monotonic()
    with Lease(postgresql_url, "s"), postgresql.silent():
        pass
    assert time.monotonic() - began < HANGS_S


def test_a_statement_that_was_not_answered_closes_its_connection(postgresql, postgresql_url):
    connect = answering.Connector(make_url(postgresql_url), {}, 0.3, lambda: False)
    connection = connect()
    with pytest.raises(psycopg.OperationalError, match="has not answered"):
        connection.execute("SELECT pg_sleep(30)")
    assert connection.closed


def test_a_statement_may_take_as_long_as_its_server_may(postgresql, postgresql_url):
    connect = answering.Connector(make_url(postgresql_url), {}, 5.0, lambda: True)
    connect.__dict__["should_give_up"] = lambda: False
    connection = connect()
    assert connection.execute("SELECT pg_sleep(1.5)::text, 7").fetchone()[1] == 7
    connection.close()


SEARCH = """
import sys, time
from chromasonic import Float, tune

def objective(params):
    for _ in range(1000):
        time.sleep(0.05)
        yield params["x"]

tune(objective, {"x": Float(0.0, 1.0)}, n_trials=3, jobs=1, storage=sys.argv[1], output_dir="r")
"""


def test_ctrl_c_ends_a_search_whose_server_is_silent(postgresql, postgresql_url, tmp_path):
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    search = subprocess.Popen(
        [sys.executable, script, postgresql_url],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        database = postgresql_url.rpartition("/")[2]
        running = "SELECT count(*) FROM trials WHERE state = 'RUNNING'"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'trials'"
            if (
                postgresql.run(tables, database=database)[0][0]
                and (postgresql.run(running, database=database)[0][0])
            ):
                break
            time.sleep(0.2)
        time.sleep(1.0)
        with postgresql.silent():
            time.sleep(1.0)
            search.send_signal(signal.SIGINT)
            output, _ = search.communicate(timeout=HANGS_S)
    finally:
        search.kill()
        search.wait()
    assert "Run the same command again once it is back" in output
