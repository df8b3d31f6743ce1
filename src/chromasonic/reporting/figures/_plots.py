"""All figures of a search, as files."""

from pathlib import Path

from chromasonic.reporting.figures._canvas import save_figure
from chromasonic.reporting.figures._history import draw_history
from chromasonic.reporting.figures._importance import draw_importance
from chromasonic.reporting.figures._learning_curves import draw_learning_curves
from chromasonic.reporting.figures._parameters import draw_parameters
from chromasonic.tuning.records import SearchResult

FIGURES = {
    "optimization_history.png": draw_history,
    "learning_curves.png": draw_learning_curves,
    "parameters.png": draw_parameters,
    "importance.png": draw_importance,
}


def write_plots(result: SearchResult, folder: Path) -> list[Path]:
    """Writes all figures into a folder and returns their paths.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return [save_figure(draw(result), folder / name) for name, draw in FIGURES.items()]
