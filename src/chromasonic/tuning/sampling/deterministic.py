"""Optuna's samplers, made reproducible: nothing random is carried from trial to trial."""

from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GridSampler, QMCSampler
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt.space import Value
from chromasonic.tuning.optuna_private import storage_of, study_id_of
from chromasonic.tuning.seeds import derive_seed


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
        """Search space of the sampler's joint choice."""
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
