"""Lease on a study against a second driver, where no file can be locked."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from chromasonic.errors import StudyError, StudyInUse
from chromasonic.tuning._optuna_private import without_cache
from chromasonic.tuning.storage._errors import describe
from chromasonic.tuning.storage._lease_table import NOW, LeaseRow, LeaseTable
from chromasonic.tuning.storage.forwarding import ForwardingStorage

DURATION_S = 30.0
RENEWALS_PER_DURATION = 3
LOOK_EVERY_S = 0.5
RETRY_AFTER_S = 1.0
JOIN_TIMEOUT_S = 5.0


def lease_url(storage: str | BaseStorage) -> URL | None:
    """The server database where the driver of a study must hold a lease; None if there is none."""
    if isinstance(storage, BaseStorage):
        while isinstance(storage, ForwardingStorage):
            storage = storage.forwards_to
        database = without_cache(storage)
        url = database.engine.url if isinstance(database, RDBStorage) else None
    else:
        url = make_url(storage)
    return url if url is not None and url.get_backend_name() in NOW else None


class Lease:
    """A lease on a study, held while the block runs and renewed by a thread.

    It is for PostgreSQL, MySQL and MariaDB, as `lease_url` tells; other databases have none. A
    driver that dies leaves its lease behind, which expires.

    Args:
        database: The server database: a URL with its password, or an engine.
        study_name: The study that only one driver may have.
        on_wait: Told once, in one line, when a lease is waited for that may be a dead driver's.
        duration_s: How long it is valid without being renewed.

    Attributes:
        lost: Reason why this driver has lost it, in one line; empty while it has it.
    """

    def __init__(
        self,
        database: Engine | URL | str,
        study_name: str,
        *,
        on_wait: Callable[[str], None] = lambda line: None,
        duration_s: float = DURATION_S,
    ) -> None:
        url = database.url if isinstance(database, Engine) else make_url(database)
        self._released = threading.Event()
        self._table = LeaseTable(url, study_name, duration_s, self._released.is_set)
        self._study = study_name
        self._on_wait = on_wait
        self._duration_s = duration_s
        self._pid = os.getpid()
        self._attempt = threading.Lock()
        self._tried_at = self._renewed_at = _clock()
        self._thread = threading.Thread(target=self._renew_regularly, name="lease", daemon=True)
        self.lost = ""

    def __enter__(self) -> Self:
        """Takes the lease.

        Raises:
            StudyInUse: A driver that is alive has it.
            StudyError: The database cannot say.
        """
        try:
            self._table.create()
            self._acquire()
        except SQLAlchemyError as error:
            raise StudyError(
                f"whether another driver has study {self._study!r} must be known, "
                f"but the database does not say: {describe(error)}. Run the same command again."
            ) from error
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A forked child that unwinds must leave its parent's lease alone.
        if os.getpid() != self._pid:
            return
        self._released.set()
        self._thread.join(JOIN_TIMEOUT_S)
        # While the thread still waits for the server, nobody else need wait for it, too.
        if not self._thread.is_alive():
            self._release()

    def require(self) -> None:
        """Raises an error unless this driver has the lease; it may be called often.

        Raises:
            StudyInUse: Another driver has taken over.
        """
        # After a machine has slept the thread comes too late: ask before anything is written.
        if self._is_long_ago(self._renewed_at):
            self._try_to_renew(only_after_a_pause=True)
        if self.lost:
            raise StudyInUse(self.lost)

    def _acquire(self) -> None:
        seen: LeaseRow | None = None
        while not self._table.take():
            other = self._table.read()
            if other is None:
                continue
            if seen is None:
                seen = other
                self._on_wait(
                    f"another driver ({other}) may still be running: "
                    f"waiting up to {max(other.left_s, 1):.0f} s"
                )
            elif not other.is_as(seen):
                raise StudyInUse(
                    f"only one search at a time may drive study {self._study!r}, but {other} "
                    "is at it. Wait for it, or choose another --study-name."
                )
            time.sleep(min(LOOK_EVERY_S, max(other.left_s, 0.01)))
            self._renewed_at = _clock()

    def _renew_regularly(self) -> None:
        """Renews the lease until it is released or lost; runs in the thread."""
        every_s = self._duration_s / RENEWALS_PER_DURATION
        pause_s = every_s
        while not self._released.wait(pause_s) and not self.lost:
            pause_s = every_s if self._try_to_renew() else min(every_s, RETRY_AFTER_S)

    def _try_to_renew(self, *, only_after_a_pause: bool = False) -> bool:
        """True if the server has answered."""
        # One that has begun in the other thread must have ended: it may find the lease lost.
        with self._attempt:
            if only_after_a_pause and not self._is_long_ago(self._tried_at):
                return False
            self._tried_at = _clock()
            try:
                self._renew()
            except SQLAlchemyError:
                return False
            self._renewed_at = self._tried_at
            return True

    def _renew(self) -> None:
        if not self._table.renew() and not self._released.is_set():
            other = self._table.read() or "another driver"
            self.lost = (
                f"only one search at a time may drive study {self._study!r}, but {other} has "
                "taken over from this one, which was away for too long."
            )

    def _is_long_ago(self, moment: float) -> bool:
        return _clock() - moment > self._duration_s

    def _release(self) -> None:
        try:
            self._table.release()
        except SQLAlchemyError:
            # It expires by itself.
            return


def _clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
