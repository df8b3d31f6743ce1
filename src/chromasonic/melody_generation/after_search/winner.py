"""Selection of a search's best configuration by retraining with fresh seeds.

The lowest loss of many trials is biased by luck. The best few are trained again with fresh seeds
and compared tune by tune on the validation melodies; the test melodies are not used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Self

import numpy as np

from chromasonic.bayesopt.analysis.interval import Interval
from chromasonic.errors import StudyError
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import (
    RetrainingConfig,
    Training,
    train_again,
)
from chromasonic.melody_generation.trained.evaluation import (
    BOOTSTRAP_SAMPLES,
    PERCENTILES,
    TuneNats,
    paired_differences,
)
from chromasonic.reporting.result_files import to_json, write_report
from chromasonic.tuning.files import write_text
from chromasonic.tuning.records import TrialRecord
from chromasonic.tuning.search_folder import SearchFolder


class Race:
    """Racing of candidates: their losses, and those not yet clearly worse than the leader.

    Args:
        trials: The candidates.
    """

    def __init__(self, trials: Iterable[int]) -> None:
        self._scored: dict[int, list[TuneNats]] = {trial: [] for trial in trials}
        self.running = set(self._scored)

    def add(self, trial: int, scored: TuneNats) -> None:
        """Adds one training of a candidate."""
        self._scored[trial].append(scored)

    @property
    def trained(self) -> list[int]:
        """Candidates with a completed training."""
        return [trial for trial, scored in self._scored.items() if scored]

    @property
    def leader(self) -> int:
        """The running candidate with the lowest mean loss."""
        running = [trial for trial in self.trained if trial in self.running]
        return min(running, key=lambda trial: TuneNats.mean(self._scored[trial]).loss)

    def drop_worse(self) -> None:
        """Drops candidates that are clearly worse than the leader or could not be trained."""
        self.running &= set(self.trained)
        if self.running:
            leader = self.leader
            others = self.running - {leader}
            self.running -= {trial for trial in others if self.difference_to_leader(trial).low > 0}

    def difference_to_leader(self, trial: int) -> Interval:
        """A candidate's mean loss minus the leader's, in nats per note, with its 95% interval.

        The interval covers the variation over tunes and over seeds. A sample is a paired bootstrap
        difference over tunes plus s sqrt(1/n + 1/m) t: s is the standard deviation over seeds,
        pooled over all candidates, n and m are the numbers of trainings, and t is Student's.
        """
        own, best = self._scored[trial], self._scored[self.leader]
        one, other = TuneNats.mean(own), TuneNats.mean(best)
        rng = np.random.default_rng(trial)
        scale = self._seed_std() * np.sqrt(1 / len(own) + 1 / len(best))
        shifts = scale * rng.standard_t(self._degrees_of_freedom(), BOOTSTRAP_SAMPLES)
        samples = paired_differences(one, other) + shifts
        return Interval(one.loss - other.loss, *np.percentile(samples, PERCENTILES).tolist())

    def _degrees_of_freedom(self) -> int:
        return max(1, sum(len(self._scored[trial]) - 1 for trial in self.trained))

    def _seed_std(self) -> float:
        """Standard deviation of a configuration's loss over seeds, pooled over candidates."""
        losses = [[s.loss for s in self._scored[trial]] for trial in self.trained]
        squares = sum(sum((x - mean(of_one)) ** 2 for x in of_one) for of_one in losses)
        return float(np.sqrt(squares / self._degrees_of_freedom()))


TOP = 5
FEWEST_REPEATS = 2
MOST_REPEATS = 5


@dataclass(frozen=True)
class Candidate:
    """One of the best configurations, with its retrainings.

    Attributes:
        trial: Number of the search's trial with this configuration.
        params: Parameters of that trial.
        search_loss: Validation loss of that trial.
        losses: Validation losses of the retrainings.
        best_epochs: Best epoch of each retraining.
        behind: Its mean loss minus the winner's, in nats per note; None for the winner.
        is_tied: Whether it may be as good as the winner.
    """

    trial: int
    params: dict[str, Any]
    search_loss: float
    losses: list[float]
    best_epochs: list[int]
    behind: Interval | None = None
    is_tied: bool = True

    @property
    def mean_loss(self) -> float:
        """Mean validation loss of the retrainings."""
        return mean(self.losses)


