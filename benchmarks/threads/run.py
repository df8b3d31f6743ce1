"""Compares the environment that users have with `OMP_NUM_THREADS=1`, one timing at a time.

python benchmarks/threads/run.py
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3

LOOP = """
from chromasonic import bayesian_optimization
bounds = {"x": (0.0, 1.0), "y": (0.0, 1.0), "k": (1, 8)}
bayesian_optimization(
    lambda p: (p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2 + 0.01 * p["k"],
    bounds, n_iterations=40, n_initial=5, patience=None, seed=1, verbose=False,
)
"""
SEARCH = """
from chromasonic import tune
def objective(p):
    return (p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2 + 0.1 * p["z"] + 0.01 * p["k"]
bounds = {"x": (0.0, 1.0), "y": (0.0, 1.0), "z": (0.0, 1.0), "k": (1, 8)}
tune(objective, bounds, 40, seed=1, jobs=1, output_dir="search", verbose=False)
"""
COMMAND = "from chromasonic.cli import main; main()"
JOBS = {
    "bayesian_optimization, 45 points": [LOOP],
    "tune, 40 trials of no cost": [SEARCH],
    "chromasonic report": [COMMAND, "report", "--output-dir", "search"],
    "chromasonic refine": [COMMAND, "refine", "--from", "search"],
}


def main() -> None:
    """Measures every job in both environments, on an idle and on a busy machine."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for state, n_busy in (("idle", 0), ("busy", os.cpu_count() or 1)):
        for job, arguments in JOBS.items():
            seconds: dict[str, list[float]] = {"as users have it": [], "OMP_NUM_THREADS=1": []}
            with tempfile.TemporaryDirectory() as folder, busy(n_busy):
                if "search" in arguments:
                    timed([SEARCH], folder, {})
                for _ in range(RUNS):
                    seconds["as users have it"].append(timed(arguments, folder, {}))
                    one = timed(arguments, folder, {"OMP_NUM_THREADS": "1"})
                    seconds["OMP_NUM_THREADS=1"].append(one)
            medians = {name: round(statistics.median(row), 2) for name, row in seconds.items()}
            results.setdefault(job, {})[state] = medians
            print(job, state, medians, flush=True)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def timed(arguments: list[str], folder: str, environment: dict[str, str]) -> float:
    """Wall seconds of a new Python process, imports included."""
    if arguments == [SEARCH]:
        # Without the study of the run before.
        folder = tempfile.mkdtemp(dir=folder) if list(Path(folder).iterdir()) else folder
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=folder,
        env={**own, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Keeps so many cores busy with processes of their own."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    main()
