"""Training of one melody model, and the objective of a search."""

from chromasonic.melody_generation.data.synthetic import create_training_data
from chromasonic.melody_generation.training.loop import TrainingSettings, train

__all__ = ["TrainingSettings", "create_training_data", "train"]
