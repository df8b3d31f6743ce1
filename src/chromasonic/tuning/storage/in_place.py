"""Checks that the files of a running search are still there, and still the same."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chromasonic.errors import StudyError, one_line

RESULTS_ARE_SAFE = (
    "The result files, where there are any, have what it has found. Put the file back from a "
    "copy, or choose another --output-dir or --storage."
)


class FilesInPlace:
    """The files that a search has opened, as they were then.

    A process that has opened a file does not notice that somebody removes or replaces it: what
    it writes is lost when it ends, and a removed lock keeps nobody out.

    Args:
        database: The SQLite file of the study; None if it is elsewhere.
        locks: The lock files that this process holds.
    """

    def __init__(self, database: Path | None, locks: Sequence[Path]) -> None:
        # Absolute, since an objective may change the working directory.
        self._database = database and database.absolute()
        databases = [] if self._database is None else [self._database]
        self._opened = {file: _state(file) for file in (*map(Path.absolute, locks), *databases)}

    def require(self) -> None:
        """Raises an error unless all files are there, the same, and none truncated.

        Raises:
            StudyError: A file was removed, replaced or truncated.
        """
        for file, before in self._opened.items():
            now = _state(file)
            if now.identity != before.identity:
                raise StudyError(
                    f"{file} must stay where it is while a search runs, but was removed or "
                    f"replaced. {RESULTS_ARE_SAFE}"
                )
            if now.size < before.size:
                raise StudyError(
                    f"{file} must not become smaller while a search runs, but went from "
                    f"{before.size} to {now.size} bytes. {RESULTS_ARE_SAFE}"
                )
            self._opened[file] = now

    def require_trials(self, study_name: str, n_trials: int) -> None:
        """Raises an error unless a new connection finds so many trials of the study.

        Raises:
            StudyError: As `require`, or trials are missing.
        """
        self.require()
        if self._database is None:
            return
        try:
            found = _count_trials(self._database, study_name)
        except sqlite3.Error as error:
            raise StudyError(
                f"the study {self._database} must be readable at the end of a search, but: "
                f"{one_line(error)}. {RESULTS_ARE_SAFE}"
            ) from error
        if found < n_trials:
            raise StudyError(
                f"the study {self._database} must hold {n_trials} trials at the end of this "
                f"search, but holds {found}: somebody has changed it. {RESULTS_ARE_SAFE}"
            )


@dataclass(frozen=True)
class _State:
    """Identity and size of a file."""

    identity: tuple[int, int] | None
    size: int


def _state(file: Path) -> _State:
    try:
        found = file.stat()
    except OSError:
        return _State(None, 0)
    return _State((found.st_dev, found.st_ino), found.st_size)


def _count_trials(database: Path, study_name: str) -> int:
    uri = f"{database.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=60.0)) as connection:
        query = "SELECT COUNT(*) FROM trials JOIN studies USING (study_id) WHERE study_name = ?"
        return int(connection.execute(query, (study_name,)).fetchone()[0])
