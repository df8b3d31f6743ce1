"""Training targets of the surrogate: robust, standardized, none of them missing.

Bad values are cut off (`winsorize_and_standardize`), and trials that were stopped early are given
the final value that their learning curve foretells (`estimate_final_values`).

Symbols:
    y   values as observed, smaller is better, (n,)
    z   winsorized and standardized values, mean 0 and variance 1, (n,)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.surrogate.observations import Observation, Outcome

Array = NDArray[np.float64]

# An estimated value is never as sure as a measured one, and never less sure than all of them.
_ESTIMATE_NOISE = (0.05, 1.0)
# Where bad values are cut off, in half widths of the good side beyond the median.
_CEILING = 2.5
# A value this many times as large as the good ones is one that exploded: where to look next, and
# where all values are to be seen.
_EXPLODED, _EXPLODED_WHOLE = 1e4, 1e8


@dataclass(frozen=True)
class Outcomes:
    """Winsorized and standardized objective values.

    Attributes:
        z: Standardised values, shape (n,); what was not finite has the worst.
        shift: Objective value at z = 0.
        spread: Objective units in one unit of z.
    """

    z: Array
    shift: float
    spread: float


def winsorize_and_standardize(y: Array, winsorize: bool = True) -> Outcomes:
    """The values with the bad side cut off, standardised.

    Losses above a ceiling differ in ways that do not matter; how good the good ones are is what
    the model must get right. What is not finite counts as bad as the worst that is.

    Args:
        y: Shape (n,); inf and nan allowed.
        winsorize: Whether to cut off the bad side; without it only values that exploded are.
    """
    usable = np.isfinite(y)
    if not usable.any():
        return Outcomes(np.zeros_like(y), 0.0, 1.0)
    # Differences and squares of the largest floats would overflow.
    clipped = np.clip(np.where(usable, y, np.inf), -1e150, 1e150)
    ordered = np.sort(clipped[usable])
    ordered = ordered[ordered <= _largest_sane(ordered, winsorize)]
    z = np.minimum(clipped, _ceiling(ordered) if winsorize else ordered[-1])
    shift, spread = float(z.mean()), float(z.std())
    if not spread > 1e-12 * max(abs(shift), 1e-300):
        return Outcomes(np.zeros_like(y), shift, 1.0)
    return Outcomes((z - shift) / spread, shift, spread)


def _largest_sane(ordered: Array, winsorize: bool) -> float:
    """Values above have nothing to do with the good ones; `ordered` is ascending."""
    best, good = ordered[0], ordered[min(max(2, len(ordered) // 10), len(ordered) - 1)]
    ratio = _EXPLODED if winsorize else _EXPLODED_WHOLE
    return float(best + ratio * max(abs(best), abs(good), good - best))


def _ceiling(ordered: Array) -> float:
    """From where on bad values are all the same; `ordered` is ascending."""
    n = len(ordered)
    low, quarter, median, upper, high = ordered[[0, n // 4, n // 2, (3 * n) // 4, n - 1]]
    half_width = max(median - quarter, (median - low) / 3.0, (upper - median) / 10.0)
    # Where most values are equal, the others must not become so too.
    if not half_width > 0:
        half_width = (high - median) / 10.0
    return float(min(median + _CEILING * half_width, high))


@dataclass(frozen=True)
class Targets:
    """Observations in numbers, in the order of their proposals.

    Attributes:
        z: Standardised values, pruned and failed ones estimated, shape (n,).
        extra_noise: Variance of these estimates, shape (n,).
        measured: Which have a value of their own, shape (n,).
        shift: Objective value at z = 0.
        spread: Objective units in one unit of z.
    """

    z: Array
    extra_noise: Array
    measured: NDArray[np.bool_]
    shift: float
    spread: float


TargetsUntil = Callable[[int], Targets]
"""From a number of observations to the targets that the first so many of them make."""


def targets_of(observations: Sequence[Observation], winsorize: bool = True) -> Targets:
    """Training targets of the surrogate; a failure is as bad as the worst value.

    Args:
        observations: In the order of proposals.
        winsorize: Whether how bad the bad ones are is left out.
    """
    measured = np.array([o.succeeded for o in observations], dtype=bool)
    pruned = np.array([o.outcome is Outcome.PRUNED for o in observations], dtype=bool)
    y = np.array([o.value if o.succeeded else np.nan for o in observations], dtype=float)
    extra_noise = np.zeros(len(observations))
    if pruned.any():
        stopped = [o for o in observations if o.outcome is Outcome.PRUNED]
        finished = [o for o in observations if o.succeeded]
        y[pruned], extra_noise[pruned] = estimate_final_values(stopped, finished)
    found = winsorize_and_standardize(y, winsorize)
    extra_noise[pruned] = np.clip(extra_noise[pruned] / found.spread**2, *_ESTIMATE_NOISE)
    extra_noise[np.isnan(extra_noise)] = _ESTIMATE_NOISE[1]
    return Targets(found.z, extra_noise, measured, found.shift, found.spread)


# Prior of the regression: the slope, relative to the spread of final values over that of early
# losses, and the number of finished trials that it is worth.
_PRIOR_SLOPE = 0.5
_PRIOR_TRIALS = 3.0


def estimate_final_values(
    pruned: Sequence[Observation], finished: Sequence[Observation]
) -> tuple[Array, Array]:
    """Expected value of each pruned trial, and the variance of that, in units of the objective.

    Args:
        pruned: Trials stopped early.
        finished: Trials with a finite value; may be none.

    Returns:
        Estimates, never better than the best finished value, and variances, each
        (len(pruned),); nan where nothing can be said.
    """
    estimates, variances = np.full(len(pruned), np.nan), np.full(len(pruned), np.nan)
    # As long as nothing has finished, only losses at the same epoch can be compared.
    common = min((_last_epoch(trial) for trial in pruned), default=-1)
    epochs = [_last_epoch(trial) if finished else common for trial in pruned]
    for epoch in set(epochs):
        members = [i for i, last in enumerate(epochs) if last == epoch]
        found = _at_epoch(epoch, [pruned[i] for i in members], finished)
        estimates[members], variances[members] = found
    best = min((trial.value for trial in finished), default=-np.inf)
    return np.maximum(estimates, best), variances


def best_until(trial: Observation, epoch: int) -> float:
    """The lowest loss up to an epoch; inf where there is none or it is nan."""
    losses = [loss for at, loss in trial.curve.items() if at <= epoch and loss == loss]
    return min(losses, default=float("inf"))


def _last_epoch(trial: Observation) -> int:
    return max(trial.curve, default=-1)


def _at_epoch(
    epoch: int, pruned: Sequence[Observation], finished: Sequence[Observation]
) -> tuple[Array, Array]:
    """Estimates and variances of trials that were stopped at the same epoch.

    With n finished trials, S_xx = sum (x - mean x)^2, S_yy and S_xy alike, s^2 the variance of all
    early losses and one = (S_xx + s^2) / n,

        r = sqrt((S_yy + one) / (S_xx + one))
        slope = max((S_xy + b r c one) / (S_xx + c one), 0)
        estimate = mean y + slope (x - mean x)
        variance = (sum of squared residuals + b r^2 c one) / (n + c)

    with b = `_PRIOR_SLOPE` and c = `_PRIOR_TRIALS`: a regression whose prior is worth c trials.
    """
    compared = [trial for trial in finished if trial.curve]
    if epoch < 0 or (finished and not compared):
        return _mean_of_finished(len(pruned), finished)
    losses = np.array([best_until(trial, epoch) for trial in [*compared, *pruned]])
    known = winsorize_and_standardize(losses)
    early = known.shift + known.spread * known.z
    own = early[len(compared) :]
    if not compared:
        return own, np.full(len(pruned), 0.25 * known.spread**2)
    x, y = early[: len(compared)], np.array([trial.value for trial in compared])
    dx, dy = x - x.mean(), y - y.mean()
    S_xx = float(np.sum(dx**2))
    # The variance of all losses stands for one more finished trial: those that finished are alike.
    one = (S_xx + known.spread**2) / len(y)
    r = np.sqrt((float(np.sum(dy**2)) + one) / (S_xx + one))
    prior = _PRIOR_SLOPE * r * _PRIOR_TRIALS * one
    slope = max((float(dx @ dy) + prior) / (S_xx + _PRIOR_TRIALS * one), 0.0)
    residuals = dy - slope * dx
    variance = (float(residuals @ residuals) + prior * r) / (len(y) + _PRIOR_TRIALS)
    return y.mean() + slope * (own - x.mean()), np.full(len(pruned), variance)


def _mean_of_finished(n: int, finished: Sequence[Observation]) -> tuple[Array, Array]:
    """Fallback without comparable trials: mean and variance of the finished ones."""
    if not finished:
        return np.full(n, np.nan), np.full(n, np.nan)
    ends = np.array([trial.value for trial in finished])
    return np.full(n, ends.mean()), np.full(n, ends.var())
