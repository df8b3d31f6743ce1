"""Batches of melodies for training and scoring, indexed from one tensor.

N: examples. B: rows of a batch. T: tokens in a row.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IGNORED = -100
"""Target of padding, which has no loss."""

LONGEST_ROW = 513
_BATCHES_A_POOL = 8

Tunes = Sequence[NDArray[np.int64]]


class Batches(Protocol):
    """Melodies cut into examples, each note but the first of a tune a target exactly once.

    Attributes:
        tunes: The tune of each example, shape (N,); examples go through the tunes in order.
        order: Order of the examples without a generator, shape (N,).
    """

    tunes: Tensor
    order: Tensor

    def __call__(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of inputs and targets, on the device of the data.

        Args:
            batch_size: Melodies in a batch.
            generator: Shuffles the examples; without one they come in a fixed order.
        """

    def count(self, batch_size: int) -> int:
        """Number of batches."""


@final
class WholeTunes:
    """Whole melodies, padded and grouped by length; a target at every position.

    Inputs and targets are (B, T). A melody longer than `LONGEST_ROW` is cut into rows that
    overlap by one note.
    """

    def __init__(self, tunes: Tunes, device: torch.device) -> None:
        pieces = [_pieces(tune) for tune in tunes]
        rows = [row for rows_of_tune in pieces for row in rows_of_tune]
        lengths = np.array([len(row) for row in rows])
        padded = np.full((len(rows), lengths.max()), IGNORED, dtype=np.int64)
        for row, tokens in zip(padded, rows, strict=True):
            row[: len(tokens)] = tokens
        self._lengths = torch.from_numpy(lengths)
        self._tokens = torch.from_numpy(padded).to(device)  # (N, longest)
        counts = torch.tensor([len(rows_of_tune) for rows_of_tune in pieces])
        self.tunes = torch.arange(len(pieces)).repeat_interleave(counts)
        self.order = self._lengths.argsort(stable=True)

    def __call__(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets, (B, T) each."""
        for chosen in self._order(batch_size, generator):
            longest = int(self._lengths[chosen].max())
            rows = self._tokens[chosen.to(self._tokens.device), :longest]
            yield rows[:, :-1].clamp(min=0), rows[:, 1:]

    def count(self, batch_size: int) -> int:
        """Number of batches."""
        return -(-len(self._tokens) // batch_size)

    def _order(self, batch_size: int, generator: torch.Generator | None) -> list[Tensor]:
        """Groups rows by length, in random batches where there is a generator."""
        if generator is None:
            return list(self.order.split(batch_size))
        shuffled = torch.randperm(len(self._lengths), generator=generator)
        pools = shuffled.split(batch_size * _BATCHES_A_POOL)
        batches = [
            batch
            for pool in pools
            for batch in pool[self._lengths[pool].argsort(stable=True)].split(batch_size)
        ]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


@final
class Windows:
    """Windows of a note and the `context` notes before it; one target a window.

    Inputs are (B, context), targets (B,). Before the beginning of a melody its first note
    stands, so that every window is full and no extra token is needed.
    """

    def __init__(self, tunes: Tunes, context: int, device: torch.device) -> None:
        windows = np.concatenate([_windows(tune, context) for tune in tunes])
        self._windows_per_tune = len(windows) / len(tunes)
        counts = torch.tensor([len(tune) - 1 for tune in tunes])
        self.tunes = torch.arange(len(tunes)).repeat_interleave(counts)
        self.order = torch.arange(len(windows))
        self._windows = torch.from_numpy(windows).to(device)  # (N, context + 1)

    def __call__(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (B, context) and targets (B,); B is as many notes as the melodies have."""
        n = len(self._windows)
        order = self.order if generator is None else torch.randperm(n, generator=generator)
        for chosen in order.split(self._rows(batch_size)):
            windows = self._windows[chosen.to(self._windows.device)]
            yield windows[:, :-1], windows[:, -1]

    def count(self, batch_size: int) -> int:
        """Number of batches."""
        return -(-len(self._windows) // self._rows(batch_size))

    def _rows(self, batch_size: int) -> int:
        return max(1, round(batch_size * self._windows_per_tune))


def transpose_randomly(
    inputs: Tensor,
    targets: Tensor,
    most: int,
    n_pitches: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Transposes each row by its own random number of pitches, inside the vocabulary.

    Args:
        inputs: Shape (B, T).
        targets: Shape (B, T) or (B,), with `IGNORED` where there is none.
        most: Largest number of pitches up or down.
        n_pitches: Number of pitches; the pitch of a token is its remainder.
        generator: Draws the moves.
    """
    flat = targets.reshape(len(targets), -1)
    known = torch.where(flat == IGNORED, inputs[:, :1], flat)
    # Padding of the inputs is token 0; the notes are the first input and all targets.
    notes = torch.cat([inputs[:, :1], known], dim=1)
    if targets.ndim == 1:
        notes = torch.cat([notes, inputs], dim=1)
    pitches = notes % n_pitches
    lowest, highest = pitches.amin(1), pitches.amax(1)
    moves = torch.randint(-most, most + 1, (len(inputs),), generator=generator).to(inputs.device)
    moves = torch.maximum(torch.minimum(moves, n_pitches - 1 - highest), -lowest)
    moved = torch.where(flat == IGNORED, flat, flat + moves[:, None]).reshape(targets.shape)
    # Only padding can fall below 0.
    return (inputs + moves[:, None]).clamp(min=0), moved


def _pieces(tune: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    step = LONGEST_ROW - 1
    return [tune[start : start + LONGEST_ROW] for start in range(0, len(tune) - 1, step)]


def _windows(tune: NDArray[np.int64], context: int) -> NDArray[np.int64]:
    padded = np.concatenate([np.full(context - 1, tune[0]), tune])
    return np.lib.stride_tricks.sliding_window_view(padded, context + 1)
