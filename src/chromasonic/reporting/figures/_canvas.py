"""Common style of all figures, and saving them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chromasonic.bayesopt.arithmetic import own_error_state
from chromasonic.errors import MissingExtra, plain_text
from chromasonic.paths import expand_home
from chromasonic.reporting.text import value_name
from chromasonic.tuning.files import write_whole
from chromasonic.tuning.records import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The better three quarters of the values keep at least a third of the height.
_KEPT_SHARE = 0.75
_LARGEST_STRETCH = 3.0
_MARGIN = 0.05


@dataclass(frozen=True)
class Limits:
    """Limits of an axis of values, and its bad end by the direction of the search.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        maximize: Whether larger values are better.
    """

    low: float
    high: float
    maximize: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """The lower and the upper end."""
        return self.low, self.high

    @property
    def bad_end(self) -> float:
        """Position of values too bad to be shown in their place."""
        return self.low if self.maximize else self.high

    @property
    def side(self) -> str:
        """`above` or `below`: the side of the range where those values lie."""
        return "below" if self.maximize else "above"

    @property
    def marker(self) -> str:
        """A triangle that points to them."""
        return "v" if self.maximize else "^"

    def are_beyond(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Mask of the values too bad to be shown; infinities are, nan is not."""
        found = np.asarray(values, dtype=float)
        return np.asarray(found < self.low if self.maximize else found > self.high)

    def within_reach(self, values: ArrayLike) -> NDArray[np.float64]:
        """The values, none further than ten heights beyond the bad end; nan stays."""
        reach = 10 * (self.high - self.low)
        if self.maximize:
            return np.maximum(values, self.low - reach)
        return np.minimum(values, self.high + reach)


def value_limits(values: Iterable[float | None], *, maximize: bool = False) -> Limits | None:
    """The ends of an axis where no single bad value squashes the rest.

    What lies beyond the bad end is meant to be marked there. nan and infinities are left out.

    Args:
        values: What is drawn.
        maximize: Whether larger values are better.

    Returns:
        None if there is no finite value.
    """
    sign = -1.0 if maximize else 1.0
    finite = sorted(sign * y for y in values if y is not None and math.isfinite(y))
    if not finite:
        return None
    best, worst = finite[0], finite[-1]
    kept = finite[int(_KEPT_SHARE * (len(finite) - 1))]
    if kept > best:
        worst = min(worst, best + _LARGEST_STRETCH * (kept - best))
    margin = _MARGIN * (worst - best) or _MARGIN * abs(best) or _MARGIN
    low, high = sorted((sign * (best - margin), sign * (worst + margin)))
    return Limits(low, high, maximize)


DPI = 150

INK = "#3A3A3A"
FRAME = "#B8B8B8"
GRID = "#ECECEC"
# Paul Tol's bright scheme: told apart with any common colour vision.
BLUE, RED, GREEN, YELLOW, PURPLE, GREY = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#AA3377",
    "#A0A0A0",
)


def new_figure(width: float, height: float) -> "Figure":
    """An empty white figure; width and height in inches.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "drawing needs matplotlib, which is not installed. "
            'Run: pip install "chromasonic[report]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def style_axes(axes: "Axes", *, grid: str = "y") -> None:
    """Styles axes: two quiet spines, small labels, a faint grid behind."""
    axes.set_facecolor("white")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(FRAME)
    axes.tick_params(which="both", color=FRAME, labelcolor=INK, labelsize=9, width=0.8)
    axes.tick_params(which="minor", length=0)
    if grid in ("x", "y"):
        axes.grid(axis="x" if grid == "x" else "y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def title(axes: "Axes", text: str) -> None:
    """Puts a heading over axes, flush left."""
    axes.set_title(plain(text), loc="left", color=INK, fontsize=11.5, pad=10)


def legend_below(figure: "Figure", axes: "Axes") -> None:
    """Adds a legend of the marks of `axes` under the figure, if there are any."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        legend = figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=4,
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            handletextpad=0.5,
            columnspacing=1.8,
        )
        for handle in legend.legend_handles:
            # What is faint for being one of many must still be legible here.
            if handle is not None:
                handle.set_alpha(1.0)


def message(axes: "Axes", text: str) -> None:
    """Writes a message in the middle of otherwise empty axes."""
    axes.axis("off")
    axes.text(
        0.5,
        0.5,
        plain(text),
        ha="center",
        va="center",
        color=INK,
        fontsize=10.5,
        linespacing=1.6,
        transform=axes.transAxes,
    )


def plain(text: str) -> str:
    """The text as matplotlib shows it letter by letter: a dollar sign begins no formula."""
    return plain_text(text).replace("$", r"\$")


def shortened(text: str, at_most: int) -> str:
    """The text, its end replaced by an ellipsis where it has more than `at_most` letters."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def value_label(result: SearchResult) -> str:
    """Label of the axis of values, with their unit where it is known."""
    unit = result.get("unit")
    higher = " (higher is better)" if result.maximize else ""
    return plain(value_name(result) + (f" ({unit})" if unit else "") + higher)


@own_error_state()
def save_figure(figure: "Figure", path: str | Path) -> Path:
    """Writes a figure whole or not at all, and returns its path.

    Args:
        figure: The figure.
        path: Its file; the ending chooses the format, PNG without one.
    """
    path = expand_home(path)
    kind = path.suffix.removeprefix(".") or "png"
    write_whole(path, lambda unfinished: figure.savefig(unfinished, format=kind, dpi=DPI))
    return path
