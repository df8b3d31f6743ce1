"""Cancellation of single trials, requested through files in the output directory."""

import time
from contextlib import suppress
from pathlib import Path

from chromasonic.tuning.search_folder import SearchFolder

LOOK_EVERY_S = 0.5


class Cancellations:
    """The numbers of trials to end, as files in the output directory of their search.

    Args:
        output_dir: Where the search keeps what it leaves; None for a search that keeps nothing.
    """

    def __init__(self, output_dir: Path | None) -> None:
        self._folder = output_dir and SearchFolder(output_dir).cancellations
        self._next_look = 0.0

    def request(self, number: int) -> None:
        """Asks the search that runs there to end a trial."""
        if self._folder is None:
            return
        while True:
            self._folder.mkdir(parents=True, exist_ok=True)
            # The search may remove the folder just now.
            with suppress(FileNotFoundError):
                (self._folder / str(number)).touch()
                return

    def take(self) -> set[int]:
        """The trials asked for since the last time."""
        now = time.monotonic()
        if self._folder is None or now < self._next_look:
            return set()
        self._next_look = now + LOOK_EVERY_S
        return {int(path.name) for path in self._remove() if path.name.isdigit()}

    def clear(self) -> None:
        """Forgets all requests."""
        self._remove()

    def _remove(self) -> list[Path]:
        """Removes the folder unless a new request has come; returns the names that were in it."""
        found: list[Path] = []
        # A disk that is away for a while must end no search.
        with suppress(OSError):
            if self._folder is not None and self._folder.is_dir():
                found += self._folder.iterdir()
                for path in found:
                    path.unlink(missing_ok=True)
                self._folder.rmdir()
        return found
