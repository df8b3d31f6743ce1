"""Plots of a search, for commands with `--plot`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from chromasonic.tuning.records import SearchResult


def draw(result: "SearchResult", output_dir: Path) -> None:
    """Writes the plots of a search and says where they are."""
    from chromasonic.reporting.figures import write_plots
    from chromasonic.tuning.search_folder import SearchFolder

    for path in write_plots(result, SearchFolder(output_dir).plots):
        typer.echo(f"Plot: {path}")
