"""Result files of a search, and when they are written."""

import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chromasonic.errors import StudyError, plain_text
from chromasonic.reporting.text import read_winner, report
from chromasonic.tuning.files import write_text
from chromasonic.tuning.learning_curve import EpochRow
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import SearchResult, TrialRecord
from chromasonic.tuning.search_folder import SearchFolder

PACKAGES = ("chromasonic", "optuna", "numpy", "torch")
LARGEST_SHARE_OF_TIME = 0.01
SHORTEST_PAUSE_S = 1.0


def write_result_files(result: SearchResult, folder: Path, *, in_full: bool = True) -> None:
    """Writes the best hyperparameters, all results and the report, each whole or not at all.

    Args:
        result: What they hold.
        folder: Where they go.
        in_full: Whether to work out the importance of parameters, too, which takes up to a
            second; without it the files leave it out.
    """
    keys = [key for key in result if in_full or key != "importance"]
    results = {**{key: result[key] for key in keys}, "versions": package_versions()}
    best_keys = ("best_params", "best_value", "model_params", "training_params", "timestamp")
    best = {key: results[key] for key in best_keys}
    write_text(SearchFolder(folder).best, to_json(best))
    write_text(SearchFolder(folder).results, to_json(results))
    write_report(result, folder, in_full=in_full)


def write_report(result: SearchResult, folder: Path, *, in_full: bool = True) -> None:
    """Writes the report alone, with the winner if one has been found."""
    winner, note = None, ""
    try:
        winner = read_winner(folder)
    except StudyError as error:
        note = f"No winner is shown, since {error} Run chromasonic confirm again."
    text = report(result, in_full=in_full, winner=winner, note=note)
    write_text(SearchFolder(folder).report, plain_text(text))


def to_json(value: Any) -> str:
    """JSON that every reader takes: nan and infinities become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def package_versions() -> dict[str, str]:
    """The versions of what the results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


class ResultFiles(Observer):
    """Keeps the result files up to date while trials end, for a small share of the time.

    The importance of parameters is left to whoever writes the files when the search has ended.

    Args:
        read: Reads the result as it stands.
        folder: Where the files go.
        clock: The time in seconds; it never runs back.
    """

    def __init__(
        self,
        read: Callable[[], SearchResult],
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._folder = folder
        self._stale = False
        self._clock = clock
        self._next_write = clock()

    def on_epoch(self, number: int, row: EpochRow) -> None:
        """Writes the files if a trial has ended since they were last written."""
        self._write_if_due()

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Writes the files, unless that was done a moment ago."""
        self._stale = True
        self._write_if_due()

    def _write_if_due(self) -> None:
        started = self._clock()
        if not self._stale or started < self._next_write:
            return
        try:
            write_result_files(self._read(), self._folder, in_full=False)
            self._stale = False
        finally:
            now = self._clock()
            pause_s = max(SHORTEST_PAUSE_S, (now - started) / LARGEST_SHARE_OF_TIME)
            self._next_write = now + pause_s


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
