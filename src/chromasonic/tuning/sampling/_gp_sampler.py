"""The project's own optimizer as a sampler for any Optuna study.

A proposal depends on the study's trials, the seed and the trial's number alone, so that a study
can be resumed in another process, or worked on by several; what is kept between calls is a cache.
"""

import logging
import secrets
from collections.abc import Mapping
from threading import Lock
from typing import Any, final

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from chromasonic.bayesopt import Space
from chromasonic.bayesopt.arithmetic import own_arithmetic
from chromasonic.bayesopt.proposals import Strategy
from chromasonic.tuning._optuna_private import storage_of, study_id_of
from chromasonic.tuning.sampling._deterministic import SeededByTrial
from chromasonic.tuning.sampling._history import History, Snapshot
from chromasonic.tuning.sampling._models import SpaceModels
from chromasonic.tuning.sampling._spread import evenly_spread
from chromasonic.tuning.sampling._translation import KnownSpace

_log = logging.getLogger(__name__)


@final
class GPSampler(BaseSampler):
    """Chooses parameters by a Gaussian process over all trials of the study.

    It learns from running, failed and pruned trials, too, and keeps constraints that trials set.
    Conditional parameters and ranges that change are inferred from the trials. Choices that are
    all numbers are taken to have an order. A study with several objectives is left to Optuna's
    TPE.

    Args:
        seed: Same seed, same study, same proposals; one is drawn if it is None.
        n_startup_trials: Trials spread evenly before the surrogate is used; None: 5, or more where
            a category decides between three or more sets of other parameters, so that each gets
            two.
        acquisition: 'log_ei', 'ei', 'pi', 'ucb' or 'lcb'.
        kernel: 'matern52', 'matern32', 'matern12' or 'rbf'.
        space: The search space, if it is known; nothing is inferred then. Its parameters must be
            asked for as `suggest_params` does.

    Raises:
        ValueError: If a name is unknown or `n_startup_trials` is below 1.
    """

    def __init__(
        self,
        seed: int | None = None,
        *,
        n_startup_trials: int | None = None,
        acquisition: str = "log_ei",
        kernel: str = "matern52",
        space: Space | None = None,
    ) -> None:
        if n_startup_trials is not None and n_startup_trials < 1:
            raise ValueError(f"n_startup_trials must be at least 1, but got {n_startup_trials}.")
        self._seed = secrets.randbelow(2**31) if seed is None else int(seed)
        self._strategy = Strategy(
            n_initial=n_startup_trials, acquisition=acquisition, kernel=kernel
        )
        self._given = KnownSpace(space) if space is not None else None
        self._has_handed_over = False
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_seed", "_strategy", "_given", "_has_handed_over")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        """Drops the cache; proposals stay the same."""
        self._lock = Lock()
        self._history: History | None = None
        self._models = SpaceModels(self._given, self._strategy, self._seed)

    def reseed_rng(self) -> None:
        """Does nothing: each trial has a random state of its own."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Search space of the joint choice: all parameters asked for so far."""
        if len(study.directions) > 1:
            return self._tpe().infer_relative_search_space(study, trial)
        with self._lock:
            known = self._read(study, trial)
            # Optuna asks for values before the range is known: one that changes must wait.
            choosable = self._choosable(known).items()
            return {name: asked for name, asked in choosable if name not in known.moving}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the joint choice; none for a parameter that would not be asked for."""
        if len(study.directions) > 1:
            return self._tpe().sample_relative(study, trial, search_space)
        if not search_space:
            return {}
        with self._lock:
            known = self._read(study, trial)
            values = self._propose(known, trial, search_space, {})
            # A trial has values already if its process died while they were being stored, or if
            # a user gave some: the others must then suit those.
            if any(values.get(name) != value for name, value in trial.params.items()):
                values = self._propose(known, trial, search_space, trial.params)
        return {name: values[name] for name in search_space if name in values}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value of one parameter, given those that the trial has already."""
        if len(study.directions) > 1:
            return self._tpe().sample_independent(study, trial, param_name, param_distribution)
        with self._lock:
            known = self._read(study, trial)
            if param_name in self._choosable(known):
                asked = {param_name: param_distribution}
                values = self._propose(known, trial, asked, trial.params)
                if param_name in values:
                    return values[param_name]
        size = self._models.block_size
        return evenly_spread(param_name, param_distribution, trial.number, size, self._seed)

    def _choosable(self, known: Snapshot) -> dict[str, BaseDistribution]:
        """Search space of a model, without constants."""
        if self._given is not None:
            return self._given.distributions
        return {name: asked for name, asked in known.newest.items() if not asked.single()}

    def _propose(
        self,
        known: Snapshot,
        trial: FrozenTrial,
        asked: Mapping[str, BaseDistribution],
        given: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Values for the rest of the trial, given those that it has already."""
        asked = {**known.newest, **trial.distributions, **asked}
        fixed = trial.system_attrs.get("fixed_params", {}) | given
        with own_arithmetic():
            model = self._models.model(known, asked)
            return model.propose(known, fixed, asked, trial.number)

    def _read(self, study: Study, trial: FrozenTrial) -> Snapshot:
        storage, study_id = storage_of(study), study_id_of(study)
        if self._history is None or not self._history.is_of(storage, study_id):
            self._history = History(storage, study_id, study.direction)
            self._models = SpaceModels(self._given, self._strategy, self._seed)
        # Under Hyperband `study` shows the trials of one bracket only; it learns from all.
        return self._history.known_to(trial.number)

    def _tpe(self) -> BaseSampler:
        if not self._has_handed_over:
            self._has_handed_over = True
            _log.warning("GPSampler has one objective: Optuna's TPESampler takes this study over.")
        return SeededByTrial(lambda seed: TPESampler(seed=seed), self._seed)
