"""Figures like those of the papers, readable in grayscale and by the colorblind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skvae.plot.style import LINES, MARKERS, NEUTRAL_COLOR, color

#: Resolution of the figures in dots per inch.
RESOLUTION = 130

#: Axis labels of the metrics.
LABELS = {
    "si_sdr": "SI-SDR (dB)",
    "sdr": "SDR (dB)",
    "pesq": "PESQ, wide band",
    "pesq_nb_raw": "PESQ, raw",
    "stoi": "STOI",
    "estoi": "ESTOI",
}

#: Width of the points of a group, as a fraction of the distance between groups.
SPREAD = 0.6


def new_figure(
    n_rows: int, n_columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Create a figure, sized in inches, with axes of shape (n_rows, n_columns)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def style(k: int, *, is_reference: bool = False) -> dict[str, Any]:
    """Return color, marker and line of the k-th system; the reference is gray."""
    return {
        "color": NEUTRAL_COLOR if is_reference else color(k),
        "marker": "." if is_reference else MARKERS[k % len(MARKERS)],
        "linestyle": LINES[k % len(LINES)],
    }


def draw_means(
    ax: Axes,
    places: Sequence[float],
    rows: pandas.DataFrame,
    name: str,
    **options: Any,
) -> None:
    """Draw means with their intervals as error bars."""
    mean, low, high = rows[["mean", "low", "high"]].to_numpy(float).T
    errors = np.nan_to_num([mean - low, high - mean])
    ax.errorbar(places, mean, errors, label=name, capsize=2.5, markersize=5, **options)


def draw_groups(
    ax: Axes, found: pandas.DataFrame, systems: Sequence[str], reference: str
) -> None:
    """Draw means by group, with the systems side by side.

    The first group is that of all pairs; the others are in alphabetical order.
    """
    groups = sorted(set(found["group"]) - {"all"})
    groups = ["all", *groups]
    offsets = np.linspace(-SPREAD / 2, SPREAD / 2, len(systems))
    others = [system for system in systems if system != reference]
    for system, offset in zip(systems, offsets, strict=True):
        rows = found[found["system"] == system].set_index("group").loc[groups]
        k = others.index(system) if system in others else 0
        look = style(k, is_reference=system == reference) | {"linestyle": "none"}
        draw_means(ax, np.arange(len(groups)) + offset, rows, system, **look)
    ax.set_xticks(
        range(len(groups)),
        [group.replace("_", " ") for group in groups],
        rotation=30,
        ha="right",
    )
    ax.axvline(0.5, color="0.8", linewidth=1)
    tidy(ax)


def tidy(ax: Axes) -> None:
    """Add a light grid in the background."""
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure."""
    figure.savefig(path, dpi=RESOLUTION)
