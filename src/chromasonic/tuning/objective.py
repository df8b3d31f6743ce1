"""Objectives: functions, or generators that yield one loss an epoch."""

import inspect
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chromasonic.errors import shown
from chromasonic.scalars import as_float, python_scalar
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import ROW_KEYS

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Epoch:
    """Result of one epoch, yielded by an objective.

    Attributes:
        loss: The value that is minimised, or maximised with `maximize=True`; a trial's value
            is its best one.
        train_loss: The loss on the data trained on, if there is such a thing.
        metrics: Anything else worth a place in the learning curve, by name: what JSON can hold,
            or a number of numpy or PyTorch.
        save: Writes into an empty folder all that is needed to continue after this epoch.
            It is valid until the next epoch is asked for, and after the last one.
    """

    loss: float
    train_loss: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    save: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Trial:
    """Second argument of an objective: number, seed and checkpoint of its trial.

    Attributes:
        number: Counts the trials of the study from 0.
        seed: For all that is random in this trial; drawn from the study's seed and `number`.
        checkpoint: A folder that `Epoch.save` wrote, to continue from, or None to begin.
        out_of_memory_before: Whether this trial has run out of memory once already, so that it
            should do the same in smaller pieces.
    """

    number: int
    seed: int
    checkpoint: Path | None = None
    out_of_memory_before: bool = False


Objective = Callable[..., Any]
Epochs = Generator[Epoch, None, Ending]


def epochs_of(objective: Objective, params: Params, trial: Trial) -> Epochs:
    """The epochs of one trial, whatever form `objective` has.

    Args:
        objective: `objective(params)` or `objective(params, trial)`; returns a number, or yields
            a number or an `Epoch` each epoch. A generator may return an `Ending`.
        params: What this trial tries.
        trial: What the objective is told besides.

    Raises:
        TypeError: The objective gave something that is not a number, or a metric that JSON
            cannot hold.
        ValueError: It yielded nothing at all, and had no checkpoint to continue from; or a
            metric has a name that is taken.
    """
    outcome = outcome_of(objective, params, trial)
    if not inspect.isgenerator(outcome):
        yield _as_epoch(outcome)
        return Ending.COMPLETED
    seen = trial.checkpoint is not None
    while True:
        try:
            yielded = next(outcome)
        except StopIteration as stop:
            if not seen:
                raise ValueError(
                    "an objective must yield at least one loss, but this one yielded none. "
                    "Yield a number after each epoch, or return one."
                ) from None
            return stop.value if isinstance(stop.value, Ending) else Ending.COMPLETED
        seen = True
        yield _as_epoch(yielded)


def outcome_of(objective: Objective, params: Params, trial: Trial) -> Any:
    """Calls an objective, with its trial if it takes one, and returns its value or generator."""
    own = dict(params)
    return objective(own, trial) if _takes_trial(objective) else objective(own)


def _takes_trial(objective: Objective) -> bool:
    positional = [
        parameter
        for parameter in inspect.signature(objective).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(positional) > 1 and (
        positional[1].name == "trial" or positional[1].default is inspect.Parameter.empty
    )


def _as_epoch(value: Any) -> Epoch:
    if not isinstance(value, Epoch):
        return Epoch(_as_loss(value))
    train_loss = None if value.train_loss is None else _as_loss(value.train_loss)
    metrics = {name: _as_metric(name, metric) for name, metric in value.metrics.items()}
    return Epoch(_as_loss(value.loss), train_loss, metrics, value.save)


def _as_metric(name: str, value: Any) -> Any:
    if name in ROW_KEYS:
        raise ValueError(
            f"a metric must have a name of its own, but got {name!r}. "
            f"Use another one than {', '.join(ROW_KEYS)}."
        )
    try:
        return json.loads(json.dumps(value, default=_scalar))
    except (TypeError, ValueError):
        raise TypeError(
            f"a metric must be what JSON can hold, but {name!r} is {shown(value)}. "
            "Make it a number, text or a list of these."
        ) from None


def _as_loss(value: Any) -> float:
    try:
        if value is None or isinstance(python_scalar(value), bool | str):
            raise TypeError
        return as_float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"an objective must give a number, but it gave {shown(value)}. "
            "Return or yield the loss as a float."
        ) from None


def _scalar(value: Any) -> Any:
    """A scalar of numpy or PyTorch within a metric, as Python's own."""
    native = python_scalar(value)
    if native is value:
        raise TypeError
    return native
