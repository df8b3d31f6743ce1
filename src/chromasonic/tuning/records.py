"""Records of trials, and the result of a search.

Everything here is read from the study's own attributes, so that it can be had again at any time.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt import Space, parameter_importance
from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.bayesopt.space import Value
from chromasonic.errors import StudyError
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.learning_curve import (
    EpochRow,
    best_row,
    curve_from_json,
    curve_to_json,
)
from chromasonic.tuning.stored import (
    StoredAttributes,
    StoredResult,
    StoredStudy,
    StoredTrial,
    require_stored,
)
from chromasonic.tuning.study import attribute

SCHEMA_VERSION = 1
MAXIMIZE = "maximize"

_NOT_DESCRIPTION = {
    "schema_version",
    "timestamp",
    "total_time",
    "best_params",
    "best_value",
    "n_trials",
    "endings",
    "model_params",
    "training_params",
    "fingerprint",
    "identity",
    "importance",
    "trial_results",
    "running_trials",
    "versions",
}
"""Keys of a result's dictionary that are no part of its description."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial that has begun, with the objective's own units and sign.

    Attributes:
        number: Counts the trials from 0.
        state: Optuna's name for its state.
        ending: Why it ended, one of `Ending`; empty while it runs.
        reason: One line more on that.
        params: What it tried.
        learning_curve: A row each epoch.
        best_epoch: The epoch of the best finite loss, counted from 1; None if there is none.
        n_parameters: Size of the model, if the objective told it.
        settings: The sampler, pruner and device it ran with; under `from` the `study_name`,
            `storage` and number of the `trial` where it ran, if that was an earlier search.
    """

    number: int
    state: str
    ending: str
    reason: str
    params: Mapping[str, Any]
    learning_curve: tuple[EpochRow, ...]
    best_epoch: int | None = None
    n_parameters: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """Its best loss; None if it had none, or failed."""
        # What a failed trial yielded before may be anything, such as a loss about to explode.
        failed = self.state == TrialState.FAIL.name
        return None if failed or self.best_row is None else self.best_row.loss

    @property
    def val_loss(self) -> float | None:
        """The same as `value`, by the guide's name."""
        return self.value

    @property
    def train_loss(self) -> float | None:
        """The training loss of the best epoch."""
        return self.best_row.train_loss if self.best_row else None

    @property
    def training_time(self) -> float:
        """Seconds that its epochs took."""
        return round(sum(row.seconds for row in self.learning_curve), 3)

    @property
    def counts(self) -> bool:
        """True if its value is comparable with others: it was trained to its own end."""
        return self.state == TrialState.COMPLETE.name and self.value is not None

    @property
    def origin(self) -> Mapping[str, Any] | None:
        """Study and number in the earlier search that ran it; None if this search ran it."""
        return self.settings.get("from")

    @property
    def best_row(self) -> EpochRow | None:
        """The row of the best epoch."""
        return next((row for row in self.learning_curve if row.epoch == self.best_epoch), None)

    def to_dict(self) -> dict[str, Any]:
        """The trial as the files hold it; `from_dict` is its inverse."""
        return {
            "number": self.number,
            "state": self.state,
            "ending": self.ending,
            "reason": self.reason,
            "params": dict(self.params),
            "value": self.value,
            "val_loss": self.val_loss,
            "train_loss": self.train_loss,
            "best_epoch": self.best_epoch,
            "training_time": self.training_time,
            "n_parameters": self.n_parameters,
            "learning_curve": curve_to_json(self.learning_curve),
            "settings": dict(self.settings),
        }

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> "TrialRecord":
        """The record with this dictionary, as `to_dict` gives it or JSON holds it.

        Raises:
            StudyError: It is not the dictionary of a record.
        """
        require_stored(read, StoredTrial, "a trial")
        return cls(
            number=read["number"],
            state=read["state"],
            ending=read["ending"],
            reason=read["reason"],
            params=read["params"],
            learning_curve=curve_from_json(read["learning_curve"]),
            best_epoch=read["best_epoch"],
            n_parameters=read["n_parameters"],
            settings=read["settings"],
        )


