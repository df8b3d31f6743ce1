"""Ours in an Optuna study, at its defaults: what depends on what it must find out."""

from chromasonic.bayesopt import Space
from chromasonic.tuning.sampling.by_name import GPSampler
from peers.optuna_study import OptunaStudy


class ChromasonicSampler(OptunaStudy):
    """`chromasonic.tuning.sampling.by_name.GPSampler`."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, GPSampler(seed=seed))
