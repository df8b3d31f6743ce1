"""Which configuration of a search is really the best: trained again until it is known, or tied.

The best of many trials was also the luckiest. The best few are trained again with fresh seeds and
compared tune by tune on the validation melodies; the test melodies have no part in it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Self

import numpy as np

from chromasonic.errors import StudyError
from chromasonic.melody_generation.after_search.finished_search import FinishedSearch
from chromasonic.melody_generation.after_search.repeats import Training, Workplace, train_again
from chromasonic.melody_generation.trained.evaluation import (
    BOOTSTRAP_SAMPLES,
    PERCENTILES,
    Interval,
    TuneNats,
    paired_differences,
)
from chromasonic.reporting.result_files import to_json, write_report
from chromasonic.reporting.text import WINNER_FILE
from chromasonic.tuning.files import write_text
from chromasonic.tuning.records import TrialRecord


class Race:
    """What each candidate has lost, and who is still in the running.

    Args:
        trials: The candidates.
    """

    def __init__(self, trials: Iterable[int]) -> None:
        self._scored: dict[int, list[TuneNats]] = {trial: [] for trial in trials}
        self.running = set(self._scored)

    def add(self, trial: int, scored: TuneNats) -> None:
        """One more training of a candidate."""
        self._scored[trial].append(scored)

    @property
    def trained(self) -> list[int]:
        """Candidates with a training that ran to its end."""
        return [trial for trial, scored in self._scored.items() if scored]

    @property
    def leader(self) -> int:
        """The candidate with the lowest mean loss, of those still in the running."""
        running = [trial for trial in self.trained if trial in self.running]
        return min(running, key=lambda trial: TuneNats.mean(self._scored[trial]).loss)

    def drop_the_beaten(self) -> None:
        """Takes out those that are surely worse than the leader, or could not be trained."""
        self.running &= set(self.trained)
        if self.running:
            leader = self.leader
            others = self.running - {leader}
            self.running -= {trial for trial in others if self.behind(trial).low > 0}

    def behind(self, trial: int) -> Interval:
        """A candidate's mean loss minus the leader's, in nats per note, with its 95% interval.

        The interval knows of both that tunes and that seeds might have been others: the means are
        drawn over tunes, and shifted by what the spread over seeds, pooled over all candidates,
        leaves open in means of so few.
        """
        own, best = self._scored[trial], self._scored[self.leader]
        one, other = TuneNats.mean(own), TuneNats.mean(best)
        rng = np.random.default_rng(trial)
        scale = self._spread_over_seeds() * np.sqrt(1 / len(own) + 1 / len(best))
        shifts = scale * rng.standard_t(self._degrees_of_freedom(), BOOTSTRAP_SAMPLES)
        samples = paired_differences(one, other) + shifts
        return Interval(one.loss - other.loss, *np.percentile(samples, PERCENTILES).tolist())

    def _degrees_of_freedom(self) -> int:
        return max(1, sum(len(self._scored[trial]) - 1 for trial in self.trained))

    def _spread_over_seeds(self) -> float:
        """The standard deviation of a configuration's loss from seed to seed."""
        losses = [[s.loss for s in self._scored[trial]] for trial in self.trained]
        squares = sum(sum((x - mean(of_one)) ** 2 for x in of_one) for of_one in losses)
        return float(np.sqrt(squares / self._degrees_of_freedom()))


TOP = 5
FEWEST_REPEATS = 2
MOST_REPEATS = 5


