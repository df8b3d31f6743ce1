"""Database errors: transient or not, and in one line."""

from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, OperationalError

from chromasonic.errors import one_line

PASSING_SQLITE_CODES = {5, 6, 10, 13, 14, 15}
"""Busy, locked, input or output failed, disk full, cannot open, locking protocol."""

BROKEN_SQLITE_CODES = {11, 26}
"""Corrupt, not a database."""


def is_transient(error: BaseException) -> bool:
    """True if the same call may succeed later.

    Optuna raises its own error from that of SQLAlchemy, some of them as they are.
    """
    found = _database_error(error)
    if found is None:
        return False
    code = _sqlite_code(found)
    if code is not None:
        return code in PASSING_SQLITE_CODES
    # Servers report as operational whatever is no fault of the statement: no connection, a
    # shutdown, a full disk, a deadlock.
    return found.connection_invalidated or isinstance(found, OperationalError)


def is_broken_file(error: BaseException) -> bool:
    """True if a file is not, or is no longer, an SQLite database."""
    found = _database_error(error)
    return found is not None and _sqlite_code(found) in BROKEN_SQLITE_CODES


def describe(error: BaseException) -> str:
    """One line that says what the database itself reported, without any SQL."""
    found = _database_error(error)
    return one_line(error if found is None or found.orig is None else found.orig)


def _sqlite_code(error: DBAPIError) -> int | None:
    """The primary result code of SQLite; an extended one holds it in its lowest byte."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _database_error(error: BaseException) -> DBAPIError | None:
    return next((cause for cause in _causes(error) if isinstance(cause, DBAPIError)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # A connection lost amid Optuna's reading of trials makes it read them in another way, of
        # which SQLAlchemy says only that it must roll back first.
        error = error.__cause__ or error.__context__
