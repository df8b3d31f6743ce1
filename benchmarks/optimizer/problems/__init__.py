"""All problems, frozen before any method was tuned on them."""

from problems import conditional, live, noisy, synthetic, tables
from problems.problem import Problem

FLAT_GROUPS = ("tables", "noisy", "synthetic", "live")
"""Those that every method is compared on; all of them together are "all"."""

GROUPS = (*FLAT_GROUPS, "conditional")
LIST: list[Problem] = [
    *tables.PROBLEMS,
    *noisy.PROBLEMS,
    *synthetic.PROBLEMS,
    *live.PROBLEMS,
    *conditional.PROBLEMS,
]

__all__ = ["FLAT_GROUPS", "GROUPS", "LIST", "Problem"]
