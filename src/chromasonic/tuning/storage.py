"""Where studies are kept: opening them, and keeping a second driver out."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna
import psutil
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from chromasonic.errors import MissingExtra, StudyError, StudyInUse, one_line

SQLITE_TIMEOUT_S = 60.0
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre"}


def open_storage(url: str | BaseStorage) -> BaseStorage:
    """The Optuna storage at a database URL; SQLite in WAL mode, with a generous timeout.

    An Optuna storage is returned as it is.

    Raises:
        StudyError: The URL is none, or the database cannot be reached.
        MissingExtra: The database's driver is not installed.
    """
    if isinstance(url, BaseStorage):
        return url
    parsed = _parse(url)
    try:
        if not parsed.drivername.startswith("sqlite"):
            return RDBStorage(url)
        return _open_sqlite(parsed)
    except ImportError:
        raise MissingExtra(
            f"a driver of {parsed.drivername} databases must be installed, but is not. For "
            'PostgreSQL run pip install "chromasonic[postgres]" and use postgresql+psycopg://...'
        ) from None
    except (SQLAlchemyError, OSError, optuna.exceptions.OptunaError) as error:
        raise StudyError(
            f"the storage {safe_url(url)} cannot be opened: {one_line(error)}"
        ) from error


def _open_sqlite(url: URL) -> RDBStorage:
    file = sqlite_file(url)
    if file is None:
        # It lives in its one connection, which must stay open.
        return RDBStorage(url.render_as_string(hide_password=False))
    file.parent.mkdir(parents=True, exist_ok=True)
    storage = RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs={"connect_args": {"timeout": SQLITE_TIMEOUT_S}},
    )
    # WAL needs memory shared between processes, which no network file system gives.
    mode = "DELETE" if _on_network(file) else "WAL"
    if mode == "DELETE":
        warnings.warn(
            f"{file} is on a network file system, where SQLite is slow and has no WAL. "
            "A local directory is better.",
            stacklevel=2,
        )

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


def safe_url(url: str | BaseStorage) -> str:
    """A database URL as it may be shown: without its password."""
    if isinstance(url, BaseStorage):
        return type(url).__name__
    return _parse(url).render_as_string(hide_password=True)


def _parse(url: str | URL) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        # What is no URL may hold a password all the same, so it is not shown.
        raise StudyError(
            "a storage must be a database URL such as sqlite:///study.db, but got something else."
        ) from None


@contextmanager
def sole_driver(*locks: Path) -> Iterator[None]:
    """Holds lock files while the block runs; the system frees them when the process dies.

    Raises:
        StudyInUse: Another process holds one of them.
    """
    with ExitStack() as stack:
        for lock in locks:
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(FileLock(lock, timeout=0))
            except Timeout:
                raise StudyInUse(
                    f"only one search at a time may write {lock.parent}, but another one is "
                    "running there. Wait for it, or choose another --output-dir."
                ) from None
        yield


def _on_network(file: Path) -> bool:
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda mount: -len(mount.mountpoint))
    resolved = file.resolve()
    for mount in mounts:
        if resolved.is_relative_to(mount.mountpoint):
            return mount.fstype in NETWORK_FILE_SYSTEMS
    return False
