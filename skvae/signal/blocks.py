"""Blocks of a recording: their spectra, a few frames at a time, in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from skvae.signal.framing import power
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.upper_band import UpperBand

#: Frames whose spectra are computed, masked and added together. They fit into the
#: processor's caches. The number is a multiple of what the transforms process at once,
#: so that all bits are those of a single pass.
_FRAMES_AT_ONCE = 256

#: Maximum number of spectral values that are stored until the mask is known: two
#: minutes of one channel at 16 kHz. Larger blocks are computed twice from their
#: samples, which take a quarter of the memory.
_MOST_KEPT = 2**22


class BlockSpectra:
    """Spectra of some frames of a recording, of all its channels.

    Parameters
    ----------
    channels : sequence of Spectrogram
        Channels of one recording, of equal lengths.
    start, stop : int
        Range of frames, ``start`` to ``stop - 1``. Their samples are read at once.

    Examples
    --------
    >>> from skvae import STFT
    >>> stereo = STFT(n_fft=8, hop_length=2).fit_transform(np.ones((2, 100)))
    >>> spectra = BlockSpectra(stereo, 10, 30)
    >>> spectra.power(n_fft=8).shape
    (20, 5)
    >>> [[left, right]] = spectra.masked(np.ones((17, 5)))
    >>> left.shape, right.shape
    ((17, 5), (17, 5))
    """

    def __init__(self, channels: Sequence[Spectrogram], start: int, stop: int):
        self._framing = channels[0].framing
        self._bounds = start, stop
        self._readers = [channel.reader(start, stop) for channel in channels]
        n_values = len(channels) * (stop - start) * self._framing.n_bins
        self._kept = list(self._make()) if n_values <= _MOST_KEPT else None

    def _make(self) -> Iterator[list[np.ndarray]]:
        start, stop = self._bounds
        for first in range(start, stop, _FRAMES_AT_ONCE):
            last = min(first + _FRAMES_AT_ONCE, stop)
            yield [read(first, last) for read in self._readers]

    def _all(self) -> Iterable[list[np.ndarray]]:
        return self._make() if self._kept is None else self._kept

    def power(self, n_fft: int) -> np.ndarray:
        """Return the mean power of the channels in the bins of a method.

        Parameters
        ----------
        n_fft : int
            Samples in a frame of the method. The recording may have a multiple of the
            method's sample rate, and frames of as many times the samples.

        Returns
        -------
        ndarray of shape (N, F)
            Power.
        """
        n_bins = n_fft // 2 + 1
        # A window m times as long gives m times the amplitude.
        divisor = len(self._readers) * (self._framing.n_fft // n_fft) ** 2
        parts = []
        for frames in self._all():
            V = power(frames[0][:, :n_bins])
            for X in frames[1:]:
                V += power(X[:, :n_bins])
            if divisor > 1:
                V /= V.dtype.type(divisor)
            parts.append(V)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def masked(
        self, mask: np.ndarray, above: UpperBand | None = None
    ) -> Iterator[list[np.ndarray]]:
        """Yield the spectra times a mask, a few frames at a time; only once.

        Parameters
        ----------
        mask : ndarray of shape (N, F)
            Mask of the first N frames, in the bins of the method.
        above : UpperBand, default=None
            Gain of the higher bins, if the recording has any. It has seen all frames
            before these.

        Yields
        ------
        list of ndarray, each of shape (n_next_frames, n_bins)
            Masked frames of each channel.
        """
        for frames in self._all():
            if not len(mask):
                return
            frames = [X[: len(mask)] for X in frames]
            part, mask = mask[: len(frames[0])], mask[len(frames[0]) :]
            higher = None if above is None else above.gain(part, frames)
            yield [_apply(part, higher, X) for X in frames]


def _apply(mask: np.ndarray, higher: np.ndarray | None, X: np.ndarray) -> np.ndarray:
    # In place, unless the spectra are the spectrogram's own: new memory takes time.
    out = X if X.flags.writeable else np.empty_like(X)
    n_bins = mask.shape[1]
    np.multiply(X[:, :n_bins], mask, out=out[:, :n_bins])
    if higher is not None:
        np.multiply(X[:, n_bins:], higher, out=out[:, n_bins:])
    return out


def fade_in(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Fade from the end of one block to the beginning of the next.

    Parameters
    ----------
    before : ndarray of shape (n_shared, F)
        The shared frames, from the first block.
    after : ndarray of shape (N, F)
        The frames of the second block, of which the first ones are shared.

    Returns
    -------
    ndarray of shape (N, F)
        A new array.

    Examples
    --------
    >>> fade_in(np.zeros((2, 1)), np.ones((3, 1))).ravel()
    array([0.25, 0.75, 1.  ])
    """
    n_shared = len(before)
    rise = (np.arange(n_shared, dtype=after.dtype) + 0.5)[:, None] / n_shared
    faded = after.copy()
    faded[:n_shared] = (1 - rise) * before + rise * after[:n_shared]
    return faded
