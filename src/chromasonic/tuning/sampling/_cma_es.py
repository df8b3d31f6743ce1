"""CMA-ES as a sampler whose state is computed from the trials, not stored with them."""

import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt import Categorical, Space
from chromasonic.tuning.distributions import distribution_of
from chromasonic.tuning.seeds import derive_seed

_SIGMA = 1 / 6
"""Standard deviation at the start, in the unit cube: its ends are three away from the middle."""


class CmaEsByTrialSampler(BaseSampler):
    """CMA-ES over the numbers of a space; categories and conditional parameters are random.

    Completed trials, in the order of their numbers, are told in batches of the population's size,
    so that a proposal depends on the trials, the seed and the trial's number alone. Optuna's own
    sampler stores its state as a pickle in the study, where anybody could put code.

    Args:
        space: The search space.
        seed: The study's seed.

    Source: Hansen (2016), The CMA evolution strategy: a tutorial.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._numbers = {
            name: distribution_of(parameter)
            for name, parameter in space.items()
            if not isinstance(parameter, Categorical)
            and parameter.when is None
            and parameter.n_values != 1
        }

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Search space of the joint choice: the numbers that every trial has."""
        return self._numbers

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the joint choice."""
        if not search_space:
            return {}
        d = len(search_space)
        seed = derive_seed(self._seed, trial.number)
        cma = import_module("cmaes").CMA(
            mean=np.full(d, 0.5), sigma=_SIGMA, bounds=np.tile([0.0, 1.0], (d, 1)), seed=seed
        )
        generation: list[tuple[NDArray[np.float64], float]] = []
        for solution in self._solutions(study, list(search_space)):
            generation.append(solution)
            if len(generation) == cma.population_size:
                cma.tell(generation)
                generation = []
        places = np.clip(cma.ask(), 0.0, 1.0).tolist()
        return {
            name: self._space[name].from_unit(u)
            for name, u in zip(search_space, places, strict=True)
        }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value of one parameter."""
        random = RandomSampler(seed=derive_seed(self._seed, trial.number, param_name))
        return random.sample_independent(study, trial, param_name, param_distribution)

    def _solutions(
        self, study: Study, names: list[str]
    ) -> Iterator[tuple[NDArray[np.float64], float]]:
        """Places of the completed trials in the unit cube, (d,), with their losses."""
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for trial in sorted(completed, key=lambda trial: trial.number):
            known = [self._space[n].contains(trial.params.get(n)) for n in names]
            if all(known) and trial.value is not None and math.isfinite(trial.value):
                places = [self._space[n].to_unit(trial.params[n]) for n in names]
                yield np.array(places), sign * trial.value
