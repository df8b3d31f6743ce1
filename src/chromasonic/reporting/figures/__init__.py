"""Pictures of a search, drawn with matplotlib; no display and no global state is touched."""

from chromasonic.reporting.figures._history import draw_history, plot_history
from chromasonic.reporting.figures._importance import draw_importance, plot_importance
from chromasonic.reporting.figures._learning_curves import (
    draw_learning_curves,
    plot_learning_curves,
)
from chromasonic.reporting.figures._parameters import draw_parameters, plot_parameters
from chromasonic.reporting.figures._plots import write_plots
from chromasonic.reporting.figures.piano_roll import draw_piano_roll, plot_piano_roll

__all__ = [
    "draw_history",
    "draw_importance",
    "draw_learning_curves",
    "draw_parameters",
    "draw_piano_roll",
    "plot_history",
    "plot_importance",
    "plot_learning_curves",
    "plot_parameters",
    "plot_piano_roll",
    "write_plots",
]
