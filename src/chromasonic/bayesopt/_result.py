"""Result of an optimization.

Symbols:
    X_observed   points evaluated, dicts
    y_observed   their values, floats in the user's units and sign
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chromasonic.bayesopt.analysis.convergence import Convergence, estimate_regret_left
from chromasonic.bayesopt.analysis.importance import ParameterImportance, parameter_importance
from chromasonic.bayesopt.analysis.stopping import StoppedBy
from chromasonic.bayesopt.observed import ObservedValues
from chromasonic.bayesopt.space import Space, Value
from chromasonic.bayesopt.surrogate import FittedSurrogate, Observation, Outcome, fit_surrogate

# A random stream of its own, beside those of proposals and of the expected gain.
_REGRET = 2


@dataclass(frozen=True)
class OptimizationResult:
    """Result of an optimization; unpacks as `X_observed, y_observed`.

    Attributes:
        X_observed: The points evaluated, in order.
        y_observed: Their values in the user's units and sign; nan and infinities as they came.
            They know the direction, so that figures of them need not be told.
        stopped_by: Why the search ended; None while it runs.
        space: How the bounds were read; `space.describe()` tells it in words.
        maximize: Whether higher is better.
        seed: Makes the same search again.
        settings: The other arguments of `Optimizer`.
    """

    X_observed: list[dict[str, Value]]
    y_observed: list[float]
    stopped_by: StoppedBy | None
    space: Space
    maximize: bool
    seed: int
    settings: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "y_observed", ObservedValues(self.y_observed, self.maximize))

    def __iter__(self) -> Iterator[list[Any]]:
        return iter((self.X_observed, self.y_observed))

    def __str__(self) -> str:
        return "\n".join(
            [
                *self.space.describe(),
                f"evaluations: {len(self.y_observed)}, stopped by: {self.stopped_by}",
                f"best value: {self.best_value!r}, at {self.best_params!r}",
            ]
        )

    @property
    def best_index(self) -> int | None:
        """Index of the best value, the first of equals; None without a finite one."""
        losses = np.array(losses_of(self.y_observed, self.maximize))
        return int(np.nanargmin(losses)) if np.isfinite(losses).any() else None

    @property
    def best_params(self) -> dict[str, Value] | None:
        """The point with the best value; None without a finite one."""
        return None if self.best_index is None else dict(self.X_observed[self.best_index])

    @property
    def best_value(self) -> float:
        """The best value in the user's sign; nan without a finite one."""
        return math.nan if self.best_index is None else self.y_observed[self.best_index]

    @cached_property
    def surrogate(self) -> FittedSurrogate:
        """The model of the objective, in its units and sign, fitted when first asked for.

        Raises:
            ValueError: If nothing was evaluated.
        """
        return self._loss_surrogate.negate() if self.maximize else self._loss_surrogate

    @cached_property
    def convergence(self) -> Convergence:
        """The figures of the search's course, the regret left as the surrogate expects it."""
        losses = losses_of(self.y_observed, self.maximize)
        observed = [
            x for x, loss in zip(self.X_observed, losses, strict=True) if math.isfinite(loss)
        ]
        regret = None
        if observed:
            rng = np.random.default_rng((self.seed, len(losses), _REGRET))
            regret = estimate_regret_left(self._loss_surrogate, self.space, observed, rng)
        return Convergence.of(self.y_observed, maximize=self.maximize, regret_left=regret)

    @cached_property
    def importance(self) -> list[ParameterImportance] | None:
        """Importance of each parameter, the largest first; None if there is not enough data."""
        return parameter_importance(
            self.space, self.X_observed, self.y_observed, maximize=self.maximize, seed=self.seed
        )

    @cached_property
    def _loss_surrogate(self) -> FittedSurrogate:
        losses = losses_of(self.y_observed, self.maximize)
        observations = [
            Observation(
                number, params, Outcome.COMPLETED if math.isfinite(loss) else Outcome.FAILED, loss
            )
            for number, (params, loss) in enumerate(zip(self.X_observed, losses, strict=True))
        ]
        return fit_surrogate(self.space, observations, self.settings["kernel"])


def losses_of(y: Sequence[float], maximize: bool) -> list[float]:
    """The values as they are minimised; nan where they are not finite."""
    return [(-v if maximize else v) if math.isfinite(v) else math.nan for v in y]
