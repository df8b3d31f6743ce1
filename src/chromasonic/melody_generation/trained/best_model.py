"""The weights of the best trial, kept while the search goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.files import NetworkDescription, write_model
from chromasonic.melody_generation.training.loop import best_weights
from chromasonic.melody_generation.training.search_space import model_and_training_params
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import TrialRecord


class BestModel(Observer):
    """Keeps the best trial's weights and description in a folder, which `load_model` reads.

    As long as the best trial comes from an earlier search there is no folder: its weights are
    where it ran, if anywhere, and those of another trial would pass for them.

    Args:
        folder: Replaced whole whenever a better trial ends.
        best: The best trial of the study so far, if there is one.
        study_name: Goes into the description.
        model_name: Where the model's class can be imported from.
        kind: Which notes it predicts.
        melodies: What it learns from.
        data: Where they come from.
    """

    def __init__(
        self,
        folder: Path,
        best: TrialRecord | None,
        study_name: str,
        model_name: str,
        kind: OutputKind,
        melodies: Melodies,
        data: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._best = best
        self._study_name = study_name
        self._model_name = model_name
        self._kind = kind
        self._melodies = melodies
        self._data = data

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Keeps the weights if they are the best so far."""
        if not self._is_best(record):
            return
        self._best = record
        if checkpoint is not None:
            self._keep(record, checkpoint)

    def _is_best(self, record: TrialRecord) -> bool:
        # The best trial itself may come twice: when a search died before its weights were kept.
        if self._best is None or self._best.number == record.number:
            return record.counts
        # Of equal ones the first counts, whichever ended first.
        return record.counts and _rank(record) < _rank(self._best)

    def _keep(self, record: TrialRecord, checkpoint: Path) -> None:
        model_params, training_params = model_and_training_params(record.params)
        card = {
            "training_params": training_params,
            "study_name": self._study_name,
            "trial": record.number,
            "best_epoch": record.best_epoch,
            "val_loss": record.value,
            "data": self._data,
        }
        network = NetworkDescription(self._model_name, self._kind, model_params)
        write_model(
            self._folder,
            self._melodies.vocabulary,
            [network],
            [best_weights(checkpoint)],
            [1.0],
            self._melodies.starts,
            card,
        )


def _rank(record: TrialRecord) -> tuple[float, int]:
    return record.value or 0.0, record.number
