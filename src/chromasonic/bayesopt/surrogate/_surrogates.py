"""Surrogates of the objective, of failures and of constraints.

Each is a surrogate of its own. How likely a point is not to fail, and to keep each constraint, is
multiplied into what it is worth. A failure also counts as a bad value: without that, the search
keeps asking for points just beyond the border where an objective improves towards its failures.

Source: Gardner et al. (2014), Bayesian optimization with inequality constraints, equation 4.
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt.acquisition.functions import AcquisitionFunction
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.posterior import Posterior
from chromasonic.bayesopt.space import Space
from chromasonic.bayesopt.surrogate._surrogate import FittedSurrogate, SurrogateModel
from chromasonic.bayesopt.surrogate.observations import Observation
from chromasonic.bayesopt.surrogate.targets import (
    Targets,
    targets_of,
    winsorize_and_standardize,
)

Array = NDArray[np.float64]

_Limited = tuple[Posterior, float]
"""A posterior, and the value up to which it is kept."""


@own_arithmetic()
def fit_surrogate(
    space: Space, observations: Sequence[Observation], kernel: str = "matern52"
) -> FittedSurrogate:
    """The surrogate of the objective that an optimizer over the space has after these.

    Args:
        space: The search space.
        observations: In the order of proposals.
        kernel: 'matern52', 'matern32', 'matern12' or 'rbf'.

    Raises:
        SpaceError: If an observation is not a point of the space.
        ValueError: If no observation has a finite value, or there is no such kernel.
    """
    known = space.encode([o.params for o in observations])
    return Surrogates(Features(space), kernel).surrogate(observations, known)


@final
class Surrogates:
    """Surrogates of the objective, of failures and of constraints in one space.

    Fitted hyperparameters are kept between calls as a cache.

    Args:
        features: From points of the cube to the features that kernels compare.
        kernel: Name of the kernel.
    """

    def __init__(self, features: Features, kernel: str) -> None:
        self._features = features
        self._kernel = kernel
        self._models: dict[str, SurrogateModel] = {}

    def surrogate(self, observations: Sequence[Observation], known: Array) -> FittedSurrogate:
        """The surrogate of the objective, in units of the observed values.

        Args:
            observations: What is known.
            known: Their places in the cube, shape (n, d).

        Raises:
            ValueError: If no observation has a value.
        """
        if not any(o.succeeded for o in observations):
            raise ValueError("a surrogate needs at least one finite value. Tell one first.")
        # A search need not know how bad the bad points are; a reader of predictions does.
        targets = cache(lambda n: targets_of(observations[:n], winsorize=False))
        posterior = self._model("not winsorized").posterior(self._features(known), targets)
        whole = targets(len(observations))
        return FittedSurrogate(self._features, posterior, whole.shift, whole.spread)

    def acquisition_function(
        self,
        observations: Sequence[Observation],
        known: Array,
        pending: Array,
        acquisition: str,
        xi: float,
        kappa: float,
    ) -> AcquisitionFunction | None:
        """The acquisition function; None where all observed values are equal.

        Args:
            observations: What is known.
            known: Their places in the cube, shape (n, d).
            pending: Places of points under evaluation, shape (p, d).
            acquisition: Name of it.
            xi: In units of the objective.
            kappa: In standard deviations.
        """
        limits = tuple(self._limits(observations, known))
        until = cache(lambda n: targets_of(observations[:n]))
        targets = until(len(observations))
        feasible = targets.measured & np.array([_feasible(o) for o in observations], dtype=bool)
        constrained = any(o.constraints for o in observations)
        if not _differ(targets.z) or (constrained and not feasible.any()):
            return (
                AcquisitionFunction(self._features, None, 0.0, constraints=limits)
                if limits
                else None
            )
        Z_pending = self._features(pending)
        posterior = self._model("objective").posterior(self._features(known), until, Z_pending)
        # The lowest value told, not the lowest expected: under noise the latter stays where it is.
        best = float(targets.z[feasible].min() if feasible.any() else targets.z.min())
        if len(pending):
            best = min(best, float(posterior.mean(Z_pending).min()))
        return AcquisitionFunction(
            self._features, posterior, best, acquisition, xi / targets.spread, kappa, limits
        )

    def anchors(self, observations: Sequence[Observation], known: Array, count: int) -> Array:
        """The places of the best observations, the best first, shape (at most count, d)."""
        targets = targets_of(observations)
        feasible = np.array([_feasible(o) for o in observations], dtype=bool)
        order = np.lexsort((targets.z + targets.extra_noise, ~feasible))
        return known[order[:count]]

    def _limits(self, observations: Sequence[Observation], known: Array) -> list[_Limited]:
        """Posteriors of failure and of each constraint whose values differ."""
        failed = np.array([o.failed for o in observations], dtype=bool)
        limits = [self._limit("failure", known, np.where(failed, 1.0, -1.0))]
        for i in range(max((len(o.constraints) for o in observations), default=0)):
            having = [j for j, o in enumerate(observations) if len(o.constraints) > i]
            values = np.array([observations[j].constraints[i] for j in having])
            limits.append(self._limit(f"constraint {i}", known[having], values))
        return [limit for limit in limits if limit is not None]

    def _limit(self, name: str, U: Array, values: Array) -> _Limited | None:
        targets = cache(partial(_plain_targets, values))
        found = targets(len(values))
        if not _differ(found.z):
            return None
        posterior = self._model(name).posterior(self._features(U), targets)
        return posterior, -found.shift / found.spread

    def _model(self, name: str) -> SurrogateModel:
        return self._models.setdefault(name, SurrogateModel(self._features, self._kernel))


def _feasible(observation: Observation) -> bool:
    return all(value <= 0 for value in observation.constraints)


def _differ(values: Array) -> bool:
    return len(values) > 0 and bool(values.min() < values.max())


def _plain_targets(values: Array, n: int) -> Targets:
    found = winsorize_and_standardize(values[:n], winsorize=False)
    measured = np.isfinite(values[:n])
    return Targets(found.z, np.zeros(n), measured, found.shift, found.spread)
