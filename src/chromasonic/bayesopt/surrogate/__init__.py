"""Surrogates: observations of a search, and the Gaussian processes fitted to them."""

from chromasonic.bayesopt.surrogate.observations import Observation, Outcome
from chromasonic.bayesopt.surrogate.surrogate import FittedSurrogate
from chromasonic.bayesopt.surrogate.surrogates import Surrogates, fit_surrogate

__all__ = ["FittedSurrogate", "Observation", "Outcome", "Surrogates", "fit_surrogate"]
