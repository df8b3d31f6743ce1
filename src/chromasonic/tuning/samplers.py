"""Which hyperparameters to try next: Optuna's samplers, made reproducible ask by ask."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt import Fixed, Space
from chromasonic.bayesopt.space import Value
from chromasonic.errors import SpaceError
from chromasonic.tuning.distributions import all_values
from chromasonic.tuning.seeds import derive_seed

GRID_VALUES_PER_NUMBER = 3


def choose_sampler(name: str, space: Space, seed: int) -> BaseSampler:
    """The sampler of that name; its proposals depend on `seed`, the trial and the study alone.

    Args:
        name: One of `SAMPLERS`.
        space: What is searched.
        seed: The study's seed.

    Raises:
        ValueError: There is no such sampler.
        SpaceError: It cannot search this space.
    """
    if name not in SAMPLERS:
        raise ValueError(f"a sampler must be one of {', '.join(SAMPLERS)}, but got {name!r}.")
    return SAMPLERS[name](space, seed)


class SeededByTrial(BaseSampler):
    """Makes a sampler anew for every question, seeded by study, trial and parameter.

    A search that was interrupted therefore goes on as if it had not been: no random state is
    carried from trial to trial.

    Args:
        make: Makes the sampler from a seed. It must keep nothing between questions.
        seed: The study's seed.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What the sampler wants to choose together."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values for these, chosen together."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value for one parameter, chosen alone."""
        sampler = self._of(trial, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Called by Optuna before a trial is asked for."""
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Called by Optuna when a trial is told."""
        self._of(trial).after_trial(study, trial, state, values)

    def _of(self, trial: FrozenTrial, *keys: str) -> BaseSampler:
        return self._make(derive_seed(self._seed, trial.number, *keys))


class FiniteGridSampler(GridSampler):
    """Optuna's grid, which the driver asks whether it is exhausted instead of being stopped."""

    def __init__(self, grid: dict[str, list[Value]], seed: int) -> None:
        super().__init__(grid, seed=seed)
        self._seed = seed

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Chooses a point of the grid, by nothing that is carried from trial to trial."""
        self._rng.rng.seed(derive_seed(self._seed, trial.number))
        super().before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Nothing: Optuna would stop a `study.optimize` here, which there is none of."""


class QMCByTrialSampler(QMCSampler):
    """Optuna's quasi-random sequence, of which trial n takes point n.

    Optuna counts the points it has given out, so that a search killed while it asked would go on
    with another one.
    """

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values for these, chosen together."""
        self._sample_id = trial.number
        return super().sample_relative(study, trial, search_space)

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._sample_id


def _random(space: Space, seed: int) -> BaseSampler:
    return SeededByTrial(lambda trial_seed: RandomSampler(seed=trial_seed), seed)


def _tpe(space: Space, seed: int) -> BaseSampler:
    return SeededByTrial(lambda trial_seed: TPESampler(seed=trial_seed), seed)


def _qmc(space: Space, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # One sequence for the whole study, so one seed; what it leaves out is drawn by trial.
        return QMCByTrialSampler(
            seed=seed,
            scramble=True,
            independent_sampler=_random(space, seed),
            warn_independent_sampling=False,
        )


def _grid(space: Space, seed: int) -> BaseSampler:
    varied = {name: space[name] for name in space if not isinstance(space[name], Fixed)}
    if any(parameter.when for parameter in varied.values()):
        raise SpaceError(
            "a grid must have the same parameters everywhere, but this space has conditional "
            "ones. Use sampler='random' or 'tpe'."
        )
    grid = {
        name: all_values(parameter, at_most=GRID_VALUES_PER_NUMBER)
        for name, parameter in varied.items()
    }
    return FiniteGridSampler(grid, seed=seed)


SAMPLERS: dict[str, Callable[[Space, int], BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "grid": _grid,
    "qmc": _qmc,
}
