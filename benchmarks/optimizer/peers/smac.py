"""SMAC3's facade for hyperparameters: random forest, log EI, local search, Sobol start.

Points are evaluated once (`deterministic=True`): SMAC would otherwise spend evaluations on
repeating them, and on most problems they would tell nothing.
"""

import tempfile
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical as SmacCategorical
from ConfigSpace import ConfigurationSpace, InCondition
from ConfigSpace import Float as SmacFloat
from ConfigSpace import Integer as SmacInteger
from ConfigSpace.hyperparameters import Hyperparameter
from smac import HyperparameterOptimizationFacade as Facade
from smac import Scenario
from smac.runhistory.dataclasses import TrialValue

from chromasonic.bayesopt import Categorical, Float, Integer, Ordinal, Parameter, Space
from peers.coding import from_codes

N_TRIALS = 50  # the facade sizes its initial design by it


class SMAC:
    """`smac.HyperparameterOptimizationFacade`; its forest learns anew from every eighth value."""

    retrain_after = 8  # the facade's default

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._folder = tempfile.TemporaryDirectory()
        configurations = ConfigurationSpace(seed=seed)
        configurations.add([hyperparameter(name, space[name]) for name in space])
        configurations.add(conditions(space, configurations))
        scenario = Scenario(
            configurations,
            output_directory=Path(self._folder.name),
            deterministic=True,
            n_trials=N_TRIALS,
            seed=seed,
        )
        self._smac = Facade(
            scenario,
            lambda config, seed: 0.0,
            config_selector=Facade.get_config_selector(scenario, retrain_after=self.retrain_after),
            logging_level=False,
        )

    def ask(self) -> dict[str, Any]:
        """The facade's next configuration."""
        self._trial = self._smac.ask()
        return from_codes(self._space, dict(self._trial.config))

    def tell(self, params: dict[str, Any], value: float) -> None:
        """Tell the cost of the last configuration."""
        self._smac.tell(self._trial, TrialValue(cost=value, time=0.0), save=False)


def conditions(space: Space, configurations: ConfigurationSpace) -> list[InCondition]:
    """Condition of a parameter; none here depends on more than one other."""
    return [
        InCondition(configurations[name], configurations[parent], list(values))
        for name, parameter in space.items()
        for parent, values in (parameter.when or {}).items()
    ]


def hyperparameter(name: str, parameter: Parameter) -> Hyperparameter:
    """The parameter's type and scale; ordered choices by their position."""
    match parameter:
        case Float(low=low, high=high, log=log):
            return SmacFloat(name, (low, high), log=log)
        case Integer(low=low, high=high, log=log):
            return SmacInteger(name, (low, high), log=log)
        case Ordinal(choices=choices):
            return SmacInteger(name, (0, len(choices) - 1))
        case Categorical(choices=choices):
            return SmacCategorical(name, list(choices))
    raise TypeError(f"no hyperparameter for {parameter!r}.")
