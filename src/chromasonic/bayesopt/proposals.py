"""Proposals as a pure function of space, observations, running points, seed and number.

Nothing but these decides, so that a search that was interrupted goes on as if it had not been.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from chromasonic.bayesopt._initial_design import design_named
from chromasonic.bayesopt.acquisition.functions import acquisition_named
from chromasonic.bayesopt.acquisition.maximize import (
    Effort,
    best_point,
    farthest_point,
    gradient_ascent,
)
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.gp.features import Features
from chromasonic.bayesopt.gp.kernels import kernel_named
from chromasonic.bayesopt.space import Params, Space, Value
from chromasonic.bayesopt.space.encoded import EncodedSpace
from chromasonic.bayesopt.surrogate import FittedSurrogate, Observation, Surrogates
from chromasonic.errors import SpaceError

Array = NDArray[np.float64]

USUAL_COUNT = 5
"""Number of points before the surrogate is used, where the space has no branches."""

_N_ANCHORS = 5
_LOOKS_PER_BRANCH = 2


@dataclass(frozen=True)
class Strategy:
    """Settings of the proposals.

    Attributes:
        n_initial: Points proposed before the surrogate is used, `initial_points` included; None:
            5, or 1 and two for each branch of the space if that is more.
        initial_design: 'latin_hypercube', 'sobol' or 'random'; all but the last begin with the
            middle of the space.
        acquisition: 'log_ei', 'ei', 'pi', 'ucb' or 'lcb'.
        xi: How far below the best a value must fall to count, in units of the objective.
        kappa: Standard deviations below the mean, for 'ucb' and 'lcb'.
        kernel: 'matern52', 'matern32', 'matern12' or 'rbf'.
        initial_points: Proposed first.
    """

    n_initial: int | None = None
    initial_design: str = "latin_hypercube"
    acquisition: str = "log_ei"
    xi: float = 0.0
    kappa: float = 2.0
    kernel: str = "matern52"
    initial_points: tuple[Params, ...] = ()

    def __post_init__(self) -> None:
        if self.n_initial is not None and self.n_initial < 1:
            raise ValueError(f"n_initial must be at least 1, but got {self.n_initial!r}.")
        design_named(self.initial_design)
        acquisition_named(self.acquisition)
        kernel_named(self.kernel)
        if not (np.isfinite(self.xi) and np.isfinite(self.kappa) and self.kappa >= 0):
            raise ValueError(
                "xi and kappa must be finite and kappa not negative, but got "
                f"xi={self.xi!r} and kappa={self.kappa!r}."
            )


@final
class Proposer:
    """Makes proposals in one space; designs and encodings are kept between calls as a cache.

    Args:
        space: The search space.
        strategy: How to choose.
        seed: Of the design and of every search for the best acquisition.
        start: Initial point number i in the cube, shape (d,), instead of that of the strategy's
            design.

    Raises:
        SpaceError: If an initial point is not one of the space.
        ValueError: If the seed is negative.
    """

    def __init__(
        self,
        space: Space,
        strategy: Strategy,
        seed: int,
        start: Callable[[int], Array] | None = None,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must be a whole number from 0 on, but got {seed!r}.")
        for params in strategy.initial_points:
            space.validate(params)
        self._space = space
        self._strategy = strategy
        self._seed = seed
        self._n_initial = strategy.n_initial or _usual_count(space)
        self._encoded = EncodedSpace(space)
        self._features = Features(space)
        self._surrogates = Surrogates(self._features, strategy.kernel)
        self._rows: dict[int, tuple[Params, Array]] = {}
        self._start = start or self._design_point
        self._design: Array | None = None

    @own_arithmetic()
    def propose(
        self, observations: Sequence[Observation], running: Mapping[int, Params], number: int
    ) -> dict[str, Value]:
        """The point to evaluate as proposal `number`.

        Args:
            observations: What is known, in the order of their numbers.
            running: Points under evaluation, by number.
            number: How many proposals came before.
        """
        strategy = self._strategy
        if number < len(strategy.initial_points):
            return dict(strategy.initial_points[number])
        rng = np.random.default_rng([self._seed, number])
        known = self._encode({o.number: o.params for o in observations})
        pending = self._encode(running)
        taken = set(self._encoded.keys(np.vstack([known, pending])))
        if number < self._n_initial:
            u = self._initial(number - len(strategy.initial_points), taken, rng)
        else:
            u = self._best_by_acquisition(observations, known, pending, taken, rng)
        if u is None:
            u = self._encoded.random(1, rng)[0]
        return self._decode(u)

    def within(self, places: Mapping[str, Array]) -> "Proposer":
        """A proposer that learns from all points and proposes from these places alone.

        Args:
            places: For each parameter that is not free the places it may take, ascending.
        """
        narrowed = copy(self)
        columns = list(self._space)
        narrowed._encoded = self._encoded.within(
            {columns.index(name): open_places for name, open_places in places.items()}
        )
        return narrowed

    @own_arithmetic()
    def surrogate(self, observations: Sequence[Observation]) -> FittedSurrogate:
        """The surrogate of the objective, in units of the observed values.

        Raises:
            ValueError: If no observation has a finite value.
        """
        known = self._encode({o.number: o.params for o in observations})
        return self._surrogates.surrogate(observations, known)

    def _initial(self, index: int, taken: set[bytes], rng: np.random.Generator) -> Array | None:
        u: Array = self._encoded.snap(self._start(index)[None])[0]
        if self._encoded.keys(u[None])[0] not in taken:
            return u
        return best_point(self._encoded, partial(_anywhere, rng), u[None], taken, rng)

    def _design_point(self, index: int) -> Array:
        if self._design is None:
            self._design = self._new_design()
        point: Array = self._design[index]
        return point

    def _new_design(self) -> Array:
        strategy = self._strategy
        n = self._n_initial - len(strategy.initial_points)
        rng = np.random.default_rng(self._seed)
        draw = design_named(strategy.initial_design)
        if strategy.initial_design == "random":
            return draw(n, self._encoded.d, rng)
        return np.vstack([np.full(self._encoded.d, 0.5), draw(n - 1, self._encoded.d, rng)])

    def _best_by_acquisition(
        self,
        observations: Sequence[Observation],
        known: Array,
        pending: Array,
        taken: set[bytes],
        rng: np.random.Generator,
    ) -> Array | None:
        strategy = self._strategy
        acquisition_function = self._surrogates.acquisition_function(
            observations, known, pending, strategy.acquisition, strategy.xi, strategy.kappa
        )
        if acquisition_function is None:
            return self._far_from(np.vstack([known, pending]), taken, rng)
        effort = Effort()
        ascend = gradient_ascent(acquisition_function, self._encoded, effort.ascent_steps)
        anchors = self._surrogates.anchors(observations, known, _N_ANCHORS)
        return best_point(self._encoded, acquisition_function, anchors, taken, rng, effort, ascend)

    def _far_from(self, U: Array, taken: set[bytes], rng: np.random.Generator) -> Array | None:
        Z = self._features(U)

        def distance(candidates: Array) -> Array:
            if not len(Z):
                return _anywhere(rng, candidates)
            gaps = self._features(candidates)[:, None, :] - Z
            nearest: Array = np.einsum("ijk,ijk->ij", gaps, gaps).min(axis=1)
            return nearest

        return farthest_point(self._encoded, distance, taken, rng)

    def _encode(self, points: Mapping[int, Params]) -> Array:
        """Rows of the cube; those of a number seen before with the same values are kept."""
        rows = []
        for number, params in points.items():
            kept = self._rows.get(number)
            if kept is None or kept[0] is not params:
                kept = (params, self._space.encode([params])[0])
                self._rows[number] = kept
            rows.append(kept[1])
        return np.array(rows).reshape(len(rows), self._encoded.d)

    def _decode(self, u: Array) -> dict[str, Value]:
        try:
            return self._space.decode(u[None])[0]
        except SpaceError:
            return self._space.decode(self._encoded.fill_inactive(u[None]))[0]


def _usual_count(space: Space) -> int:
    # The model sees no reason to try a branch that was never tried, or once with bad luck.
    return max(USUAL_COUNT, 1 + _LOOKS_PER_BRANCH * space.n_branches)


def _anywhere(rng: np.random.Generator, U: Array) -> Array:
    return rng.random(len(U))
