"""Recordings with empty frequencies at the top: where they begin, and how to fill them.

A telephone recording resampled to 16 kHz is empty between 4 and 8 kHz. Methods made for
the full band fail on it: the logarithms in a network's input lie far below those of its
training data, and the empty bins dominate a likelihood. So the empty bins are filled
with a mirror image of the bins below them, which rises and falls with the speech and
the noise as the missing bins would. Masks in filled bins change nothing, since they
multiply zeros. Likelihoods leave these bins out instead.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

#: Fraction of the bins over which a low-pass filter may fall, and over which the level
#: below it is measured: 250 Hz of 8 kHz.
_TRANSITION = 1 / 32

#: Quantile over frames that represents the power of a bin. Fricatives fill more than
#: the remaining fifth of the frames, clicks at cuts fewer.
_QUANTILE = 0.8

#: Highest power above an edge, relative to the level below it and to the mean power of
#: all bins. No room or microphone causes such a step.
_MOST_ABOVE_LEVEL, _MOST_ABOVE_MEAN = 10**-2.5, 10**-4.5

#: Fractions of the bins between which an edge may lie.
_LOWEST, _HIGHEST = 1 / 8, 15 / 16

#: Power of the mirror image, -12 dB: the spectra of voices and most noises fall.
IMAGE_POWER = 10**-1.2


class Band:
    """The bins of a recording that hold sound: all, or those below an edge.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power spectrogram.

    Attributes
    ----------
    edge : int
        Number of bins that hold sound, from the lowest on.
    n_bins : int
        Number of all bins, F.

    Examples
    --------
    >>> V = np.ones((10, 513))
    >>> Band(V).is_full
    True
    >>> V[:, 257:] = 1e-9
    >>> band = Band(V)
    >>> band.edge, band.cut(V).shape
    (257, (10, 257))
    >>> band.filled[0, 256:258].round(3)
    array([1.   , 0.063])
    >>> band.widen(np.full((10, 257), 0.5)).shape
    (10, 513)
    """

    def __init__(self, V: np.ndarray):
        self._V = V
        self.edge = band_edge(V)
        self.n_bins = V.shape[1]

    @property
    def is_full(self) -> bool:
        """Whether all bins hold sound."""
        return self.edge == self.n_bins

    @cached_property
    def filled(self) -> np.ndarray:
        """Power with the empty bins filled, (N, F); `V` itself if the band is full."""
        return fill_band(self._V, self.edge)

    def cut(self, x: Any) -> Any:
        """Return the bins that hold sound.

        Parameters
        ----------
        x : ndarray or Tensor of shape (..., F)
            Values of all bins.

        Returns
        -------
        ndarray or Tensor of shape (..., edge)
            A view.
        """
        return x[..., : self.edge]

    def widen(self, x: np.ndarray) -> np.ndarray:
        """Extend values to all bins by those of the highest bin that holds sound.

        Parameters
        ----------
        x : ndarray of shape (N, edge)
            Values of the bins that hold sound.

        Returns
        -------
        ndarray of shape (N, F)
            `x` itself if the band is full.
        """
        return widen_band(x, self.n_bins)


def band_edge(V: np.ndarray) -> int:
    """Count the bins of a recording that hold sound.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power.

    Returns
    -------
    int
        Number of bins below the empty ones at the top; F if there are none.

    Examples
    --------
    >>> V = np.ones((10, 513))
    >>> band_edge(V)
    513
    >>> V[:, 257:] = 1e-9
    >>> band_edge(V)
    257
    """
    n_frames, n_bins = V.shape
    width = round(_TRANSITION * n_bins)
    if width == 0 or n_frames == 0:
        return n_bins
    k = int(_QUANTILE * (n_frames - 1))
    P = np.partition(V, k, axis=0)[k].astype(np.float64)
    if not P.any():
        return n_bins
    above = np.maximum.accumulate(P[::-1])[::-1]
    sums = np.concatenate([[0.0], np.cumsum(P)])
    edges = np.arange(max(round(_LOWEST * n_bins), 2 * width), round(_HIGHEST * n_bins))
    # Mean power just below the bin where a filter that ends at the edge starts to fall.
    levels = (sums[edges - width] - sums[edges - 2 * width]) / width
    is_empty = (above[edges] <= _MOST_ABOVE_LEVEL * levels) & (
        above[edges] <= _MOST_ABOVE_MEAN * P.mean()
    )
    if not is_empty.any():
        return n_bins
    k = int(np.argmax(is_empty))
    # The slope of the filter counts as empty, too.
    start = edges[k] - width
    falling = np.flatnonzero(P[start : edges[k]] < levels[k] / 10)
    return int(start + falling[0]) if len(falling) else int(edges[k])


def fill_band(V: np.ndarray, edge: int | None = None) -> np.ndarray:
    """Fill empty bins at the top with a mirror image of those below.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power.
    edge : int, default=None
        Number of bins that hold sound; None means that :func:`band_edge` finds it.

    Returns
    -------
    ndarray of shape (N, F)
        `V` itself if it has a full band.

    Examples
    --------
    >>> V = np.ones((1, 513))
    >>> V[:, 257:] = 1e-9
    >>> fill_band(V)[0, 256:258].round(3)
    array([1.   , 0.063])
    """
    n_bins = V.shape[1]
    edge = band_edge(V) if edge is None else edge
    if edge == n_bins:
        return V
    filled = V.copy()
    image = image_bins(edge, n_bins)
    np.multiply(V[:, image], V.dtype.type(IMAGE_POWER), out=filled[:, edge:])
    return filled


def widen_band(x: np.ndarray, n_bins: int) -> np.ndarray:
    """Repeat the value at an edge in all bins above it.

    Parameters
    ----------
    x : ndarray of shape (N, edge)
        Values of the bins that hold sound.
    n_bins : int
        Number of all bins, F.

    Returns
    -------
    ndarray of shape (N, F)
        `x` itself if it has a full band.

    Examples
    --------
    >>> widen_band(np.array([[0.2, 0.7]]), 4)
    array([[0.2, 0.7, 0.7, 0.7]])
    """
    n_missing = n_bins - x.shape[1]
    return x if n_missing == 0 else np.pad(x, ((0, 0), (0, n_missing)), mode="edge")


def image_bins(edge: int, n_bins: int) -> np.ndarray:
    """Return the bins whose image fills those above an edge.

    They run from the edge down to zero, and up again where that is not enough.

    Parameters
    ----------
    edge : int
        Number of bins that hold sound.
    n_bins : int
        Number of all bins, F.

    Returns
    -------
    ndarray of int, shape (F - edge,)

    Examples
    --------
    >>> image_bins(3, 9)
    array([2, 1, 0, 0, 1, 2])
    """
    path = np.concatenate([np.arange(edge)[::-1], np.arange(edge)])
    return path[np.arange(n_bins - edge) % len(path)]
