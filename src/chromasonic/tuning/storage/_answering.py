"""Connections to PostgreSQL that fail if the server does not answer in time.

The system of a server that hangs goes on to confirm what it is sent, so that no setting of the
network notices.
"""

import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
from sqlalchemy.engine import URL

GIVE_UP_AFTER_S = 0.5
"""Time that a server has to answer where nobody wants to wait any more."""

LOOK_EVERY_S = 0.1


class AnsweringConnection(psycopg.Connection[Any]):
    """A connection that is closed once its server has not answered in time.

    Attributes:
        answer_within_s: Time that it has; None for as long as it takes.
        should_give_up: Asked while waiting whether nobody wants to wait any more.
    """

    answer_within_s: float | None = None
    should_give_up: Callable[[], bool] = staticmethod(lambda: False)

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Lets psycopg work through the steps of a statement.

        Raises:
            psycopg.OperationalError: The server has not answered.
        """
        return super().wait(self._in_time(gen), *args, **kwargs)

    def _in_time(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        began_at = time.monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if not ready:
                    self._require_patience(time.monotonic() - began_at)
                wanted = steps.send(ready)
        except StopIteration as end:
            return end.value

    def _require_patience(self, waited_s: float) -> None:
        longest_s = GIVE_UP_AFTER_S if self.should_give_up() else self.answer_within_s
        if longest_s is not None and waited_s > longest_s:
            # Nobody knows what it will still say, so nothing more may be asked here.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server has not answered for {waited_s:.0f} s")


@dataclass(frozen=True)
class Connector:
    """Connects to a PostgreSQL server, as SQLAlchemy's `creator`.

    Attributes:
        url: Where the server is.
        arguments: Further arguments of `psycopg.connect`.
        answer_within_s: Time that the server has to answer a statement.
        should_give_up: Asked while waiting whether nobody wants to wait any more.
    """

    url: URL
    arguments: Mapping[str, Any]
    answer_within_s: float
    should_give_up: Callable[[], bool]

    def __call__(self) -> AnsweringConnection:
        """A new connection."""
        connection = _in_a_thread(self._connect, self.should_give_up)
        connection.answer_within_s = self.answer_within_s
        connection.should_give_up = self.should_give_up
        return connection

    def _connect(self) -> AnsweringConnection:
        dialect_class: Any = self.url.get_dialect()
        dialect = dialect_class(dbapi=dialect_class.import_dbapi())
        positional, named = dialect.create_connect_args(self.url)
        return AnsweringConnection.connect(*positional, **{**self.arguments, **named})


def _in_a_thread(
    connect: Callable[[], AnsweringConnection], should_give_up: Callable[[], bool]
) -> AnsweringConnection:
    """Connects in a thread, so that a signal is heard, and nobody need wait, meanwhile."""
    results: SimpleQueue[AnsweringConnection | Exception] = SimpleQueue()
    is_wanted = threading.Event()
    is_wanted.set()

    def try_to_connect() -> None:
        try:
            connection = connect()
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            results.put(error)
            return
        if is_wanted.is_set():
            results.put(connection)
        else:
            connection.close()

    threading.Thread(target=try_to_connect, name="connect", daemon=True).start()
    began_at = time.monotonic()
    try:
        while True:
            try:
                result = results.get(timeout=LOOK_EVERY_S)
            except Empty:
                if should_give_up() and time.monotonic() - began_at > GIVE_UP_AFTER_S:
                    raise psycopg.OperationalError("the server lets nobody in") from None
                continue
            if isinstance(result, Exception):
                raise result
            return result
    finally:
        is_wanted.clear()
