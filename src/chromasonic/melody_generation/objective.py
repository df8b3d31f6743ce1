"""What a melody search minimises: the validation loss of a model trained with given parameters."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from chromasonic.melody_generation.data.batches import Tunes
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.search_space import model_and_training_params
from chromasonic.melody_generation.training import TrainingSettings, train
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.objective import Epoch, Trial


@dataclass(frozen=True)
class MelodyObjective:
    """Trains a model with the parameters of a trial and yields each epoch's validation loss.

    Attributes:
        model_class: Takes `vocab_size` and the parameters that do not steer the training.
        kind: What it predicts.
        train_tunes: Tokens of the melodies to learn from.
        validation_tunes: Tokens of the melodies that are scored.
        vocab_size: Number of tokens.
        num_epochs: The most epochs, unless the parameters say otherwise.
        device: Where it trains.
    """

    model_class: type[nn.Module]
    kind: OutputKind
    train_tunes: Tunes
    validation_tunes: Tunes
    vocab_size: int
    num_epochs: int
    device: torch.device

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Generator[Epoch, None, Ending]:
        """The epochs of a training, losses in nats per note."""
        model_params, training_params = model_and_training_params(params)
        settings = TrainingSettings(**{"num_epochs": self.num_epochs, **training_params})
        return train(
            lambda: build_model(self.model_class, self.vocab_size, model_params),
            self.kind,
            self.train_tunes,
            self.validation_tunes,
            self.vocab_size,
            settings,
            device=self.device,
            seed=trial.seed,
            checkpoint=trial.checkpoint,
        )
