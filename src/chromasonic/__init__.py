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
        read_space,
        sample_random_point,
        upper_confidence_bound,
    )
    from chromasonic.errors import (
        ChromasonicError,
        DataError,
        DeviceError,
        ExecutorError,
        MissingExtra,
        ModelError,
        ObjectiveError,
        SpaceError,
        StudyError,
        StudyInUse,
        StudyMismatch,
    )
    from chromasonic.melody_generation.after_search.steps import (
        build_ensemble,
        train_final_model,
    )
    from chromasonic.melody_generation.data import (
        VOCAB_SIZE,
        load_corpus,
        load_tunes,
        split_tunes,
    )
    from chromasonic.melody_generation.hyperparameter_search import (
        HyperparameterOptimizer,
        HyperparameterSearchSpace,
    )
    from chromasonic.melody_generation.listening.generation import generate
    from chromasonic.melody_generation.listening.midi_file import write_midi
    from chromasonic.melody_generation.models import (
        GRUMelodyModel,
        LSTMMelodyModel,
        RNNMelodyModel,
        SonicLSTM,
        TransformerMelodyModel,
    )
    from chromasonic.melody_generation.trained.files import load_model
    from chromasonic.reporting.figures.trajectory import (
        plot_optimization_trajectory,
        plot_search_comparison,
    )
    from chromasonic.tuning.distributions import suggest_params
    from chromasonic.tuning.objective import (
        Epoch,
        Trial,
    )
    from chromasonic.tuning.records import SearchResult
    from chromasonic.tuning.refinement import refine_space
    from chromasonic.tuning.sampling import GPSampler
    from chromasonic.tuning.session import load_result

__all__ = [
    "VOCAB_SIZE",
    "Categorical",
    "ChromasonicError",
    "DataError",
    "DeviceError",
    "Epoch",
    "ExecutorError",
    "Fixed",
    "Float",
    "GPSampler",
    "GRUMelodyModel",
    "GaussianProcess",
    "HyperparameterOptimizer",
    "HyperparameterSearchSpace",
    "Integer",
    "LSTMMelodyModel",
    "MissingExtra",
    "ModelError",
    "ObjectiveError",
    "OptimizationResult",
    "Optimizer",
    "Ordinal",
    "RNNMelodyModel",
    "SearchResult",
    "SonicLSTM",
    "Space",
    "SpaceError",
    "StudyError",
    "StudyInUse",
    "StudyMismatch",
    "TransformerMelodyModel",
    "Trial",
    "__version__",
    "bayesian_optimization",
    "build_ensemble",
    "compare_searches",
    "expected_improvement",
    "find_next_point",
    "generate",
    "load_corpus",
    "load_model",
    "load_result",
    "load_tunes",
    "log_expected_improvement",
    "lower_confidence_bound",
    "parameter_importance",
    "plot_optimization_trajectory",
    "plot_search_comparison",
    "probability_of_improvement",
    "read_space",
    "refine_space",
    "sample_random_point",
    "split_tunes",
    "suggest_params",
    "train_final_model",
    "tune",
    "upper_confidence_bound",
    "write_midi",
]

_PUBLIC = {
    "chromasonic.any_objective": ("tune",),
    "chromasonic.bayesopt": (
        "Categorical",
        "Fixed",
        "Float",
        "GaussianProcess",
        "Integer",
        "OptimizationResult",
        "Optimizer",
        "Ordinal",
        "Space",
        "bayesian_optimization",
        "compare_searches",
        "expected_improvement",
        "find_next_point",
        "log_expected_improvement",
        "lower_confidence_bound",
        "parameter_importance",
        "probability_of_improvement",
        "read_space",
        "sample_random_point",
        "upper_confidence_bound",
    ),
    "chromasonic.errors": (
        "ChromasonicError",
        "DataError",
        "DeviceError",
        "ExecutorError",
        "MissingExtra",
        "ModelError",
        "ObjectiveError",
        "SpaceError",
        "StudyError",
        "StudyInUse",
        "StudyMismatch",
    ),
    "chromasonic.melody_generation.after_search.steps": ("build_ensemble", "train_final_model"),
    "chromasonic.melody_generation.data": (
        "VOCAB_SIZE",
        "load_corpus",
        "load_tunes",
        "split_tunes",
    ),
    "chromasonic.melody_generation.hyperparameter_search": (
        "HyperparameterOptimizer",
        "HyperparameterSearchSpace",
    ),
    "chromasonic.melody_generation.listening.generation": ("generate",),
    "chromasonic.melody_generation.listening.midi_file": ("write_midi",),
    "chromasonic.melody_generation.models": (
        "GRUMelodyModel",
        "LSTMMelodyModel",
        "RNNMelodyModel",
        "SonicLSTM",
        "TransformerMelodyModel",
    ),
    "chromasonic.melody_generation.trained.files": ("load_model",),
    "chromasonic.reporting.figures.trajectory": (
        "plot_optimization_trajectory",
        "plot_search_comparison",
    ),
    "chromasonic.tuning.distributions": ("suggest_params",),
    "chromasonic.tuning.objective": ("Epoch", "Trial"),
    "chromasonic.tuning.records": ("SearchResult",),
    "chromasonic.tuning.refinement": ("refine_space",),
    "chromasonic.tuning.sampling": ("GPSampler",),
    "chromasonic.tuning.session": ("load_result",),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, loaded on first use: PyTorch takes seconds to import."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return __all__
