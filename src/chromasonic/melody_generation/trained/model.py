"""A trained model, or an ensemble whose probabilities are averaged.

M: networks. F: factors of a note. N: targets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.melody_generation.data.batches import IGNORED, Tunes
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.check import OutputKind
from chromasonic.melody_generation.trained.evaluation import TuneNats
from chromasonic.melody_generation.training.scoring import (
    SCORED_AT_ONCE,
    batches_for,
    evaluation_mode,
    predict,
)
from chromasonic.melody_generation.training.threads import torch_threads


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network with its class and constructor arguments.

    Attributes:
        module: In evaluation mode.
        kind: The notes it predicts.
        class_name: Import path of its class.
        params: Constructor arguments besides the vocabulary.
    """

    module: nn.Module
    kind: OutputKind
    class_name: str
    params: Mapping[str, Any]

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def device(self) -> torch.device:
        """Device of its weights."""
        return next(self.module.parameters()).device


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Predicts the next note: the weighted mean of its networks' probabilities.

    Attributes:
        networks: One, or the members of an ensemble.
        weights: The share of each network, summing to 1.
        vocabulary: Meaning of the tokens.
        starts: Number of training melodies that begin with each token.
        card: Further facts about it: data, training, scores.
    """

    networks: tuple[Network, ...]
    weights: tuple[float, ...]
    vocabulary: Vocabulary
    starts: Mapping[int, int] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ensemble(self) -> bool:
        """True for several networks."""
        return len(self.networks) > 1

    @property
    def n_parameters(self) -> int:
        """Number of weights of all networks."""
        return sum(network.n_parameters for network in self.networks)

    def to(self, device: torch.device) -> "TrainedModel":
        """Moves the networks to a device and returns the model itself."""
        for network in self.networks:
            network.module.to(device)
        return self

    @own_error_state()
    @torch_threads()
    def tune_nats(self, tunes: Tunes) -> TuneNats:
        """Negative log-likelihood of each tune.

        Args:
            tunes: Rows of its tokens, at least two each.
        """
        scored = [target_nats(network, tunes) for network in self.networks]
        mixed = mixed_nats(torch.stack([nats for nats, _ in scored]), self.weights)
        return sum_by_tune(mixed, scored[0][1], self.vocabulary)


@torch.no_grad()
def target_nats(network: Network, tunes: Tunes) -> tuple[Tensor, Tensor]:
    """Nats of every note by factor, and the index of its tune: (F, N) and (N,), on the CPU.

    The notes are in the order of the tunes, from each tune's second on, for every network.
    """
    batches = batches_for(network.kind, tunes, network.module, network.device)
    parts, examples, start = [], [], 0
    with evaluation_mode(network.module):
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

    With joint nats J_f = -log(sum over m of w_m exp(-(nats_m1 + ... + nats_mf))), those of factor
    f are J_f - J_(f-1).

    Args:
        nats: Of each network, each factor given those before it, shape (M, F, N).
        weights: Share of each network, M numbers that sum to 1.

    Returns:
        Shape (F, N).
    """
    shares = torch.tensor(weights, dtype=nats.dtype).log()[:, None, None]
    joint = -torch.logsumexp(shares - nats.cumsum(1), dim=0)  # (F, N)
    return joint.diff(dim=0, prepend=torch.zeros_like(joint[:1]))


def sum_by_tune(nats: Tensor, tune_of_note: Tensor, vocabulary: Vocabulary) -> TuneNats:
    """Sums the nats of notes, shape (F, N), over each tune."""
    notes = torch.bincount(tune_of_note)
    sums = torch.zeros((len(nats), len(notes)), dtype=nats.dtype)
    sums.index_add_(1, tune_of_note, nats)
    return TuneNats(sums.T.numpy(), notes.numpy().astype(np.int64), vocabulary.factors)
