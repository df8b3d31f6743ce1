"""Optuna's Gaussian process, at its defaults."""

import torch
from optuna.samplers import GPSampler

from chromasonic.bayesopt import Space
from peers.optuna_study import OptunaStudy

torch.set_num_threads(1)


class OptunaGP(OptunaStudy):
    """`optuna.samplers.GPSampler`."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, GPSampler(seed=seed))
