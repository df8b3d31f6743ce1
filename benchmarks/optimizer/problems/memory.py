"""Evaluations that take time are kept on disk, by their parameters."""

import json
from collections.abc import Callable
from pathlib import Path

from problems.problem import Params

FOLDER = Path(__file__).parent.parent / ".evaluations_cache"


class Remembered:
    """A deterministic function that is not computed twice at a point, even by another run.

    Args:
        name: The file its values are kept in; one JSON line each.
        function: What is computed where nothing is known yet.
    """

    def __init__(self, name: str, function: Callable[[Params], float]) -> None:
        self._path = FOLDER / f"{name}.jsonl"
        self._function = function
        self._values: dict[str, float] | None = None

    def __call__(self, params: Params) -> float:
        """The function's value at a point."""
        if self._values is None:
            self._values = self._read()
        key = json.dumps(dict(params), sort_keys=True)
        if key not in self._values:
            self._values[key] = self._function(params)
            self._append(key, self._values[key])
        return self._values[key]

    def _read(self) -> dict[str, float]:
        if not self._path.exists():
            return {}
        return dict(json.loads(line) for line in self._path.read_text().splitlines())

    def _append(self, key: str, value: float) -> None:
        self._path.parent.mkdir(exist_ok=True)
        # One write of a whole line: two processes may append at the same time.
        with self._path.open("a") as file:
            file.write(json.dumps([key, value]) + "\n")
