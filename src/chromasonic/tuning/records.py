"""Records of trials, and the result of a search.

Everything here is read from the study's own attributes, so that it can be had again at any time.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt import Space, parameter_importance
from chromasonic.bayesopt.analysis.importance import Effect
from chromasonic.bayesopt.space import Value
from chromasonic.tuning.endings import Ending
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
    "versions",
}
"""Keys of a result's dictionary that are no part of its description."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial that has ended.

    Attributes:
        number: Counts the trials from 0.
        state: Optuna's name for how it ended.
        ending: Why it ended, one of `Ending`.
        reason: One line more on that.
        params: What it tried.
        value: Its best loss; None if it had none, or failed.
        val_loss: The same; what the guide calls it.
        train_loss: The training loss of the best epoch.
        best_epoch: When the best loss was reached, counted from 1.
        training_time: Seconds its epochs took.
        n_parameters: Size of the model, if the objective told it.
        learning_curve: A row each epoch: `epoch`, `loss`, `train_loss`, `seconds`, metrics.
        settings: The sampler, pruner and device it ran with; under `from` the `study_name`,
            `storage` and number of the `trial` where it ran, if that was an earlier search.
    """

    number: int
    state: str
    ending: str
    reason: str
    params: dict[str, Any]
    value: float | None
    val_loss: float | None
    train_loss: float | None
    best_epoch: int | None
    training_time: float
    n_parameters: int | None
    learning_curve: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """True if its value is comparable with others: it was trained to its own end."""
        return self.state == TrialState.COMPLETE.name and self.value is not None

    @property
    def origin(self) -> Mapping[str, Any] | None:
        """Study and number in the earlier search that ran it; None if this search ran it."""
        return self.settings.get("from")

    @classmethod
    def from_dict(cls, read: Mapping[str, Any]) -> "TrialRecord":
        """The record with this dictionary, as `dataclasses.asdict` gives it or JSON holds it."""
        curve = [{**row, "loss": _number(row["loss"])} for row in read["learning_curve"]]
        return cls(**{**read, "learning_curve": curve})

    def negated(self) -> "TrialRecord":
        """The same with all losses of the other sign, as a maximised objective gave them."""
        return replace(
            self,
            value=_negative(self.value),
            val_loss=_negative(self.val_loss),
            train_loss=_negative(self.train_loss),
            learning_curve=[negated_row(row) for row in self.learning_curve],
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
    main: Effect
    total: Effect


@dataclass(frozen=True, eq=False)
class SearchResult(Mapping[str, Any]):
    """Result of a search; a mapping with the keys of `optimization_results.json`.

    Attributes:
        trials: All trials that have ended, by number.
            Their values have the sign that the objective gave them.
        total_time: Seconds of all runs of this search together.
        description: What was searched, as the front end keeps it with the study.
        stopped_by: Why this run ended: `n_trials`, `timeout`, `patience`, `target`,
            `exhausted` or `interrupted`; None if the search was only read.
        fingerprint: What must stay the same for the search to go on, by name.
        identity: What tells its study from every other one.
    """

    trials: tuple[TrialRecord, ...]
    total_time: float
    description: Mapping[str, Any]
    timestamp: str
    stopped_by: str | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    identity: str | None = None

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

        A loss of null, JSON's nan and infinity, becomes nan. `stopped_by` is None: it belongs to
        a run, not to a search.

        Raises:
            KeyError, TypeError: It is not the dictionary of a result.
        """
        return cls(
            trials=tuple(TrialRecord.from_dict(trial) for trial in read["trial_results"]),
            total_time=read["total_time"],
            description={key: read[key] for key in read if key not in _NOT_DESCRIPTION},
            timestamp=read["timestamp"],
            fingerprint=read.get("fingerprint", {}),
            identity=read.get("identity"),
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
            "trial_results": [asdict(trial) for trial in self.trials],
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
    """The result of a study as it stands."""
    ended = [record_of(trial) for trial in study.get_trials(deepcopy=False) if has_ended(trial)]
    description = attribute(study, "description", {})
    if description.get("direction") == MAXIMIZE:
        ended = [record.negated() for record in ended]
    return SearchResult(
        trials=tuple(ended),
        total_time=round(attribute(study, "total_time", 0.0), 3),
        description=description,
        timestamp=datetime.now().isoformat(),
        stopped_by=stopped_by,
        fingerprint=attribute(study, "fingerprint", {}),
        identity=attribute(study, "identity"),
    )


def has_ended(trial: FrozenTrial) -> bool:
    """True if a trial counts towards `n_trials`: it has ended and was not cancelled."""
    return trial.state.is_finished() and attribute(trial, "ending") != Ending.CANCELLED


def record_of(trial: FrozenTrial) -> TrialRecord:
    """The record of a trial that has ended, with the losses that the study minimises."""
    curve = attribute(trial, "epochs", [])
    best = best_row(curve) or {}
    # What a failed trial yielded before may be anything, such as a loss on its way to explode.
    value = None if trial.state == TrialState.FAIL else best.get("loss")
    n_parameters = next((row["n_parameters"] for row in curve if "n_parameters" in row), None)
    return TrialRecord(
        number=trial.number,
        state=trial.state.name,
        ending=attribute(trial, "ending", ""),
        reason=attribute(trial, "reason", ""),
        params=attribute(trial, "params", dict(trial.params)),
        value=value,
        val_loss=value,
        train_loss=best.get("train_loss"),
        best_epoch=best.get("epoch"),
        training_time=round(sum(row["seconds"] for row in curve), 3),
        n_parameters=n_parameters,
        learning_curve=[_without(row, "n_parameters") for row in curve],
        settings=attribute(trial, "settings", {}),
    )


def negated_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a learning curve with losses of the other sign."""
    losses = {name: _negative(row.get(name)) for name in ("loss", "train_loss")}
    return {**row, **losses}


def _number(loss: float | None) -> float:
    return math.nan if loss is None else loss


def _negative(loss: float | None) -> float | None:
    return None if loss is None else -loss


def best_row(curve: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of a learning curve with the lowest finite loss, the first of equals."""
    finite = [row for row in curve if math.isfinite(row["loss"])]
    return min(finite, key=lambda row: row["loss"], default=None)


def _without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
