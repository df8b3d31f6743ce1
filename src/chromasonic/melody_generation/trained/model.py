"""A trained model, or several whose probabilities are averaged: what is saved, scored and heard.

M: networks. F: factors of a note. N: targets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chromasonic.melody_generation.data.batches import IGNORED, Tunes
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.evaluation import TuneNats
from chromasonic.melody_generation.training.scoring import (
    SCORED_AT_ONCE,
    batches_for,
    evaluating,
    predict,
)


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network and what it was built from.

    Attributes:
        module: In evaluation mode.
        kind: Which notes it predicts.
        class_name: Where its class can be imported from.
        params: What its constructor was given besides the vocabulary.
    """

    module: nn.Module
    kind: OutputKind
    class_name: str
    params: Mapping[str, Any]

    @property
    def n_parameters(self) -> int:
        """How many weights were learnt."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(self.module.parameters()).device


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Predicts the next note: the weighted mean of its networks' probabilities.

    Attributes:
        networks: One, or the members of an ensemble.
        weights: The share of each network, summing to 1.
        vocabulary: What tokens stand for.
        starts: How often training melodies began with each token.
        card: What else is known of it: data, training, scores.
    """

    networks: tuple[Network, ...]
    weights: tuple[float, ...]
    vocabulary: Vocabulary
    starts: Mapping[int, int] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ensemble(self) -> bool:
        """Whether several networks have a part in it."""
        return len(self.networks) > 1

    @property
    def n_parameters(self) -> int:
        """How many weights were learnt in all."""
        return sum(network.n_parameters for network in self.networks)

    def to(self, device: torch.device) -> "TrainedModel":
        """The same model, its networks moved there."""
        for network in self.networks:
            network.module.to(device)
        return self

    def tune_nats(self, tunes: Tunes) -> TuneNats:
        """What it loses on each tune.

        Args:
            tunes: Rows of its tokens, at least two each.
        """
        lost = [target_nats(network, tunes) for network in self.networks]
        mixed = mixed_nats(torch.stack([nats for nats, _ in lost]), self.weights)
        return sum_by_tune(mixed, lost[0][1], self.vocabulary)


@torch.no_grad()
def target_nats(network: Network, tunes: Tunes) -> tuple[Tensor, Tensor]:
    """Nats of every note by factor, and which tune it is of: (F, N) and (N,), on the CPU.

    The notes come tune by tune from each tune's second on, whatever network it is.
    """
    batches = batches_for(network.kind, tunes, network.module, network.device)
    parts, examples, start = [], [], 0
    with evaluating(network.module):
        for inputs, targets in batches(SCORED_AT_ONCE):
            nats, _ = predict(network.module, inputs, targets)
            rows = targets.reshape(len(targets), -1).cpu()
            there = (rows != IGNORED).flatten()
            parts.append(nats.cpu().double()[:, there])
            example = batches.order[start : start + len(rows), None]
            examples.append(example.expand_as(rows).flatten()[there])
            start += len(rows)
    example_of_note, place = torch.cat(examples).sort(stable=True)
    return torch.cat(parts, dim=1)[:, place], batches.tunes[example_of_note]


def mixed_nats(nats: Tensor, weights: Sequence[float]) -> Tensor:
    """Nats of each factor under the weighted mean of several networks' probabilities.

    Args:
        nats: Of each network, each factor given those before it, shape (M, F, N).
        weights: Share of each network, M numbers that sum to 1.

    Returns:
        Shape (F, N): a factor's nats are those of it and all before, less those of all before.
    """
    shares = torch.tensor(weights, dtype=nats.dtype).log()[:, None, None]
    joint = -torch.logsumexp(shares - nats.cumsum(1), dim=0)  # (F, N)
    return joint.diff(dim=0, prepend=torch.zeros_like(joint[:1]))


def sum_by_tune(nats: Tensor, tune_of_note: Tensor, vocabulary: Vocabulary) -> TuneNats:
    """The nats of each tune by factor, from those of each note, shape (F, N)."""
    notes = torch.bincount(tune_of_note)
    sums = torch.zeros((len(nats), len(notes)), dtype=nats.dtype)
    sums.index_add_(1, tune_of_note, nats)
    return TuneNats(sums.T.numpy(), notes.numpy().astype(np.int64), vocabulary.factors)
