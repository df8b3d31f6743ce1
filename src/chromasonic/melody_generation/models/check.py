"""Checks that a model class can be trained, before a search spends hours on it.

B: rows of the probe batch. T: tokens in a row. V: size of the vocabulary.
"""

import copy
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chromasonic.errors import ModelError, one_line

_SEED = 0
_JITTER = 0.05
# As a share of the largest logit: far above rounding in float32, far below a leak.
_TOLERANCE = 1e-5


class OutputKind(StrEnum):
    """Notes that a model predicts, which decide how it is trained."""

    EVERY_POSITION = "every_position"  # (B, T, V), causal: on whole tunes
    LAST_POSITION = "last_position"  # (B, V): on windows
    EVERY_POSITION_NOT_CAUSAL = "every_position_not_causal"  # on windows, last position


def logits_of(output: Tensor | tuple[Tensor, Any]) -> Tensor:
    """The logits in a model's output, which is `logits` or `(logits, state)`."""
    return output[0] if isinstance(output, tuple) and output else output


def check_model(
    model: nn.Module, vocab_size: int, *, context: int, generator: torch.Generator | None = None
) -> OutputKind:
    """Checks a model's output and gradients and returns the notes that it predicts.

    A copy is probed: the model and torch's global random state stay as they are.

    Args:
        model: A freshly built model, on the CPU.
        vocab_size: Number of tokens V.
        context: Tokens T in a row of the probe, from 2 on: as many as training will feed.
        generator: Draws the probe's tokens; a fixed one by default.

    Raises:
        ModelError: The model cannot be trained; the message gives the reason.
        ValueError: `context` is below 2.
    """
    if context < 2:
        raise ValueError(f"context must be at least 2, but got {context}. Use 16, for example.")
    generator = generator or torch.Generator().manual_seed(_SEED)
    # A number of rows that no other dimension has: axes in the wrong order cannot pass.
    rows = next(n for n in (3, 4, 5) if n not in (context, vocab_size))
    tokens = torch.randint(vocab_size, (rows, context), generator=generator)
    probe = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        with torch.enable_grad():
            _check_training(probe, tokens, vocab_size)
        with torch.no_grad():
            _check_evaluation(probe, tokens, vocab_size)
            _jitter(probe, generator)
            _check_repeatable(probe, tokens)
            _check_rows_apart(probe, tokens, vocab_size)
            return _kind(probe, tokens, vocab_size)


def check_length(model: nn.Module, vocab_size: int, length: int) -> None:
    """Checks that the model accepts rows as long as the longest melody.

    Args:
        model: A model that predicts every position, on the CPU.
        vocab_size: Number of tokens V.
        length: Tokens T of the longest row that training will feed.

    Raises:
        ModelError: It does not, as with a position table that is too short.
    """
    tokens = torch.zeros((1, length), dtype=torch.int64)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        _logits(copy.deepcopy(model).eval(), tokens, vocab_size)


def _check_training(model: nn.Module, tokens: Tensor, vocab_size: int) -> None:
    """Raises where one step of training would fail."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise _problem(
            model,
            "have parameters to train",
            "has none that require a gradient",
            "Register its layers as attributes, and unfreeze some.",
        )
    logits = _logits(model.train(), tokens, vocab_size)
    targets = tokens if logits.ndim == 3 else tokens[:, -1]
    if not logits.requires_grad:
        raise _problem(
            model,
            "return logits computed from its parameters",
            "returned logits without a gradient",
            "Remove detach(), no_grad() or argmax() from forward.",
        )
    try:
        cross_entropy(logits.flatten(0, -2), targets.flatten()).backward()
    except RuntimeError as error:
        raise _problem(
            model,
            "allow a backward pass",
            f"raised {one_line(error)}",
            "Look for operations in place in forward.",
        ) from error
    gradients = [p.grad.to_dense() for p in parameters if p.grad is not None]
    if not all(gradient.isfinite().all() for gradient in gradients):
        raise _problem(
            model,
            "have finite gradients",
            "gave nan or inf for a cross-entropy of random tokens",
            "Look for a division, root or logarithm at 0 in forward.",
        )
    if not any(gradient.any() for gradient in gradients):
        raise _problem(
            model,
            "learn from its loss",
            "got a gradient of 0 for every parameter",
            "Look for a product with 0, or units that are all dead.",
        )


def _check_evaluation(model: nn.Module, tokens: Tensor, vocab_size: int) -> None:
    """Raises where the output in evaluation mode is invalid, or not as in training mode."""
    trained = _logits(model.train(), tokens, vocab_size).shape
    evaluated = _logits(model.eval(), tokens, vocab_size).shape
    if trained != evaluated:
        raise _problem(
            model,
            "return one shape in training and in evaluation mode",
            f"returned {tuple(trained)}, then {tuple(evaluated)}",
            "Do not let the shape depend on self.training.",
        )
    if len(evaluated) == 3:
        # Tunes differ in length; and where T == V only another T tells the two axes apart.
        _logits(model, tokens[:, 1:], vocab_size)


def _jitter(model: nn.Module, generator: torch.Generator) -> None:
    """Perturbs every weight: a head that starts at 0 would hide its dependence on the input."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(_JITTER * noise.to(parameter.dtype))


