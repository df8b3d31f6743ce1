"""Convergence of one run, and on average over several.

Evaluations are counted from 1. Values that are not finite are evaluations without improvement.

Symbols:
    y   values in the order of evaluation, shape (n,), in the user's units and sign
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from chromasonic.bayesopt.acquisition.functions import Vector
from chromasonic.bayesopt.analysis.interval import CONFIDENCE, Interval, student_interval
from chromasonic.bayesopt.analysis.stopping import JointSurrogate, candidates, gains
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.bayesopt.observed import is_maximized
from chromasonic.bayesopt.space import Params, Space
from chromasonic.bayesopt.space.encoded import EncodedSpace

TOLERANCE = 0.01


@dataclass(frozen=True)
class Convergence:
    """The course of one run.

    Attributes:
        best_so_far: Best value up to each evaluation, nan before the first finite one, (n,).
        best_iteration: The evaluation that found the best value; None without a finite one.
        iterations_to_convergence: The evaluation from which the best so far stays within
            `tolerance` of the total improvement from the final best; None without a finite one.
        improvement_per_iteration: Total improvement, from the first finite value to the best,
            divided by the evaluations between them; 0 if the first is the best.
        improvement_rate: Share of the distance to the final best that an evaluation closes on
            average until convergence (the same share each time closes all but `tolerance`);
            0 if the first is the best.
        regret_left: How far the best value known still is from the best there is, as the model
            expects it; None where no model was asked. Never negative.
        tolerance: As a share of the total improvement.
    """

    best_so_far: Vector = field(compare=False)
    best_iteration: int | None
    iterations_to_convergence: int | None
    improvement_per_iteration: float
    improvement_rate: float
    regret_left: Interval | None = None
    tolerance: float = TOLERANCE

    @classmethod
    @own_error_state()
    def of(
        cls,
        y: ArrayLike,
        *,
        maximize: bool | None = None,
        tolerance: float = TOLERANCE,
        regret_left: Interval | None = None,
    ) -> Self:
        """The course of a run.

        Args:
            y: Values in the order of evaluation; nan and infinities allowed.
            maximize: Whether higher is better; None: as `y` says if it comes from a result, else
                False.
            tolerance: What counts as converged, a share of the total improvement in (0, 1).
            regret_left: What `estimate_regret_left` found, to be kept with the rest.

        Raises:
            ValueError: If the tolerance is out of range.
        """
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance must lie between 0 and 1, but got {tolerance!r}.")
        best = best_so_far(y, maximize=is_maximized(y, maximize))
        known = np.flatnonzero(np.isfinite(best))
        if not len(known):
            return cls(best, None, None, 0.0, 0.0, regret_left, tolerance)
        first = int(known[0])
        distance = np.abs(best[first:] - best[-1])
        total = float(distance[0])
        found = int(np.argmax(distance == 0))
        # An array ends with distance 0, so that the first hit begins what stays close.
        converged = int(np.argmax(distance <= tolerance * total))
        return cls(
            best_so_far=best,
            best_iteration=first + found + 1,
            iterations_to_convergence=first + converged + 1,
            improvement_per_iteration=total / found if found else 0.0,
            improvement_rate=1 - tolerance ** (1 / converged) if converged else 0.0,
            regret_left=regret_left,
            tolerance=tolerance,
        )

    @property
    def improvements(self) -> Vector:
        """Improvement of the best so far by each evaluation, shape (n,), 0 or more."""
        steps = np.abs(np.diff(self.best_so_far, prepend=self.best_so_far[:1]))
        return np.nan_to_num(steps)


@dataclass(frozen=True)
class AverageConvergence:
    """The course of repeated runs, each figure as a mean with its interval.

    Attributes:
        n_runs: How many.
        best_value: The final best.
        best_iteration: The evaluation that found it.
        iterations_to_convergence: The evaluation from which the best stayed close to it.
        improvement_per_iteration: In units of the objective.
        improvement_rate: Share of the distance to the final best closed by an evaluation.
        regret_left: Mean of what the models expected; None unless all runs have it.
        best_so_far: Mean of the best so far after each evaluation, with the ends of its
            interval, shape (3, n); a run that ended early keeps its last value.
    """

    n_runs: int
    best_value: Interval
    best_iteration: Interval
    iterations_to_convergence: Interval
    improvement_per_iteration: Interval
    improvement_rate: Interval
    regret_left: Interval | None
    best_so_far: Vector = field(compare=False)

    @classmethod
    @own_error_state()
    def of(cls, runs: Sequence[Convergence]) -> Self:
        """The average of at least one run; those without a finite value are left out of it.

        Raises:
            ValueError: If there is no run.
        """
        if not runs:
            raise ValueError("an average needs at least one run, but got none.")
        length = max(len(run.best_so_far) for run in runs)
        curves = np.array([_extend_to(run.best_so_far, length) for run in runs])
        regrets = [run.regret_left.estimate for run in runs if run.regret_left is not None]
        points = [student_interval(column) for column in curves.T]
        return cls(
            n_runs=len(runs),
            best_value=student_interval(curves[:, -1] if length else []),
            best_iteration=_mean_of([run.best_iteration for run in runs]),
            iterations_to_convergence=_mean_of([run.iterations_to_convergence for run in runs]),
            improvement_per_iteration=student_interval(
                [run.improvement_per_iteration for run in runs]
            ),
            improvement_rate=student_interval([run.improvement_rate for run in runs]),
            regret_left=student_interval(regrets) if len(regrets) == len(runs) else None,
            best_so_far=np.array([[p.estimate, p.low, p.high] for p in points]).reshape(-1, 3).T,
        )


@own_error_state()
def best_so_far(y: ArrayLike, *, maximize: bool = False) -> Vector:
    """The best value up to each evaluation, nan before the first finite one.

    Args:
        y: Values in the order of evaluation, along the last axis; nan and infinities allowed.
        maximize: Whether higher is better.
    """
    values = np.asarray(y, dtype=float)
    worst = -np.inf if maximize else np.inf
    accumulate = np.maximum.accumulate if maximize else np.minimum.accumulate
    best = accumulate(np.where(np.isfinite(values), values, worst), axis=-1)
    return np.where(np.isfinite(best), best, np.nan)


@own_error_state()
def estimate_regret_left(
    surrogate: JointSurrogate, space: Space, observed: Sequence[Params], rng: np.random.Generator
) -> Interval:
    """Expected regret of the best known point, if the model is right.

    In draws of the noiseless objective from the surrogate, the value of the point with the
    lowest mean among those observed, less the minimum over the space: mean, and 2.5 % and
    97.5 % quantiles.

    Args:
        surrogate: A fitted model of the losses, smaller is better.
        space: Where the minimum is looked for.
        observed: Points with a finite value, at least one.
        rng: Draws the objective, and the points at which it is looked at.

    Raises:
        ValueError: If nothing was observed.
    """
    if not observed:
        raise ValueError("an estimate of the regret needs at least one point with a value.")
    X_observed = space.encode(observed)
    X = candidates(EncodedSpace(space), surrogate, X_observed, rng)
    regrets = gains(surrogate, X, len(X_observed), rng).max(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(regrets, [tail, 1 - tail])
    return Interval(float(regrets.mean()), float(low), float(high))


def _extend_to(curve: Vector, length: int) -> Vector:
    if not len(curve):
        return np.full(length, np.nan)
    return np.concatenate([curve, np.full(length - len(curve), curve[-1])])


def _mean_of(counts: Sequence[int | None]) -> Interval:
    return student_interval([np.nan if count is None else count for count in counts])
