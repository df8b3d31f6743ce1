"""Trials that the user wants to end, said through files from anywhere."""

import time
from pathlib import Path

FOLDER = ".cancel"
LOOK_EVERY_S = 0.5


class Cancellations:
    """The numbers of trials to end, as files in the output directory of their search.

    Args:
        output_dir: Where the search keeps what it leaves; None for a search that keeps nothing.
    """

    def __init__(self, output_dir: Path | None) -> None:
        self._folder = output_dir and output_dir / FOLDER
        self._next_look = 0.0

    def request(self, number: int) -> None:
        """Asks the search that runs there to end a trial."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / str(number)).touch()

    def take(self) -> set[int]:
        """The trials asked for since the last time."""
        now = time.monotonic()
        if self._folder is None or now < self._next_look:
            return set()
        self._next_look = now + LOOK_EVERY_S
        if not self._folder.is_dir():
            return set()
        requests = [path for path in self._folder.iterdir() if path.name.isdigit()]
        numbers = {int(path.name) for path in requests}
        self.clear()
        return numbers

    def clear(self) -> None:
        """Forgets all requests."""
        if self._folder is not None and self._folder.is_dir():
            for path in self._folder.iterdir():
                path.unlink(missing_ok=True)
            self._folder.rmdir()
