"""What a melody search minimises: the validation loss of a model trained with given parameters."""

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

PIECES_TO_SAVE_MEMORY = 4
"""Parts that a batch is learnt from one after the other, once it has proved too large."""


@dataclass(frozen=True)
class MelodyObjective:
    """Trains a model with the parameters of a trial and yields each epoch's validation loss.

    Attributes:
        model_class: Takes `vocab_size` and the parameters that do not steer the training.
        kind: What it predicts.
        melodies: What it learns from, and what is scored.
        num_epochs: The most epochs, unless the parameters say otherwise.
        device: Where it trains.
        stop_after: Epochs after which it ends on the schedule of all, if not at the best one.
    """

    model_class: type[nn.Module]
    kind: OutputKind
    melodies: Melodies
    num_epochs: int
    device: torch.device
    stop_after: int | None = None

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Generator[Epoch, None, Ending]:
        """The epochs of a training, losses in nats per note."""
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
            pieces=PIECES_TO_SAVE_MEMORY if trial.out_of_memory_before else 1,
            stop_after=self.stop_after,
        )
