"""Samplers for Optuna studies: the project's own, and Optuna's made reproducible."""

from chromasonic.tuning.sampling._gp_sampler import GPSampler

__all__ = ["GPSampler"]
