"""Importance of idle parameters by several tools, after 50 trials of a noisy search.

python benchmarks/importance/run.py --seeds 10
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import optuna
from optuna.importance import (
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import create_trial

from chromasonic import Categorical, Float, Integer, Optimizer, Ordinal, Space
from chromasonic.bayesopt import parameter_importance
from chromasonic.bayesopt.space import Params
from chromasonic.tuning.distributions import distribution_of

HERE = Path(__file__).parent
N_TRIALS = 50
LARGEST_ESTIMATE = 0.05
NOISE = {
    "dropout": Float(0.0, 0.5),
    "hidden_size": Integer(32, 512, log=True),
    "batch_size": Ordinal([16, 32, 64, 128]),
    "optimizer": Categorical(["adam", "sgd", None]),
    "bias": Categorical([True, False]),
}
SPACE = Space({"learning_rate": Float(1e-5, 1e-1, log=True), **NOISE})
DISTRIBUTIONS = {name: distribution_of(parameter) for name, parameter in SPACE.items()}

Trials = tuple[list[Params], list[float]]
Objective = Callable[[Params], float]


def objective(rng: np.random.Generator, effect: float) -> Objective:
    """The learning rate decides, with some noise; without an effect all is noise."""

    def loss(params: Params) -> float:
        miss = (math.log10(params["learning_rate"]) + 2.5) ** 2
        return float(2 + effect * miss + rng.normal(0, 0.1))

    return loss


def random_trials(loss: Objective, seed: int) -> Trials:
    """Points drawn at random."""
    rng = np.random.default_rng(seed)
    X = [SPACE.sample(rng) for _ in range(N_TRIALS)]
    return X, [loss(params) for params in X]


def chromasonic_trials(loss: Objective, seed: int) -> Trials:
    """Points that chromasonic's optimizer chose."""
    optimizer = Optimizer(SPACE, seed=seed)
    for _ in range(N_TRIALS):
        proposal = optimizer.ask()
        optimizer.tell(proposal, loss(proposal.params))
    told = optimizer.observations
    return [o.params for o in told], [o.value for o in told]


def tpe_trials(loss: Objective, seed: int) -> Trials:
    """Points that Optuna's default sampler chose."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(N_TRIALS):
        trial = study.ask(DISTRIBUTIONS)
        study.tell(trial, loss(trial.params))
    return [t.params for t in study.trials], [t.value for t in study.trials]


def ours(X: list[Params], y: list[float], seed: int) -> dict[str, tuple[float, float]]:
    """For each parameter the estimate and the lower end of the interval; empty: not enough."""
    found = parameter_importance(SPACE, X, y, seed=seed) or []
    return {i.names[0]: (i.total.estimate, i.total.low) for i in found}


def of_optuna(evaluator: Callable[[int], object]) -> Callable[..., dict[str, tuple[float, float]]]:
    """The same from an evaluator of Optuna's, which has no intervals."""

    def importance(X: list[Params], y: list[float], seed: int) -> dict[str, tuple[float, float]]:
        study = optuna.create_study()
        for params, value in zip(X, y, strict=True):
            study.add_trial(create_trial(params=params, distributions=DISTRIBUTIONS, value=value))
        shares = get_param_importances(study, evaluator=evaluator(seed))
        return {name: (share, share) for name, share in shares.items()}

    return importance


SOURCES = {"random": random_trials, "chromasonic": chromasonic_trials, "TPE": tpe_trials}
METHODS = {
    "chromasonic": ours,
    "PED-ANOVA (Optuna's default)": of_optuna(lambda seed: PedAnovaImportanceEvaluator()),
    "fANOVA": of_optuna(lambda seed: FanovaImportanceEvaluator(seed=seed)),
}
EFFECTS = {"learning rate decides": 0.3, "pure noise": 0.0}


def measured(seeds: int) -> list[dict[str, object]]:
    """A row for each problem, source of trials and method."""
    rows = []
    for problem, effect in EFFECTS.items():
        for source, draw in SOURCES.items():
            trials = [
                draw(objective(np.random.default_rng((seed, 1)), effect), seed)
                for seed in range(seeds)
            ]
            for method, importance in METHODS.items():
                started = time.process_time()
                found = [importance(*trials[seed], seed) for seed in range(seeds)]
                spent = (time.process_time() - started) / seeds
                rows.append(row_of(problem, source, method, found, spent))
                print(line_of(rows[-1]), flush=True)
    return rows


def row_of(
    problem: str, source: str, method: str, found: list[Mapping], seconds: float
) -> dict[str, object]:
    """Importances of a method over all seeds."""
    said = [shares for shares in found if shares]
    idle = list(NOISE) if problem != "pure noise" else list(SPACE)
    within = {
        name: sum(float(shares[name][0]) <= LARGEST_ESTIMATE for shares in said)
        + len(found)
        - len(said)
        for name in idle
    }
    holding = {
        name: sum(float(shares[name][1]) == 0 for shares in said) + len(found) - len(said)
        for name in idle
    }
    estimates = [shares[name][0] for shares in said for name in idle]
    return {
        "problem": problem,
        "source": source,
        "method": method,
        "seeds": len(found),
        "not_enough_data": len(found) - len(said),
        "seeds_with_estimate_at_most_0.05": min(within.values()),
        "seeds_with_interval_that_holds_0": min(holding.values())
        if method == "chromasonic"
        else None,
        "mean_estimate_of_idle": float(np.mean(estimates)) if said else None,
        "largest_estimate_of_idle": float(np.max(estimates)) if said else None,
        "mean_estimate_of_learning_rate": (
            float(np.mean([shares["learning_rate"][0] for shares in said])) if said else None
        ),
        "seconds": round(seconds, 3),
    }


def line_of(row: Mapping[str, object]) -> str:
    """A row of the table in the README."""

    def shown(value: object) -> str:
        if value is None:
            return "-"
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    return "| " + " | ".join(map(shown, row.values())) + " |"


def main() -> None:
    """Measures and writes `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = measured(parser.parse_args().seeds)
    (HERE / "results.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
