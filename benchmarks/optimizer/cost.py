"""CPU time of one suggestion through Optuna, ask and tell, as the study grows.

    python benchmarks/optimizer/cost.py

Samplers take turns within each seed and size, so that whatever slows the machine slows all. Each
study is filled with random trials of a smooth function with noise, then asked and told; the first
ask, which compiles and imports, is not counted. Writes `results/cost.md`.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import optuna
import torch
from comparison import Interval, interval
from markdown import table
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.samplers import GPSampler as OptunaGPSampler

OURS = "chromasonic GPSampler"
SIZES = (50, 200, 500, 1000, 5000)
SLOW_ABOVE_SIZE = {"Optuna GPSampler": 1000}
ASKS, FEWER_ASKS = 20, 3
ENOUGH_S = 30.0  # of CPU in one study; what is slower is asked less often
NOISE = 0.1
RESAMPLES = 10_000

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
    "epsilon": FloatDistribution(1e-9, 1e-3, log=True),
    "dropout": FloatDistribution(0.0, 0.6),
    "layers": IntDistribution(1, 6),
    "units": IntDistribution(16, 512, log=True),
    "activation": CategoricalDistribution(("tanh", "relu", "gelu")),
    "optimizer": CategoricalDistribution(("sgd", "momentum", "adam", "rmsprop", "lion")),
}


def ours(seed: int) -> BaseSampler:
    """Imported late: the others can be measured without it."""
    from chromasonic.tuning.sampling.by_name import GPSampler

    return GPSampler(seed=seed)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "Optuna TPESampler": lambda seed: TPESampler(seed=seed),
    "Optuna GPSampler": lambda seed: OptunaGPSampler(seed=seed),
    OURS: ours,
}


def main() -> None:
    """Measures, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    samplers = arguments.samplers.split(",")
    sizes = [int(size) for size in arguments.sizes.split(",")]
    times: dict[tuple[str, int], list[float]] = {}
    for seed, size, name in product(range(arguments.seeds), sizes, samplers):
        if size <= SLOW_ABOVE_SIZE.get(name, math.inf):
            cpu_ms = 1e3 * cpu_s_per_suggestion(SAMPLERS[name](seed), size, seed)
            times.setdefault((name, size), []).append(cpu_ms)
            print(f"seed {seed}, {size} trials, {name}: {cpu_ms:.1f} ms", flush=True)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "cost.md").write_text(report(times, sizes, samplers))


def cpu_s_per_suggestion(sampler: BaseSampler, size: int, seed: int) -> float:
    """Mean CPU seconds of an ask and a tell, in a study of `size` trials and a few more."""
    rng = np.random.default_rng(seed)
    study = filled_study(sampler, size, rng)
    spent: list[float] = []
    for _ in range(1 + ASKS):
        start = time.process_time()
        trial = study.ask(DISTRIBUTIONS)
        asked = time.process_time() - start
        value = objective(trial.params, rng)
        start = time.process_time()
        study.tell(trial, value)
        spent.append(asked + time.process_time() - start)
        if sum(spent) > ENOUGH_S and len(spent) > FEWER_ASKS:
            break
    return float(np.mean(spent[1:]))


def filled_study(sampler: BaseSampler, size: int, rng: np.random.Generator) -> optuna.Study:
    """A study in memory with that many random trials."""
    random_study = optuna.create_study(sampler=RandomSampler(seed=int(rng.integers(2**31))))
    study = optuna.create_study(sampler=sampler)
    for _ in range(size):
        params = random_study.ask(DISTRIBUTIONS).params
        study.add_trial(
            optuna.create_trial(
                params=params, distributions=DISTRIBUTIONS, value=objective(params, rng)
            )
        )
    return study


def objective(params: dict, rng: np.random.Generator) -> float:
    """A smooth bowl over all eight parameters, with noise."""
    bowl = (
        (math.log10(params["learning_rate"]) + 3) ** 2
        + 0.3 * (math.log10(params["weight_decay"]) + 4) ** 2
        + 0.1 * (math.log10(params["epsilon"]) + 7) ** 2
        + 4 * (params["dropout"] - 0.2) ** 2
        + 0.1 * (params["layers"] - 3) ** 2
        + 0.2 * (math.log2(params["units"]) - 7) ** 2
    )
    offset = 0.2 * len(params["activation"]) + 0.1 * len(params["optimizer"])
    return bowl + offset + NOISE * rng.standard_normal()


def report(
    times: dict[tuple[str, int], list[float]], sizes: list[int], samplers: list[str]
) -> str:
    """Two tables in Markdown: times, and how they compare to ours."""
    heads = ["CPU ms a suggestion", *(f"{size} trials" for size in sizes)]
    rows = [[name, *(mean_cell(times.get((name, size))) for size in sizes)] for name in samplers]
    lines = [
        "# CPU time of a suggestion",
        "",
        "Written by `cost.py`.",
        "",
        *table(heads, rows),
        "",
    ]
    if OURS in samplers:
        heads[0] = f"time divided by that of {OURS}"
        rows = [
            [
                name,
                *(ratio_cell(times.get((name, size)), times.get((OURS, size))) for size in sizes),
            ]
            for name in samplers
            if name != OURS
        ]
        lines += [*table(heads, rows), ""]
    return "\n".join(lines)


def ratio_cell(theirs: list[float] | None, ours: list[float] | None) -> str:
    """The ratio of mean times with its interval."""
    return str(ratio(theirs, ours)) if theirs and ours else ""


def ratio(theirs: list[float], ours: list[float]) -> Interval:
    """Mean of theirs over mean of ours; seeds are paired, and drawn again for the interval."""
    pairs = np.array(list(zip(theirs, ours, strict=True)))  # (seeds, 2)
    drawn = np.random.default_rng(0).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    means = pairs[drawn].mean(axis=1)
    return interval(np.mean(theirs) / np.mean(ours), means[:, 0] / means[:, 1])


def mean_cell(cpu_ms: list[float] | None) -> str:
    """The mean over seeds, or nothing where it was not measured."""
    return f"{np.mean(cpu_ms):.1f}" if cpu_ms else ""


if __name__ == "__main__":
    main()
