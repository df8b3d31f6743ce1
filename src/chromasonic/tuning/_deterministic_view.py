"""Studies visible to a trial under deterministic scheduling."""

from bisect import bisect_left
from collections.abc import Container
from copy import copy, deepcopy
from operator import attrgetter

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from chromasonic.tuning._optuna_private import drop_cached_trials, storage_of
from chromasonic.tuning.storage.forwarding import ForwardingStorage
from chromasonic.tuning.study import PREFIX

GIVEN_OUT = {"grid_id", "search_space"}
"""What a sampler notes with a trial when it proposes it, so that others get another point."""


class VisibleStorage(ForwardingStorage):
    """The study visible to trial k: trials up to k - n_slots as finished, later ones as running.

    Trials that come after k are hidden. By the time k begins, all up to k - n have ended.

    Args:
        storage: Where everything is read and written.
        slots: How many trials run at the same time.
        n_given: How many of the first had ended before any of them began.

    Attributes:
        number: The trial that asks.
    """

    def __init__(self, storage: BaseStorage, slots: int, n_given: int = 0) -> None:
        super().__init__(storage)
        self._slots = slots
        self._n_given = n_given
        self._known: dict[tuple[int, frozenset[TrialState]], _TrialCache] = {}
        self.number = 0

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials up to the one that asks."""
        every = self._storage.get_all_trials(study_id, deepcopy=False)
        wanted = frozenset(state for state in TrialState if states is None or state in states)
        n_known = max(min(self._n_given, self.number), self.number - self._slots + 1)
        seen = self._known.setdefault((study_id, wanted), _TrialCache(wanted)).among(
            every[:n_known]
        )
        if TrialState.RUNNING in wanted:
            seen += [_as_running(trial) for trial in every[n_known : self.number]]
        seen += [t for t in every[self.number : self.number + 1] if t.state in wanted]
        return _copied(seen) if deepcopy else seen


class _TrialCache:
    """The trials with certain states among the first ones of a study, which have all ended.

    What has ended changes no more, so each is looked at once: with thousands of trials a pruner
    would otherwise spend its time on sorting out the same ones at every epoch.
    """

    def __init__(self, wanted: frozenset[TrialState]) -> None:
        self._wanted = wanted
        self._n_seen = 0
        self._chosen: list[FrozenTrial] = []

    def among(self, first: list[FrozenTrial]) -> list[FrozenTrial]:
        for trial in first[self._n_seen :]:
            if not trial.state.is_finished():
                break
            self._n_seen += 1
            if trial.state in self._wanted:
                self._chosen.append(trial)
        n_chosen = bisect_left(self._chosen, len(first), key=attrgetter("number"))
        late = [trial for trial in first[self._n_seen :] if trial.state in self._wanted]
        return self._chosen[:n_chosen] + late


class VisibleStudy:
    """Views of a study for its trials.

    Args:
        study: The study; its sampler and pruner are used.
        slots: How many trials run at the same time; None to show everything as it stands.
        n_given: How many of the first had ended before any of them began.
    """

    def __init__(self, study: optuna.Study, slots: int | None, n_given: int = 0) -> None:
        self._study = study
        self._view: VisibleStorage | None = None
        if slots is not None:
            self._view = VisibleStorage(storage_of(study), slots, n_given)
            self._study = optuna.Study(study.study_name, self._view, study.sampler, study.pruner)

    def seen_by(self, number: int) -> optuna.Study:
        """The study as trial `number` may see it, until the next call."""
        if self._view is not None:
            self._view.number = number
        # This study never hears of the next `tell`.
        drop_cached_trials(self._study)
        return self._study


def _copied(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return deepcopy(trials)


def _as_running(trial: FrozenTrial) -> FrozenTrial:
    """A trial with its parameters alone, as running."""
    early = copy(trial)
    early.state = TrialState.RUNNING
    early.values = None
    early.datetime_complete = None
    early.intermediate_values = {}
    early.user_attrs = {
        name: value for name, value in trial.user_attrs.items() if name == f"{PREFIX}params"
    }
    early.system_attrs = {
        name: value for name, value in trial.system_attrs.items() if name in GIVEN_OUT
    }
    return early
