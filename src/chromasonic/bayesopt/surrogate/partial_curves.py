"""Estimated final values of trials that were stopped early.

Its loss is compared with those of all others at the same epoch; how much such a comparison is
worth is learned from the trials that finished, from the belief that half of a difference stays.
Where early losses foretell little, as when slow starters end well, the estimate is near what
finished trials reached and its noise as wide as all values.

Symbols:
    early   lowest losses up to an epoch, those of finished trials first, bad ones cut off
    ends    values of finished trials
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.surrogate.observations import Observation
from chromasonic.bayesopt.surrogate.targets import winsorize_and_standardize

Array = NDArray[np.float64]

# What of a difference between early losses is believed to stay, and the worth of that belief in
# finished trials.
_STAYS = 0.5
_BELIEF = 3.0


def estimated_ends(
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
    compared = [trial for trial in finished if trial.curve]
    if epoch < 0 or (finished and not compared):
        return _as_the_finished(len(pruned), finished)
    losses = np.array([best_until(trial, epoch) for trial in [*compared, *pruned]])
    known = winsorize_and_standardize(losses)
    early = known.shift + known.spread * known.z
    own = early[len(compared) :]
    if not compared:
        return own, np.full(len(pruned), 0.25 * known.spread**2)
    before, ends = early[: len(compared)], np.array([trial.value for trial in compared])
    offset, centre = before.mean(), ends.mean()
    early_spread = float(np.sum((before - offset) ** 2))
    # The spread of all losses stands for one more finished trial: those that finished are alike.
    one = (early_spread + known.spread**2) / len(ends)
    # Ends may differ less than early losses do: by how much is learned, from equality.
    shrinks = np.sqrt((float(np.sum((ends - centre) ** 2)) + one) / (early_spread + one))
    stays = _STAYS * shrinks * _BELIEF * one
    slope = float((before - offset) @ (ends - centre)) + stays
    slope = max(slope / (early_spread + _BELIEF * one), 0.0)
    residuals = ends - centre - slope * (before - offset)
    variance = (float(residuals @ residuals) + stays * shrinks) / (len(ends) + _BELIEF)
    return centre + slope * (own - offset), np.full(len(pruned), variance)


def _as_the_finished(n: int, finished: Sequence[Observation]) -> tuple[Array, Array]:
    """Fallback without comparable trials: mean and variance of the finished ones."""
    if not finished:
        return np.full(n, np.nan), np.full(n, np.nan)
    ends = np.array([trial.value for trial in finished])
    return np.full(n, ends.mean()), np.full(n, ends.var())
