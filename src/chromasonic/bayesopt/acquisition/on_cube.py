"""The acquisition function and its gradient on the unit cube.

Symbols:
    U     points in the unit cube, (n, d)
    mean, std   of the posterior at them, (n,)
    best  the value to improve on
    z     (best - mean) / std
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from chromasonic.bayesopt.acquisition.functions import (
    Scores,
    acquisition_named,
    log_ndtr_slope,
)
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.posterior import Posterior

Array = NDArray[np.float64]

_LEAST_STD = 1e-9


@dataclass(frozen=True)
class AcquisitionFunction:
    """The acquisition over the unit cube, to be maximised.

    Attributes:
        features: From points to what the posterior knows.
        posterior: Of the objective.
        best: What improvement is measured against, in the posterior's units.
        acquisition: 'log_ei' or 'ei' (which have the same maximum), 'pi', 'ucb' or 'lcb'.
        xi: How far below `best` a value must fall to count, for ei, log_ei and pi.
        kappa: Standard deviations below the mean, for ucb and lcb.
        constraints: Posteriors of constraints, each kept where its value is at most 0.
    """

    features: Features
    posterior: Posterior | None
    best: float
    acquisition: str = "log_ei"
    xi: float = 0.0
    kappa: float = 2.0
    constraints: tuple[tuple[Posterior, float], ...] = field(default=())

    def __call__(self, U: Array) -> Array:
        """The score of each point, shape (n,)."""
        Z = self.features(U)
        score = np.zeros(len(U))
        if self.posterior is not None:
            score += self._scores(*self.posterior.mean_and_std(Z)).score
        for posterior, limit in self.constraints:
            mean, std = posterior.mean_and_std(Z)
            score += log_ndtr((limit - mean) / np.maximum(std, _LEAST_STD))
        return score

    def with_gradient(self, U: Array) -> tuple[Array, Array]:
        """The scores, (n,), and their gradients by the numbers among the columns, (n, d)."""
        Z = self.features(U)
        score, gradient = np.zeros(len(U)), np.zeros_like(Z)
        if self.posterior is not None:
            mean, std, by_mean, by_std = self.posterior.with_gradient(Z)
            score, slope_mean, slope_std = self._scores(mean, std)
            gradient = slope_mean[:, None] * by_mean + slope_std[:, None] * by_std
        for posterior, limit in self.constraints:
            mean, std, by_mean, by_std = posterior.with_gradient(Z)
            z = (limit - mean) / std
            score = score + log_ndtr(z)
            slope = (log_ndtr_slope(z) / std)[:, None]
            gradient -= slope * (by_mean + z[:, None] * by_std)
        return score, self.features.pull_back(U, gradient)

    def _scores(self, mean: Array, std: Array) -> Scores:
        score = acquisition_named(self.acquisition)
        return score(mean, np.maximum(std, _LEAST_STD), self.best, xi=self.xi, kappa=self.kappa)
