"""Figures of a search, drawn with matplotlib; no display and no global state is touched."""

from chromasonic.reporting.figures._canvas import save_figure
from chromasonic.reporting.figures._history import draw_history
from chromasonic.reporting.figures._importance import draw_importance
from chromasonic.reporting.figures._learning_curves import draw_learning_curves
from chromasonic.reporting.figures._parameters import draw_parameters
from chromasonic.reporting.figures._plots import write_plots
from chromasonic.reporting.figures.piano_roll import draw_piano_roll

__all__ = [
    "draw_history",
    "draw_importance",
    "draw_learning_curves",
    "draw_parameters",
    "draw_piano_roll",
    "save_figure",
    "write_plots",
]
