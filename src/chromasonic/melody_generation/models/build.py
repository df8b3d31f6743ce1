"""Construction of a model from hyperparameters."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from chromasonic.errors import ModelError, one_line
from chromasonic.melody_generation.data.vocabulary import Vocabulary
from chromasonic.melody_generation.models.melody_model import MelodyModel
from chromasonic.melody_generation.models.rhythm import PitchDurationModel


def build_model(
    model_class: type[nn.Module], vocabulary: Vocabulary, params: Mapping[str, Any]
) -> nn.Module:
    """Builds `model_class(vocab_size=n_pitches, **params)`, extended to durations if any.

    Args:
        model_class: A torch module whose constructor takes `vocab_size` and all of `params`.
        vocabulary: Meaning of the tokens.
        params: Values of the other arguments by name.

    Raises:
        ModelError: An argument is unknown or missing, the constructor raises, or its result is not
            a torch module; or tokens have durations and it is not a built-in model.
        MemoryError: As the constructor raised it; so too `torch.OutOfMemoryError`.
    """
    name = model_class.__name__
    arguments = {"vocab_size": vocabulary.n_pitches, **params}
    _check_arguments(model_class, arguments)
    try:
        model = model_class(**arguments)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # PyTorch has no type of its own for this on the CPU.
        if "can't allocate memory" in str(error):
            raise MemoryError(one_line(error)) from error
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ModelError(
            f"{name}({given}) must build a model, but raised {one_line(error)}. "
            "Correct the constructor, or leave such values out of the search space."
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{name} must build a torch.nn.Module, but built {type(model).__name__}. "
            "Derive the class from torch.nn.Module."
        )
    return _with_durations(model, vocabulary) if vocabulary.durations else model


def _with_durations(model: nn.Module, vocabulary: Vocabulary) -> nn.Module:
    # A forward of its own would be ignored silently.
    if not isinstance(model, MelodyModel) or type(model).forward is not MelodyModel.forward:
        raise ModelError(
            "tokens of pitch and duration need one of the built-in models, but got "
            f"{type(model).__name__}. Use tokens='pitch' (--tokens pitch) with it."
        )
    return PitchDurationModel(model, vocabulary)


def _check_arguments(model_class: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    """Raises where the constructor's signature does not fit the arguments."""
    name = model_class.__name__
    taken = inspect.signature(model_class).parameters.values()
    named = [p for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    unknown = [argument for argument in arguments if argument not in names]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in taken):
        close = get_close_matches(unknown[0], names, n=1)
        advice = f"Did you mean {close[0]}?" if close else "Add it there, or leave it out."
        raise ModelError(
            f"every argument must be one that {name}.__init__ takes ({', '.join(names)}), "
            f"but got {unknown[0]}. {advice}"
        )
    missing = [p.name for p in named if p.default is p.empty and p.name not in arguments]
    if missing:
        raise ModelError(
            f"every argument of {name}.__init__ without a default must be given, but "
            f"{missing[0]} is not. Add it to the search space, or give it a default."
        )
