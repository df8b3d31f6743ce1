"""Wall time to the same validation loss: the tutorial's search against ours.

    python benchmarks/search_speed/run.py

Runs are kept one by one in `runs/`, so that a benchmark that was broken off goes on. See
../README.md.
"""

import itertools
import json
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
import tutorial
from scipy.stats import t as student
from torch import nn

from chromasonic.bayesopt import Fixed, Integer
from chromasonic.melody_generation.data import VOCAB_SIZE, load_corpus
from chromasonic.melody_generation.hyperparameter_search import (
    HyperparameterOptimizer,
    HyperparameterSearchSpace,
)
from chromasonic.melody_generation.models import LSTMMelodyModel
from chromasonic.tuning.records import SearchResult

HERE = Path(__file__).parent
RUNS = HERE / "runs"
N_TUNES = 200
N_TRIALS = 10
NUM_EPOCHS = 10
SEEDS = range(5)
LEARNING_RATE = (1e-5, 1e-2)
HIDDEN_SIZE = (64, 192, 32)
NUM_LAYERS = (1, 2)
DROPOUT = (0.0, 0.5)
EMBEDDING_DIM = (32, 128, 32)

# The tutorial's batches are windows, ours melodies; each gets the best of three sizes, found in
# a pilot on a seed of its own that gives each size the same time.
TUTORIAL_BATCH_SIZES = (32, 128, 512)
OUR_BATCH_SIZES = (2, 4, 8)
PILOT_TRIALS = 4
PILOT_SEED = 100
OUR_MOST_TRIALS = 40
BOOTSTRAPS = 10_000


def main() -> None:
    """Runs what is missing and writes `results.json`."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    batch_size = best_size("pilot", tutorial_run, TUTORIAL_BATCH_SIZES)
    our_batch_size = best_size("our-pilot", our_pilot, OUR_BATCH_SIZES)
    theirs = [
        cached(f"tutorial-{seed}", tutorial_run, batch_size, N_TRIALS, seed) for seed in SEEDS
    ]
    target = statistics.median(best_within(history, math.inf) for history in theirs)
    ours = [cached(f"chromasonic-{seed}", our_run, our_batch_size, target, seed) for seed in SEEDS]
    rows = [row(seed, theirs[i], ours[i], target) for i, seed in enumerate(SEEDS)]
    results = {
        "n_tunes": N_TUNES,
        "n_trials": N_TRIALS,
        "num_epochs": NUM_EPOCHS,
        "tutorial_batch_size": batch_size,
        "chromasonic_batch_size": our_batch_size,
        "target": target,
        "seeds": rows,
        "mean_time_ratio_wall": ratio_of_means(rows, "wall_s"),
        "mean_time_ratio_cpu": ratio_of_means(rows, "cpu_s"),
        "geometric_mean_wall": geometric_mean([row["wall_ratio"] for row in rows]),
        "geometric_mean_cpu": geometric_mean([row["cpu_ratio"] for row in rows]),
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def tutorial_run(batch_size: int, n_trials: int, seed: int) -> list[dict[str, float]]:
    """Times and validation loss of every epoch of the tutorial's search."""
    corpus = load_corpus(N_TUNES)
    return tutorial.search(
        corpus.train,
        corpus.validation,
        build,
        LEARNING_RATE,
        batch_size=batch_size,
        n_trials=n_trials,
        num_epochs=NUM_EPOCHS,
        seed=seed,
    )


def build(trial: optuna.Trial) -> nn.Module:
    """The model class that both search, with the trial's parameters."""
    return LSTMMelodyModel(
        VOCAB_SIZE,
        trial.suggest_int("embedding_dim", *EMBEDDING_DIM[:2], step=EMBEDDING_DIM[2]),
        trial.suggest_int("hidden_size", *HIDDEN_SIZE[:2], step=HIDDEN_SIZE[2]),
        trial.suggest_int("num_layers", *NUM_LAYERS),
        trial.suggest_float("dropout", *DROPOUT),
    )


def our_pilot(batch_size: int, n_trials: int, seed: int) -> list[dict[str, float]]:
    """Seconds of training and validation loss at the end of every trial of our search."""
    result, _ = our_search(batch_size, n_trials, seed)
    seconds = itertools.accumulate(trial.training_time for trial in result.trials)
    return [
        {"cpu_s": cpu_s, "loss": trial.value}
        for cpu_s, trial in zip(seconds, result.trials, strict=True)
    ]


