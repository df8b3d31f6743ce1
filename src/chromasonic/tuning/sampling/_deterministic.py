"""Optuna's samplers, made reproducible by a seed of its own for each trial."""

from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GridSampler, QMCSampler
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt.space import Value
from chromasonic.tuning._optuna_private import storage_of, study_id_of
from chromasonic.tuning.seeds import derive_seed


class SeededByTrial(BaseSampler):
    """A sampler that is made anew for every call, seeded by study, trial and parameter.

    No random state is carried from trial to trial, so that an interrupted search goes on as an
    uninterrupted one.

    Args:
        make: Makes the sampler from a seed. The sampler must keep no state between calls.
        seed: The study's seed.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Search space of the sampler's joint choice."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the joint choice."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value of one parameter."""
        sampler = self._of(trial, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Called by Optuna before the parameters of a trial are chosen."""
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Called by Optuna when a trial ends."""
        self._of(trial).after_trial(study, trial, state, values)

    def _of(self, trial: FrozenTrial, *keys: str) -> BaseSampler:
        return self._make(derive_seed(self._seed, trial.number, *keys))


class FiniteGridSampler(GridSampler):
    """Optuna's grid sampler, which does not stop the study: the driver asks `is_exhausted`."""

    def __init__(self, grid: dict[str, list[Value]], seed: int) -> None:
        super().__init__(grid, seed=seed)
        self._seed = seed

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Chooses a point of the grid, by the seed and the trial alone."""
        self._rng.rng.seed(derive_seed(self._seed, trial.number))
        super().before_trial(study, trial)

    def is_exhausted(self, study: Study) -> bool:
        """True once every point has been proposed, running trials included."""
        trials = storage_of(study).get_all_trials(study_id_of(study), deepcopy=False)
        noted = [trial.system_attrs for trial in trials if "grid_id" in trial.system_attrs]
        given_out = {n["grid_id"] for n in noted if self._same_search_space(n["search_space"])}
        return given_out.issuperset(range(self._n_min_trials))

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Does nothing; Optuna's own would stop `study.optimize` here."""


class QMCByTrialSampler(QMCSampler):
    """Optuna's quasi-random sampler; trial n takes point n of the sequence.

    Optuna's own counts the points that it has given out, so that a search killed during a proposal
    would skip one.
    """

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the joint choice."""
        self._sample_id = trial.number
        return super().sample_relative(study, trial, search_space)

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._sample_id
