"""Surrogates: observations of a search, and the Gaussian processes fitted to them."""

from chromasonic.bayesopt.surrogate._surrogate import FittedSurrogate
from chromasonic.bayesopt.surrogate._surrogates import Surrogates, fit_surrogate
from chromasonic.bayesopt.surrogate.observations import Observation, Outcome

__all__ = ["FittedSurrogate", "Observation", "Outcome", "Surrogates", "fit_surrogate"]
