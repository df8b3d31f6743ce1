import os
import signal
import threading
import time

import pytest
from optuna.storages import InMemoryStorage, RDBStorage
from sqlalchemy import create_engine

from chromasonic.errors import StudyError, StudyInUse
from chromasonic.tuning.storage.driver_storage import DriverStorage
from chromasonic.tuning.storage.lease import Lease, lease_url
from chromasonic.tuning.storage.opening import open_storage
from chromasonic.tuning.storage.retry import Retry

DURATION_S = 2.0

# Says "waits" and "holds", and ends when it is told to on its standard input.
DRIVER = """
import sys, threading
from pathlib import Path
from chromasonic.errors import StudyInUse
from chromasonic.tuning.storage.lease import Lease

url, start, end = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
while not start.exists():
    pass
waits = lambda line: print("waits:", line, flush=True)
try:
    with Lease(url, "mine", on_wait=waits, duration_s=2.0) as lease:
        print("holds", flush=True)
        while not end.exists():
            threading.Event().wait(0.01)
        lease.require()
        print("ends", flush=True)
except StudyInUse as error:
    print("refused:", error, flush=True)
"""

slow = pytest.mark.slow


@pytest.fixture
def start_driver(run_child, postgresql_url, tmp_path):
    """Starts a driver in a process of its own; it begins and ends when a file is there."""
    (tmp_path / "now").touch()

    def start(begin="now"):
        return run_child(DRIVER, postgresql_url, tmp_path / begin, tmp_path / "end")

    return start


@pytest.fixture
def leases(postgresql, postgresql_url):
    """The rows of the table, read through a connection of our own."""

    def read():
        database = postgresql_url.rpartition("/")[2]
        columns = "study, holder, pid, expires - extract(epoch from clock_timestamp())"
        return postgresql.run(f"SELECT {columns} FROM chromasonic_leases", database=database)

    return read


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came true")


def test_only_databases_on_servers_need_a_lease(tmp_path):
    url = "postgresql+psycopg://anna:s3cret@host/db"
    assert lease_url(url).password == "s3cret"
    assert lease_url("mysql+pymysql://host/db").host == "host"
    assert lease_url("mariadb+pymysql://host/db").host == "host"
    assert lease_url("sqlite:///study.db") is None
    assert lease_url(InMemoryStorage()) is None
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    assert lease_url(DriverStorage(storage, Retry("db"))) is None
    storage.engine.dispose()


@slow
def test_a_storage_on_a_server_needs_a_lease_there(postgresql_url):
    storage = RDBStorage(postgresql_url)
    assert lease_url(DriverStorage(storage, Retry("db"))) == storage.engine.url
    storage.engine.dispose()


@slow
def test_a_lease_is_there_while_its_block_runs_and_no_longer(postgresql_url, leases):
    with Lease(create_engine(postgresql_url), "mine", duration_s=DURATION_S) as lease:
        ((study, _, pid, left_s),) = leases()
        assert (study, pid) == ("mine", os.getpid())
        assert 0 < left_s <= DURATION_S
        time.sleep(2 * DURATION_S)
        ((_, _, _, left_s),) = leases()
        assert left_s > 0
        lease.require()
    assert leases() == []
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


@slow
def test_studies_of_other_names_do_not_meet(postgresql_url, leases):
    with Lease(postgresql_url, "mine"), Lease(postgresql_url, "yours"):
        assert sorted(row[0] for row in leases()) == ["mine", "yours"]


@slow
def test_a_block_that_fails_gives_the_lease_back(postgresql_url, leases):
    with pytest.raises(ZeroDivisionError), Lease(postgresql_url, "mine"):
        raise ZeroDivisionError
    assert leases() == []


@slow
def test_of_drivers_that_start_at_once_exactly_one_holds_the_lease(start_driver, tmp_path, leases):
    drivers = [start_driver("go") for _ in range(3)]
    time.sleep(1.5)  # All are there, and the table is not.
    (tmp_path / "go").touch()
    time.sleep(2 * DURATION_S)
    ((_, _, holder_pid, _),) = leases()
    (tmp_path / "end").touch()
    said = {driver.pid: driver.communicate()[0].splitlines() for driver in drivers}
    assert said.pop(holder_pid) == ["holds", "ends"]
    for waits, refused in said.values():
        assert f"pid {holder_pid}) may still be running: waiting up to " in waits
        assert refused.startswith("refused: only one search at a time may drive study 'mine', but")
        assert refused.endswith(
            f", pid {holder_pid} is at it. Wait for it, or choose another --study-name."
        )


