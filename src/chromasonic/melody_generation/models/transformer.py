"""A causal transformer over notes: embedding, body, head.

B: tunes in a batch. T: notes in a tune. C: width of the model. V: size of the vocabulary.
H: attention heads. D: width of a head, always even.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from chromasonic.melody_generation.models.melody_model import MelodyModel

_Past = tuple[Tensor, Tensor]
"""Turned keys, and values, of the notes so far, each (B, H, T, D)."""

_HEAD_WIDTH = 32
_ROTARY_BASE = 10_000.0


class TransformerMelodyModel(MelodyModel):
    """Attends to all earlier notes by how far back they lie, and scores the next one."""

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 64,
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        """Build a model with fresh weights from torch's global generator.

        Args:
            vocab_size: Number of tokens V.
            embedding_dim: Width of the vector that stands for a token; projected to
                `hidden_size` where the two differ.
            hidden_size: Width C of the model; any from 1 on.
            num_layers: Number of blocks.
            dropout: Share of activations dropped in training, in [0, 1): after the
                embedding, in attention and after each half of a block.
        """
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.body = _Body(embedding_dim, hidden_size, num_layers, dropout)
        self.head = nn.Linear(hidden_size, vocab_size)
        self.dropout = nn.Dropout(dropout)
        self.apply(_initialize)

    def read(self, embedded: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Hidden values after each note, shape (B, T, C), and all keys and values so far."""
        hidden, state = self.body(self.dropout(embedded), state)
        return hidden, state


class _Body(nn.Module):
    def __init__(self, embedding_dim: int, width: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        same_width = embedding_dim == width
        self.widen = nn.Identity() if same_width else nn.Linear(embedding_dim, width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, embedded: Tensor, past: list[_Past] | None) -> tuple[Tensor, list[_Past]]:
        hidden = self.widen(embedded)  # (B, T, C)
        pasts = []
        for i, block in enumerate(self.blocks):
            hidden, now = block(hidden, past[i] if past else None)
            pasts.append(now)
        return self.norm(hidden), pasts


class _Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to what it reads."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = _Attention(width, dropout)
        self.dropout = nn.Dropout(dropout)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, hidden: Tensor, past: _Past | None) -> tuple[Tensor, _Past]:
        gathered, past = self.attention(self.norm(hidden), past)
        hidden = hidden + self.dropout(gathered)  # (B, T, C)
        return hidden + self.perceptron(hidden), past


class _Attention(nn.Module):
    """Each note gathers from itself and the notes before it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = max(1, round(width / _HEAD_WIDTH))
        # H * D need not equal C: rounding D up to an even number serves every width.
        self.head_width = 2 * -(-width // (2 * self.n_heads))
        inner_width = self.n_heads * self.head_width
        self.dropout = dropout
        self.project_in = nn.Linear(width, 3 * inner_width)
        self.project_out = nn.Linear(inner_width, width)

    def forward(self, hidden: Tensor, past: _Past | None) -> tuple[Tensor, _Past]:
        B, T, _ = hidden.shape
        stacked = self.project_in(hidden).view(B, T, 3, self.n_heads, self.head_width)
        query, key, value = stacked.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        n_before = 0 if past is None else past[0].shape[2]
        query, key = rotate(query, n_before), rotate(key, n_before)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        gathered = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=_mask(T, n_before, hidden.device) if n_before else None,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=n_before == 0,
        )  # (B, H, T, D)
        out: Tensor = self.project_out(gathered.transpose(1, 2).flatten(2))  # (B, T, C)
        return out, (key, value)


def _mask(n_notes: int, n_before: int, device: torch.device) -> Tensor:
    """Causal mask of notes after `n_before` cached ones; True where attention is allowed."""
    allowed = torch.ones(n_notes, n_before + n_notes, dtype=torch.bool, device=device)
    return allowed.tril(n_before)


def rotate(x: Tensor, first_position: int = 0) -> Tensor:
    """Rotary position embedding of queries or keys.

    The product of a turned query and a turned key depends on the distance between the two
    and not on where they stand. Pair i turns by `position * 10000 ** (-2 i / D)` radians.

    Args:
        x: Queries or keys, shape (..., T, D), with D even.
        first_position: How many notes stand before these.

    Source: Su et al. (2021), RoFormer, eq. 34.
    """
    T, D = x.shape[-2:]
    last = first_position + T
    positions = torch.arange(first_position, last, device=x.device, dtype=torch.float32)
    pairs = torch.arange(0, D, 2, device=x.device, dtype=torch.float32)
    angles = torch.outer(positions, _ROTARY_BASE ** (-pairs / D))  # (T, D / 2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)  # each (..., T, D / 2)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def _initialize(module: nn.Module) -> None:
    """Initializes a module's weights in place so that a deep stack trains well."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.5)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
