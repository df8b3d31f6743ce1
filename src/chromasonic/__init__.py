"""Hyperparameter search for melody models, or for anything that can be scored."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chromasonic.any_objective import tune
    from chromasonic.bayesopt import (
        Categorical,
        Fixed,
        Float,
        GaussianProcess,
        Integer,
        OptimizationResult,
        Optimizer,
        Ordinal,
        Space,
        bayesian_optimization,
        compare_searches,
        expected_improvement,
        find_next_point,
        log_expected_improvement,
        lower_confidence_bound,
        parameter_importance,
        probability_of_improvement,
        sample_random_point,
        upper_confidence_bound,
    )
    from chromasonic.melody_generation.after_search.steps import build_ensemble, train_final_model
    from chromasonic.melody_generation.data import load_corpus, load_tunes
    from chromasonic.melody_generation.hyperparameter_search import (
        HyperparameterOptimizer,
        HyperparameterSearchSpace,
    )
    from chromasonic.melody_generation.listening.generation import generate
    from chromasonic.melody_generation.trained.files import load_model
    from chromasonic.reporting.figures.trajectory import (
        plot_optimization_trajectory,
        plot_search_comparison,
    )
    from chromasonic.tuning.refinement import refine_space

__all__ = [
    "Categorical",
    "Fixed",
    "Float",
    "GaussianProcess",
    "HyperparameterOptimizer",
    "HyperparameterSearchSpace",
    "Integer",
    "OptimizationResult",
    "Optimizer",
    "Ordinal",
    "Space",
    "__version__",
    "bayesian_optimization",
    "build_ensemble",
    "compare_searches",
    "expected_improvement",
    "find_next_point",
    "generate",
    "load_corpus",
    "load_model",
    "load_tunes",
    "log_expected_improvement",
    "lower_confidence_bound",
    "parameter_importance",
    "plot_optimization_trajectory",
    "plot_search_comparison",
    "probability_of_improvement",
    "refine_space",
    "sample_random_point",
    "train_final_model",
    "tune",
    "upper_confidence_bound",
]

_BAYESOPT = "chromasonic.bayesopt"
_SEARCH = "chromasonic.melody_generation.hyperparameter_search"
_TRAJECTORY = "chromasonic.reporting.figures.trajectory"
_AFTER_SEARCH = "chromasonic.melody_generation.after_search.steps"
_ELSEWHERE = {
    "HyperparameterOptimizer": _SEARCH,
    "HyperparameterSearchSpace": _SEARCH,
    "build_ensemble": _AFTER_SEARCH,
    "generate": "chromasonic.melody_generation.listening.generation",
    "load_corpus": "chromasonic.melody_generation.data",
    "load_model": "chromasonic.melody_generation.trained.files",
    "load_tunes": "chromasonic.melody_generation.data",
    "plot_optimization_trajectory": _TRAJECTORY,
    "plot_search_comparison": _TRAJECTORY,
    "refine_space": "chromasonic.tuning.refinement",
    "train_final_model": _AFTER_SEARCH,
    "tune": "chromasonic.any_objective",
}


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first asked for: PyTorch takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, _BAYESOPT)), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return __all__
