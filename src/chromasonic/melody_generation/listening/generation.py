"""Generation of melodies, note by note, from a trained model.

B: melodies. T: notes. M: networks. D: duration classes. P: pitches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from chromasonic.bayesopt.arithmetic import own_error_state
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
from chromasonic.melody_generation.training.scoring import context_length
from chromasonic.melody_generation.training.threads import torch_threads

EIGHTH = 240
"""Ticks of every note where a model knows no durations: the commonest in the corpus."""

_CANDIDATES_IN_A_KEY = 4
"""Melodies drawn for each one wanted in a key; those that fit the key best are kept."""


@dataclass(frozen=True, eq=False)
class Melody:
    """A melody as MIDI pitches and durations.

    Attributes:
        pitches: MIDI pitches, shape (T,).
        durations: Ticks, 480 to a quarter note, shape (T,).
    """

    pitches: IntArray
    durations: IntArray


@own_error_state()
@torch_threads()
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
    """Generates melodies from a trained model.

    Args:
        model: As `load_model` or `train_final_model` returns it.
        n: Number of melodies.
        length: Notes of each, those of the seed tune included; at least 2.
        temperature: Above 0. Above 1 evens the probabilities out, below 1 sharpens them.
        top_p: Notes are drawn from the most probable ones that together have this probability; in
            (0, 1].
        key: Such as `D` or `F#m`: the melodies are those of four times as many that are clearest
            in that mode, moved to that tonic.
        seed_tune: A melody whose beginning all of them continue.
        seed_notes: How much of it, at least 1.
        seed: The same seed gives the same melodies on the same machine.

    Raises:
        DataError: The key is not one, or the model does not know how melodies begin.
        ValueError: A number is out of its range.
    """
    _check_counts(n=n, seed_notes=seed_notes)
    if length < 2:
        raise ValueError(f"length must be at least 2, but got {length}.")
    wanted = None if key is None else Key.parse(key)
    generator = torch.Generator().manual_seed(int(seed))
    count = n * (1 if wanted is None else _CANDIDATES_IN_A_KEY)
    if seed_tune is None:
        start = draw_starts(model, count, generator)
    else:
        start = _prompt_tokens(model, seed_tune, min(seed_notes, length - 1)).expand(count, -1)
    tokens = sample_tokens(model, start, length, generator, temperature=temperature, top_p=top_p)
    melodies = [decode_melody(model, row) for row in tokens]
    if wanted is None:
        return melodies
    fits = [fit_key(melody.pitches, melody.durations, wanted) for melody in melodies]
    best = sorted(range(count), key=lambda i: -fits[i].clarity)[:n]
    return [Melody(fits[i].pitches, melodies[i].durations) for i in sorted(best)]


def _prompt_tokens(model: TrainedModel, tune: Melody, n_notes: int) -> Tensor:
    """The first notes of a tune as one row of tokens, shape (1, n_notes)."""
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
    """Samples a continuation of each row of `start`, up to `n_notes` notes.

    Probabilities are softmax(log p / temperature), cut to the nucleus of mass `top_p`.

    Args:
        model: What predicts.
        start: Tokens of the first notes, shape (B, T) with T at least 1.
        n_notes: Length of the rows returned, at least T.
        generator: Draws every note, on the CPU: the same notes on any device that computes alike.
        temperature: Above 0. Above 1 evens the probabilities out, below 1 sharpens them.
        top_p: Notes are drawn from the most probable ones that together have this probability; in
            (0, 1].

    Returns:
        Tokens, shape (B, n_notes).

    Source: Holtzman et al. (2020), nucleus sampling, for `top_p`.
    """
    if temperature <= 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"temperature must be above 0 and top_p in (0, 1], but got {temperature} and {top_p}."
        )
    draw = _TokenSampler(generator, temperature, top_p)
    readers = [_IncrementalNetwork(network) for network in model.networks]
    shares = torch.tensor(model.weights).log()[:, None, None]  # (M, 1, 1)
    tokens = start
    with torch.no_grad():
        while tokens.shape[1] < n_notes:
            heads = [reader(tokens) for reader in readers]
            tokens = torch.cat([tokens, _next_tokens(heads, shares, model, draw)[:, None]], dim=1)
    return tokens


def _next_tokens(
    heads: list[Any], shares: Tensor, model: TrainedModel, draw: "_TokenSampler"
) -> Tensor:
    """Samples the next token of each row, shape (B,)."""
    if not model.vocabulary.durations:
        return draw(torch.logsumexp(shares + _log_softmaxes(heads), dim=0))
    networks: list[Any] = [network.module for network in model.networks]
    durations = _log_softmaxes(
        [n.duration_head(hidden) for n, hidden in zip(networks, heads, strict=True)]
    )
    duration = draw(torch.logsumexp(shares + durations, dim=0))  # (B,)
    # A network's weight on the pitch grows with the probability it gave to the duration.
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
class _TokenSampler:
    """Samples one index from each row of log probabilities."""

    generator: torch.Generator
    temperature: float
    top_p: float

    def __call__(self, log_probabilities: Tensor) -> Tensor:
        probabilities = torch.softmax(log_probabilities / self.temperature, dim=-1)
        if self.top_p < 1:
            ordered, places = probabilities.sort(dim=-1, descending=True)
            # The most probable one always stays, however large it is.
            too_far = ordered.cumsum(-1) - ordered >= self.top_p
            probabilities = torch.zeros_like(probabilities).scatter(
                -1, places, ordered.masked_fill(too_far, 0.0)
            )
        return torch.multinomial(probabilities, 1, generator=self.generator)[:, 0]


class _IncrementalNetwork:
    """A network that reads only the new notes where it can, else all of them or a window."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._module = network.module.eval()
        self._state: Any = None
        self._n_read = 0
        self._is_incremental = network.kind is OutputKind.EVERY_POSITION and isinstance(
            self._module, MelodyModel | PitchDurationModel
        )

    def __call__(self, tokens: Tensor) -> Tensor:
        """The network's output after the last note of each row.

        Returns:
            Logits (B, V); with durations, the input of its heads, (B, H).
        """
        tokens = tokens.to(self._network.device)
        if self._is_incremental:
            return self._read_new(tokens)
        if self._network.kind is not OutputKind.EVERY_POSITION:
            tokens = _window(tokens, context_length(self._module))
        if isinstance(self._module, PitchDurationModel):
            return self._last_position(self._module.read(tokens)[0])
        return self._last_position(logits_of(self._module(tokens)))

    def _read_new(self, tokens: Tensor) -> Tensor:
        module: Any = self._module
        new = tokens[:, self._n_read :]
        self._n_read = tokens.shape[1]
        if isinstance(module, PitchDurationModel):
            hidden, self._state = module.read(new, self._state)
            return self._last_position(hidden)
        hidden, self._state = module.read(module.embedding(new), self._state)
        return self._last_position(module.head(hidden))

    def _last_position(self, values: Tensor) -> Tensor:
        return values[:, -1] if values.ndim == 3 else values


def _window(tokens: Tensor, context: int) -> Tensor:
    """The last `context` notes, padded with the first note as in training."""
    missing = context - tokens.shape[1]
    if missing > 0:
        tokens = torch.cat([tokens[:, :1].expand(-1, missing), tokens], dim=1)
    return tokens[:, -context:]


def draw_starts(model: TrainedModel, count: int, generator: torch.Generator) -> Tensor:
    """Samples first notes as the training melodies begin, shape (count, 1).

    Raises:
        DataError: The model does not store how they begin.
    """
    starts = model.starts
    if not starts:
        raise DataError("the model does not store how melodies begin. Pass a seed tune.")
    weights = torch.tensor(list(starts.values()), dtype=torch.float64)
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    return torch.tensor(list(starts))[chosen][:, None]


def decode_melody(model: TrainedModel, tokens: Tensor) -> Melody:
    """Decodes a row of tokens into pitches and durations."""
    pitches, ticks = model.vocabulary.decode(tokens.numpy().astype(np.int64))
    if ticks is None:
        ticks = np.full(len(pitches), EIGHTH)
    return Melody(decode_pitches(pitches), ticks)
