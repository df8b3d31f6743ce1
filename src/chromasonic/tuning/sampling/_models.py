"""Models of one study: a space, the observations in it, and proposals."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from chromasonic.bayesopt.proposals import USUAL_COUNT, Proposer, Strategy
from chromasonic.bayesopt.space import Value
from chromasonic.bayesopt.surrogate.observations import Observation
from chromasonic.tuning.sampling._axes import Axis, MovingAxis, axis_of
from chromasonic.tuning.sampling._conditions import Conditions, find_conditions
from chromasonic.tuning.sampling._history import Snapshot, TrialData
from chromasonic.tuning.sampling._ranges import widest
from chromasonic.tuning.sampling._spread import even_point
from chromasonic.tuning.sampling._translation import InferredSpace, KnownSpace, Translation

# Spaces of one study: now and then one parameter is asked for in another range.
_MOST_MODELS = 4


@final
class SpaceModel:
    """One space of a study with its proposer; what is kept between calls is a cache.

    Args:
        translation: Between trials and points of the space.
        constraints: Names of all constraints that were set.
        strategy: How to choose.
        seed: Of all proposals.
        start: The first proposals, as `Proposer` has it.
    """

    def __init__(
        self,
        translation: Translation,
        constraints: tuple[str, ...],
        strategy: Strategy,
        seed: int,
        start: Callable[[int], NDArray[np.float64]] | None = None,
    ) -> None:
        self._translation = translation
        self._constraints = constraints
        self._proposer = Proposer(translation.space, strategy, seed, start)
        self._observations: dict[int, Observation | None] = {}

    def propose(
        self,
        known: Snapshot,
        fixed: Mapping[str, Any],
        asked: Mapping[str, BaseDistribution],
        number: int,
    ) -> dict[str, Any]:
        """Values for the trial of that number.

        Args:
            known: What is known to it.
            fixed: Values that it has already, or must have.
            asked: What it asks for.
            number: The trial's number.
        """
        points = {told.number: self._point(told) for told in known.running}
        running = {n: params for n, params in points.items() if params is not None}
        places = self._translation.places(fixed, asked)
        proposer = self._proposer.within(places) if places else self._proposer
        params = proposer.propose(self._observed(known), running, number)
        return self._translation.values_of(params, asked)

    def _observed(self, known: Snapshot) -> list[Observation]:
        """The trials that lie in the space; the same objects each time."""
        for told in known.ended:
            if told.number not in self._observations:
                self._observations[told.number] = self._observation(told)
        found = (self._observations[told.number] for told in known.ended)
        return [observation for observation in found if observation is not None]

    def _observation(self, told: TrialData) -> Observation | None:
        params = self._point(told)
        if params is None or told.outcome is None:
            return None
        # Of a trial that set some, another one counts as just kept.
        constraints = [told.constraints.get(n, 0.0) for n in self._constraints if told.constraints]
        return Observation(
            told.number, params, told.outcome, told.value, told.curve, tuple(constraints)
        )

    def _point(self, told: TrialData) -> dict[str, Value] | None:
        return self._translation.params_of(told.internal, told.asked)


@final
class SpaceModels:
    """The models of one study for the spaces that were needed last.

    Args:
        given: What is searched; None to find it in the history.
        strategy: How to choose.
        seed: Of all proposals.
    """

    def __init__(self, given: KnownSpace | None, strategy: Strategy, seed: int) -> None:
        self._given = given
        self._strategy = strategy
        self._seed = seed
        self._axes: dict[str, Axis] = {}
        self._kept: list[tuple[object, SpaceModel]] = []

    @property
    def block_size(self) -> int:
        """Number of first trials, without that of the middle, that share the range of a number."""
        return max((self._strategy.n_initial or USUAL_COUNT) - 1, 1)

    def model(self, known: Snapshot, asked: Mapping[str, BaseDistribution]) -> SpaceModel:
        """The model for a trial that asks for this; the same one as long as nothing changes."""
        axes: dict[str, Axis] = {}
        conditions = Conditions({})
        if self._given is None:
            axes = self._axes_for(known, asked)
            if known.optional:
                ended = [told.internal for told in known.ended if told.came_to_its_end]
                conditions = find_conditions(axes, ended)
        distributions = {name: axis.distribution for name, axis in axes.items()}
        key = (distributions, conditions, known.constraints)
        model = next((model for kept, model in self._kept if kept == key), None)
        if model is None:
            model = self._new_model(axes, conditions, known.constraints)
        others = [entry for entry in self._kept if entry[1] is not model]
        self._kept = [(key, model), *others][:_MOST_MODELS]
        return model

    def _new_model(
        self, axes: Mapping[str, Axis], conditions: Conditions, constraints: tuple[str, ...]
    ) -> SpaceModel:
        if self._given is not None:
            return SpaceModel(self._given, constraints, self._strategy, self._seed)
        found = InferredSpace(axes, conditions)
        # By name, not by column: a design would be another one with each parameter that comes.
        start = partial(even_point, found.space, self.block_size, self._seed)
        return SpaceModel(found, constraints, self._strategy, self._seed, start)

    def _axes_for(self, known: Snapshot, asked: Mapping[str, BaseDistribution]) -> dict[str, Axis]:
        """An axis for every parameter with more than one value."""
        axes: dict[str, Axis] = {name: MovingAxis() for name in known.moving}
        for name in known.asked.keys() - known.moving:
            distribution = widest([*known.asked[name], asked[name]])
            if not distribution.single():
                if name not in self._axes or self._axes[name].distribution != distribution:
                    self._axes[name] = axis_of(distribution)
                axes[name] = self._axes[name]
        return {name: axes[name] for name in sorted(axes)}
