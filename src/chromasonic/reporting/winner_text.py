"""The honest winner of a search in words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WINNER_FILE = "winner.json"


def read_winner(folder: Path) -> dict[str, Any] | None:
    """What `winner.json` in a search's directory says; None if there is none to be read."""
    try:
        found: dict[str, Any] = json.loads((folder / WINNER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def winner_lines(winner: Mapping[str, Any], n_trials: int) -> list[str]:
    """The configurations that were trained again, as a table for a reader.

    Args:
        winner: As `read_winner` returns it.
        n_trials: How many trials the search has by now.
    """
    tied = ", ".join(map(str, winner["ties"]))
    lines = [
        f"Winner, trained again with fresh seeds: trial {winner['trial']}"
        + (f", tied with trial {tied}" if tied else ""),
        "  trial   in the search   trained again   seeds   behind the winner (95% interval)",
        *(_row(candidate) for candidate in winner["candidates"]),
        _optimism(winner["candidates"]),
    ]
    if n_trials > winner["n_trials"]:
        lines.append(
            f"It was found among the first {winner['n_trials']} trials: chromasonic confirm "
            "looks at the later ones, too."
        )
    return lines


def _row(candidate: Mapping[str, Any]) -> str:
    behind = candidate["behind"]
    interval = (
        f"+{behind['estimate']:.4f} ({behind['low']:+.4f} to {behind['high']:+.4f})"
        if behind
        else ""
    )
    losses = candidate["losses"]
    return (
        f"  {candidate['trial']:>5}   {candidate['search_loss']:>13.4f}   "
        f"{sum(losses) / len(losses):>13.4f}   {len(losses):>5}   {interval}"
    ).rstrip()


def _optimism(candidates: list[Mapping[str, Any]]) -> str:
    """How much better the search's best loss looked than the same configuration is."""
    best = min(candidates, key=lambda candidate: candidate["search_loss"])
    again = sum(best["losses"]) / len(best["losses"])
    return (
        f"Trial {best['trial']}, the best of the search, had a loss of {best['search_loss']:.4f} "
        f"there and has {again:.4f} when trained again."
    )
