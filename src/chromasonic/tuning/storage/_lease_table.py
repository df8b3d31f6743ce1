"""The table of leases: who drives a study, and until when by the clock of the server.

::

    study       primary key
    holder      a random token
    host, pid   for messages
    expires     seconds since the epoch, by the only clock that all drivers share

Each method that writes is one statement, so the server decides every race.
"""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    inspect,
    literal_column,
    select,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from chromasonic.tuning.storage.opening import server_engine_kwargs

# Neither the time zone of a session nor its change to summer time must matter.
_MYSQL_NOW = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1e6"
NOW = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": _MYSQL_NOW,
    "mariadb": _MYSQL_NOW,
}
"""The server's clock in SQL, by the name of the dialect; others have no lease."""

LEASES = Table(
    "chromasonic_leases",
    MetaData(),
    Column("study", String(512), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("expires", Double, nullable=False),
)


@dataclass(frozen=True)
class LeaseRow:
    """Holder of a lease, and its seconds left."""

    holder: str
    host: str
    pid: int
    expires: float
    left_s: float

    def __str__(self) -> str:
        return f"host {self.host}, pid {self.pid}"

    def is_as(self, earlier: "LeaseRow") -> bool:
        """True if the lease was neither taken nor renewed since."""
        return (self.holder, self.expires) == (earlier.holder, earlier.expires)


class LeaseTable:
    """The lease of one study, as one holder sees it.

    Args:
        url: The server database.
        study_name: What the lease is for.
        duration_s: How long it is valid once taken or renewed.
        should_give_up: Asked while the server does not answer whether to fail at once.
    """

    def __init__(
        self,
        url: URL,
        study_name: str,
        duration_s: float,
        should_give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        options = {**server_engine_kwargs(url, should_give_up), "pool_pre_ping": False}
        # No connection outlives its statement, so a forked child inherits none.
        self._engine = create_engine(url, poolclass=NullPool, **options)
        self._now = literal_column(NOW[url.get_backend_name()], Double)
        self._expires = self._now + duration_s
        self._study = study_name
        self._holder = secrets.token_hex(16)

    def create(self) -> None:
        """Makes the table where it is missing."""
        try:
            LEASES.create(self._engine, checkfirst=True)
        except (IntegrityError, OperationalError, ProgrammingError):
            # Another driver may have made it between the check and the making.
            if not inspect(self._engine).has_table(LEASES.name):
                raise

    def take(self) -> bool:
        """Takes the lease if it is free or has expired; returns True on success."""
        ours = {
            "holder": self._holder,
            "host": socket.gethostname()[:255],
            "pid": os.getpid(),
            "expires": self._expires,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(LEASES).values(study=self._study, **ours))
        except IntegrityError:
            has_expired = LEASES.c.expires < self._now
            with self._engine.begin() as connection:
                taken = update(LEASES).where(self._is_of_study, has_expired).values(ours)
                return connection.execute(taken).rowcount == 1
        return True

    def read(self) -> LeaseRow | None:
        """The lease as it stands, whoever has it; None if nobody has."""
        columns = LEASES.c.holder, LEASES.c.host, LEASES.c.pid, LEASES.c.expires
        statement = select(*columns, LEASES.c.expires - self._now).where(self._is_of_study)
        with self._engine.begin() as connection:
            found = connection.execute(statement).first()
        return None if found is None else LeaseRow(*found)

    def renew(self) -> bool:
        """Renews the lease; returns False if another driver has taken it."""
        with self._engine.begin() as connection:
            renewed = update(LEASES).where(self._is_ours).values(expires=self._expires)
            return connection.execute(renewed).rowcount == 1

    def release(self) -> None:
        """Frees it if it is ours."""
        with self._engine.begin() as connection:
            connection.execute(delete(LEASES).where(self._is_ours))

    @property
    def _is_of_study(self) -> ColumnElement[bool]:
        return LEASES.c.study == self._study

    @property
    def _is_ours(self) -> ColumnElement[bool]:
        return self._is_of_study & (LEASES.c.holder == self._holder)
