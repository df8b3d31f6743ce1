"""Trains configurations that a search has tried once more, each with a fresh seed.

They run as the trials of a study of their own, so that they survive what a search survives, use
the same slots, and go on where they were broken off.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from chromasonic.bayesopt import Categorical, Space
from chromasonic.errors import ModelError
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.trained.files import (
    NetworkDescription,
    load_model,
    write_model,
)
from chromasonic.melody_generation.trained.model import TrainedModel
from chromasonic.melody_generation.training.devices import choose_device, gpus_of
from chromasonic.melody_generation.training.identity import model_name
from chromasonic.melody_generation.training.loop import best_weights
from chromasonic.melody_generation.training.objective import MelodyObjective
from chromasonic.melody_generation.training.search_space import model_and_training_params
from chromasonic.search import Run, run_search
from chromasonic.tuning.budget import Budget
from chromasonic.tuning.executors.place import Place
from chromasonic.tuning.objective import Epochs, Trial
from chromasonic.tuning.observers import Observer
from chromasonic.tuning.records import SearchResult, TrialRecord
from chromasonic.tuning.rules import TrialRules
from chromasonic.tuning.seeds import derive_seed
from chromasonic.tuning.session import SearchPlan, Session
from chromasonic.tuning.study import Fingerprint


@dataclass(frozen=True)
class Training:
    """A configuration to train once more.

    Attributes:
        trial: The trial of the search that tried it first.
        repeat: Counts its trainings from 1; each has a seed of its own.
        params: What that trial tried.
    """

    trial: int
    repeat: int
    params: Mapping[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        """Tells it from others."""
        return f"trial-{self.trial}-repeat-{self.repeat}"


@dataclass(frozen=True)
class Workplace:
    """Where trainings after a search run.

    Attributes:
        folder: Keeps their study and their models.
        device: `cpu`, `cuda`, `cuda:N`, `mps` or `auto`.
        executor: `process`, `inline`, or `ray` for the cluster that Ray finds.
        jobs: How many at the same time; None for what the machine can bear.
        console: Where progress is shown.
    """

    folder: Path
    device: str = "cpu"
    executor: str = "process"
    jobs: int | None = None
    console: Console = field(default_factory=lambda: Console(quiet=True))


@dataclass(frozen=True)
class _Repeated:
    """The objective: trains what a trial names, with the seed that belongs to it."""

    objective: MelodyObjective
    trainings: Mapping[str, Training]
    seed: int

    def __call__(self, params: Mapping[str, Any], trial: Trial) -> Epochs:
        training = self.trainings[params["training"]]
        seed = derive_seed(self.seed, "repeat", training.trial, training.repeat)
        return self.objective(training.params, replace(trial, seed=seed))


class _Told(Observer):
    """Says how the trainings go, by the trials whose configurations they have."""

    def __init__(self, console: Console, trainings: Collection[Training], n_done: int) -> None:
        self._console = console
        self._trainings = trainings
        self._n_done = n_done

    def on_trouble(self, message: str) -> None:
        """Says it."""
        self._say(message)

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """One line for each."""
        self._n_done += 1
        training = next(t for t in self._trainings if _is_of(record, t))
        seed = f", seed {training.repeat}" if training.repeat else ""
        loss = "" if record.value is None else f": loss {record.value:.4f}"
        why = "" if record.counts else f", {record.ending} ({record.reason})"
        epochs = len(record.learning_curve)
        self._say(
            f"trial {training.trial}{seed}{loss}{why}, {epochs} epochs in "
            f"{record.training_time:.1f}s; {self._n_done} of {len(self._trainings)}"
        )

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _KeptModels(Observer):
    """Keeps the weights of every training that ran to its end."""

    def __init__(self, folder: Path, search: FinishedSearch, keys: Mapping[Training, str]) -> None:
        self._folder = folder
        self._search = search
        self._keys = keys

    def on_trial_end(self, record: TrialRecord, checkpoint: Path | None) -> None:
        """Writes the model's folder."""
        if not record.counts or checkpoint is None:
            return
        training = next(t for t in self._keys if _is_of(record, t))
        model_params, training_params = model_and_training_params(training.params)
        search = self._search
        network = NetworkDescription(model_name(search.model_class), search.kind, model_params)
        card = {
            "key": self._keys[training],
            "trial": training.trial,
            "repeat": training.repeat,
            "training_params": training_params,
            "best_epoch": record.best_epoch,
            "val_loss": record.value,
            "training_time": record.training_time,
            "learning_curve": record.learning_curve,
        }
        write_model(
            self._folder / training.name,
            search.melodies.vocabulary,
            [network],
            [best_weights(checkpoint)],
            [1.0],
            search.melodies.starts,
            card,
        )


