"""A Gaussian process optimizer for hyperparameters, on numpy and scipy."""

from chromasonic.bayesopt._grid import compare_searches
from chromasonic.bayesopt._loop import bayesian_optimization, find_next_point, sample_random_point
from chromasonic.bayesopt._optimizer import Optimizer, Proposal
from chromasonic.bayesopt._result import OptimizationResult
from chromasonic.bayesopt.acquisition.functions import (
    expected_improvement,
    log_expected_improvement,
    lower_confidence_bound,
    probability_of_improvement,
    upper_confidence_bound,
)
from chromasonic.bayesopt.analysis.convergence import AverageConvergence, Convergence
from chromasonic.bayesopt.analysis.importance import parameter_importance
from chromasonic.bayesopt.analysis.stopping import StoppedBy
from chromasonic.bayesopt.gp.gaussian_process import GaussianProcess
from chromasonic.bayesopt.space import (
    Categorical,
    Fixed,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Space,
)
from chromasonic.bayesopt.space.toml import read_space, space_from_toml, space_to_toml
from chromasonic.bayesopt.surrogate import Observation, Outcome, fit_surrogate

__all__ = [
    "AverageConvergence",
    "Categorical",
    "Convergence",
    "Fixed",
    "Float",
    "GaussianProcess",
    "Integer",
    "Observation",
    "OptimizationResult",
    "Optimizer",
    "Ordinal",
    "Outcome",
    "Parameter",
    "Proposal",
    "Space",
    "StoppedBy",
    "bayesian_optimization",
    "compare_searches",
    "expected_improvement",
    "find_next_point",
    "fit_surrogate",
    "log_expected_improvement",
    "lower_confidence_bound",
    "parameter_importance",
    "probability_of_improvement",
    "read_space",
    "sample_random_point",
    "space_from_toml",
    "space_to_toml",
    "upper_confidence_bound",
]
