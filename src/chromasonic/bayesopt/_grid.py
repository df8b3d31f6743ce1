"""Grid search and random search beside Bayesian optimization, at equal cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, isfinite, nan, prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from chromasonic.bayesopt._loop import as_value, bayesian_optimization
from chromasonic.bayesopt.analysis.convergence import best_so_far
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.bayesopt.space import Parameter, Space, Value

Matrix = NDArray[np.float64]
Objective = Callable[[dict[str, Any]], float]
Levels = Mapping[str, Sequence[Value]]

_N_INITIAL = 5
_TAIL = 0.025


@dataclass(frozen=True)
class EvaluationsToReach:
    """Evaluations that a method needs to reach a value, over repeats.

    Attributes:
        median: inf where half of the repeats did not reach it.
        low: Lower end of an interval that holds the true median with at least 95 %; nan with
            fewer than 6 repeats, which allow none.
        high: Upper end; inf where too many did not reach it.
        n_reached: Repeats that did.
        n_repeats: Repeats in all.
    """

    median: float
    low: float
    high: float
    n_reached: int
    n_repeats: int

    @classmethod
    @own_error_state()
    def of(cls, counts: Sequence[float]) -> "EvaluationsToReach":
        """The summary of one count a repeat, inf where it was not reached.

        Source: the interval between order statistics, Conover (1999), Practical Nonparametric
        Statistics, section 3.2.
        """
        ordered = sorted(counts)
        n = len(ordered)
        # As many as possible are left out at either end.
        left_out = sum(bdtr(k, n, 0.5) <= _TAIL for k in range(n))
        low, high = (ordered[left_out - 1], ordered[n - left_out]) if left_out else (nan, nan)
        middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        return cls(middle, low, high, sum(map(isfinite, ordered)), n)


@dataclass(frozen=True)
class SearchComparison:
    """Comparison of search methods with equally many evaluations.

    Attributes:
        values: For each method what it observed, shape (n_repeats, n_evaluations), in the
            user's units and sign; nan where a value was, or where a grid has no point left.
        maximize: Whether higher is better.
    """

    values: Mapping[str, Matrix]
    maximize: bool

    @property
    def n_evaluations(self) -> int:
        """Of each method in each repeat."""
        return int(next(iter(self.values.values())).shape[1])

    @property
    def best_so_far(self) -> dict[str, Matrix]:
        """For each method the best value up to each evaluation, shape as `values`."""
        return {m: best_so_far(y, maximize=self.maximize) for m, y in self.values.items()}

    @property
    def targets(self) -> dict[str, float]:
        """For each method the median of its final best values: what the others are to reach."""
        finals = {method: best[:, -1] for method, best in self.best_so_far.items()}
        return {m: float(np.nanmedian(y)) for m, y in finals.items() if np.isfinite(y).any()}

    def evaluations_to_reach(self, value: float) -> dict[str, EvaluationsToReach]:
        """For each method how many evaluations it needs until the best is as good as `value`.

        Args:
            value: In the user's units and sign.
        """
        summaries = {}
        for method, best in self.best_so_far.items():
            reached = best >= value if self.maximize else best <= value
            counts = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, inf)
            summaries[method] = EvaluationsToReach.of(counts.tolist())
        return summaries

    def __str__(self) -> str:
        lines = []
        for rival, target in self.targets.items():
            lines.append(
                f"evaluations to reach {target:.6g}, the median best of {rival} search "
                f"after {self.n_evaluations}:"
            )
            for method, needed in self.evaluations_to_reach(target).items():
                lines.append(f"  {method}: {self._evaluations_text(needed)}")
        return "\n".join(lines)

    def _evaluations_text(self, needed: EvaluationsToReach) -> str:
        low, median, high = (
            f"{count:g}" if isfinite(count) else f"not reached in {self.n_evaluations}"
            for count in (needed.low, needed.median, needed.high)
        )
        interval = "" if needed.low != needed.low else f", 95 % interval [{low}, {high}]"
        return f"{median}{interval}; by {needed.n_reached} of {needed.n_repeats} repeats"


def compare_searches(
    objective: Objective,
    bounds: Mapping[str, object],
    n_evaluations: int,
    n_repeats: int = 10,
    seed: int = 0,
    methods: Sequence[str] = ("bayesian", "grid", "random"),
    *,
    maximize: bool = False,
) -> SearchComparison:
    """Runs each method with the same number of evaluations, repeated with other seeds.

    Args:
        objective: Gets a dict of parameters and returns a number; it is evaluated up to
            `n_evaluations` times a method and repeat.
        bounds: As `bayesian_optimization` reads them.
        n_evaluations: Of each method in each repeat, from 2 on. A grid has at most so many
            points and is evaluated in random order.
        n_repeats: From 1 on; 6 are needed for intervals.
        seed: Same seed, same searches. A method's searches do not depend on the others'.
        methods: Some of `METHODS`.
        maximize: Whether higher is better.

    Raises:
        SpaceError: If the bounds make no sense.
        ValueError: If a number is out of range, or there is no such method.
        TypeError: If the objective returns something that is not a number.
    """
    if n_evaluations < 2 or n_repeats < 1:
        raise ValueError(
            "n_evaluations must be at least 2 and n_repeats at least 1, "
            f"but got {n_evaluations!r} and {n_repeats!r}."
        )
    for method in methods:
        if method not in METHODS:
            raise ValueError(
                f"methods must be among {', '.join(map(repr, METHODS))}, but got {method!r}."
            )
    space = Space.from_bounds(bounds)
    sign = -1.0 if maximize else 1.0

    def loss(params: dict[str, Any]) -> float:
        return sign * as_value(objective(params))

    values = {}
    for method in methods:
        rows = np.full((n_repeats, n_evaluations), nan)
        for repeat in range(n_repeats):
            losses = METHODS[method](loss, space, n_evaluations, (seed, repeat))
            rows[repeat, : len(losses)] = losses
        values[method] = sign * rows
    return SearchComparison(values, maximize)


def grid_points(space: Space, n: int) -> list[dict[str, Value]]:
    """A grid of at most n points, with as even a number of values per parameter as that allows.

    Values are spread evenly over the unit interval, both ends included; one value alone is the
    middle. A conditional parameter takes part where it is active.

    Args:
        space: Where the points lie.
        n: Most points, from 1 on.

    Raises:
        ValueError: If n is below 1.
    """
    if n < 1:
        raise ValueError(f"a grid must have at least 1 point, but got n={n!r}.")
    levels: dict[str, Sequence[Value]] = {name: _levels(space[name], 1) for name in space}
    while (finer := _with_one_value_more(space, levels, n)) is not None:
        levels = finer
    return list(_combinations(space, levels))


def _with_one_value_more(
    space: Space, levels: Levels, n: int
) -> dict[str, Sequence[Value]] | None:
    """One value more for the coarsest parameter for which that makes at most n points."""
    size = _size(space, levels)
    for name in sorted(space, key=lambda name: len(levels[name])):
        finer = {**levels, name: _levels(space[name], len(levels[name]) + 1)}
        # A parameter that is nowhere active makes no point more.
        if size < _size(space, finer) <= n:
            return finer
    return None


def _levels(parameter: Parameter, at_least: int) -> list[Value]:
    """So many values, or all there are, spread evenly; a few more where places share values."""
    if at_least == 1:
        return [parameter.from_unit(0.5)]
    wanted = min(at_least, parameter.n_values or at_least)
    values: dict[float, Value] = {}
    n_places = at_least
    while len(values) < wanted:
        found = [parameter.from_unit(u) for u in np.linspace(0, 1, n_places).tolist()]
        # By their places, since 1 and True are the same key.
        values = {parameter.to_unit(value): value for value in found}
        n_places += 1
    return list(values.values())


def _combinations(space: Space, levels: Levels) -> Iterator[dict[str, Value]]:
    """Every point that these values make up, each once."""
    for choice, active in _branches(space, levels):
        free = [[choice[name]] if name in choice else levels[name] for name in active]
        for row in product(*free):
            yield dict(zip(active, row, strict=True))


def _size(space: Space, levels: Levels) -> int:
    """Number of points that `_combinations` gives."""
    return sum(
        prod(len(levels[name]) for name in active if name not in choice)
        for choice, active in _branches(space, levels)
    )


def _branches(space: Space, levels: Levels) -> Iterator[tuple[dict[str, Value], tuple[str, ...]]]:
    """Each different choice of values for active parents, and the parameters active with it."""
    named = {parent for parameter in space.values() for parent in parameter.when or {}}
    parents = [name for name in space if name in named]
    seen = set()
    for places in product(*(range(len(levels[name])) for name in parents)):
        place_of = dict(zip(parents, places, strict=True))
        active = space.active({name: levels[name][i] for name, i in place_of.items()})
        # Values of an inactive parent make no difference.
        choice = {name: i for name, i in place_of.items() if name in active}
        if (key := tuple(choice.items())) not in seen:
            seen.add(key)
            yield {name: levels[name][i] for name, i in choice.items()}, active


def _bayesian(loss: Objective, space: Space, n: int, seed: tuple[int, int]) -> list[float]:
    n_initial = min(_N_INITIAL, n - 1)
    own_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return bayesian_optimization(
        loss, space, n - n_initial, n_initial, patience=None, seed=own_seed
    ).y_observed


def _grid(loss: Objective, space: Space, n: int, seed: tuple[int, int]) -> list[float]:
    points = grid_points(space, n)
    order = np.random.default_rng(seed).permutation(len(points))
    return [loss(points[i]) for i in order]


def _random(loss: Objective, space: Space, n: int, seed: tuple[int, int]) -> list[float]:
    rng = np.random.default_rng(seed)
    return [loss(space.sample(rng)) for _ in range(n)]


METHODS: Final[dict[str, Callable[[Objective, Space, int, tuple[int, int]], list[float]]]] = {
    "bayesian": _bayesian,
    "grid": _grid,
    "random": _random,
}
"""The methods by name; each gives the losses it observed, in order."""
