"""The weights of the best trial, kept while the search goes on."""

import json
import shutil
from pathlib import Path

import torch
from torch import nn

from chromasonic.melody_generation.models.build import build_model
from chromasonic.melody_generation.search_space import model_and_training_params
from chromasonic.melody_generation.training import best_weights
from chromasonic.reporting.result_files import to_json
from chromasonic.tuning.files import replace_folder
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import TrialRecord

DESCRIPTION_FILE = "model.json"
WEIGHTS_FILE = "weights.pt"


class BestModel(Observer):
    """Keeps the best trial's weights and description in a folder.

    Args:
        folder: Replaced whole whenever a better trial ends.
        best: The best trial of the study so far, if there is one.
        study_name: Goes into the description.
        model_name: Goes into the description.
        vocab_size: Goes into the description.
    """

    def __init__(
        self,
        folder: Path,
        best: TrialRecord | None,
        study_name: str,
        model_name: str,
        vocab_size: int,
    ) -> None:
        self._folder = folder
        self._best = best
        self._study_name = study_name
        self._model_name = model_name
        self._vocab_size = vocab_size

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
        description = {
            "model": self._model_name,
            "vocab_size": self._vocab_size,
            "model_params": model_params,
            "training_params": training_params,
            "study_name": self._study_name,
            "trial": record.number,
            "best_epoch": record.best_epoch,
            "val_loss": record.value,
        }
        unfinished = self._folder.with_name(f".unfinished-{self._folder.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        # Through a file of Python's, a full disk is an OSError.
        with (unfinished / WEIGHTS_FILE).open("wb") as file:
            torch.save(best_weights(checkpoint), file)
        (unfinished / DESCRIPTION_FILE).write_text(to_json(description), encoding="utf-8")
        replace_folder(self._folder, unfinished)


def _rank(record: TrialRecord) -> tuple[float, int]:
    return record.value or 0.0, record.number


def load_best_model(folder: Path, model_class: type[nn.Module]) -> nn.Module:
    """The best trial's model with its weights, on the CPU, ready to predict.

    Args:
        folder: `best_model` in a search's output directory.
        model_class: The class that was searched.

    Raises:
        FileNotFoundError: There are no weights; no trial has been trained to its end.
    """
    description = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    model = build_model(model_class, description["vocab_size"], description["model_params"])
    model.load_state_dict(torch.load(folder / WEIGHTS_FILE, weights_only=True))
    return model.eval()
