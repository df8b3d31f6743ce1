"""Problems where the same point never looks the same twice; the true values are known.

On a table each evaluation sees one of the seeds the network was trained with. On a function it
sees Gaussian noise with a tenth of the interquartile range of random points' values.
"""

from dataclasses import replace

import numpy as np

from problems.problem import Params, Problem, random_values
from problems.synthetic import PROBLEMS as SYNTHETIC
from problems.tables import load_table

NOISE_SHARE = 0.1


def noisy_table(source: str, dataset: str) -> Problem:
    """The table with one seed an evaluation."""
    table = load_table(source, dataset)
    return Problem(
        f"noisy_{source}_{dataset}",
        "noisy",
        table.space,
        table.noiseless,
        float(table.means.min()),
        table.one_seed,
    )


def with_noise(problem: Problem) -> Problem:
    """The problem with Gaussian noise on what is observed."""
    values = random_values(problem.space, problem.noiseless, problem.n_random)
    lower, upper = np.quantile(values, [0.25, 0.75])
    std = NOISE_SHARE * (upper - lower)

    def observe(params: Params, rng: np.random.Generator) -> float:
        return problem.noiseless(params) + std * rng.standard_normal()

    return replace(problem, name=f"noisy_{problem.name}", group="noisy", observe=observe)


NOISY_FUNCTIONS = ("branin", "hartmann6", "learning_rate_valley", "mixed_network")

PROBLEMS = [
    noisy_table("hpobench", "phoneme"),
    noisy_table("hpobench", "credit_g"),
    noisy_table("hpolib", "parkinsons_telemonitoring"),
    *(with_noise(problem) for problem in SYNTHETIC if problem.name in NOISY_FUNCTIONS),
]
