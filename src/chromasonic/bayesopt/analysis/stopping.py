"""Stopping rules: on the losses seen, and on the expected gain of the model.

Symbols:
    X       points of the space in the unit cube, shape (n, d)
    F       joint draws of the noiseless objective at X from the surrogate, shape (n_samples, n)
    gains   how far each point lies below the best one known, in each draw, shape (n_samples, n)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from chromasonic.bayesopt.acquisition.functions import Matrix, Surrogate
from chromasonic.bayesopt.space.encoded import EncodedSpace

CONFIRMATIONS = 3
"""So many times in a row must too little gain be expected: a model that is about to learn better
is often sure of itself for a moment."""

_N_DRAWS = 256
_N_CANDIDATES = 800
_N_ANCHORS = 5
_WIDTHS = (0.1, 0.02)


class StoppedBy(StrEnum):
    """Reason why a search ended."""

    ITERATIONS = "iterations"
    PATIENCE = "patience"
    TARGET = "target"
    MIN_EXPECTED_GAIN = "min_expected_gain"
    CALLBACK = "callback"
    INTERRUPTED = "interrupted"
    EXCEPTION = "exception"


class JointSurrogate(Surrogate, Protocol):
    """A surrogate that can be drawn from at many points at once."""

    def sample(self, X: Matrix, n_samples: int, rng: np.random.Generator) -> Matrix:
        """Joint draws of the noiseless objective, shape (n_samples, n)."""


@dataclass(frozen=True)
class ExpectedGain:
    """Expected further decrease of the objective, in its own units, if the model is right.

    What counts is the noiseless objective at the point that will be held best, now the one
    evaluated whose mean is lowest: a lucky measurement is no gain. Where the model is wrong, as
    about ripples or wells narrower than the gaps between points, so is this.

    Attributes:
        of_next: By the one next evaluation that gains most: its expected improvement, or less
            where measurements are noisy.
        of_all: By knowing the objective everywhere; no number of evaluations gains more.
    """

    of_next: float
    of_all: float

    def of(self, n_evaluations: int) -> float:
        """At most so much by `n_evaluations` more.

        The smaller of `of_all`, a bound whatever is done, and `n_evaluations` times `of_next`:
        points chosen together gain no more than the sum of what each gains alone.

        Args:
            n_evaluations: How many are left, 0 or more.
        """
        return min(self.of_all, n_evaluations * self.of_next)


def evaluations_without_improvement(losses: Sequence[float], n_initial: int) -> int:
    """Number of the last losses, after the first `n_initial`, that were no new best.

    Args:
        losses: In the order of evaluation; nan and infinities are never a best.
        n_initial: So many at the beginning never count.
    """
    best, last_best = math.inf, -1
    for i, loss in enumerate(losses):
        if loss < best and math.isfinite(loss):
            best, last_best = loss, i
    return max(0, len(losses) - max(last_best + 1, n_initial))


def candidates(
    encoded: EncodedSpace, surrogate: Surrogate, X_observed: Matrix, rng: np.random.Generator
) -> Matrix:
    """Points among which the minimum of the objective may lie, those observed first.

    Args:
        encoded: The space.
        surrogate: A fitted model of the losses.
        X_observed: Points evaluated, shape (n, d).
        rng: Draws the others.

    Returns:
        All points of a small space; else those observed, random ones, and neighbours of those
        the model thinks best. Shape (n + about 800, d).
    """
    if encoded.n_points is not None and encoded.n_points <= _N_CANDIDATES:
        return np.vstack([X_observed, encoded.all_points()])
    X = np.vstack([X_observed, encoded.random(_N_CANDIDATES // 2, rng)])
    each = _N_CANDIDATES // (2 * len(_WIDTHS) * _N_ANCHORS)
    for width in _WIDTHS:
        mean, _ = surrogate.predict(X, return_std=True)
        anchors = X[np.argsort(mean, kind="stable")[:_N_ANCHORS]]
        starts = np.repeat(anchors, each, axis=0)
        X = np.vstack([X, encoded.perturb(starts, np.full(len(starts), width), rng)])
    return X


def gains(
    surrogate: JointSurrogate, X: Matrix, n_observed: int, rng: np.random.Generator
) -> Matrix:
    """Gain of each point over the best known one, in posterior draws.

    Args:
        surrogate: A fitted model of the losses.
        X: Points, shape (n, d).
        n_observed: So many of them, the first ones, were evaluated; the best known is the one
            of them with the lowest mean.
        rng: Draws the objective.

    Returns:
        Shape (256, n); negative where a point is worse.
    """
    mean, _ = surrogate.predict(X[:n_observed], return_std=True)
    F = surrogate.sample(X, _N_DRAWS, rng)
    best = int(np.argmin(mean))
    below: Matrix = F[:, [best]] - F
    return below


def expected_gain(
    surrogate: JointSurrogate, X: Matrix, n_observed: int, rng: np.random.Generator
) -> ExpectedGain:
    """Expected gain of further evaluations, in the units of the objective.

    Args:
        surrogate: A fitted model of the losses.
        X: Points among which the minimum may lie, such as `candidates`, shape (n, d).
        n_observed: So many of them, the first ones, were evaluated.
        rng: Draws the objective.

    Source: Howard (1966), Information value theory: `of_all` is the expected value of perfect
    information.
    """
    improvements = np.maximum(gains(surrogate, X, n_observed, rng), 0.0)
    return ExpectedGain(
        of_next=float(improvements.mean(axis=0).max()),
        of_all=float(improvements.max(axis=1).mean()),
    )
