"""Observer that writes the best trial's model while a search runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chromasonic.melody_generation.trained.files import ModelState, write_model
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.melody_generation.training.search_space import model_and_training_params
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import TrialRecord


class BestModelWriter(Observer):
    """Writes the best trial's weights and description to a folder that `load_model` reads.

    While the best trial is one of an earlier search, there is no folder: its weights are in the
    earlier search's directory, and those of another trial would be mistaken for them.

    Args:
        folder: Replaced whole whenever a better trial ends.
        best: The best trial of the study so far, if there is one.
        objective: Model class and melodies of the search.
        study_name: Stored in the description.
        data: Description of the melodies' source.
    """

    def __init__(
        self,
        folder: Path,
        best: TrialRecord | None,
        objective: MelodyObjective,
        study_name: str,
        data: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._best = best
        self._objective = objective
        self._study_name = study_name
        self._data = data

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Writes the trial's weights if they are the best so far."""
        if not self._is_best(record):
            return
        self._best = record
        if checkpoint is not None:
            self._write(record, checkpoint)

    def _is_best(self, record: TrialRecord) -> bool:
        # The best trial itself may come twice: when a search died before its weights were kept.
        if self._best is None or self._best.number == record.number:
            return record.counts
        # Of equal ones the first counts, whichever ended first.
        return record.counts and _rank(record) < _rank(self._best)

    def _write(self, record: TrialRecord, checkpoint: Path) -> None:
        model_params, training_params = model_and_training_params(record.params)
        card = {
            "training_params": training_params,
            "study_name": self._study_name,
            "trial": record.number,
            "best_epoch": record.best_epoch,
            "val_loss": record.value,
            "data": self._data,
        }
        state = ModelState.from_checkpoint(checkpoint, self._objective, model_params, card)
        write_model(state, self._folder)


def _rank(record: TrialRecord) -> tuple[float, int]:
    return record.value or 0.0, record.number
