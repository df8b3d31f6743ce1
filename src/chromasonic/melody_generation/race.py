"""Configurations compared on a few trainings each: who leads, who is surely beaten, who ties."""

from collections.abc import Iterable
from statistics import mean

import numpy as np

from chromasonic.melody_generation.evaluation import (
    BOOTSTRAP_SAMPLES,
    PERCENTILES,
    Interval,
    TuneNats,
    paired_differences,
)


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