@dataclass(frozen=True)
class Winner:
    """The best configuration after retraining, and its competitors.

    Attributes:
        candidates: The winner first, then the others by their mean loss.
    """

    candidates: tuple[Candidate, ...]

    @property
    def trial(self) -> int:
        """Number of the winner's trial in the search."""
        return self.candidates[0].trial

    @property
    def params(self) -> dict[str, Any]:
        """The winner's parameters."""
        return self.candidates[0].params

    @property
    def best_epoch(self) -> int:
        """Median best epoch of the winner's retrainings."""
        return max(1, round(median(self.candidates[0].best_epochs)))

    @property
    def ties(self) -> list[int]:
        """Trials whose configurations may be as good as the winner's."""
        return [candidate.trial for candidate in self.candidates[1:] if candidate.is_tied]

    def with_winner(self, trial: int) -> Self:
        """A copy with another candidate as the winner.

        Raises:
            StudyError: No candidate has that trial.
        """
        chosen = [candidate for candidate in self.candidates if candidate.trial == trial]
        if not chosen:
            known = ", ".join(str(candidate.trial) for candidate in self.candidates)
            raise StudyError(
                f"the trial must be one of those trained again ({known}), but got {trial}. "
                "Raise --top to train more of them."
            )
        # One that is clearly worse ties with no other.
        others = [
            replace(candidate, is_tied=candidate.is_tied and chosen[0].is_tied)
            for candidate in self.candidates
            if candidate.trial != trial
        ]
        return replace(self, candidates=(*chosen, *others))

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {
            "trial": self.trial,
            "ties": self.ties,
            "params": self.params,
            "best_epoch": self.best_epoch,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }


def find_winner(
    search: FinishedSearch,
    config: RetrainingConfig,
    *,
    top: int = TOP,
    most_repeats: int = MOST_REPEATS,
) -> Winner:
    """Finds the configuration that is best when trained again, and those that tie with it.

    All candidates are trained twice; then, seed by seed, those that are still running in the
    race, until one is left or each has been trained `most_repeats` times.

    Args:
        search: Its best trials are the candidates.
        config: Folder, device and executor of trainings; earlier models are reused.
        top: Number of candidates.
        most_repeats: The most trainings of each, at least 2.

    Raises:
        KeyboardInterrupt: Interrupted; the same call resumes.
        StudyError: All trainings failed.
        ValueError: `top` or `most_repeats` is too small.
    """
    if top < 1 or most_repeats < FEWEST_REPEATS:
        raise ValueError(
            f"top must be at least 1 and repeats at least {FEWEST_REPEATS}, "
            f"but got {top} and {most_repeats}."
        )
    ranking = search.result.ranking()[:top]
    race = Race(record.number for record in ranking)
    cards: dict[int, list[Mapping[str, Any]]] = {record.number: [] for record in ranking}
    for repeat in range(1, most_repeats + 1):
        running = [record for record in ranking if record.number in race.running]
        chosen = [Training(record.number, repeat, record.params) for record in running]
        for training, model in train_again(search, chosen, config).items():
            race.add(training.trial, model.tune_nats(search.melodies.validation))
            cards[training.trial].append(model.card)
        if repeat >= FEWEST_REPEATS:
            race.drop_worse()
            if len(race.running) < 2:
                break
    if not race.trained:
        raise StudyError(
            "none of the best configurations could be trained again. "
            f"The reasons are in {config.folder}."
        )
    candidates = [
        _candidate(record, cards[record.number], race)
        for record in ranking
        if record.number in race.trained
    ]
    # Only the winner has no difference to the leader.
    candidates.sort(key=lambda candidate: (candidate.behind is not None, candidate.mean_loss))
    return Winner(tuple(candidates))


def _candidate(record: TrialRecord, cards: list[Mapping[str, Any]], race: Race) -> Candidate:
    return Candidate(
        trial=record.number,
        params=dict(record.params),
        search_loss=float(record.value or 0.0),
        losses=[float(card["val_loss"]) for card in cards],
        best_epochs=[int(card["best_epoch"]) for card in cards],
        behind=None if record.number == race.leader else race.difference_to_leader(record.number),
        is_tied=record.number in race.running,
    )


def write_winner(winner: Winner, search: FinishedSearch, folder: Path) -> None:
    """Writes the winner to `winner.json` in a search's directory, and into its report."""
    found = {**winner.to_dict(), "n_trials": len(search.result.trials)}
    write_text(SearchFolder(folder).winner, to_json(found))
    write_report(search.result, folder)
