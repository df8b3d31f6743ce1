"""Retraining of a search's configurations with fresh seeds.

Trainings run as the trials of a separate study: it is resumed after an interruption and handles
failures and parallel slots as a search does.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from chromasonic.bayesopt import Categorical, Space
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.trained.files import (
    ModelState,
    load_model_with_key,
    write_model,
)
from chromasonic.melody_generation.trained.model import TrainedModel
from chromasonic.melody_generation.training.devices import choose_device, gpus_of, trial_device
from chromasonic.melody_generation.training.identity import model_name
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.melody_generation.training.search_space import model_and_training_params
from chromasonic.plural import counted
from chromasonic.reporting.terminal import print_lines
from chromasonic.search import run_search
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.executors.executor_config import ExecutorConfig
from chromasonic.tuning.learning_curve import curve_to_json
from chromasonic.tuning.objective import Epochs, Trial
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import SearchResult, TrialRecord
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.run_options import Run
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.session import SearchPlan, Session
from chromasonic.tuning.study import Fingerprint


@dataclass(frozen=True)
class Training:
    """A configuration to train again.

    Attributes:
        trial: Number of the search's trial with this configuration.
        repeat: Number of the repeat, from 1; each has its own seed. 0 for the final model.
        params: Parameters of that trial.
    """

    trial: int
    repeat: int
    params: Mapping[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        """Name of its folder, unique within a search."""
        return f"trial-{self.trial}-repeat-{self.repeat}"


@dataclass(frozen=True)
class RetrainingConfig:
    """Folder, device and executor of trainings after a search.

    Attributes:
        folder: Holds the study and the models of the trainings.
        device: `cpu`, `cuda`, `cuda:N`, `mps` or `auto`.
        executor: `process`, `inline`, or `ray` for the cluster that Ray finds.
        jobs: Trainings at the same time; None for as many as the machine allows.
        console: Receives progress lines.
    """

    folder: Path
    device: str = "cpu"
    executor: str = "process"
    jobs: int | None = None
    console: Console = field(default_factory=lambda: Console(quiet=True))


@dataclass(frozen=True)
class _RetrainingObjective:
    """The melody objective, with the configuration and seed of the training that a trial names."""

    objective: MelodyObjective
    trainings: Mapping[str, Training]
    seed: int

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Epochs:
        training = self.trainings[params["training"]]
        seed = derive_seed(self.seed, "repeat", training.trial, training.repeat)
        return self.objective(training.params, replace(trial, seed=seed))


class _RetrainingProgress(Observer):
    """Progress lines of trainings, which name the search's trials."""

    def __init__(self, console: Console, trainings: Collection[Training], n_done: int) -> None:
        self._console = console
        self._trainings = trainings
        self._n_done = n_done

    def on_warning(self, message: str) -> None:
        """Prints the warning."""
        self._print(message)

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Prints one line for the training."""
        self._n_done += 1
        training = next(t for t in self._trainings if _is_of(record, t))
        seed = f", seed {training.repeat}" if training.repeat else ""
        loss = "" if record.value is None else f": loss {record.value:.4f}"
        ending = "" if record.counts else f", {record.ending} ({record.reason})"
        epochs = counted(len(record.learning_curve), "epoch")
        self._print(
            f"trial {training.trial}{seed}{loss}{ending}, {epochs} in "
            f"{record.training_time:.1f}s; {self._n_done} of {len(self._trainings)}"
        )

    def _print(self, line: str) -> None:
        print_lines(self._console, line)


class _ModelWriter(Observer):
    """Writes the model of every training that completes."""

    def __init__(
        self, folder: Path, objective: MelodyObjective, keys: Mapping[Training, str]
    ) -> None:
        self._folder = folder
        self._objective = objective
        self._keys = keys

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Writes the model's folder."""
        if not record.counts or checkpoint is None:
            return
        training = next(t for t in self._keys if _is_of(record, t))
        model_params, training_params = model_and_training_params(training.params)
        card = {
            "key": self._keys[training],
            "trial": training.trial,
            "repeat": training.repeat,
            "training_params": training_params,
            "best_epoch": record.best_epoch,
            "val_loss": record.value,
            "training_time": record.training_time,
            "learning_curve": curve_to_json(record.learning_curve),
        }
        state = ModelState.from_checkpoint(checkpoint, self._objective, model_params, card)
        write_model(state, self._folder / training.name)


