"""Trained models: scores, folders, baselines."""

from chromasonic.melody_generation.trained.files import load_model, save_model
from chromasonic.melody_generation.trained.model import TrainedModel

__all__ = ["TrainedModel", "load_model", "save_model"]
