import signal
import sqlite3
from contextlib import closing

import optuna
import pytest
from optuna.storages import InMemoryStorage
from sqlalchemy import make_url

from chromasonic.errors import MissingExtra, StudyError, StudyInUse
from chromasonic.tuning.storage import opening as module
from chromasonic.tuning.storage.opening import (
    close_storage,
    open_storage,
    safe_url,
    server_engine_kwargs,
    sole_driver,
    sqlite_file,
    sqlite_url,
)

HOLDER = """
import sys, time
from pathlib import Path
from chromasonic.tuning.storage.opening import sole_driver

with sole_driver(Path(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(60)
"""

# Root may write anywhere.
NOBODY = """
import os, sys
from pathlib import Path
from chromasonic.errors import StudyError
from chromasonic.tuning.storage.opening import sole_driver

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    sole_driver(Path(sys.argv[1])).__enter__()
except StudyError as error:
    print(error)
"""

PASSWORD_URLS = [
    "postgres://anna:s3cret@host/db",
    "postgresql+nodriver://anna:s3cret@host/db",
    "postgres//anna:s3cret@host",
    "anna:s3cret@host",
    "mysql+pymysql://anna:s3cret@127.0.0.1:1/db",
    "postgresql+psycopg://anna:s3cret@no..host/db",
    "postgresql+psycopg://anna@127.0.0.1:1/db?password=s3cret",
    "postgresql+psycopg://anna:s3cret@127.0.0.1:1/db",
]


def journal_mode(file):
    with sqlite3.connect(file) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    return mode


def test_a_new_file_is_made_with_its_folders_and_written_ahead(tmp_path):
    file = tmp_path / "deep" / "down" / "study.db"
    optuna.create_study(storage=open_storage(sqlite_url(file)), study_name="mine")
    # Asked through a connection of our own: the mode is a property of the file.
    assert journal_mode(file) == "wal"


def test_who_reads_a_file_while_it_is_made_does_not_keep_it_from_being_made(tmp_path, monkeypatch):
    file = tmp_path / "study.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:

        class ReadAlong(module.RDBStorage):
            def __init__(self, *args, **kwargs):
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM sqlite_master").fetchall()
                super().__init__(*args, **kwargs)

        monkeypatch.setattr(module, "RDBStorage", ReadAlong)
        opened = open_storage(sqlite_url(file), sqlite_timeout_s=0.1)
        optuna.create_study(storage=opened, study_name="mine")
        assert optuna.get_all_study_names(opened) == ["mine"]


def test_what_one_opening_wrote_the_next_one_reads(folder_with_odd_name):
    url = sqlite_url(folder_with_odd_name / "study.db")
    optuna.create_study(storage=open_storage(url), study_name="mine")
    names = [study.study_name for study in open_storage(url).get_all_studies()]
    assert names == ["mine"]


@pytest.mark.parametrize("name", ["a b", "a%20b", "a?b=c", "a#b", "a{b}", "a@b:c", "ü", "a'b"])
def test_a_path_with_odd_letters_means_that_path(tmp_path, name):
    file = tmp_path / name / "study.db"
    assert sqlite_file(sqlite_url(file)) == file
    open_storage(sqlite_url(file))
    assert file.exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_can_be_used(url):
    assert sqlite_file(url) is None
    study = optuna.create_study(storage=open_storage(url))
    study.tell(study.ask(), 1.0)
    assert study.best_value == 1.0


def test_on_a_network_file_system_nothing_is_written_ahead_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_on_network", lambda file: True)
    file = tmp_path / "study.db"
    with pytest.warns(UserWarning, match="is on a network file system"):
        storage = open_storage(sqlite_url(file))
    optuna.create_study(storage=storage)
    assert journal_mode(file) == "delete"


def test_the_file_system_is_that_of_the_deepest_mount(tmp_path, monkeypatch):
    class Mount:
        def __init__(self, mountpoint, fstype):
            self.mountpoint, self.fstype = str(mountpoint), fstype

    mounts = [Mount("/", "ext4"), Mount(tmp_path / "nfs", "nfs4"), Mount(tmp_path, "xfs")]
    monkeypatch.setattr(module.psutil, "disk_partitions", lambda all: mounts)
    assert module._on_network(tmp_path / "nfs" / "study.db")
    assert not module._on_network(tmp_path / "nfs2" / "study.db")
    assert not module._on_network(tmp_path / "study.db")


def test_an_optuna_storage_is_taken_as_it_is():
    storage = InMemoryStorage()
    assert open_storage(storage) is storage


@pytest.mark.parametrize("url", ["", "study.db", "nonsense", *PASSWORD_URLS])
def test_a_url_that_cannot_be_opened_is_one_line_without_the_password(url):
    with pytest.raises((StudyError, MissingExtra)) as caught:
        open_storage(url)
    text = str(caught.value)
    assert "s3cret" not in text
    assert "\n" not in text
    assert any(
        words in text for words in ("must be a database URL", "cannot be opened", "pip install")
    )


