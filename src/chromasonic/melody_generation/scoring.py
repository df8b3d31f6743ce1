"""How well a model predicts melodies, in nats per note."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chromasonic.melody_generation.data.batches import IGNORED, Batches, Tunes, WholeTunes, Windows
from chromasonic.melody_generation.models.check import OutputKind, logits_of

DEFAULT_CONTEXT = 16
SCORED_AT_ONCE = 64
"""Melodies to a batch where no gradient is needed."""


@dataclass(frozen=True)
class Score:
    """How well notes were predicted.

    Attributes:
        loss: Mean negative log probability of a note, in nats.
        accuracy: Share of notes that were the most probable one.
    """

    loss: float
    accuracy: float


def batches_for(kind: OutputKind, tunes: Tunes, model: nn.Module, device: torch.device) -> Batches:
    """The tunes cut as a model of that kind needs them."""
    if kind is OutputKind.EVERY_POSITION:
        return WholeTunes(tunes, device)
    return Windows(tunes, context_of(model), device)


def context_of(model: nn.Module) -> int:
    """How many notes a model that predicts only the last one is shown."""
    return int(getattr(model, "sequence_length", DEFAULT_CONTEXT))


def logits_for(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """One row of logits for each target, shape (targets, vocabulary)."""
    logits = logits_of(model(inputs))
    if targets.ndim == 1 and logits.ndim == 3:
        logits = logits[:, -1]
    return logits.flatten(0, -2)


@torch.no_grad()
def score(model: nn.Module, batches: Batches) -> Score:
    """How well `model` predicts each note of `batches`, without dropout."""
    was_training = model.training
    model.eval()
    try:
        parts = [_score_batch(model, *batch) for batch in batches(SCORED_AT_ONCE)]
    finally:
        model.train(was_training)
    total, correct, count = torch.stack(parts).sum(0).tolist()
    return Score(total / count, correct / count)


def _score_batch(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The sum of losses, the number of right guesses, and the number of notes."""
    logits = logits_for(model, inputs, targets)
    flat = targets.flatten()
    total = cross_entropy(logits, flat, ignore_index=IGNORED, reduction="sum")
    correct = (logits.argmax(-1) == flat).sum()
    count = (flat != IGNORED).sum()
    # Summed up in double precision, which not every device has.
    return torch.stack([total, correct.float(), count.float()]).cpu().double()
