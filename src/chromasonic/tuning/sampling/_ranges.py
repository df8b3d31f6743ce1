"""The ranges that a study's trials asked for, which may change from trial to trial."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import final

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from chromasonic.tuning.sampling._axes import Number

# So many trials tell whether a range was changed for good or depends on other values.
_N_RECENT = 10


@final
class Ranges:
    """Distributions asked for, by name.

    Attributes:
        asked: All distributions, by name.
    """

    def __init__(self) -> None:
        self.asked: dict[str, list[BaseDistribution]] = {}
        self._recent: dict[str, list[tuple[int, BaseDistribution]]] = {}

    def see(self, number: int, distributions: Mapping[str, BaseDistribution]) -> None:
        """Adds what the trial of that number asked for."""
        for name, distribution in distributions.items():
            asked = self.asked.setdefault(name, [])
            if distribution not in asked:
                asked.append(distribution)
            recent = [*self._recent.get(name, ()), (number, distribution)]
            self._recent[name] = sorted(recent, key=lambda entry: entry[0])[-_N_RECENT:]

    def newest(self) -> dict[str, BaseDistribution]:
        """Distribution of a name in the last trial that asked for it."""
        return {name: self._recent[name][-1][1] for name in sorted(self._recent)}

    def moving(self) -> frozenset[str]:
        """Names whose range was changed more than once of late, so not for good."""
        return frozenset(name for name in self.asked if self._moves(name))

    def _moves(self, name: str) -> bool:
        if len(self.asked[name]) < 2:
            return False
        recent = [distribution for _, distribution in self._recent[name]]
        return sum(before != after for before, after in pairwise(recent)) > 1


def widest(asked: Sequence[BaseDistribution]) -> BaseDistribution:
    """The range around all of these, in whatever order; it keeps their step if all fit it.

    Optuna sees to it that type, scale and choices of a parameter never change.
    """
    first = asked[0]
    numbers = [d for d in asked if isinstance(d, Number)]
    if not isinstance(first, Number) or all(d == first for d in numbers):
        return first
    low, high = min(d.low for d in numbers), max(d.high for d in numbers)
    step = _common_step(numbers, low)
    if isinstance(first, IntDistribution):
        return IntDistribution(int(low), int(high), log=first.log, step=int(step or 1))
    return FloatDistribution(low, high, log=first.log, step=step)


def _common_step(numbers: Sequence[Number], low: float) -> float | None:
    step = numbers[0].step
    if step is None or any(d.step != step for d in numbers):
        return None
    offsets = [(d.low - low) / step for d in numbers]
    return step if all(abs(offset - round(offset)) < 1e-6 for offset in offsets) else None