def _check_repeatable(model: nn.Module, tokens: Tensor) -> None:
    if _differ(_output(model, tokens), _output(model, tokens)):
        raise _problem(
            model,
            "return the same logits for the same tokens in evaluation mode",
            "returned others the second time",
            "Let dropout heed self.training, and keep no state between calls.",
        )


def _check_rows_apart(model: nn.Module, tokens: Tensor, vocab_size: int) -> None:
    changed = tokens.clone()
    changed[1] = (changed[1] + 1) % vocab_size
    others = torch.arange(len(tokens)) != 1
    if _differ(_output(model, tokens)[others], _output(model, changed)[others]):
        raise _problem(
            model,
            "treat each row of a batch on its own",
            "gave a row other logits when a different row changed",
            "Recurrent and attention layers need batch_first=True.",
        )


def _kind(model: nn.Module, tokens: Tensor, vocab_size: int) -> OutputKind:
    logits = _output(model, tokens)
    if logits.ndim == 2:
        return OutputKind.LAST_POSITION
    context = tokens.shape[1]
    for cut in {1, context // 2, context - 1}:
        changed = tokens.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % vocab_size
        if _differ(logits[:, :cut], _output(model, changed)[:, :cut]):
            return OutputKind.EVERY_POSITION_NOT_CAUSAL
    return OutputKind.EVERY_POSITION


def _logits(model: nn.Module, tokens: Tensor, vocab_size: int) -> Tensor:
    """Computes the logits and checks their type, shape and values."""
    logits = _output(model, tokens)
    rows, context = tokens.shape
    if tuple(logits.shape) not in ((rows, context, vocab_size), (rows, vocab_size)):
        raise _problem(
            model,
            f"return logits of shape (batch, time, {vocab_size}) or (batch, {vocab_size})",
            f"returned {tuple(logits.shape)} for tokens of shape {tuple(tokens.shape)}",
            "End with a layer that is vocab_size wide, on the last axis.",
        )
    if not logits.is_floating_point():
        raise _problem(
            model,
            "return floating-point logits",
            f"returned {logits.dtype}",
            "Return the scores of all tokens, not the best token.",
        )
    if not logits.isfinite().all():
        raise _problem(
            model,
            "return finite logits",
            "returned nan or inf for random tokens",
            "Look at the initial weights, and for a division or logarithm at 0.",
        )
    if (logits >= 0).all() and torch.allclose(logits.sum(-1), logits.new_ones(())):
        raise _problem(
            model,
            "return logits",
            "returned probabilities, which sum to 1",
            "Leave out the softmax: the loss contains it.",
        )
    return logits


def _output(model: nn.Module, tokens: Tensor) -> Tensor:
    try:
        logits = logits_of(model(tokens))
    except MemoryError:
        raise
    except Exception as error:
        raise _problem(
            model,
            "accept int64 tokens of shape (batch, time)",
            f"raised {one_line(error)} for shape {tuple(tokens.shape)}",
            "Start with an nn.Embedding(vocab_size, ...), and allow any length.",
        ) from error
    if not isinstance(logits, Tensor):
        raise _problem(
            model,
            "return logits or (logits, state)",
            f"returned {type(logits).__name__}",
            "Return the tensor itself.",
        )
    return logits


def _differ(before: Tensor, after: Tensor) -> bool:
    return bool((before - after).abs().max() > _TOLERANCE * before.abs().max())


def _problem(model: nn.Module, must: str, seen: str, advice: str) -> ModelError:
    return ModelError(f"{type(model).__name__}.forward must {must}, but {seen}. {advice}")
