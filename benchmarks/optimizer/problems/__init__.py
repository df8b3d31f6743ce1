"""All problems, frozen before any method was tuned on them."""

from problems import live, noisy, synthetic, tables
from problems.problem import Problem

GROUPS = ("tables", "noisy", "synthetic", "live")
LIST: list[Problem] = [
    *tables.PROBLEMS,
    *noisy.PROBLEMS,
    *synthetic.PROBLEMS,
    *live.PROBLEMS,
]

__all__ = ["GROUPS", "LIST", "Problem"]
