"""Training loop as a generator of epochs, which the caller stops by not asking for the next."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from chromasonic.melody_generation.data.batches import IGNORED, transpose_randomly
from chromasonic.melody_generation.data.melodies import Melodies
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.training._randomness import RandomState
from chromasonic.melody_generation.training.scoring import batches_for, predict, score
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.objective import Epoch
from chromasonic.tuning.seeds import derive_seed

LARGEST_GRADIENT_NORM = 1.0
WARM_UP_FRACTION = 0.05
EARLY_STOPPING_EPOCHS = 5
CHECKPOINT_FILE = "training.pt"


@dataclass(frozen=True)
class TrainingSettings:
    """Hyperparameters of the training.

    Attributes:
        num_epochs: The most epochs; the learning rate falls to 0 over them.
        learning_rate: The highest, after the warm-up.
        batch_size: Melodies in a batch.
        weight_decay: Decoupled weight decay (AdamW), on weight matrices only.
        transposition: Largest random transposition of a melody in a batch, in semitones.
    """

    num_epochs: int = 20
    learning_rate: float = 1e-3
    batch_size: int = 32
    weight_decay: float = 0.01
    transposition: int = 0

    def __post_init__(self) -> None:
        checks = {
            "num_epochs": (self.num_epochs >= 1, "at least 1"),
            "learning_rate": (self.learning_rate > 0, "above 0"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "transposition": (self.transposition >= 0, "0 or more"),
        }
        for name, (holds, must) in checks.items():
            if not holds:
                raise ValueError(f"{name} must be {must}, but got {getattr(self, name)!r}.")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all settings."""
        return tuple(field.name for field in fields(cls))


def train(
    build: Callable[[], nn.Module],
    kind: OutputKind,
    melodies: Melodies,
    settings: TrainingSettings,
    *,
    device: torch.device,
    seed: int,
    checkpoint: Path | None = None,
    n_micro_batches: int = 1,
    stop_after: int | None = None,
) -> Generator[Epoch, None, Ending]:
    """Trains a model and yields each epoch with its validation loss in nats per note.

    Without validation melodies the loss is that of the training, nothing stops it early, and the
    weights kept are the last ones.

    Args:
        build: Builds the model; its random numbers come from `seed`.
        kind: The notes that the model predicts.
        melodies: Training melodies, and validation melodies for early stopping.
        settings: Hyperparameters of the training.
        device: Device to train on.
        seed: Seed of weights, dropout and the order of melodies.
        checkpoint: A folder written by an epoch's `save`, to resume from.
        n_micro_batches: Parts of a batch whose gradients are summed before each step: less
            memory, the same steps.
        stop_after: Epochs after which to end, on the schedule of all of them.

    Returns:
        `STOPPED_EARLY` if the validation loss had not improved for 5 epochs, else `COMPLETED`.
    """
    training = _Training(build, kind, melodies, settings, device, seed, n_micro_batches)
    if checkpoint is not None:
        training.load(checkpoint)
    while training.epoch < min(settings.num_epochs, stop_after or settings.num_epochs):
        if training.epochs_since_best >= EARLY_STOPPING_EPOCHS:
            return Ending.STOPPED_EARLY
        yield training.next_epoch()
    return Ending.COMPLETED