def train_again(
    search: FinishedSearch,
    trainings: Sequence[Training],
    workplace: Workplace,
    *,
    stop_after: int | None = None,
) -> dict[Training, TrainedModel]:
    """The trained models, less those that failed; what was trained before is only read.

    Args:
        search: Whose configurations, melodies and model class they are. Without validation
            melodies the last weights are kept, else those of the best epoch.
        trainings: Each with a name of its own.
        workplace: Where they run.
        stop_after: Epochs after which each ends, on the schedule of all.

    Raises:
        KeyboardInterrupt: It was broken off; the same call goes on.
        StudyError: The study of the trainings cannot be opened or written.
    """
    keys = {training: _key(search, training, stop_after) for training in trainings}
    folder = workplace.folder / "models"

    def read() -> dict[Training, TrainedModel]:
        kept = {t: _kept_model(folder / t.name, key, search) for t, key in keys.items()}
        return {training: model for training, model in kept.items() if model is not None}

    models = read()
    for fresh in (False, True):
        if len(models) == len(trainings):
            break
        result = _run(search, keys, workplace, stop_after, fresh=fresh)
        models = read()
        finished = {t for t in trainings for r in result.trials if r.counts and _is_of(r, t)}
        if finished <= models.keys():
            break
        # The study has them, but somebody has deleted or damaged their files.
    return models


def _run(
    search: FinishedSearch,
    keys: Mapping[Training, str],
    workplace: Workplace,
    stop_after: int | None,
    *,
    fresh: bool,
) -> SearchResult:
    device = choose_device(workplace.device)
    place = Place(
        workplace.executor,
        workplace.jobs,
        gpus=gpus_of(device),
        gpus_per_trial=int(device.type == "cuda"),
    )
    # A trial that is given one GPU of its own sees no other.
    sees_one = place.executor == "ray" or (place.executor == "process" and place.gpus)
    objective = MelodyObjective(
        search.model_class,
        search.kind,
        search.melodies,
        search.num_epochs,
        torch.device(device.type) if sees_one else device,
        stop_after,
    )
    identity = _hash(sorted(keys.values()))
    named = {training.name: training for training in keys}
    plan = SearchPlan(
        space=Space({"training": Categorical(list(named))}),
        num_epochs=search.num_epochs,
        fingerprint=Fingerprint({"trainings": identity}),
        output_dir=workplace.folder,
        study_name=identity,
        sampler="grid",
        pruner="none",
        seed=search.result["seed"],
        fresh=fresh,
        description={"direction": "minimize", "unit": "nats per note"},
    )
    models = _KeptModels(workplace.folder / "models", search, keys)

    def observers(session: Session, before: SearchResult) -> list[Observer]:
        return [models, _Told(workplace.console, keys, len(before.trials))]

    result = run_search(
        plan,
        _Repeated(objective, named, search.result["seed"]),
        Run(Budget(len(named)), place, TrialRules()),
        console=workplace.console,
        observers=observers,
        in_words=False,
    )
    if result.stopped_by == "interrupted":
        raise KeyboardInterrupt
    return result


def _is_of(record: TrialRecord, training: Training) -> bool:
    return bool(record.params["training"] == training.name)


def _kept_model(folder: Path, key: str, search: FinishedSearch) -> TrainedModel | None:
    """The model of a training, if it is there and was trained so."""
    try:
        model = load_model(folder, search.model_class)
    except ModelError:
        return None
    return model if model.card.get("key") == key else None


def _key(search: FinishedSearch, training: Training, stop_after: int | None) -> str:
    """What a training depends on, hashed."""
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
