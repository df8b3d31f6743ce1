"""Optuna's tree-structured Parzen estimator, at its defaults."""

from optuna.samplers import TPESampler

from chromasonic.bayesopt import Space
from peers.optuna_study import OptunaStudy


class OptunaTPE(OptunaStudy):
    """`optuna.samplers.TPESampler`."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, TPESampler(seed=seed))
