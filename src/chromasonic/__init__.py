"""Hyperparameter search for melody models, or for anything that can be scored."""

__version__ = "0.1.0"