def test_a_file_that_is_no_database_is_one_line(tmp_path):
    file = tmp_path / "study.db"
    file.write_text("this is a diary, not a database " * 99)
    with pytest.raises(StudyError, match=r"cannot be opened: DatabaseError: .*not a database"):
        open_storage(sqlite_url(file))


def test_a_file_that_is_half_a_database_is_one_line(tmp_path):
    file = tmp_path / "study.db"
    close_storage(open_storage(sqlite_url(file)))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match=r"malformed\. Restore it from a copy, or move it away"):
        open_storage(sqlite_url(file))
    # Only its beginning is as it was, which Optuna wraps into an error of its own.
    file.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(StudyError, match=r"cannot be opened: DatabaseError: .*malformed\. Rest"):
        open_storage(sqlite_url(file))


def test_tables_of_another_optuna_are_one_line(tmp_path):
    file = tmp_path / "study.db"
    close_storage(open_storage(sqlite_url(file)))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
        connection.execute("UPDATE version_info SET schema_version = 1")
    connection.close()
    with pytest.raises(StudyError, match=r"cannot be opened: RuntimeError: The runtime optuna"):
        open_storage(sqlite_url(file))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"cannot be opened: (FileExists|NotADirectory)Error"):
        open_storage(sqlite_url(tmp_path / "file" / "study.db"))


def test_a_url_is_shown_without_its_password(tmp_path):
    shown = safe_url("postgresql://anna:s3cret@host/db")
    assert shown == "postgresql://anna:***@host/db"
    assert safe_url(InMemoryStorage()) == "InMemoryStorage"
    shown = safe_url("postgresql://host/db?password=s3cret&sslpassword=s3cret&sslmode=require")
    assert shown == "postgresql://host/db?password=***&sslmode=require&sslpassword=***"
    # A parameter that is not known to be harmless may hold a secret.
    assert "s3cret" not in safe_url("postgresql://host/db?options=-c%20token%3Ds3cret")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:s3cret@pw@host/db",
        "postgresql://anna:s3cret@host:port/db",
        "postgresql://anna:s3cret/pw@host/db",
    ],
)
def test_a_malformed_url_is_refused_in_one_line_without_its_password(url):
    with pytest.raises(StudyError) as caught:
        open_storage(url)
    assert "s3cret" not in str(caught.value)
    assert "pw" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://host/db", 10),
        ("postgresql+psycopg://host/db?connect_timeout=3", None),
        ("mysql+pymysql://host/db", 10),
        ("mssql+pyodbc://host/db", None),
    ],
)
def test_a_server_that_does_not_answer_is_given_up_unless_the_url_says_when(url, expected):
    settings = server_engine_kwargs(make_url(url))
    connector = settings.get("creator")
    arguments = connector.arguments if connector else settings["connect_args"]
    assert arguments.get("connect_timeout") == expected
    assert settings["pool_pre_ping"]


def test_an_output_directory_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "results").touch()
    with pytest.raises(StudyError) as caught:
        sole_driver(tmp_path / "results" / ".lock").__enter__()
    assert str(caught.value) == (
        f"the output directory {tmp_path / 'results'} must be writable, but: File exists. "
        "Choose another --output-dir."
    )
    with pytest.raises(StudyError, match=r"the directory .*results must be .* another --storage"):
        sole_driver(tmp_path / ".lock", tmp_path / "results" / ".lock").__enter__()


@pytest.mark.parametrize("missing", [False, True])
def test_an_output_directory_without_permission_is_one_line(tmp_path, run_child, missing):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    lock = folder / "results" / ".lock" if missing else folder / ".lock"
    child = run_child(NOBODY, lock)
    said = child.communicate()[0]
    assert said == (
        f"the output directory {lock.parent} must be writable, but: Permission denied. "
        "Choose another --output-dir.\n"
    )


def test_a_second_driver_in_another_process_is_refused(tmp_path, run_child):
    lock = tmp_path / "results" / ".lock"
    child = run_child(HOLDER, lock)
    assert child.stdout.readline() == "holding\n"
    with pytest.raises(StudyInUse, match=r"only one search at a time may write .*results"):
        sole_driver(lock).__enter__()
    child.send_signal(signal.SIGKILL)
    child.wait()
    with sole_driver(lock):
        pass


def test_a_lock_is_free_after_its_block(tmp_path):
    for _ in range(2):
        with sole_driver(tmp_path / "lock"):
            pass


def test_of_several_locks_none_is_kept_if_one_is_refused(tmp_path, run_child):
    child = run_child(HOLDER, tmp_path / "second")
    assert child.stdout.readline() == "holding\n"
    with pytest.raises(StudyInUse):
        sole_driver(tmp_path / "first", tmp_path / "second").__enter__()
    other = run_child(HOLDER, tmp_path / "first")
    assert other.stdout.readline() == "holding\n"
