"""The runs on disk, and their normalised regret."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from problems import Problem

RESULTS = Path(__file__).parent / "results"
N_EVALUATIONS = 50

Runs = dict[tuple[str, int], np.ndarray]
"""For each (problem, seed) one value an evaluation, shape (50,)."""


def results_file(peer: str) -> Path:
    """File that holds the runs of a method."""
    return RESULTS / f"{peer}.jsonl.gz"


def finished(peer: str) -> set[tuple[str, int]]:
    """The (problem, seed) pairs that have their line."""
    return {(line["problem"], line["seed"]) for line in read_lines(peer)}


def incumbents(peer: str) -> Runs:
    """The noiseless value of the point whose observed value was lowest so far."""
    return {
        (line["problem"], line["seed"]): chosen_values(
            np.array(line["observed"]), np.array(line.get("noiseless", line["observed"]))
        )
        for line in read_lines(peer)
    }


def chosen_values(observed: np.ndarray, noiseless: np.ndarray) -> np.ndarray:
    """`noiseless` at the first of the lowest `observed` up to each evaluation, all of shape (n,).

    The true value can rise with time, where noise makes a worse point look better.
    """
    lowest = np.minimum.accumulate(observed)
    improved = np.concatenate([[True], observed[1:] < lowest[:-1]])
    index = np.maximum.accumulate(np.where(improved, np.arange(len(observed)), 0))
    return noiseless[index]


def regrets(runs: Runs, problems: Mapping[str, Problem], best: Mapping[str, float]) -> Runs:
    """(value - best) / (median random value - best), never below 0.

    Args:
        runs: Values of incumbents.
        problems: By name; runs on others are left out.
        best: The best known value of each problem.
    """
    return {
        key: np.maximum((values - best[key[0]]) / (problems[key[0]].median - best[key[0]]), 0.0)
        for key, values in runs.items()
        if key[0] in problems
    }


def best_values(peers: list[str], problems: Mapping[str, Problem]) -> dict[str, float]:
    """The known minimum, or the lowest value any method found in any run."""
    found: dict[str, float] = {}
    for line in (line for peer in peers for line in read_lines(peer)):
        lowest = min(line.get("noiseless", line["observed"]))
        found[line["problem"]] = min(lowest, found.get(line["problem"], np.inf))
    known = {name: problem.best for name, problem in problems.items() if problem.best is not None}
    return {**found, **known}


def read_lines(peer: str) -> list[dict]:
    """Everything recorded of a method."""
    path = results_file(peer)
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def append_line(peer: str, line: dict) -> None:
    """Adds a run to the file of its method; gzip files may be appended to."""
    RESULTS.mkdir(exist_ok=True)
    with gzip.open(results_file(peer), "at", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
