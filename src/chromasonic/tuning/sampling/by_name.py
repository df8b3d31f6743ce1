"""Samplers by name: the project's own and Optuna's."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from chromasonic.bayesopt import Fixed, Space
from chromasonic.errors import MissingExtra, SpaceError
from chromasonic.tuning.distributions import all_values, to_optuna
from chromasonic.tuning.sampling import GPSampler
from chromasonic.tuning.sampling._cma_es import CmaEsByTrialSampler
from chromasonic.tuning.sampling._deterministic import (
    FiniteGridSampler,
    QMCByTrialSampler,
    SeededByTrial,
)

__all__ = ["AUTO", "SAMPLERS", "GPSampler", "choose_sampler", "sampler_name"]

AUTO = "gp"
"""The sampler that `auto` stands for: the best in the benchmark."""

GRID_VALUES_PER_NUMBER = 3


def choose_sampler(name: str, space: Space, seed: int) -> BaseSampler:
    """The sampler of that name; its proposals depend on `seed`, the trial and the study alone.

    Args:
        name: One of `SAMPLERS`.
        space: What is searched.
        seed: The study's seed.

    Raises:
        ValueError: There is no such sampler.
        SpaceError: The sampler cannot search this space.
        MissingExtra: The sampler needs a package that is not installed.
    """
    if name not in SAMPLERS:
        raise ValueError(f"a sampler must be one of {', '.join(SAMPLERS)}, but got {name!r}.")
    return SAMPLERS[name](space, seed)


def sampler_name(name: str) -> str:
    """The name of the sampler that is used: for `auto` the one it stands for, else `name`."""
    return AUTO if name == "auto" else name


def _gp(space: Space, seed: int) -> BaseSampler:
    return GPSampler(seed, space=space)


def _random(space: Space, seed: int) -> BaseSampler:
    return SeededByTrial(lambda trial_seed: RandomSampler(seed=trial_seed), seed)


def _tpe(space: Space, seed: int) -> BaseSampler:
    return SeededByTrial(lambda trial_seed: TPESampler(seed=trial_seed), seed)


def _qmc(space: Space, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # One seed: the whole study follows one sequence. What it leaves out is drawn by trial.
        return QMCByTrialSampler(
            seed=seed,
            scramble=True,
            independent_sampler=_random(space, seed),
            warn_independent_sampling=False,
        )


def _cmaes(space: Space, seed: int) -> BaseSampler:
    if find_spec("cmaes") is None:
        raise MissingExtra(
            "cmaes must be installed for sampler='cmaes', but is not. "
            'Run: pip install "chromasonic[cmaes]"'
        )
    return CmaEsByTrialSampler(space, seed)


def _grid(space: Space, seed: int) -> BaseSampler:
    varied = {name: space[name] for name in space if not isinstance(space[name], Fixed)}
    if any(parameter.when for parameter in varied.values()):
        raise SpaceError(
            "a grid must have the same parameters everywhere, but this space has conditional "
            "ones. Use sampler='random' or 'tpe'."
        )
    grid = {
        name: [
            to_optuna(parameter, value)
            for value in all_values(parameter, at_most=GRID_VALUES_PER_NUMBER)
        ]
        for name, parameter in varied.items()
    }
    return FiniteGridSampler(grid, seed=seed)


_BY_NAME: dict[str, Callable[[Space, int], BaseSampler]] = {
    "gp": _gp,
    "tpe": _tpe,
    "random": _random,
    "grid": _grid,
    "qmc": _qmc,
    "cmaes": _cmaes,
}
SAMPLERS = {"auto": _BY_NAME[AUTO], **_BY_NAME}