def train_again(
    search: FinishedSearch,
    trainings: Sequence[Training],
    config: RetrainingConfig,
    *,
    stop_after: int | None = None,
) -> dict[Training, TrainedModel]:
    """Trains configurations again and returns the models of those that completed.

    A model that is already in the folder is loaded, not trained again.

    Args:
        search: Supplies melodies and model class. Without validation melodies the last weights
            are kept, else those of the best epoch.
        trainings: The configurations, each with a different name.
        config: Folder, device and executor.
        stop_after: Epochs after which each training ends, on the learning rate schedule of the
            full number.

    Raises:
        KeyboardInterrupt: Interrupted; the same call resumes.
        StudyError: The study of the trainings cannot be opened or written.
    """
    keys = {training: _key(search, training, stop_after) for training in trainings}
    folder = config.folder / "models"

    def read() -> dict[Training, TrainedModel]:
        found = {
            training: load_model_with_key(folder / training.name, key, search.model_class)
            for training, key in keys.items()
        }
        return {training: model for training, model in found.items() if model is not None}

    models = read()
    for fresh in (False, True):
        if len(models) == len(trainings):
            break
        result = _run(search, keys, config, stop_after, fresh=fresh)
        models = read()
        finished = {t for t in trainings for r in result.trials if r.counts and _is_of(r, t)}
        if finished <= models.keys():
            break
        # The study lists them as complete, but their files were deleted or damaged.
    return models


def _run(
    search: FinishedSearch,
    keys: Mapping[Training, str],
    config: RetrainingConfig,
    stop_after: int | None,
    *,
    fresh: bool,
) -> SearchResult:
    device = choose_device(config.device)
    place = ExecutorConfig(
        config.executor,
        config.jobs,
        gpus=gpus_of(device),
        gpus_per_trial=int(device.type == "cuda"),
    )
    objective = MelodyObjective(
        search.model_class,
        search.kind,
        search.melodies,
        search.num_epochs,
        trial_device(device, place),
        stop_after,
    )
    identity = _hash(sorted(keys.values()))
    named = {training.name: training for training in keys}
    plan = SearchPlan(
        space=Space({"training": Categorical(list(named))}),
        num_epochs=search.num_epochs,
        fingerprint=Fingerprint({"trainings": identity}),
        output_dir=config.folder,
        study_name=identity,
        sampler="grid",
        pruner="none",
        seed=search.result["seed"],
        fresh=fresh,
        description={"direction": "minimize", "unit": "nats per note"},
    )
    models = _ModelWriter(config.folder / "models", objective, keys)

    def observers(session: Session, before: SearchResult) -> list[Observer]:
        return [models, _RetrainingProgress(config.console, keys, len(before.trials))]

    result = run_search(
        plan,
        _RetrainingObjective(objective, named, search.result["seed"]),
        Run(Budget(len(named)), place, TrialRules()),
        console=config.console,
        observers=observers,
        in_words=False,
    )
    if result.stopped_by == "interrupted":
        raise KeyboardInterrupt
    return result


def _is_of(record: TrialRecord, training: Training) -> bool:
    return bool(record.params["training"] == training.name)


def _key(search: FinishedSearch, training: Training, stop_after: int | None) -> str:
    """Hash of all that a training depends on."""
    parts = {
        "params": training.params,
        "trial": training.trial,
        "repeat": training.repeat,
        "seed": search.result["seed"],
        "data": search.melodies.fingerprint,
        "vocabulary": search.melodies.vocabulary.to_dict(),
        "model": model_name(search.model_class),
        "num_epochs": search.num_epochs,
        "stop_after": stop_after,
    }
    return _hash(parts)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
