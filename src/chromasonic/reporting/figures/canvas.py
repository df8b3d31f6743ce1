"""The look that all pictures share, and how they become files."""

from pathlib import Path
from typing import TYPE_CHECKING

from chromasonic.errors import MissingExtra
from chromasonic.reporting.text import value_name
from chromasonic.tuning.files import write_whole
from chromasonic.tuning.records import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


def dress(axes: "Axes", *, grid: str = "y") -> None:
    """Gives axes the common look: two quiet spines, small labels, a faint grid behind."""
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
    """Explains the marks of `axes` in rows under the figure, if there is anything to explain."""
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
    """Says in the middle of otherwise empty axes why they are empty."""
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
    return text.replace("$", r"\$")


def shortened(text: str, at_most: int) -> str:
    """The text, its end replaced by an ellipsis where it has more than `at_most` letters."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def value_label(result: SearchResult) -> str:
    """What the axis of values is called, with their unit where it is known."""
    unit = result.get("unit")
    higher = " (higher is better)" if result.maximize else ""
    return plain(value_name(result) + (f" ({unit})" if unit else "") + higher)


def save(figure: "Figure", path: Path) -> Path:
    """Writes a figure whole or not at all and returns where; the ending chooses the format."""
    kind = path.suffix.removeprefix(".") or "png"
    write_whole(path, lambda unfinished: figure.savefig(unfinished, format=kind, dpi=DPI))
    return path
