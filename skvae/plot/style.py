"""Colors and lines that all figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Perceptually uniform colormaps, readable in gray and by color-blind readers.
POWER_COLORS, MASK_COLORS, SPREAD_COLORS = "magma", "cividis", "viridis"

#: Colors of Okabe and Ito, ordered so that neighbors differ in lightness. Yellow is
#: omitted, since it is hard to see on white.
COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#56B4E9",
    "#D55E00",
    "#CC79A7",
    "#000000",
)

#: Color of the reference in comparisons.
NEUTRAL_COLOR = "0.65"

#: Line styles and markers that can be distinguished without colors.
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")


def new_axes(size: tuple[float, float] | None = None) -> Axes:
    """Create a figure of a size in inches and return its axes."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def color(k: int) -> str:
    """Return the color of the k-th item of a figure.

    Examples
    --------
    >>> color(0) == color(len(COLORS))
    True
    """
    return COLORS[k % len(COLORS)]


def line(k: int) -> str:
    """Return the line style of the k-th item of a figure.

    Examples
    --------
    >>> line(1)
    '--'
    """
    return LINES[k % len(LINES)]
