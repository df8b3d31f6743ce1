"""Rhythm extension of the built-in models: p(duration) * p(pitch | duration), one step a note.

B: tunes in a batch. T: notes in a tune. H: width of the hidden values. D: duration classes.
P: pitches. A token is `duration class * P + pitch`, so V = D * P.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.melody_model import MelodyModel

PERIODS = (240, 480, 720, 960, 1440, 1920, 2880, 3840, 5760, 7680)
"""Periods of beats, bars and pairs of bars in common meters, in ticks."""


class PitchDurationModel(nn.Module):
    """A melody model that also reads and predicts durations.

    Args:
        base: Made for the P pitches alone; its body reads both.
        vocabulary: With durations.
    """

    ticks: Tensor
    periods: Tensor

    def __init__(self, base: MelodyModel, vocabulary: Vocabulary) -> None:
        super().__init__()
        n_durations, width = len(vocabulary.durations), base.head.in_features
        self.n_pitches = vocabulary.n_pitches
        self.base = base
        self.duration_embedding = nn.Embedding(n_durations, base.embedding.embedding_dim)
        self.register_buffer("ticks", torch.tensor(vocabulary.durations), persistent=False)
        self.register_buffer("periods", torch.tensor(PERIODS), persistent=False)
        self.clock = nn.Linear(2 * len(PERIODS), base.embedding.embedding_dim, bias=False)
        self.duration_head = nn.Linear(width, n_durations)
        # Feature-wise modulation of the hidden values by the duration of the note.
        self.scale = nn.Embedding(n_durations, width)
        self.shift = nn.Embedding(n_durations, width)
        nn.init.normal_(self.duration_embedding.weight)
        with torch.no_grad():
            self.duration_embedding.weight.mul_(base.embedding.weight.std())
        nn.init.zeros_(self.scale.weight)
        nn.init.normal_(self.shift.weight, std=0.1)
        if (context := getattr(base, "sequence_length", None)) is not None:
            self.sequence_length = context

    def forward(self, tokens: Tensor) -> Tensor:
        """Log probabilities of all notes that may follow, shape (B, T, V) or (B, V)."""
        hidden, _ = self.read(tokens)
        every = torch.arange(self.duration_embedding.num_embeddings, device=hidden.device)
        given = self.pitch_logits(hidden[..., None, :], every)  # (..., D, P)
        duration = log_softmax(self.duration_head(hidden), dim=-1)  # (..., D)
        return (duration[..., None] + log_softmax(given, dim=-1)).flatten(-2)

    def read(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As `MelodyModel.read`, of tokens."""
        pitch, duration = tokens % self.n_pitches, tokens // self.n_pitches
        before, inner = (0, None) if state is None else state
        elapsed = before + self.ticks[duration].cumsum(-1)  # (B, T)
        embedded = (
            self.base.embedding(pitch) + self.duration_embedding(duration) + self._clock(elapsed)
        )
        hidden, inner = self.base.read(embedded, inner)
        return hidden, (elapsed[:, -1:], inner)

    def _clock(self, elapsed: Tensor) -> Tensor:
        """Embedded phase of the next onset in beats and bars, counted from the first note."""
        angles = 2 * math.pi * (elapsed[..., None] % self.periods) / self.periods
        embedded: Tensor = self.clock(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return embedded

    def pitch_logits(self, hidden: Tensor, duration: Tensor) -> Tensor:
        """Logits of a note's pitch given its duration, shape (..., P).

        Args:
            hidden: Hidden values before the note, shape (..., H).
            duration: Its duration class, of a shape that goes with (...).
        """
        logits: Tensor = self.base.head(hidden * (1 + self.scale(duration)) + self.shift(duration))
        return logits
