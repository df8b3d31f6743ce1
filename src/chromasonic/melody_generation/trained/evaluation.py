"""Loss per tune, and bootstrap intervals over tunes.

n: tunes. F: factors of a note, such as its duration and its pitch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.melody_generation.data.vocabulary import IntArray

Floats = NDArray[np.float64]

BOOTSTRAP_SAMPLES = 10_000
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class TuneNats:
    """Negative log-likelihood of each tune.

    Attributes:
        nats: Negative log probabilities summed over each tune, shape (n, F).
        notes: Number of scored notes of each tune, shape (n,).
        factors: The names of the F factors.
    """

    nats: Floats
    notes: IntArray
    factors: tuple[str, ...]

    @property
    def loss(self) -> float:
        """Nats per note over all tunes, summed over factors."""
        return float(self.nats.sum() / self.notes.sum())

    @property
    def factor_losses(self) -> dict[str, float]:
        """Nats per note of each factor."""
        losses = self.nats.sum(0) / self.notes.sum()
        return dict(zip(self.factors, losses.tolist(), strict=True))

    @classmethod
    def mean(cls, several: Sequence[Self]) -> Self:
        """Mean over several models of their losses on the same tunes."""
        return cls(
            np.mean([one.nats for one in several], axis=0), several[0].notes, several[0].factors
        )


@own_arithmetic()
def loss_interval(scored: TuneNats, seed: int = 0) -> Interval:
    """Loss in nats per note, with a percentile bootstrap interval over tunes."""
    draws = _draws(len(scored.notes), seed)
    losses = (draws @ scored.nats.sum(1)) / (draws @ scored.notes)
    return Interval(scored.loss, *np.percentile(losses, PERCENTILES).tolist())


@own_arithmetic()
def paired_differences(one: TuneNats, other: TuneNats, seed: int = 0) -> Floats:
    """Bootstrap samples of `one`'s loss minus `other`'s, both on the same drawn tunes.

    Raises:
        ValueError: The two are of different tunes.
    """
    if not np.array_equal(one.notes, other.notes):
        raise ValueError("paired losses must be of the same tunes, but the tunes differ.")
    draws = _draws(len(one.notes), seed)
    samples: Floats = (draws @ (one.nats - other.nats).sum(1)) / (draws @ one.notes)
    return samples


@own_arithmetic()
def paired_difference(one: TuneNats, other: TuneNats, seed: int = 0) -> Interval:
    """Difference of two losses in nats per note, below 0 where `one` is better.

    The interval is a paired bootstrap over tunes.
    """
    samples = paired_differences(one, other, seed)
    return Interval(one.loss - other.loss, *np.percentile(samples, PERCENTILES).tolist())


@lru_cache(maxsize=2)
def _draws(n_tunes: int, seed: int) -> Floats:
    """Number of draws of each tune in each bootstrap sample, shape (samples, n)."""
    rng = np.random.default_rng(seed)
    shares = np.full(n_tunes, 1 / n_tunes)
    return rng.multinomial(n_tunes, shares, size=BOOTSTRAP_SAMPLES).astype(np.float64)
