"""Melody models: data, architectures, training, and the search of their hyperparameters."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromasonic.melody_generation.hyperparameter_search import (
        HyperparameterOptimizer,
        HyperparameterSearchSpace,
    )

__all__ = ["HyperparameterOptimizer", "HyperparameterSearchSpace"]


def __getattr__(name: str) -> Any:
    """A public name, loaded on first use: PyTorch takes seconds to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.hyperparameter_search"), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return __all__
