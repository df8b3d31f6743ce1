"""Ratio of two methods' regrets, by a paired bootstrap over the seeds of each problem."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from records import Runs

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0
COVERAGE = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """An estimate with the 95% interval of its bootstrap."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Comparison:
    """Ours against a peer on the runs both have.

    Attributes:
        n_pairs: How many (problem, seed) pairs both have.
        difference: Our mean less the peer's; negative is in our favour.
        ratio: Our mean divided by the peer's; below 1 is in our favour.
    """

    n_pairs: int
    difference: Interval
    ratio: Interval


def compare(
    ours: dict[tuple[str, int], float], theirs: dict[tuple[str, int], float]
) -> Comparison:
    """Means over problems, each problem weighing the same, and their intervals.

    Seeds are drawn again within each problem, for both methods the same, so that the problems
    stay the given ones: the intervals tell the chance of the seeds, not of the list.

    Args:
        ours: One score a (problem, seed), lower is better.
        theirs: The peer's.
    """
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for problem, seed in sorted(ours.keys() & theirs.keys()):
        pairs[problem].append((ours[problem, seed], theirs[problem, seed]))
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means = np.mean([np.mean(scores, axis=0) for scores in pairs.values()], axis=0)  # (2,)
    resampled = np.mean([resampled_means(scores, rng) for scores in pairs.values()], axis=0)
    return Comparison(
        sum(map(len, pairs.values())),
        interval(means[0] - means[1], resampled[:, 0] - resampled[:, 1]),
        interval(means[0] / means[1], resampled[:, 0] / resampled[:, 1]),
    )


def resampled_means(scores: list[tuple[float, float]], rng: np.random.Generator) -> np.ndarray:
    """Mean scores of both methods over seeds drawn with replacement, shape (RESAMPLES, 2)."""
    array = np.array(scores)  # (seeds, 2)
    drawn = rng.integers(len(array), size=(RESAMPLES, len(array)))
    return array[drawn].mean(axis=1)


def interval(value: float, resampled: np.ndarray) -> Interval:
    """The percentiles around an estimate."""
    low, high = np.percentile(resampled, COVERAGE)
    return Interval(float(value), float(low), float(high))


def mean_curve(runs: Runs) -> np.ndarray:
    """Mean over seeds, then over problems, shape (50,)."""
    by_problem: dict[str, list[np.ndarray]] = defaultdict(list)
    for (problem, _), values in runs.items():
        by_problem[problem].append(values)
    return np.mean([np.mean(values, axis=0) for values in by_problem.values()], axis=0)
