"""Hyperparameter search for melody models, or for anything that can be scored."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chromasonic.melody_generation.data import load_corpus
    from chromasonic.melody_generation.hyperparameter_search import (
        HyperparameterOptimizer,
        HyperparameterSearchSpace,
    )

__all__ = ["HyperparameterOptimizer", "HyperparameterSearchSpace", "__version__", "load_corpus"]

_SEARCH = "chromasonic.melody_generation.hyperparameter_search"
_HOMES = {
    "HyperparameterOptimizer": _SEARCH,
    "HyperparameterSearchSpace": _SEARCH,
    "load_corpus": "chromasonic.melody_generation.data",
}


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first asked for: PyTorch takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
