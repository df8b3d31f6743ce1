"""Search space of a melody model's hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from chromasonic.bayesopt import Fixed, Float, Integer, Ordinal, Parameter, Space
from chromasonic.bayesopt.space.values import is_integer
from chromasonic.errors import SpaceError
from chromasonic.melody_generation.training.loop import TrainingSettings
from chromasonic.scalars import python_scalar

_FEWEST_STEPS = 14


@dataclass(frozen=True)
class HyperparameterSearchSpace:
    """Search space and number of epochs of a melody search.

    Parameters that `TrainingSettings` knows (`learning_rate`, `batch_size`, `weight_decay`,
    `transposition`) are settings of the training; all others go to the model's constructor.

    Attributes:
        learning_rate_range: Lowest and highest, searched on a log scale.
        batch_size_options: Melodies in a batch.
        hidden_size_range: Smallest and largest, in even steps.
        num_layers_range: Fewest and most.
        dropout_range: Smallest and largest share, within [0, 1).
        embedding_dim_range: Smallest and largest, in even steps.
        num_epochs: The most epochs a trial trains; it may end earlier.
        space: The resulting space; built from the ranges unless given.

    Raises:
        SpaceError: A range is invalid; the message names it.
    """

    learning_rate_range: tuple[float, float] = (1e-5, 1e-2)
    batch_size_options: Sequence[int] = field(default_factory=lambda: [16, 32, 64, 128])
    hidden_size_range: tuple[int, int] = (64, 512)
    num_layers_range: tuple[int, int] = (1, 4)
    dropout_range: tuple[float, float] = (0.0, 0.5)
    embedding_dim_range: tuple[int, int] = (32, 256)
    num_epochs: int = 20
    space: Space = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_epochs", python_scalar(self.num_epochs))
        if not is_integer(self.num_epochs) or self.num_epochs < 1:
            raise SpaceError(
                f"num_epochs must be a whole number of at least 1, but got {self.num_epochs!r}."
            )
        if self.space is None:
            object.__setattr__(self, "space", self._from_ranges())
        self._check_training_parameters()

    @classmethod
    def from_space(cls, space: Space, num_epochs: int = 20) -> Self:
        """A search over exactly the parameters of `space`."""
        return cls(num_epochs=num_epochs, space=space)

    @classmethod
    def sonic_lstm(cls, num_epochs: int = 20) -> Self:
        """Search space of the Sonic LSTM's six parameters."""
        space = Space(
            {
                "learning_rate": Float(1e-4, 1e-2, log=True),
                "batch_size": Ordinal([16, 32, 64]),
                "lstm_units_1": Integer(256, 1024, step=64),
                "lstm_units_2": Integer(128, 512, step=32),
                "sequence_length": Integer(3, 5),
                "dropout_rate": Float(0.1, 0.3),
            }
        )
        return cls.from_space(space, num_epochs)

    def with_parameter(self, name: str, parameter: Parameter) -> Self:
        """The same search with one parameter more, or with another range for one it has."""
        return replace(self, space=self.space.with_parameter(name, parameter))

    def fixed(self, **values: Any) -> Self:
        """The same search with these parameters held constant."""
        space = self.space
        for name, value in values.items():
            space = space.with_parameter(name, Fixed(value))
        return replace(self, space=space)

    def _check_training_parameters(self) -> None:
        """Raises where an end of a parameter's range is not a valid setting of the training."""
        for name in TrainingSettings.names():
            for end in (0.0, 1.0) if name in self.space else ():
                value: Any = self.space[name].from_unit(end)
                try:
                    TrainingSettings(**{name: value})
                except (TypeError, ValueError) as error:
                    raise SpaceError(f"{name}: {error}") from None

    def _from_ranges(self) -> Space:
        readers: dict[str, tuple[str, Callable[[Any], Parameter]]] = {
            "learning_rate": ("learning_rate_range", _log_float),
            "batch_size": ("batch_size_options", Ordinal),
            "hidden_size": ("hidden_size_range", _size),
            "num_layers": ("num_layers_range", _whole),
            "dropout": ("dropout_range", _float),
            "embedding_dim": ("embedding_dim_range", _size),
        }
        parameters = {}
        for name, (argument, read) in readers.items():
            try:
                parameters[name] = read(getattr(self, argument))
            except (SpaceError, TypeError, ValueError) as error:
                raise SpaceError(f"{argument}: {error}") from None
        return Space(parameters)


def model_and_training_params(
    params: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits parameters into arguments of the model's constructor and settings of the training."""
    training = {k: v for k, v in params.items() if k in TrainingSettings.names()}
    return {k: v for k, v in params.items() if k not in training}, training


def _pair(bounds: Any) -> tuple[Any, Any]:
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise SpaceError(f"a range must be a pair (low, high), but got {bounds!r}.")
    return bounds[0], bounds[1]


def _float(bounds: Any) -> Parameter:
    low, high = _pair(bounds)
    return Fixed(float(low)) if low == high else Float(low, high)


def _log_float(bounds: Any) -> Parameter:
    low, high = _pair(bounds)
    return Fixed(float(low)) if low == high else Float(low, high, log=True)


def _whole(bounds: Any, step: int = 1) -> Parameter:
    low, high = _pair(bounds)
    return Fixed(low) if low == high else Integer(low, high, step=step)


def _size(bounds: Any) -> Parameter:
    """Integer parameter in steps of the largest power of two that leaves at least 14 steps."""
    low, high = _pair(bounds)
    step = 1
    if is_integer(low) and is_integer(high):
        while (high - low) % (2 * step) == 0 and 2 * step * _FEWEST_STEPS <= high - low:
            step *= 2
    return _whole(bounds, step)
