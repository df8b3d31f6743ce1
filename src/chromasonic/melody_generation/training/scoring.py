"""Loss and accuracy of a model on melodies, in nats per note."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chromasonic.melody_generation.data.batches import IGNORED, Batches, Tunes, WholeTunes, Windows
from chromasonic.melody_generation.models.check import OutputKind, logits_of
from chromasonic.melody_generation.models.rhythm import PitchDurationModel

DEFAULT_CONTEXT = 16
SCORED_AT_ONCE = 64
"""Melodies in a batch where no gradient is needed."""


@dataclass(frozen=True)
class Score:
    """Loss and accuracy over a set of notes.

    Attributes:
        loss: Mean negative log probability of a note, in nats.
        accuracy: Share of notes whose pitch was the most probable one.
        factors: The parts of the loss, in the order of the vocabulary's factors.
    """

    loss: float
    accuracy: float
    factors: tuple[float, ...]


def batches_for(kind: OutputKind, tunes: Tunes, model: nn.Module, device: torch.device) -> Batches:
    """Batches of the tunes in the form that a model of that kind needs."""
    if kind is OutputKind.EVERY_POSITION:
        return WholeTunes(tunes, device)
    return Windows(tunes, context_length(model), device)


def context_length(model: nn.Module) -> int:
    """Context length of a model that predicts only the last note."""
    return int(getattr(model, "sequence_length", DEFAULT_CONTEXT))


def predict(model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Nats of each target by factor, and whether its pitch was the most probable one.

    Args:
        model: Any melody model.
        inputs: As `Batches` yields them.
        targets: As `Batches` yields them: (B, T) or (B,), with `IGNORED` where there is none.

    Returns:
        Shapes (F, targets) and (targets,); nats are 0 where there is no target. Each factor is
        given those before it.
    """
    flat = targets.flatten()
    if not isinstance(model, PitchDurationModel):
        logits = _match_targets(logits_of(model(inputs)), targets).flatten(0, -2)
        return _nats(logits, flat)[None], logits.argmax(-1) == flat
    hidden = _match_targets(model.read(inputs)[0], targets).flatten(0, -2)
    missing = flat == IGNORED
    duration = flat.clamp(min=0) // model.n_pitches
    pitch = (flat % model.n_pitches).masked_fill(missing, IGNORED)
    pitch_logits = model.pitch_logits(hidden, duration)
    nats = _nats(model.duration_head(hidden), duration.masked_fill(missing, IGNORED))
    return torch.stack([nats, _nats(pitch_logits, pitch)]), pitch_logits.argmax(-1) == pitch


def _match_targets(values: Tensor, targets: Tensor) -> Tensor:
    """The last position of the values, where only the last one has a target."""
    return values[:, -1] if targets.ndim == 1 and values.ndim == 3 else values


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")


@torch.no_grad()
def score(model: nn.Module, batches: Batches) -> Score:
    """Scores a model on batches, without dropout."""
    with evaluation_mode(model):
        parts = [_sums(*predict(model, *batch), batch[1]) for batch in batches(SCORED_AT_ONCE)]
    *nats, correct, count = torch.stack(parts).sum(0).tolist()
    return Score(sum(nats) / count, correct / count, tuple(part / count for part in nats))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Context in which the model is in evaluation mode; its mode is restored afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _sums(nats: Tensor, correct: Tensor, targets: Tensor) -> Tensor:
    """The nats of each factor, the number of right guesses, and the number of notes."""
    sums = [*nats.sum(1), correct.sum().float(), (targets != IGNORED).sum().float()]
    # Summed up in double precision, which not every device has.
    return torch.stack(sums).cpu().double()
