"""The course of an optimization from plain values, and of several methods side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.bayesopt.analysis.convergence import best_so_far
from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.bayesopt.observed import is_maximized
from chromasonic.reporting.figures._canvas import (
    BLUE,
    GREEN,
    INK,
    PURPLE,
    RED,
    YELLOW,
    legend_below,
    message,
    new_figure,
    plain,
    save_figure,
    style_axes,
    title,
    value_limits,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]

_COLOURS = (BLUE, RED, GREEN, PURPLE, YELLOW)
_DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 3)))


class MethodComparison(Protocol):
    """Observed values of several methods, such as `bayesopt.grid.SearchComparison`."""

    @property
    def values(self) -> Mapping[str, ArrayLike]:
        """For each method its values, shape (n_repeats, n_evaluations), in the user's sign."""

    @property
    def maximize(self) -> bool:
        """True if higher is better."""


def plot_optimization_trajectory(
    X_observed: Sequence[Any],
    y_observed: ArrayLike,
    maximize: bool | None = None,
    *,
    path: Path | str | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """The figure of `draw_optimization_trajectory`, also written to `path` if one is given.

    Args:
        X_observed: The points evaluated; only their number is looked at.
        y_observed: Their values in order; nan and infinities allowed.
        maximize: Whether higher is better; None: as `y_observed` says if it comes from a result,
            else False.
        path: Where it is written; the ending chooses the format, PNG without one.
        ax: Axes to draw on, instead of a figure of its own.

    Raises:
        MissingExtra: matplotlib is not installed.
        ValueError: There are not as many points as values.
    """
    values = np.asarray(y_observed, dtype=float)
    if values.shape != (len(X_observed),):
        raise ValueError(
            "X_observed and y_observed must have the same length, "
            f"but got {len(X_observed)} points and values of shape {values.shape}."
        )
    maximize = is_maximized(y_observed, maximize)
    return _written(draw_optimization_trajectory(values, maximize, ax=ax), path)


@own_error_state()
def draw_optimization_trajectory(
    y_observed: ArrayLike, maximize: bool | None = None, *, ax: "Axes | None" = None
) -> "Figure":
    """Each observed value by its evaluation, counted from 1, and the best so far.

    Args:
        y_observed: Values in order; what is not finite stands as a tick at the bottom.
        maximize: As in `plot_optimization_trajectory`.
        ax: Axes to draw on, instead of a figure of its own.
    """
    figure, axes = _canvas(ax)
    maximize = is_maximized(y_observed, maximize)
    y = np.asarray(y_observed, dtype=float)
    if not len(y):
        message(axes, "Nothing has been evaluated yet.")
        return figure
    _style_course(axes, len(y))
    best = best_so_far(y, maximize=maximize)
    _mark_values(axes, y, maximize)
    _mark_failures(axes, y)
    if np.isfinite(best).any():
        found = int(np.flatnonzero(y == best[-1])[0])
        _draw_best(axes, best, found)
        title(axes, f"Best value {best[-1]:.6g}, at evaluation {found + 1} of {len(y)}")
    else:
        title(axes, f"None of {len(y)} evaluations has a finite value")
    axes.set_ylabel("objective" + (" (higher is better)" if maximize else ""), color=INK)
    _draw_legend(figure, axes, ax)
    return figure


def plot_search_comparison(
    comparison: MethodComparison, *, path: Path | str | None = None, ax: "Axes | None" = None
) -> "Figure":
    """The figure of `draw_search_comparison`, also written to `path` if one is given.

    Args:
        comparison: What is drawn.
        path: Where it is written; the ending chooses the format, PNG without one.
        ax: Axes to draw on, instead of a figure of its own.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return _written(draw_search_comparison(comparison, ax=ax), path)


@own_error_state()
def draw_search_comparison(comparison: MethodComparison, *, ax: "Axes | None" = None) -> "Figure":
    """The best so far of each method: median over repeats, and the middle half of them.

    Args:
        comparison: What is drawn.
        ax: Axes to draw on, instead of a figure of its own.
    """
    figure, axes = _canvas(ax)
    courses = {
        method: _quartiles(best_so_far(values, maximize=comparison.maximize))
        for method, values in comparison.values.items()
    }
    drawn = np.concatenate([quartiles.ravel() for quartiles in courses.values()] or [np.empty(0)])
    limits = value_limits(drawn.tolist(), maximize=comparison.maximize)
    if limits is None:
        message(axes, "No method has observed a finite value yet.")
        return figure
    n_evaluations = max(quartiles.shape[1] for quartiles in courses.values())
    _style_course(axes, n_evaluations)
    for i, (method, quartiles) in enumerate(courses.items()):
        style = i % len(_COLOURS)
        _draw_method(axes, method, quartiles, _COLOURS[style], _DASHES[style])
    axes.set_ylim(limits.ends)
    n_repeats = max(len(np.asarray(values)) for values in comparison.values.values())
    spread = f"median and middle half of {n_repeats} repeats" if n_repeats > 1 else "one run"
    title(axes, f"Best value after equally many evaluations, {spread}")
    higher = " (higher is better)" if comparison.maximize else ""
    axes.set_ylabel("best objective so far" + higher, color=INK)
    _draw_legend(figure, axes, ax)
    return figure


def _canvas(ax: "Axes | None") -> "tuple[Figure, Axes]":
    if ax is not None:
        # Axes that were removed from their figure cannot be drawn on anyway.
        return cast("Figure", ax.get_figure(root=True)), ax
    figure = new_figure(7.5, 4.4)
    return figure, figure.add_subplot()


def _draw_legend(figure: "Figure", axes: "Axes", given: "Axes | None") -> None:
    """A legend below a figure of our own, inside axes that belong to someone else's."""
    if given is None:
        legend_below(figure, axes)
    else:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def _written(figure: "Figure", path: Path | str | None) -> "Figure":
    if path is not None:
        save_figure(figure, path)
    return figure


def _style_course(axes: "Axes", n_evaluations: int) -> None:
    from matplotlib.ticker import MaxNLocator

    style_axes(axes)
    margin = max(0.5, 0.02 * n_evaluations)
    axes.set_xlim(1 - margin, n_evaluations + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("evaluation", color=INK)


def _mark_values(axes: "Axes", y: Vector, maximize: bool) -> None:
    """Points inside the range that is shown, triangles at its bad end."""
    limits = value_limits(y.tolist(), maximize=maximize)
    if limits is None:
        axes.set_yticks([])
        return
    number = np.arange(1, len(y) + 1)
    beyond = np.isfinite(y) & limits.are_beyond(y)
    inside = np.isfinite(y) & ~beyond
    axes.scatter(
        number[inside], y[inside], s=28, c=BLUE, alpha=0.8, linewidths=0, label="observed"
    )
    if beyond.any():
        axes.scatter(
            number[beyond],
            np.full(beyond.sum(), limits.bad_end),
            s=28,
            marker=limits.marker,
            facecolors="none",
            edgecolors=BLUE,
            linewidths=1.0,
            clip_on=False,
            label=f"observed, {limits.side} the range ({beyond.sum()})",
        )
    axes.set_ylim(limits.ends)


def _mark_failures(axes: "Axes", y: Vector) -> None:
    """Ticks at the bottom where a value is not finite."""
    failed = np.flatnonzero(~np.isfinite(y))
    if len(failed):
        axes.plot(
            failed + 1,
            np.full(len(failed), 0.025),
            linestyle="none",
            marker="|",
            markersize=9,
            markeredgewidth=1.2,
            color=RED,
            alpha=0.7,
            transform=axes.get_xaxis_transform(),
            label=f"not finite ({len(failed)})",
        )


def _draw_best(axes: "Axes", best: Vector, found: int) -> None:
    axes.step(
        np.arange(1, len(best) + 1),
        best,
        where="post",
        color=INK,
        linewidth=1.4,
        label="best so far",
        zorder=3,
    )
    axes.scatter(
        [found + 1],
        [best[-1]],
        s=150,
        marker="*",
        c=YELLOW,
        edgecolors=INK,
        linewidths=0.8,
        zorder=4,
    )


def _draw_method(
    axes: "Axes", method: str, quartiles: Vector, colour: str, dashes: object
) -> None:
    number = np.arange(1, quartiles.shape[1] + 1)
    low, median, high = quartiles
    axes.fill_between(number, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
    axes.step(
        number,
        median,
        where="post",
        color=colour,
        linestyle=dashes,
        linewidth=1.8,
        label=plain(f"{method}: {median[-1]:.4g}"),
    )


def _quartiles(best: Vector) -> Vector:
    """Lower quartile, median and upper quartile over repeats, shape (3, n); nan without any."""
    quartiles = np.full((3, best.shape[1]), np.nan)
    known = np.isfinite(best).any(axis=0)
    quartiles[:, known] = np.nanquantile(best[:, known], [0.25, 0.5, 0.75], axis=0)
    return quartiles
