"""Colours and lines that the pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Perceptually uniform, readable in grey and by the colour-blind.
POWER_COLOURS, MASK_COLOURS, SPREAD_COLOURS = "magma", "cividis", "viridis"

#: Okabe and Ito's colours, in an order in which neighbours differ in lightness too;
#: yellow, which is hard to see on white, is left out.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#56B4E9",
    "#D55E00",
    "#CC79A7",
    "#000000",
)

#: For what others are compared with.
NEUTRAL_COLOUR = "0.65"

#: Lines, and points, that can be told apart without colours.
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")


def new_axes(size: tuple[float, float] | None = None) -> Axes:
    """Axes of a new figure, of a size in inches."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def colour(k: int) -> str:
    """Colour of the k-th thing that is drawn.

    Examples
    --------
    >>> colour(0) == colour(len(COLOURS))
    True
    """
    return COLOURS[k % len(COLOURS)]


def line(k: int) -> str:
    """Line of the k-th thing that is drawn.

    Examples
    --------
    >>> line(1)
    '--'
    """
    return LINES[k % len(LINES)]
