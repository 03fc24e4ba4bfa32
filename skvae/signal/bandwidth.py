r"""Recordings that end below the band that is looked at: where, and what to put there.

A recording of a telephone that is brought to 16 kHz has nothing between 4 and 8 kHz.
What has learned from full bands makes something of that nothing: a network of
logarithms far below all that it was trained on, a model of a likelihood that empty bins
dominate. So the band is filled before it looks, with a mirror image of what is below,
which comes and goes with the speech and the noise as their upper bands would. Masks in
the filled bins multiply what was there, which is nothing; a likelihood is better off
without them.
"""

from __future__ import annotations

import numpy as np

#: Share of the bins over which a filter may fall, and over which the level below it is
#: taken: 250 Hz of 8 kHz.
_TRANSITION = 1 / 32

#: Quantile of the frames that counts as the power of a bin: speech has its fricatives
#: in more of them than are left, and the clicks of a cut are in fewer.
_QUANTILE = 0.8

#: Power of all bins above the edge, relative to the level below it and to the mean
#: power of all bins: no room or microphone makes such a step.
_MOST_ABOVE_LEVEL, _MOST_ABOVE_MEAN = 10**-2.5, 10**-4.5

#: Shares of the bins between which edges are looked for.
_LOWEST, _HIGHEST = 1 / 8, 15 / 16

#: Power of the mirror image, -12 dB: voices and most noises fall towards the top.
IMAGE_POWER = 10**-1.2


def band_edge(V: np.ndarray) -> int:
    """Find how many bins of a recording hold sound.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power.

    Returns
    -------
    int
        F, unless all bins from some on are empty.

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
    # Of the bins below the one where a filter begins to fall, if it ends here.
    levels = (sums[edges - width] - sums[edges - 2 * width]) / width
    is_empty = (above[edges] <= _MOST_ABOVE_LEVEL * levels) & (
        above[edges] <= _MOST_ABOVE_MEAN * P.mean()
    )
    if not is_empty.any():
        return n_bins
    k = int(np.argmax(is_empty))
    # The filter's slope is no sound either.
    start = edges[k] - width
    falling = np.flatnonzero(P[start : edges[k]] < levels[k] / 10)
    return int(start + falling[0]) if len(falling) else int(edges[k])


def fill_band(V: np.ndarray, edge: int | None = None) -> np.ndarray:
    """Fill empty bins at the top with an image of those below.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power.
    edge : int, default=None
        How many bins hold sound; None means as many as :func:`band_edge` finds.

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
    """Go on beyond an edge as it is there.

    Parameters
    ----------
    x : ndarray of shape (N, edge)
        Anything that was found for the bins that hold sound.
    n_bins : int
        F.

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
    """Bins whose image fills those from an edge on: down from it, and up again.

    Parameters
    ----------
    edge : int
        How many bins hold sound.
    n_bins : int
        F.

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
