"""The point of highest acquisition in a space of numbers, categories and conditions.

Symbols:
    U   points in the unit cube, (n, d), nan where a parameter is inactive
    u   one of them, (d,)
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from chromasonic.bayesopt.space.encoded import EncodedSpace

Array = NDArray[np.float64]

Ascent = Callable[[Array], Array]
"""Moves points, (n, d), uphill in their continuous columns."""

# A space with no more points than this is searched through and through.
_FEW_POINTS = 1500


class Score(Protocol):
    """A function to maximise over the unit cube."""

    def __call__(self, U: Array, /) -> Array:
        """The score of each point, (n, d): shape (n,)."""


class SmoothScore(Score, Protocol):
    """A score with gradients."""

    def with_gradient(self, U: Array, /) -> tuple[Array, Array]:
        """Scores, (n,), and their gradients by the columns, (n, d)."""


@dataclass(frozen=True)
class Effort:
    """Effort of the search for the maximum.

    Attributes:
        n_random: Points drawn from the whole space.
        n_local: Points drawn around the best observed ones.
        widths: Standard deviation of moves, one round of hill climbing each.
        n_climbers: Points that climb at once.
        n_moves: Random moves of each climber in a round.
        n_ascents: Points moved along the gradient at the end.
        ascent_steps: Iterations of that.
    """

    n_random: int = 200
    n_local: int = 200
    widths: tuple[float, ...] = (0.1, 0.03)
    n_climbers: int = 5
    n_moves: int = 20
    n_ascents: int = 3
    ascent_steps: int = 12


def best_point(
    encoded: EncodedSpace,
    score: Score,
    anchors: Array,
    taken: Set[bytes],
    rng: np.random.Generator,
    effort: Effort | None = None,
    ascend: Ascent | None = None,
) -> Array | None:
    """The point of highest score that is not taken, shape (d,); None if all are.

    Random points, moves of good ones, a few rounds of hill climbing, then the gradient.

    Args:
        encoded: The space.
        score: What to maximise.
        anchors: Good points to look around, (a, d); may be empty.
        taken: Keys of points that must not come back.
        rng: Draws the candidates.
        effort: How many of them.
        ascend: Improves points at the end.
    """
    effort = effort or Effort()
    if encoded.n_points is not None and encoded.n_points <= _FEW_POINTS:
        everything = encoded.all_points()
        return _first(_Ranked.of(everything, score, encoded, taken, 1))
    pool = encoded.random(effort.n_random, rng)
    if len(anchors):
        pool = np.vstack([pool, _around(encoded, anchors, effort.n_local, rng)])
    top = _Ranked.of(pool, score, encoded, taken, effort.n_climbers)
    discrete = not encoded.continuous.all()
    for width in effort.widths:
        if not len(top.U):
            break
        starts = np.repeat(top.U, effort.n_moves, axis=0)
        moves = [encoded.perturb(starts, width * rng.exponential(size=len(starts)), rng)]
        if discrete:
            moves += [encoded.neighbours(u) for u in top.U]
        climbed = _Ranked.of(np.vstack(moves), score, encoded, taken, effort.n_climbers)
        top = top.merge(climbed, encoded, effort.n_climbers)
    if ascend is not None and len(top.U) and encoded.continuous.any():
        higher = encoded.snap(encoded.fill_inactive(ascend(top.U[: effort.n_ascents])))
        top = top.merge(_Ranked.of(higher, score, encoded, taken, 1), encoded, 1)
    return _first(top) if len(top.U) else _untaken(encoded, score, taken)


def gradient_ascent(score: SmoothScore, encoded: EncodedSpace, n_steps: int) -> Ascent:
    """Moves all points at once by L-BFGS-B on the sum of their scores."""
    columns = np.flatnonzero(encoded.continuous)

    def ascend(U: Array) -> Array:
        moved = U.copy()
        shape = (len(U), len(columns))
        absent = np.isnan(U[:, columns])

        def loss(flat: Array) -> tuple[float, Array]:
            moved[:, columns] = np.where(absent, np.nan, flat.reshape(shape))
            values, gradients = score.with_gradient(moved)
            slope = np.where(absent, 0.0, gradients[:, columns])
            return -float(values.sum()), -slope.ravel()

        start = np.where(absent, 0.5, U[:, columns]).ravel()
        end = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(start),
            options={"maxiter": n_steps},
        )
        moved[:, columns] = np.where(absent, np.nan, np.clip(end.x, 0.0, 1.0).reshape(shape))
        return moved

    return ascend


def farthest_point(
    encoded: EncodedSpace,
    distance: Score,
    taken: Set[bytes],
    rng: np.random.Generator,
) -> Array | None:
    """A point far from all known ones, shape (d,); None if all are taken.

    Args:
        encoded: The space.
        distance: How far each point is from the nearest known one.
        taken: Keys of points that must not come back.
        rng: Draws the candidates.
    """
    return best_point(
        encoded, distance, np.empty((0, encoded.d)), taken, rng, Effort(n_random=400, widths=())
    )


@dataclass(frozen=True)
class _Ranked:
    """Distinct points, the best first."""

    U: Array
    values: Array

    @classmethod
    def of(
        cls, U: Array, score: Score, encoded: EncodedSpace, taken: Set[bytes], at_most: int
    ) -> "_Ranked":
        if not len(U):
            return cls(U, np.empty(0))
        values = score(U)
        values = np.where(np.isnan(values), -np.inf, values)
        return cls._select(U, values, encoded, set(taken), at_most)

    def merge(self, other: "_Ranked", encoded: EncodedSpace, at_most: int) -> "_Ranked":
        """The best of both."""
        U, values = np.vstack([self.U, other.U]), np.concatenate([self.values, other.values])
        return self._select(U, values, encoded, set(), at_most)

    @classmethod
    def _select(
        cls, U: Array, values: Array, encoded: EncodedSpace, seen: set[bytes], at_most: int
    ) -> "_Ranked":
        order = np.argsort(-values, kind="stable")
        chosen: list[int] = []
        # Keys are made in small batches, since the first few are mostly enough.
        for start in range(0, len(order), 4 * at_most):
            batch = order[start : start + 4 * at_most]
            for i, key in zip(batch, encoded.keys(U[batch]), strict=True):
                if key not in seen:
                    seen.add(key)
                    chosen.append(int(i))
                if len(chosen) == at_most:
                    return cls(U[chosen], values[chosen])
        return cls(U[chosen], values[chosen])


def _first(ranked: _Ranked) -> Array | None:
    return ranked.U[0] if len(ranked.U) else None


def _around(encoded: EncodedSpace, anchors: Array, n: int, rng: np.random.Generator) -> Array:
    """Moves of the anchors, narrow and wide, the first anchors more often."""
    which = np.minimum(rng.geometric(0.4, size=n) - 1, len(anchors) - 1)
    widths = 10.0 ** rng.uniform(-2.5, -0.3, size=n)
    return encoded.perturb(anchors[which], widths, rng)


def _untaken(encoded: EncodedSpace, score: Score, taken: Set[bytes]) -> Array | None:
    """The best of what is left when random points met only taken ones."""
    if encoded.n_points is None or encoded.n_points > 10**6:
        return None
    return _first(_Ranked.of(encoded.all_points(), score, encoded, taken, 1))
