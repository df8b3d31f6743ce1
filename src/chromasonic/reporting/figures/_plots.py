"""All pictures of a search, as files."""

from pathlib import Path

from chromasonic.reporting.figures._history import plot_history
from chromasonic.reporting.figures._importance import plot_importance
from chromasonic.reporting.figures._learning_curves import plot_learning_curves
from chromasonic.reporting.figures._parameters import plot_parameters
from chromasonic.tuning.records import SearchResult

PLOTS = {
    "optimization_history.png": plot_history,
    "learning_curves.png": plot_learning_curves,
    "parameters.png": plot_parameters,
    "importance.png": plot_importance,
}


def write_plots(result: SearchResult, folder: Path) -> list[Path]:
    """The files of all pictures, which are written into `folder`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return [plot(result, folder / name) for name, plot in PLOTS.items()]