def load_best_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Loads the weights of the best epoch up to a checkpoint, on the CPU."""
    state = torch.load(checkpoint / CHECKPOINT_FILE, map_location="cpu", weights_only=True)
    weights: dict[str, Tensor] = state["best_weights"]
    return weights


class _Training:
    """A training in progress, whose state can be saved after each epoch."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        kind: OutputKind,
        melodies: Melodies,
        settings: TrainingSettings,
        device: torch.device,
        seed: int,
        n_micro_batches: int,
    ) -> None:
        self._settings = settings
        self._n_micro_batches = n_micro_batches
        self._device = device
        self._vocabulary = melodies.vocabulary
        self._random = RandomState(derive_seed(seed, "model"), device)
        self._order = torch.Generator().manual_seed(derive_seed(seed, "order"))
        with self._random.active():
            self._model = build().to(device)
        self._train = batches_for(kind, melodies.train, self._model, device)
        self._validation = (
            batches_for(kind, melodies.validation, self._model, device)
            if melodies.validation
            else None
        )
        self._optimizer = _optimizer(self._model, settings, device)
        steps = settings.num_epochs * self._train.count(settings.batch_size)
        self._schedule = LambdaLR(self._optimizer, lambda step: _learning_rate_at(step, steps))
        self._n_parameters = sum(p.numel() for p in self._model.parameters())
        self._best_loss = math.inf
        self._best_weights: dict[str, Tensor] = {}
        self.epoch = 0
        self.epochs_since_best = 0

    def next_epoch(self) -> Epoch:
        learning_rate = self._schedule.get_last_lr()[0]
        with self._random.active():
            train_loss = self._train_epoch()
        self.epoch += 1
        if self._validation is None:
            self._best_weights = _copy_to_cpu(self._model.state_dict())
            return Epoch(train_loss, train_loss, self._metrics(learning_rate), self.save)
        validation = score(self._model, self._validation)
        self.epochs_since_best += 1
        if validation.loss < self._best_loss:
            self._best_loss = validation.loss
            self._best_weights = _copy_to_cpu(self._model.state_dict())
            self.epochs_since_best = 0
        metrics = {"accuracy": validation.accuracy, **self._metrics(learning_rate)}
        if len(validation.factors) > 1:
            names = [f"{name}_loss" for name in self._vocabulary.factors]
            metrics |= dict(zip(names, validation.factors, strict=True))
        return Epoch(validation.loss, train_loss, metrics, self.save)

    def _metrics(self, learning_rate: float | Tensor) -> dict[str, Any]:
        return {"learning_rate": learning_rate, "n_parameters": self._n_parameters}

    def _train_epoch(self) -> float:
        """Trains one pass over the melodies and returns the mean training loss."""
        self._model.train()
        nats = torch.zeros(2, device=self._device)  # their sum, and of how many notes
        for inputs, targets in self._train(self._settings.batch_size, self._order):
            if self._settings.transposition:
                most, n_pitches = self._settings.transposition, self._vocabulary.n_pitches
                inputs, targets = transpose_randomly(inputs, targets, most, n_pitches, self._order)
            self._optimizer.zero_grad(set_to_none=True)
            n_notes = (targets != IGNORED).sum()
            parts = zip(
                inputs.chunk(self._n_micro_batches),
                targets.chunk(self._n_micro_batches),
                strict=True,
            )
            losses = [self._backward(*part, n_notes) for part in parts]
            clip_grad_norm_(self._model.parameters(), LARGEST_GRADIENT_NORM)
            self._optimizer.step()
            self._schedule.step()
            nats += torch.stack([torch.stack(losses).sum() * n_notes, n_notes])
        total, count = nats.tolist()
        return float(total / count)

    def _backward(self, inputs: Tensor, targets: Tensor, n_notes: Tensor) -> Tensor:
        """Adds the gradients of a micro-batch and returns its share of the batch's mean loss."""
        nats, _ = predict(self._model, inputs, targets)
        loss = nats.sum() / n_notes
        loss.backward()
        return loss.detach()

    def _state(self) -> dict[str, Any]:
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": self._random.state_dict(),
            "order": self._order.get_state(),
            "epoch": self.epoch,
            "epochs_since_best": self.epochs_since_best,
            "best_loss": self._best_loss,
            "best_weights": self._best_weights,
        }

    def save(self, folder: Path) -> None:
        # Through a Python file, a full disk is an OSError.
        with (folder / CHECKPOINT_FILE).open("wb") as file:
            torch.save(self._state(), file)

    def load(self, folder: Path) -> None:
        state = torch.load(folder / CHECKPOINT_FILE, map_location="cpu", weights_only=True)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._random.load_state_dict(state["random"])
        self._order.set_state(state["order"])
        self.epoch = state["epoch"]
        self.epochs_since_best = state["epochs_since_best"]
        self._best_loss = state["best_loss"]
        self._best_weights = state["best_weights"]


def _optimizer(
    model: nn.Module, settings: TrainingSettings, device: torch.device
) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = device.type in ("cpu", "cuda") and all(p.is_floating_point() for p in trained)
    return AdamW(
        [group for group in groups if group["params"]], lr=settings.learning_rate, fused=fused
    )


def _learning_rate_at(step: int, steps: int) -> float:
    """Learning rate as a share of the highest: linear warm-up, then half a cosine to 0."""
    warm_up = max(1, round(WARM_UP_FRACTION * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))


def _copy_to_cpu(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
