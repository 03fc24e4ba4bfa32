"""Frequency bands of a band-split network, and the groups of bins that it reads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skvae.signal.framing import Framing


class BandLayout(NamedTuple):
    """Bands of a transform, and the groups of neighboring bins in each.

    Attributes
    ----------
    groups : tuple of int
        Number of bins of each group, from the lowest frequency on.
    inputs : tuple of int
        Number of groups of each band.
    outputs : tuple of int
        Number of bins of each band.

    Examples
    --------
    >>> layout = BandLayout((1, 1, 2), (2, 1), (2, 2))
    >>> layout.filters()
    array([[1. , 0. , 0. ],
           [0. , 1. , 0. ],
           [0. , 0. , 0.5],
           [0. , 0. , 0.5]], dtype=float32)
    """

    groups: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def filters(self) -> np.ndarray:
        """Return the weights of the bins in each group, which sum to one.

        Returns
        -------
        ndarray of float32, shape (n_bins, n_groups)
        """
        group = np.repeat(np.arange(len(self.groups)), self.groups)
        weights = np.zeros((len(group), len(self.groups)), np.float32)
        weights[np.arange(len(group)), group] = 1 / np.array(self.groups)[group]
        return weights


def band_layout(
    framing: Framing, sample_rate: int, edges: Sequence[float], fine_below: float
) -> BandLayout:
    """Split the bins of a transform into bands, and these into groups.

    Parameters
    ----------
    framing : Framing
        The transform.
    sample_rate : int
        Sample rate in Hz.
    edges : sequence of float
        Frequencies in Hz between the bands. Bands without a bin are left out.
    fine_below : float
        Frequency in Hz below which a group is one bin. A group at a frequency below k
        times as high has k bins, or fewer at the end of its band.

    Returns
    -------
    BandLayout

    Examples
    --------
    >>> from skvae.signal.framing import Framing
    >>> layout = band_layout(Framing(1024, 256), 16000, [500, 1000, 4000], 2000)
    >>> layout.outputs, layout.inputs
    ((32, 32, 192, 257), (32, 32, 128, 75))
    """
    spacing = sample_rate / framing.n_fft
    firsts = {0, *(math.ceil(edge / spacing) for edge in edges)}
    bounds = [*sorted(k for k in firsts if k < framing.n_bins), framing.n_bins]
    groups: list[int] = []
    inputs: list[int] = []
    for first, last in itertools.pairwise(bounds):
        n_before = len(groups)
        while first < last:
            width = math.floor(first * spacing / fine_below) + 1
            groups.append(min(width, last - first))
            first += width
        inputs.append(len(groups) - n_before)
    outputs = tuple(int(n) for n in np.diff(bounds))
    return BandLayout(tuple(groups), tuple(inputs), outputs)
