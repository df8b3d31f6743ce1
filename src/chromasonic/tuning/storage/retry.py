"""Retries of calls while a database is away."""

import time
from collections.abc import Callable
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, IntegrityError

from chromasonic.errors import StudyError
from chromasonic.tuning.storage._errors import describe, is_transient

PATIENCE_S = 300.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
LONGEST_SLEEP_S = 0.1

T = TypeVar("T")


def _say_nothing(line: str) -> None:
    pass


def _never() -> bool:
    return False


class Retry:
    """Repeats a call, with growing pauses, while its database is away.

    Args:
        name: Name of the database in messages, without a password.
        patience_s: How long a call is repeated before it fails.
        on_warning: Told in one line when the database is away, and again when it is back.
        sleep: Waits for so many seconds.
        clock: The time in seconds.

    Attributes:
        on_warning: As above; may be set later.
        should_give_up: Asked while waiting whether to fail at once; may be set later.
    """

    def __init__(
        self,
        name: str,
        *,
        patience_s: float = PATIENCE_S,
        on_warning: Callable[[str], None] = _say_nothing,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.should_give_up: Callable[[], bool] = _never
        self._name = name
        self._patience_s = patience_s
        self.on_warning = on_warning
        self._sleep = sleep
        self._clock = clock
        self._gave_up = False

    def __call__(self, call: Callable[[int], T]) -> T:
        """Calls until the database answers, and returns the result.

        Args:
            call: Gets the number of the attempt, from 1. The database may have kept what an
                earlier attempt told it, and been lost before it said so.

        Raises:
            StudyError: The database was away for too long, or can no longer be used.
        """
        began_at, pause_s, attempt = None, FIRST_PAUSE_S, 1
        while True:
            try:
                result = call(attempt)
            except RecursionError:
                raise StudyError(
                    f"the storage {self._name} cannot be read: a value in it is nested too "
                    "deeply. Restore it from a copy, or choose another --storage."
                ) from None
            except (StorageInternalError, DBAPIError) as error:
                self._require_hope(error)
                if began_at is None:
                    began_at = self._clock()
                    self._warn(error)
                self._wait(pause_s, began_at, error)
                pause_s, attempt = min(2 * pause_s, LONGEST_PAUSE_S), attempt + 1
            else:
                self._gave_up = False
                if began_at is not None:
                    away_s = self._clock() - began_at
                    self.on_warning(f"the storage {self._name} is back after {away_s:.0f} s")
                return result

    def _require_hope(self, error: Exception) -> None:
        if isinstance(error, IntegrityError):
            raise error
        if not is_transient(error):
            raise StudyError(
                f"the storage {self._name} can no longer be used: {describe(error)}. "
                "Mend it, or choose another --storage."
            ) from error

    def _warn(self, error: Exception) -> None:
        # After giving up, calls that tidy up do not warn again.
        if not self._gave_up:
            self.on_warning(
                f"the storage {self._name} is away ({describe(error)}): "
                f"trying again for up to {self._patience_s:.0f} s"
            )

    def _wait(self, pause_s: float, began_at: float, error: Exception) -> None:
        ends_at = self._clock() + pause_s
        while True:
            now = self._clock()
            if self._gave_up or self.should_give_up() or now - began_at >= self._patience_s:
                self._gave_up = True
                raise StudyError(
                    f"the storage {self._name} must answer, but has not for {now - began_at:.0f} s"
                    f": {describe(error)}. All trials stored so far are safe. "
                    "Run the same command again once it is back."
                ) from error
            if now >= ends_at:
                return
            # Short sleeps, as a signal does not end a long one.
            self._sleep(min(LONGEST_SLEEP_S, ends_at - now))
