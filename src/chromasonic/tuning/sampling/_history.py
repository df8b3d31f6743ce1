"""History of a study's trials, read once and kept; smaller objectives are better."""

from dataclasses import dataclass, field
from typing import final

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from chromasonic.bayesopt.surrogate.observations import Outcome
from chromasonic.tuning.records import has_ended
from chromasonic.tuning.sampling._ranges import Ranges

_OUTCOMES = {
    TrialState.COMPLETE: Outcome.COMPLETED,
    TrialState.PRUNED: Outcome.PRUNED,
    TrialState.FAIL: Outcome.FAILED,
}


@dataclass(frozen=True)
class TrialData:
    """Data of one trial; a running one has only internal values and their ranges."""

    number: int
    internal: dict[str, float]
    asked: dict[str, BaseDistribution]
    outcome: Outcome | None = None
    value: float = float("nan")
    curve: dict[int, float] = field(default_factory=dict)
    constraints: dict[str, float] = field(default_factory=dict)

    @property
    def came_to_its_end(self) -> bool:
        """True if parameters that it did not ask for would not have come later."""
        return self.outcome in (Outcome.COMPLETED, Outcome.PRUNED)


@dataclass(frozen=True)
class Snapshot:
    """Snapshot of the history when a trial is asked for.

    Attributes:
        ended: Trials that have ended, in their order.
        running: Others that run.
        asked: All distributions that ended trials asked for, by name.
        newest: The last of them, by name.
        moving: Names whose distribution changes from trial to trial.
        optional: True if some trial ended without asking for all of these.
        constraints: Names of all constraints that were set.
    """

    ended: list[TrialData]
    running: list[TrialData]
    asked: dict[str, list[BaseDistribution]]
    newest: dict[str, BaseDistribution]
    moving: frozenset[str]
    optional: bool
    constraints: tuple[str, ...]


@final
class History:
    """The trials of a study; those that have ended are read once."""

    def __init__(self, storage: BaseStorage, study_id: int, direction: StudyDirection) -> None:
        self._storage, self._study_id = storage, study_id
        self._sign = -1.0 if direction is StudyDirection.MAXIMIZE else 1.0
        self._read: set[int] = set()
        self._n_first_read = 0
        self._ended: list[TrialData] = []
        self._ranges = Ranges()
        self._times: dict[str, int] = {}
        self._n_whole = 0
        self._constraints: set[str] = set()

    def is_of(self, storage: BaseStorage, study_id: int) -> bool:
        """True if it is the history of this study."""
        return self._storage is storage and self._study_id == study_id

    def known_to(self, number: int) -> Snapshot:
        """Snapshot of the history for the trial of that number."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        unread = [t for t in trials[self._n_first_read :] if t.number not in self._read]
        self._store_ended([trial for trial in unread if trial.state in _OUTCOMES])
        running = [t for t in unread if t.state is TrialState.RUNNING and t.number != number]
        return Snapshot(
            self._ended,
            [self._trial_data(trial) for trial in running],
            self._ranges.asked,
            self._ranges.newest(),
            self._ranges.moving(),
            any(times < self._n_whole for times in self._times.values()),
            tuple(sorted(self._constraints)),
        )

    def _store_ended(self, ended: list[FrozenTrial]) -> None:
        self._read.update(trial.number for trial in ended)
        while self._n_first_read in self._read:
            self._n_first_read += 1
        for trial in filter(has_ended, ended):
            data = self._trial_data(trial)
            self._ended.append(data)
            self._constraints |= data.constraints.keys()
            self._ranges.see(trial.number, trial.distributions)
            self._n_whole += data.came_to_its_end
            for name in data.internal:
                self._times[name] = self._times.get(name, 0) + data.came_to_its_end
        if ended:
            self._ended.sort(key=lambda data: data.number)

    def _trial_data(self, trial: FrozenTrial) -> TrialData:
        asked = trial.distributions
        internal = {name: d.to_internal_repr(trial.params[name]) for name, d in asked.items()}
        outcome = _OUTCOMES.get(trial.state)
        if outcome is None:
            return TrialData(trial.number, internal, asked)
        value = trial.value if outcome is Outcome.COMPLETED else None
        return TrialData(
            trial.number,
            internal,
            asked,
            outcome,
            float("nan") if value is None else self._sign * value,
            {step: self._sign * loss for step, loss in trial.intermediate_values.items()},
            trial.constraints,
        )
