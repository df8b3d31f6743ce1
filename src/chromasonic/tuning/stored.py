"""Schemas of what is read back from a study or a file, which anybody may have changed.

Whatever was written before is checked here before it is used: every type, every name that
becomes a path, every number that decides how much is done.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from chromasonic.errors import StudyError
from chromasonic.tuning.endings import Ending

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=10**9)]
Identity = Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
Number = int | float | None
Value = str | bool | int | float | None
State = Literal["RUNNING", "WAITING", "COMPLETE", "PRUNED", "FAIL"]
EndingName = Annotated[str, Meta(pattern=f"^({'|'.join(Ending)})?$")]


class StoredRow(Struct):
    """A row of a learning curve; metrics are further keys."""

    epoch: Annotated[int, Meta(ge=1, le=10**9)]
    loss: Number
    train_loss: Number = None
    seconds: int | float = 0.0


class StoredTrial(Struct):
    """A trial of a results file."""

    number: Count
    state: State
    ending: EndingName
    reason: str
    params: dict[str, Value]
    best_epoch: Count | None
    n_parameters: Count | None
    learning_curve: list[StoredRow]
    settings: dict[str, Any]


class StoredSource(Struct):
    """The earlier search that a search has started from, for readers."""

    study_name: str | None
    storage: str | None
    trials: Count
    of: Count
    misfits: dict[str, Count]


class StoredDescription(Struct, kw_only=True):
    """Description of a search in a study or a results file; there may be more."""

    study_name: str = ""
    seed: Annotated[int, Meta(ge=0)] | None = None
    storage: str | None = None
    direction: Literal["minimize", "maximize"] = "minimize"
    objective: str = ""
    imported_from: str = ""
    unit: str = ""
    factors: list[str] = []
    num_epochs: Count | None = None
    space: dict[str, Any] | None = None
    training_parameters: list[str] = []
    baselines: dict[str, int | float] = {}
    model: dict[str, Any] = {}
    data: dict[str, Any] = {}
    earlier: StoredSource | None = None


class StoredResult(StoredDescription, kw_only=True):
    """A results file."""

    trial_results: list[StoredTrial]
    total_time: int | float
    timestamp: str
    fingerprint: dict[str, Any] = {}
    identity: Identity | None = None
    running_trials: list[StoredTrial] = []


class StoredStudy(Struct):
    """The attributes of a study that a result is read from."""

    description: StoredDescription | None = None
    total_time: int | float = 0.0
    fingerprint: dict[str, Any] = {}
    identity: Identity | None = None


class StoredSetback(Struct):
    """Number of setbacks of one kind of a trial, and its last saved epoch then."""

    times: Count
    epoch: Count


class StoredAttributes(Struct):
    """The attributes of a trial in a study."""

    params: dict[str, Value] = {}
    epochs: list[StoredRow] = []
    ending: EndingName = ""
    reason: str = ""
    settings: dict[str, Any] = {}
    setbacks: dict[str, StoredSetback] = {}


class StoredEarlier(Struct):
    """Account of the earlier search that a study has started from."""

    identity: Identity | None
    study_name: str | None
    storage: str | None
    trials: list[Count]
    of: Count
    misfits: dict[str, Count]


class StoredInterval(Struct):
    """An estimate with its interval."""

    estimate: int | float
    low: int | float
    high: int | float


class StoredCandidate(Struct):
    """A configuration that was trained again."""

    trial: Count
    search_loss: int | float
    losses: Annotated[list[int | float], Meta(min_length=1)]
    behind: StoredInterval | None


class StoredWinner(Struct):
    """The winner of repeated training."""

    trial: Count
    ties: list[Count]
    candidates: Annotated[list[StoredCandidate], Meta(min_length=1)]
    n_trials: Count


def require_stored(value: object, schema: type[T], what: str) -> T:
    """The value as its schema has it.

    Args:
        value: What was read.
        schema: Its class in this file.
        what: Name of it in the error message.

    Raises:
        StudyError: The value does not fit; the error says where.
    """
    try:
        return msgspec.convert(value, schema)
    except msgspec.ValidationError as error:
        raise StudyError(f"{what} is damaged: {error}.") from None


def path_inside(root: Path, *names: str) -> Path:
    """A path below a folder.

    Raises:
        StudyError: It would lie outside, also by a symbolic link.
    """
    path = root.joinpath(*names)
    if not path.resolve().is_relative_to(root.resolve()):
        raise StudyError(f"{path} must lie in {root}, but does not. Remove the link.")
    return path
