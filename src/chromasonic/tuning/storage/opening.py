"""Opening storages, and file locks against a second driver."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
import psutil
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from chromasonic.errors import MissingExtra, StudyError, StudyInUse, one_line
from chromasonic.paths import user_path
from chromasonic.tuning.storage._errors import describe, is_broken_file

SQLITE_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10
ANSWER_WITHIN_S = 20
MOST_ATTEMPTS = 6
SHOWN_IN_URL = {
    "sslmode",
    "connect_timeout",
    "application_name",
    "charset",
    "target_session_attrs",
}
"""Parameters of a database URL without secrets; the values of all others are not shown."""

NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre"}


def _never() -> bool:
    return False


def open_storage(
    url: str | BaseStorage,
    *,
    sqlite_timeout_s: float = SQLITE_TIMEOUT_S,
    should_give_up: Callable[[], bool] = _never,
) -> BaseStorage:
    """The Optuna storage at a database URL; SQLite in WAL mode, with a generous timeout.

    An Optuna storage is returned as it is.

    Args:
        url: Where it is.
        sqlite_timeout_s: How long a call waits for a locked SQLite file; signals are not
            handled meanwhile.
        should_give_up: Asked while a server does not answer whether to fail at once.

    Raises:
        StudyError: The URL is not valid, or the database cannot be reached.
        MissingExtra: The database's driver is not installed.
    """
    if isinstance(url, BaseStorage):
        return url
    parsed = _parse(url)
    try:
        if not parsed.drivername.startswith("sqlite"):
            return _open_server(parsed, should_give_up)
        return _open_sqlite(parsed, sqlite_timeout_s)
    except ImportError:
        raise MissingExtra(
            f"a driver of {parsed.drivername} databases must be installed, but is not. For "
            'PostgreSQL run pip install "chromasonic[postgres]" and use postgresql+psycopg://...'
        ) from None
    except (
        SQLAlchemyError,
        OSError,
        optuna.exceptions.OptunaError,
        # A host name that cannot be one, and tables of a newer or older Optuna.
        ValueError,
        RuntimeError,
    ) as error:
        advice = ". Restore it from a copy, or move it away" if is_broken_file(error) else ""
        reason = _without_passwords(describe(error), parsed)
        raise StudyError(
            f"the storage {safe_url(url)} cannot be opened: {reason}{advice}"
        ) from error


def _open_server(url: URL, should_give_up: Callable[[], bool]) -> RDBStorage:
    options = server_engine_kwargs(url, should_give_up)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        try:
            # Optuna drops the engine of a storage that cannot make its tables; without a pool
            # that leaves no connection open.
            RDBStorage(_shown_in_full(url), engine_kwargs={**options, "poolclass": NullPool})
            break
        except (IntegrityError, ProgrammingError):
            # Another search makes the tables at the same moment.
            if attempt == MOST_ATTEMPTS:
                raise
            time.sleep(0.1 * attempt)
    return RDBStorage(_shown_in_full(url), engine_kwargs=options)


def close_storage(storage: BaseStorage) -> None:
    """Closes the connections of a storage that `open_storage` has opened."""
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()


def server_engine_kwargs(url: URL, should_give_up: Callable[[], bool] = _never) -> dict[str, Any]:
    """Engine arguments for noticing a server that is lost or hangs, and connecting again.

    Args:
        url: Where the server is.
        should_give_up: Asked while it does not answer whether to fail at once; only psycopg asks.
    """
    arguments: dict[str, Any] = {}
    driver = url.get_driver_name()
    if driver in ("psycopg", "psycopg2", "pymysql", "mysqldb"):
        arguments["connect_timeout"] = CONNECT_TIMEOUT_S
    if driver in ("psycopg", "psycopg2"):
        # Without these a call waits for hours for a server that has vanished.
        arguments |= {
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
    if driver in ("pymysql", "mysqldb"):
        arguments |= {"read_timeout": ANSWER_WITHIN_S, "write_timeout": ANSWER_WITHIN_S}
    chosen = {name: value for name, value in arguments.items() if name not in url.query}
    if driver == "psycopg":
        from chromasonic.tuning.storage._answering import Connector

        connector = Connector(url, chosen, ANSWER_WITHIN_S, should_give_up)
        return {"pool_pre_ping": True, "creator": connector}
    return {"pool_pre_ping": True, "connect_args": chosen}


def _open_sqlite(url: URL, timeout_s: float) -> RDBStorage:
    file = sqlite_file(url)
    if file is None:
        # An in-memory database lives in its one connection, which must stay open.
        return RDBStorage(_shown_in_full(url))
    file.parent.mkdir(parents=True, exist_ok=True)
    arguments = {"timeout": timeout_s}
    # WAL needs memory shared between processes, which no network file system gives.
    mode = "DELETE" if _on_network(file) else "WAL"
    if mode == "DELETE":
        warnings.warn(
            f"{file} is on a network file system, where SQLite is slow and has no WAL. "
            "A local directory is better.",
            stacklevel=2,
        )

    # Before there are tables: in any other mode who reads along keeps them from being made.
    first = create_engine(url, connect_args=arguments, poolclass=NullPool)
    with first.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA journal_mode={mode}")
    storage = RDBStorage(_shown_in_full(url), engine_kwargs={"connect_args": arguments})

    @event.listens_for(storage.engine, "connect")
    def _on_connect(connection: object, record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(f"PRAGMA journal_mode={mode}")
        # A killed process loses nothing this way; only a power cut may lose the last trial.
        cursor.execute(f"PRAGMA synchronous={'NORMAL' if mode == 'WAL' else 'FULL'}")
        cursor.close()

    storage.engine.dispose()
    return storage


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def sqlite_file(url: str | URL) -> Path | None:
    """The file of an SQLite URL, or None where there is none."""
    parsed = _parse(url)
    if not parsed.drivername.startswith("sqlite") or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def absolute_url(url: str) -> str:
    """The same URL, an SQLite file by its path from the root; `~` is the home folder."""
    file = sqlite_file(url)
    if file is None or str(file).startswith("file:"):
        return url
    return _shown_in_full(_parse(url).set(database=str(user_path(file))))


def safe_url(url: str | BaseStorage) -> str:
    """A database URL without its password, for messages and files."""
    if isinstance(url, BaseStorage):
        return type(url).__name__
    parsed = _parse(url)
    hidden = dict.fromkeys(_secrets_in_query(parsed), "***")
    # The stars are quoted where a query is rendered, which nobody would understand.
    shown = parsed.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", "***")


def _without_passwords(text: str, url: URL) -> str:
    secrets = [url.password, *_secrets_in_query(url).values()]
    for secret in filter(None, secrets):
        text = text.replace(str(secret), "***")
    return text


def _secrets_in_query(url: URL) -> dict[str, str]:
    return {name: str(value) for name, value in url.query.items() if name not in SHOWN_IN_URL}


def _shown_in_full(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _parse(url: str | URL) -> URL:
    # What is no URL may hold a password all the same, so it is not shown.
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StudyError(
            "a storage must be a database URL such as sqlite:///study.db, but got something else."
        ) from None
    if "@" in (parsed.host or ""):
        raise StudyError(
            "a storage URL must have one @ before its host, but has more. "
            "Write @ in a user's name or password as %40, and / as %2F."
        )
    return parsed


@contextmanager
def sole_driver(*locks: Path, output_dir: Path | None = None) -> Iterator[None]:
    """Holds lock files while the block runs; the system frees them when the process dies.

    Args:
        locks: The one in the output directory first, then that beside a database elsewhere.
        output_dir: That directory as the user has named it, for messages.

    Raises:
        StudyInUse: Another process holds one of them.
        StudyError: One of them cannot be written.
    """
    with ExitStack() as stack:
        for lock in locks:
            is_output = lock == locks[0]
            folder = output_dir if is_output and output_dir else lock.parent
            stack.enter_context(_held(lock, folder, is_output=is_output))
        yield


@contextmanager
def _held(lock: Path, folder: Path, *, is_output: bool) -> Iterator[None]:
    file_lock = FileLock(lock, timeout=0)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file_lock.acquire()
    except Timeout:
        raise StudyInUse(
            f"only one search at a time may write {folder}, but another one is "
            "running there. Wait for it, or choose another --output-dir."
        ) from None
    # Where a file system has no locks, filelock says so by NotImplementedError.
    except (OSError, NotImplementedError) as error:
        what, option = ("output ", "--output-dir") if is_output else ("", "--storage")
        reason = getattr(error, "strerror", None) or one_line(error)
        raise StudyError(
            f"the {what}directory {folder} must be writable, but: {reason}. "
            f"Choose another {option}."
        ) from error
    try:
        yield
    finally:
        file_lock.release()


def _on_network(file: Path) -> bool:
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda mount: -len(mount.mountpoint))
    resolved = file.resolve()
    for mount in mounts:
        if resolved.is_relative_to(mount.mountpoint):
            return mount.fstype in NETWORK_FILE_SYSTEMS
    return False