@dataclass(frozen=True)
class Candidate:
    """One of the best configurations, after its further trainings.

    Attributes:
        trial: The trial of the search that tried it.
        params: What that tried.
        search_loss: The validation loss it had in the search.
        losses: The validation losses of its further trainings.
        best_epochs: At which epoch each of them was best.
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
        """Over its further trainings."""
        return mean(self.losses)


@dataclass(frozen=True)
class Winner:
    """What came of training the best few again.

    Attributes:
        candidates: The winner first, then the others by their mean loss.
    """

    candidates: tuple[Candidate, ...]

    @property
    def trial(self) -> int:
        """The winner's trial of the search."""
        return self.candidates[0].trial

    @property
    def params(self) -> dict[str, Any]:
        """What the winner is trained with."""
        return self.candidates[0].params

    @property
    def best_epoch(self) -> int:
        """After how many epochs its trainings were best, in the median."""
        return max(1, round(median(self.candidates[0].best_epochs)))

    @property
    def ties(self) -> list[int]:
        """Trials whose configurations may be as good as the winner's."""
        return [candidate.trial for candidate in self.candidates[1:] if candidate.is_tied]

    def choosing(self, trial: int) -> Self:
        """The same with another of the candidates in the winner's place.

        Raises:
            StudyError: It is none of them.
        """
        chosen = [candidate for candidate in self.candidates if candidate.trial == trial]
        if not chosen:
            known = ", ".join(str(candidate.trial) for candidate in self.candidates)
            raise StudyError(
                f"the trial must be one of those trained again ({known}), but got {trial}. "
                "Raise --top to train more of them."
            )
        # One that is surely beaten ties with nobody.
        others = [
            replace(candidate, is_tied=candidate.is_tied and chosen[0].is_tied)
            for candidate in self.candidates
            if candidate.trial != trial
        ]
        return replace(self, candidates=(*chosen, *others))

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        return {
            "trial": self.trial,
            "ties": self.ties,
            "params": self.params,
            "best_epoch": self.best_epoch,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }


def find_winner(
    search: FinishedSearch,
    workplace: Workplace,
    *,
    top: int = TOP,
    most_repeats: int = MOST_REPEATS,
) -> Winner:
    """The configuration that is best when trained again, and those that tie with it.

    All candidates are trained twice; then, seed by seed, those that are still in the running,
    until one is left or each has been trained `most_repeats` times.

    Args:
        search: Whose best trials are the candidates.
        workplace: Where trainings run; what was trained before counts.
        top: How many candidates.
        most_repeats: The most trainings of each, at least 2.

    Raises:
        KeyboardInterrupt: It was broken off; the same call goes on.
        StudyError: Not one of the candidates could be trained again.
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
        in_running = [record for record in ranking if record.number in race.running]
        chosen = [Training(record.number, repeat, record.params) for record in in_running]
        for training, model in train_again(search, chosen, workplace).items():
            race.add(training.trial, model.tune_nats(search.melodies.validation))
            cards[training.trial].append(model.card)
        if repeat >= FEWEST_REPEATS:
            race.drop_the_beaten()
            if len(race.running) < 2:
                break
    if not race.trained:
        raise StudyError(
            "one of the best configurations must train again, but none did. "
            f"Their reasons are in {workplace.folder}."
        )
    candidates = [
        _candidate(record, cards[record.number], race)
        for record in ranking
        if record.number in race.trained
    ]
    # The winner is the one that is behind nobody.
    candidates.sort(key=lambda candidate: (candidate.behind is not None, candidate.mean_loss))
    return Winner(tuple(candidates))


def _candidate(record: TrialRecord, cards: list[Mapping[str, Any]], race: Race) -> Candidate:
    return Candidate(
        trial=record.number,
        params=dict(record.params),
        search_loss=float(record.value or 0.0),
        losses=[float(card["val_loss"]) for card in cards],
        best_epochs=[int(card["best_epoch"]) for card in cards],
        behind=None if record.number == race.leader else race.behind(record.number),
        is_tied=record.number in race.running,
    )


def write_winner(winner: Winner, search: FinishedSearch, folder: Path) -> None:
    """Writes the winner to `winner.json` in a search's directory, and into its report."""
    found = {**winner.to_dict(), "n_trials": len(search.result.trials)}
    write_text(folder / WINNER_FILE, to_json(found))
    write_report(search.result, folder)