def our_run(batch_size: int, target: float, seed: int) -> dict[str, float]:
    """Times of our whole search to the end of the first trial that reaches the target."""
    result, times = our_search(batch_size, OUR_MOST_TRIALS, seed, target)
    return {**times, "best_value": result["best_value"], "n_trials": result["n_trials"]}


def our_search(
    batch_size: int, n_trials: int, seed: int, target: float | None = None
) -> tuple[SearchResult, dict[str, float]]:
    """The result of our search, and the times of the whole call."""
    space = HyperparameterSearchSpace(
        learning_rate_range=LEARNING_RATE,
        num_layers_range=NUM_LAYERS,
        dropout_range=DROPOUT,
        num_epochs=NUM_EPOCHS,
    )
    space = space.with_parameter("hidden_size", Integer(*HIDDEN_SIZE[:2], step=HIDDEN_SIZE[2]))
    space = space.with_parameter(
        "embedding_dim", Integer(*EMBEDDING_DIM[:2], step=EMBEDDING_DIM[2])
    ).with_parameter("batch_size", Fixed(batch_size))
    folder = Path(tempfile.mkdtemp())
    wall, cpu = time.monotonic(), time.process_time()
    corpus = load_corpus(N_TUNES)
    optimizer = HyperparameterOptimizer(LSTMMelodyModel, space, "cpu", folder, verbose=False)
    result = optimizer.optimize(
        corpus.train,
        corpus.validation,
        VOCAB_SIZE,
        n_trials,
        # The tutorial's sampler too: what is measured here is everything but the choice of points.
        sampler="tpe",
        executor="inline",
        seed=seed,
        target=target,
    )
    times = {"wall_s": time.monotonic() - wall, "cpu_s": time.process_time() - cpu}
    shutil.rmtree(folder)
    return result, times


def row(seed: int, theirs: list[dict], ours: dict, target: float) -> dict:
    """One seed's times; where the tutorial never got there, its whole time is a lower bound."""
    reached = next((epoch for epoch in theirs if epoch["loss"] <= target), None)
    tutorial_end = reached or theirs[-1]
    return {
        "seed": seed,
        "tutorial_wall_s": tutorial_end["wall_s"],
        "tutorial_cpu_s": tutorial_end["cpu_s"],
        "tutorial_reached": reached is not None,
        "tutorial_best": best_within(theirs, math.inf),
        "chromasonic_wall_s": ours["wall_s"],
        "chromasonic_cpu_s": ours["cpu_s"],
        "chromasonic_reached": ours["best_value"] <= target,
        "chromasonic_trials": ours["n_trials"],
        "wall_ratio": tutorial_end["wall_s"] / ours["wall_s"],
        "cpu_ratio": tutorial_end["cpu_s"] / ours["cpu_s"],
    }


def best_size(name: str, run: Callable[..., Any], sizes: tuple[int, ...]) -> int:
    """The batch size with the lowest loss, all given as much time as the quickest needs."""
    pilots = {
        size: cached(f"{name}-{size}", run, size, PILOT_TRIALS, PILOT_SEED) for size in sizes
    }
    seconds = min(pilot[-1]["cpu_s"] for pilot in pilots.values())
    return min(pilots, key=lambda size: best_within(pilots[size], seconds))


def best_within(history: list[dict], cpu_s: float) -> float:
    """The lowest loss up to a time."""
    return min((epoch["loss"] for epoch in history if epoch["cpu_s"] <= cpu_s), default=math.inf)


def ratio_of_means(rows: list[dict], time: str) -> dict[str, float]:
    """Mean ratio of the tutorial's time to ours; 95% interval by a bootstrap over seeds."""
    theirs = np.array([row[f"tutorial_{time}"] for row in rows])
    ours = np.array([row[f"chromasonic_{time}"] for row in rows])
    chosen = np.random.default_rng(0).integers(len(rows), size=(BOOTSTRAPS, len(rows)))
    low, high = np.quantile(theirs[chosen].mean(1) / ours[chosen].mean(1), [0.025, 0.975])
    return {"mean": theirs.mean() / ours.mean(), "low": float(low), "high": float(high)}


def geometric_mean(ratios: list[float]) -> dict[str, float]:
    """The geometric mean of paired ratios; 95% interval by Student's t on their logarithms."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.mean(logs)
    half = student.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return {"mean": math.exp(mean), "low": math.exp(mean - half), "high": math.exp(mean + half)}


def cached(name: str, run: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a run, from its file if it has one."""
    path = RUNS / f"{name}.json"
    if not path.exists():
        outcome = run(*arguments)
        RUNS.mkdir(exist_ok=True)
        path.write_text(json.dumps(outcome) + "\n")
        print(name, "done", flush=True)
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
