"""Objective of a melody search: the validation loss of a model trained with given parameters."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.training.loop import TrainingSettings, train
from chromasonic.melody_generation.training.search_space import model_and_training_params
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.objective import Epoch, Trial

MICRO_BATCHES_AFTER_OOM = 4
"""Micro-batches of a trial that ran out of memory before."""


@dataclass(frozen=True)
class MelodyObjective:
    """Trains a model with the parameters of a trial and yields each epoch's validation loss.

    Attributes:
        model_class: Its constructor takes `vocab_size` and the parameters that are not settings
            of the training.
        kind: The notes that it predicts.
        melodies: Training and validation melodies.
        num_epochs: The most epochs, unless the parameters say otherwise.
        device: Device to train on.
        stop_after: Epochs after which training ends, on the learning rate schedule of all; None
            for early stopping.
    """

    model_class: type[nn.Module]
    kind: OutputKind
    melodies: Melodies
    num_epochs: int
    device: torch.device
    stop_after: int | None = None

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Generator[Epoch, None, Ending]:
        """Yields the epochs of a training, losses in nats per note."""
        model_params, training_params = model_and_training_params(params)
        settings = TrainingSettings(**{"num_epochs": self.num_epochs, **training_params})
        return train(
            lambda: build_model(self.model_class, self.melodies.vocabulary, model_params),
            self.kind,
            self.melodies,
            settings,
            device=self.device,
            seed=trial.seed,
            checkpoint=trial.checkpoint,
            n_micro_batches=MICRO_BATCHES_AFTER_OOM if trial.out_of_memory_before else 1,
            stop_after=self.stop_after,
        )
