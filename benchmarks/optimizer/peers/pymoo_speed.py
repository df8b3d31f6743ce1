"""Two searches of pymoo's done quickly: its Python loops are most of what HEBO takes.

What they return is the same to the last element, so that HEBO's runs are, too.
"""

from typing import Any

import numpy as np
from pymoo.core import mixed
from pymoo.core.population import Population
from pymoo.util.dominator import Dominator
from pymoo.util.nds import fast_non_dominated_sort


def equal_to_another(
    self: mixed.MixedVariableDuplicateElimination,
    pop: Population,
    other: Population | None,
    is_duplicate: np.ndarray,
) -> np.ndarray:
    """Mask of duplicates: points also in `other`, or later in `pop` if there is no other.

    In place of comparing all pairs, for `MixedVariableDuplicateElimination`.

    Args:
        self: The elimination.
        pop: Individuals whose X are dicts of numbers.
        other: More of them, or None.
        is_duplicate: All False, one a member of `pop`.
    """
    seen = set() if other is None else {tuple(sorted(one.X.items())) for one in other}
    for i in reversed(range(len(pop))):
        key = tuple(sorted(pop[i].X.items()))
        is_duplicate[i] = key in seen
        if other is None:
            seen.add(key)
    return is_duplicate


def fronts_of(F: np.ndarray, **kwargs: Any) -> list[list[int]]:
    """The non-dominated fronts of objectives, best first, in the order pymoo finds them.

    Args:
        F: Objectives, shape (n, m).
        kwargs: Not used, as by pymoo's own.
    """
    dominates = Dominator.calc_domination_matrix(F) == 1
    n_dominating = dominates.sum(axis=0)
    front = np.flatnonzero(n_dominating == 0).tolist()
    fronts = [front]
    n_ranked = len(front)
    while n_ranked < len(F):
        following = []
        for i in front:
            dominated = np.flatnonzero(dominates[i])
            n_dominating[dominated] -= 1
            following += dominated[n_dominating[dominated] == 0].tolist()
        fronts.append(following)
        n_ranked += len(following)
        front = following
    return fronts


def install() -> None:
    """Puts both into pymoo."""
    mixed.MixedVariableDuplicateElimination._do = equal_to_another
    fast_non_dominated_sort.fast_non_dominated_sort = fronts_of
