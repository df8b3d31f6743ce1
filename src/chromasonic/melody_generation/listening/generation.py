"""Melodies drawn note by note from a trained model.

B: melodies. T: notes. M: networks. D: duration classes. P: pitches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from chromasonic.errors import DataError
from chromasonic.melody_generation.data.vocabulary import (
    IntArray,
    decode_pitches,
    encode_pitches,
)
from chromasonic.melody_generation.listening.keys import Key, fit_key
from chromasonic.melody_generation.models.check import OutputKind, logits_of
from chromasonic.melody_generation.models.melody_model import MelodyModel
from chromasonic.melody_generation.models.rhythm import PitchDurationModel
from chromasonic.melody_generation.trained.model import Network, TrainedModel
from chromasonic.melody_generation.training.scoring import context_of

EIGHTH = 240
"""Ticks of every note where a model knows no durations: the commonest in the corpus."""

_CANDIDATES_IN_A_KEY = 4
"""So many melodies are drawn for each that is wanted in a key; those that fit it best are kept."""


@dataclass(frozen=True, eq=False)
class Melody:
    """A melody to be heard.

    Attributes:
        pitches: MIDI pitches, shape (T,).
        durations: Ticks, 480 to a quarter note, shape (T,).
    """

    pitches: IntArray
    durations: IntArray


def generate(
    model: TrainedModel,
    n: int = 8,
    *,
    length: int = 100,
    temperature: float = 1.0,
    top_p: float = 0.95,
    key: str | None = None,
    seed_tune: Melody | None = None,
    seed_notes: int = 16,
    seed: int = 0,
) -> list[Melody]:
    """New melodies.

    Args:
        model: What `load_model` or `train_final_model` gives.
        n: How many.
        length: Notes of each, those of the seed tune included; at least 2.
        temperature: Above 1 dares more, below 1 less; above 0.
        top_p: Notes are drawn from the most probable ones that make up so much; in (0, 1].
        key: Such as `D` or `F#m`: the melodies are those of four times as many that are clearest
            in that mode, moved to that tonic.
        seed_tune: A melody whose beginning all of them continue.
        seed_notes: How much of it, at least 1.
        seed: The same seed gives the same melodies on the same machine.

    Raises:
        DataError: The key is none, or the model does not know how melodies begin.
        ValueError: A number is out of its range.
    """
    _check_counts(n=n, seed_notes=seed_notes)
    if length < 2:
        raise ValueError(f"length must be at least 2, but got {length}.")
    wanted = None if key is None else Key.parse(key)
    generator = torch.Generator().manual_seed(seed)
    count = n * (1 if wanted is None else _CANDIDATES_IN_A_KEY)
    if seed_tune is None:
        start = draw_starts(model, count, generator)
    else:
        start = _beginning(model, seed_tune, min(seed_notes, length - 1)).expand(count, -1)
    tokens = sample_tokens(model, start, length, generator, temperature=temperature, top_p=top_p)
    melodies = [as_melody(model, row) for row in tokens]
    if wanted is None:
        return melodies
    fits = [fit_key(melody.pitches, melody.durations, wanted) for melody in melodies]
    best = sorted(range(count), key=lambda i: -fits[i].clarity)[:n]
    return [Melody(fits[i].pitches, melodies[i].durations) for i in sorted(best)]


def _beginning(model: TrainedModel, tune: Melody, n_notes: int) -> Tensor:
    """The first notes of a tune as one row of tokens."""
    pitches = encode_pitches(tune.pitches[:n_notes])
    tokens = model.vocabulary.encode(pitches, tune.durations[:n_notes])
    return torch.from_numpy(tokens)[None]


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, but got {count}.")


def sample_tokens(
    model: TrainedModel,
    start: Tensor,
    n_notes: int,
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Tensor:
    """Continues each row of `start` until it has `n_notes` notes.

    Args:
        model: What predicts.
        start: Tokens of the first notes, shape (B, T) with T at least 1.
        n_notes: Length of the rows returned, at least T.
        generator: Draws every note, on the CPU: the same notes on any device that computes alike.
        temperature: Above 1 evens the probabilities out, below 1 sharpens them; above 0.
        top_p: Notes are drawn from the most probable ones that make up so much; in (0, 1].

    Returns:
        Tokens, shape (B, n_notes).

    Source: Holtzman et al. (2020), nucleus sampling, for `top_p`.
    """
    if temperature <= 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"temperature must be above 0 and top_p in (0, 1], but got {temperature} and {top_p}."
        )
    draw = _Draw(generator, temperature, top_p)
    readers = [_Reader(network) for network in model.networks]
    shares = torch.tensor(model.weights).log()[:, None, None]  # (M, 1, 1)
    tokens = start
    with torch.no_grad():
        while tokens.shape[1] < n_notes:
            heads = [reader(tokens) for reader in readers]
            tokens = torch.cat([tokens, _next(heads, shares, model, draw)[:, None]], dim=1)
    return tokens


def _next(heads: list[Any], shares: Tensor, model: TrainedModel, draw: "_Draw") -> Tensor:
    """The next token of each row, shape (B,)."""
    if not model.vocabulary.durations:
        return draw(torch.logsumexp(shares + _log_softmaxes(heads), dim=0))
    networks: list[Any] = [network.module for network in model.networks]
    durations = _log_softmaxes(
        [n.duration_head(hidden) for n, hidden in zip(networks, heads, strict=True)]
    )
    duration = draw(torch.logsumexp(shares + durations, dim=0))  # (B,)
    # What a network's word on the pitch is worth depends on how well it foresaw the duration.
    given = shares + durations.gather(2, duration.expand(len(heads), -1)[..., None])
    pitches = _log_softmaxes(
        [
            n.pitch_logits(hidden, duration.to(hidden.device))
            for n, hidden in zip(networks, heads, strict=True)
        ]
    )
    pitch = draw(torch.logsumexp(given + pitches, dim=0))
    return duration * model.vocabulary.n_pitches + pitch


def _log_softmaxes(logits: Sequence[Tensor]) -> Tensor:
    """Log probabilities of all networks, on the CPU, shape (M, B, D or P)."""
    return torch.stack([log_softmax(x.float(), dim=-1).cpu() for x in logits])


@dataclass(frozen=True)
class _Draw:
    """Draws one of several from each row of log probabilities."""

    generator: torch.Generator
    temperature: float
    top_p: float

    def __call__(self, log_probabilities: Tensor) -> Tensor:
        probabilities = torch.softmax(log_probabilities / self.temperature, dim=-1)
        if self.top_p < 1:
            ordered, places = probabilities.sort(dim=-1, descending=True)
            # The first of them always stays, however large it is.
            too_far = ordered.cumsum(-1) - ordered >= self.top_p
            probabilities = torch.zeros_like(probabilities).scatter(
                -1, places, ordered.masked_fill(too_far, 0.0)
            )
        return torch.multinomial(probabilities, 1, generator=self.generator)[:, 0]


class _Reader:
    """Reads on where it stopped, where the network can; else all notes, or a window, again."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._module = network.module.eval()
        self._state: Any = None
        self._n_read = 0
        self._reads_on = network.kind is OutputKind.EVERY_POSITION and isinstance(
            self._module, MelodyModel | PitchDurationModel
        )

    def __call__(self, tokens: Tensor) -> Tensor:
        """What the network says after the last note of each row.

        Returns:
            Logits (B, V); of one that knows durations what its heads need, (B, H).
        """
        tokens = tokens.to(self._network.device)
        if self._reads_on:
            return self._read_on(tokens)
        if self._network.kind is not OutputKind.EVERY_POSITION:
            tokens = _window(tokens, context_of(self._module))
        if isinstance(self._module, PitchDurationModel):
            return self._last(self._module.read(tokens)[0])
        return self._last(logits_of(self._module(tokens)))

    def _read_on(self, tokens: Tensor) -> Tensor:
        module: Any = self._module
        new = tokens[:, self._n_read :]
        self._n_read = tokens.shape[1]
        if isinstance(module, PitchDurationModel):
            hidden, self._state = module.read(new, self._state)
            return self._last(hidden)
        hidden, self._state = module.read(module.embedding(new), self._state)
        return self._last(module.head(hidden))

    def _last(self, values: Tensor) -> Tensor:
        return values[:, -1] if values.ndim == 3 else values


def _window(tokens: Tensor, context: int) -> Tensor:
    """The last notes; before the beginning stands the first one, as in training."""
    missing = context - tokens.shape[1]
    if missing > 0:
        tokens = torch.cat([tokens[:, :1].expand(-1, missing), tokens], dim=1)
    return tokens[:, -context:]


def draw_starts(model: TrainedModel, count: int, generator: torch.Generator) -> Tensor:
    """First notes as the model's own training melodies begin, shape (count, 1).

    Raises:
        DataError: It is not known how they begin.
    """
    starts = model.starts
    if not starts:
        raise DataError("the model must know how melodies begin, but does not. Give a seed tune.")
    weights = torch.tensor(list(starts.values()), dtype=torch.float64)
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    return torch.tensor(list(starts))[chosen][:, None]


def as_melody(model: TrainedModel, tokens: Tensor) -> Melody:
    """A row of tokens as pitches and durations."""
    pitches, ticks = model.vocabulary.decode(tokens.numpy().astype(np.int64))
    if ticks is None:
        ticks = np.full(len(pitches), EIGHTH)
    return Melody(decode_pitches(pitches), ticks)