@dataclass(frozen=True)
class Importance:
    """Share of the variance of the loss over the space that a parameter explains.

    Attributes:
        name: The parameter.
        main: What it explains alone.
        total: The same and what it explains together with others.
    """

    name: str
    main: Interval
    total: Interval


@dataclass(frozen=True, eq=False)
class SearchResult(Mapping[str, Any]):
    """Result of a search; a mapping with the keys of `optimization_results.json`.

    Attributes:
        trials: All trials that have ended, by number.
        total_time: Seconds of all runs of this search together.
        description: What was searched, as the front end keeps it with the study.
        stopped_by: Why this run ended: `n_trials`, `timeout`, `patience`, `target`,
            `exhausted` or `interrupted`; None if the search was only read.
        fingerprint: What must stay the same for the search to go on, by name.
        identity: What tells its study from every other one.
        running: The trials that have begun and not ended, with their curves so far, by number.
    """

    trials: tuple[TrialRecord, ...]
    total_time: float
    description: Mapping[str, Any]
    timestamp: str
    stopped_by: str | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    identity: str | None = None
    running: tuple[TrialRecord, ...] = ()

    @property
    def best_trial(self) -> TrialRecord | None:
        """The trial with the best value, the earliest of equals; None if none has finished."""
        return next(iter(self.ranking()), None)

    @property
    def maximize(self) -> bool:
        """True if larger values are better."""
        return self.description.get("direction") == MAXIMIZE

    @property
    def sign(self) -> float:
        """Factor that turns a value into one to minimise: -1 or 1."""
        return -1.0 if self.maximize else 1.0

    @property
    def space(self) -> Space | None:
        """The search space, if the description holds it."""
        described = self.description.get("space")
        return Space.from_dict(described) if described else None

    @cached_property
    def importance(self) -> list[Importance] | None:
        """Importance of each parameter, the largest first; None if there is not enough data.

        It is worked out when first asked for, from the trials that count, and takes up to a
        second.
        """
        if (space := self.space) is None:
            return None
        found = parameter_importance(space, *self.observations()) or []
        return [Importance(e.names[0], e.main, e.total) for e in found] or None

    def observations(self) -> tuple[list[dict[str, Value]], list[float]]:
        """Points of the space that were tried, and their losses; smaller is better.

        The loss is nan where a trial's value does not stand beside others. A trial that ran
        before a parameter was held constant counts as if it had been.
        """
        points: list[dict[str, Value]] = []
        losses: list[float] = []
        if (space := self.space) is None:
            return points, losses
        for trial in self.trials:
            point = space.with_constants(trial.params)
            if space.contains(point):
                points.append(point)
                losses.append(self.sign * (trial.value or 0.0) if trial.counts else math.nan)
        return points, losses

    def ranking(self) -> list[TrialRecord]:
        """The trials whose values stand beside each other, best first."""
        finished = [trial for trial in self.trials if trial.counts]
        return sorted(finished, key=lambda trial: (self.sign * (trial.value or 0), trial.number))

    def to_dict(self) -> dict[str, Any]:
        """All of the result, as JSON can hold it; `from_dict` is its inverse."""
        return dict(self)

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> "SearchResult":
        """The result with this dictionary, as `to_dict` gives it or a JSON file holds it.

        `stopped_by` is None: it belongs to a run, not to a search.

        Raises:
            StudyError: It is not the dictionary of a result.
        """
        require_stored(read, StoredResult, "the result")
        return cls(
            trials=tuple(TrialRecord.from_dict(trial) for trial in read["trial_results"]),
            total_time=read["total_time"],
            description={key: read[key] for key in read if key not in _NOT_DESCRIPTION},
            timestamp=read["timestamp"],
            fingerprint=read.get("fingerprint", {}),
            identity=read.get("identity"),
            running=tuple(
                TrialRecord.from_dict(trial) for trial in read.get("running_trials", ())
            ),
        )

    @cached_property
    def _mapping(self) -> dict[str, Any]:
        best = self.best_trial
        best_params = dict(best.params) if best else {}
        training = set(self.description.get("training_parameters", ()))
        return {
            "schema_version": SCHEMA_VERSION,
            "timestamp": self.timestamp,
            "total_time": self.total_time,
            "best_params": best_params,
            "best_value": best.value if best else None,
            "n_trials": len(self.trials),
            "endings": dict(Counter(trial.ending for trial in self.trials).most_common()),
            "model_params": {k: v for k, v in best_params.items() if k not in training},
            "training_params": {k: v for k, v in best_params.items() if k in training},
            "fingerprint": self.fingerprint,
            "identity": self.identity,
            **self.description,
            # It takes its time: `__getitem__` works it out.
            "importance": None,
            "trial_results": [trial.to_dict() for trial in self.trials],
            "running_trials": [trial.to_dict() for trial in self.running],
        }

    def __getitem__(self, key: str) -> Any:
        if key == "importance":
            return self.importance and [asdict(effect) for effect in self.importance]
        return self._mapping[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(self._mapping)


def read_result(study: Study, stopped_by: str | None = None) -> SearchResult:
    """The result of a study as it stands.

    Raises:
        StudyError: Its attributes are damaged, or an earlier version has stored its values with
            the opposite sign.
    """
    names = ("description", "total_time", "fingerprint", "identity")
    stored = {n: value for n in names if (value := attribute(study, n)) is not None}
    require_stored(stored, StoredStudy, f"the study {study.study_name!r}")
    description = attribute(study, "description", {})
    maximize = study.direction is StudyDirection.MAXIMIZE
    if (description.get("direction") == MAXIMIZE) is not maximize:
        raise StudyError(
            f"the study {study.study_name!r} was written by an earlier version, which stored "
            "maximised values with the opposite sign. Read it with that version, or search again."
        )
    trials = study.get_trials(deepcopy=False)
    return SearchResult(
        trials=tuple(record_of(t, maximize=maximize) for t in trials if has_ended(t)),
        total_time=round(attribute(study, "total_time", 0.0), 3),
        description=description,
        timestamp=datetime.now().isoformat(),
        stopped_by=stopped_by,
        fingerprint=attribute(study, "fingerprint", {}),
        identity=attribute(study, "identity"),
        running=tuple(record_of(t, maximize=maximize) for t in trials if _is_under_way(t)),
    )


def has_ended(trial: FrozenTrial) -> bool:
    """True if a trial counts towards `n_trials`: it has ended and was not cancelled."""
    return trial.state.is_finished() and attribute(trial, "ending") != Ending.CANCELLED


def _is_under_way(trial: FrozenTrial) -> bool:
    # What waits in the queue without parameters has not begun.
    return not trial.state.is_finished() and attribute(trial, "params") is not None


def record_of(trial: FrozenTrial, *, maximize: bool) -> TrialRecord:
    """The record of a trial that has begun.

    Raises:
        StudyError: Its attributes are damaged.
    """
    names = ("params", "epochs", "ending", "reason", "settings", "setbacks")
    stored = {n: value for n in names if (value := attribute(trial, n)) is not None}
    require_stored(stored, StoredAttributes, f"trial {trial.number} of the study")
    curve = curve_from_json(stored.get("epochs", []))
    best = best_row(curve, maximize=maximize)
    sizes = (row.metrics["n_parameters"] for row in curve if "n_parameters" in row.metrics)
    return TrialRecord(
        number=trial.number,
        state=trial.state.name,
        ending=attribute(trial, "ending", ""),
        reason=attribute(trial, "reason", ""),
        params=attribute(trial, "params", dict(trial.params)),
        learning_curve=tuple(_without_size(row) for row in curve),
        best_epoch=best.epoch if best else None,
        n_parameters=next(sizes, None),
        settings=attribute(trial, "settings", {}),
    )


def _without_size(row: EpochRow) -> EpochRow:
    if "n_parameters" not in row.metrics:
        return row
    kept = {name: value for name, value in row.metrics.items() if name != "n_parameters"}
    return replace(row, metrics=kept)