@slow
def test_the_lease_of_a_killed_driver_can_be_had_once_it_expires(
    start_driver, postgresql_url, leases
):
    driver = start_driver()
    assert driver.stdout.readline() == "holds\n"
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    ((_, dead, _, _),) = leases()
    waits = []
    with Lease(postgresql_url, "mine", on_wait=waits.append, duration_s=DURATION_S):
        ((_, holder, pid, _),) = leases()
        assert holder != dead
        assert pid == os.getpid()
    (line,) = waits
    assert f"pid {driver.pid}) may still be running: waiting up to " in line


@slow
def test_a_lease_given_back_while_another_driver_waits_is_had_at_once(
    start_driver, postgresql_url, tmp_path
):
    driver = start_driver()
    assert driver.stdout.readline() == "holds\n"
    with Lease(postgresql_url, "mine", on_wait=lambda line: (tmp_path / "end").touch()):
        assert driver.communicate()[0] == "ends\n"


@slow
def test_a_driver_that_was_stopped_for_too_long_learns_that_it_was_replaced(
    start_driver, postgresql_url, tmp_path
):
    driver = start_driver()
    assert driver.stdout.readline() == "holds\n"
    driver.send_signal(signal.SIGSTOP)
    with Lease(postgresql_url, "mine", duration_s=DURATION_S) as lease:
        # It goes on, and asks before it does anything else.
        (tmp_path / "end").touch()
        driver.send_signal(signal.SIGCONT)
        said = driver.communicate()[0]
        assert said.startswith("refused: only one search at a time may drive study 'mine', but")
        assert f"pid {os.getpid()} has taken over from this one" in said
        lease.require()


@slow
def test_the_thread_notices_that_another_driver_has_taken_over(postgresql, postgresql_url):
    with Lease(postgresql_url, "mine", duration_s=0.5) as lease:
        database = postgresql_url.rpartition("/")[2]
        postgresql.run("UPDATE chromasonic_leases SET holder = 'x', pid = 7", database=database)
        wait_until(lambda: lease.lost)
        with pytest.raises(StudyInUse, match="pid 7 has taken over"):
            lease.require()


@slow
def test_a_client_whose_clock_jumps_keeps_its_lease(
    start_driver, postgresql_url, monkeypatch, tmp_path
):
    with Lease(postgresql_url, "mine", duration_s=DURATION_S) as lease:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 1e6)
        other = start_driver()
        assert "may still be running: waiting up to " in other.stdout.readline()
        assert other.stdout.readline().startswith("refused: ")
        monkeypatch.setattr(time, "time", lambda: real() - 1e6)
        time.sleep(DURATION_S)
        lease.require()


@slow
def test_a_server_that_was_away_finds_the_lease_renewed(postgresql, postgresql_url, leases):
    with Lease(postgresql_url, "mine", duration_s=DURATION_S) as lease:
        ((_, holder, _, _),) = leases()
        postgresql.kill()
        time.sleep(DURATION_S + 1)
        lease.require()
        postgresql.start()
        wait_until(lambda: leases()[0][3] > 0)
        assert leases()[0][1] == holder
        lease.require()


@slow
def test_a_server_that_stays_away_keeps_nobody_from_ending(postgresql, postgresql_url):
    with Lease(postgresql_url, "mine", duration_s=DURATION_S):
        postgresql.kill()


@slow
def test_a_server_that_is_away_cannot_lend_anything(postgresql, postgresql_url):
    postgresql.stop()
    with pytest.raises(StudyError, match=r"must be known, but the database does not say: .*refus"):
        Lease(postgresql_url, "mine").__enter__()


@slow
def test_a_forked_child_leaves_the_lease_alone(postgresql_url, leases):
    with Lease(postgresql_url, "mine") as lease:
        child = os.fork()
        if child == 0:
            lease.__exit__(None, None, None)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert len(leases()) == 1
