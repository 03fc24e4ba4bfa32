r"""Frequencies above the band of a method, whose mask ends there.

A model for 16 kHz gives no mask above 8 kHz. If the upper band followed the mask, its
hiss would come with the words and go between them. So it is divided into bands of
1 kHz, and each has its own noise estimate and a floor. Let :math:`P` be the power of a
band in a frame, and :math:`m` the mean of the mask in the upper half of the method's
band, where sibilants are. The noise :math:`N` is a mean over earlier frames, mostly
those without speech:

.. math:: \sqrt{N_t} = \frac{\sum_{k \le t} \lambda^{t - k} (1 - m_k)^2 \sqrt{P_k}}
    {c + \sum_{k \le t} \lambda^{t - k} (1 - m_k)^2}.

The gain is

.. math:: G = \max\Big(\min(m, 1 - \alpha N / P),\ \beta \min(1, \sqrt{N / P})\Big),
    \qquad \beta_t = \max\Big(\beta_0, \min_{k \le t} m_k\Big).

So steady noise has the power :math:`\beta^2 N`, in words and between them. Sounds above
the noise follow the mask where the method hears speech, and are lowered to the floor
where it does not. Where the mask is always 1, so is the gain, for :math:`N = 0`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skvae.signal.framing import Framing, power

#: Width of the bands in Hz, and the time constant of the noise estimate in seconds.
_BANDWIDTH, _SECONDS = 1000.0, 1.0
#: Over-subtraction alpha, and lowest floor beta (-20 dB). These four were chosen on
#: validation speech with synthetic noise; values nearby are about as good.
_OVER_SUBTRACTION, _FLOOR = 2.0, 0.1
#: The constant c, relative to the sum of the weights without speech. It lets the noise
#: estimate vanish where the mask is nearly 1 all the time.
_PRIOR = 1e-3


class UpperBand:
    """Gains of the bins above the band of a method, frame after frame.

    Each frame depends on itself and on those before it, so the result does not depend
    on how the frames are divided into calls.

    Parameters
    ----------
    n_bins : int
        Number of bins of the method.
    framing : Framing
        Frames of the recording.
    sample_rate : int
        Sample rate of the recording in Hz.
    least_gain : float, default=0.0
        Minimum gain.

    Examples
    --------
    >>> framing = Framing(1536, 384)
    >>> rng = np.random.default_rng(0)
    >>> hiss = framing.analyse(rng.standard_normal(48_000))
    >>> speech_only_at_the_end = np.zeros((len(hiss), 257))
    >>> speech_only_at_the_end[-30:] = 1
    >>> gain = UpperBand(257, framing, 48000).gain(speech_only_at_the_end, [hiss])
    >>> gain.shape == (len(hiss), 769 - 257)
    True
    >>> float(gain[10:].min().round(2)), float(gain[10:].max().round(2))
    (0.07, 0.1)
    """

    def __init__(
        self, n_bins: int, framing: Framing, sample_rate: int, least_gain: float = 0.0
    ):
        self._n_bins = n_bins
        self._least_gain = least_gain
        n_above = framing.n_bins - n_bins
        width = max(1, round(_BANDWIDTH * framing.n_fft / sample_rate))
        self._starts = np.arange(0, n_above, width)
        self._sizes = np.diff(np.append(self._starts, n_above))
        self._kept = float(np.exp(-framing.hop_length / sample_rate / _SECONDS))
        self._least_mask = 1.0
        self._amplitudes = np.zeros(len(self._starts))
        self._weights = 0.0

    def gain(self, mask: np.ndarray, channels: Sequence[np.ndarray]) -> np.ndarray:
        """Compute the gains of the next frames.

        Parameters
        ----------
        mask : ndarray of shape (N, n_bins)
            Mask of the method.
        channels : sequence of ndarray, each of shape (N, F)
            Spectra of each channel, which all have the same gain.

        Returns
        -------
        ndarray of shape (N, F - n_bins)
            Gains in [0, 1], in the precision of the mask.
        """
        speech = mask[:, self._n_bins // 2 :].mean(1, dtype=np.float64)
        P = np.mean([self._band_power(X) for X in channels], axis=0)
        noise = self._track(speech, P)
        # N / P, at most 1, and 0 in silence.
        share = noise / np.maximum(np.maximum(P, noise), np.finfo(P.dtype).tiny)
        gain = np.minimum(speech[:, None], 1 - _OVER_SUBTRACTION * share)
        floor = np.maximum(_FLOOR, self._least_so_far(speech))[:, None]
        gain = np.maximum(gain, floor * np.sqrt(share))
        gain = np.clip(gain, self._least_gain, 1).astype(mask.dtype)
        return np.repeat(gain, self._sizes, axis=1)

    def _band_power(self, X: np.ndarray) -> np.ndarray:
        """Mean power of the bins of each band, (N, n_bands)."""
        V = power(X[:, self._n_bins :]).astype(np.float64)
        return np.add.reduceat(V, self._starts, axis=1) / self._sizes

    def _least_so_far(self, speech: np.ndarray) -> np.ndarray:
        least = np.minimum.accumulate(np.minimum(speech, self._least_mask))
        self._least_mask = float(least[-1])
        return least

    def _track(self, speech: np.ndarray, P: np.ndarray) -> np.ndarray:
        """Noise power of each frame and band."""
        weights = (1 - speech) ** 2
        added = weights[:, None] * np.sqrt(P)
        least = _PRIOR / (1 - self._kept)
        estimates = np.empty_like(P)
        for t in range(len(P)):
            self._amplitudes = self._kept * self._amplitudes + added[t]
            self._weights = self._kept * self._weights + weights[t]
            estimates[t] = self._amplitudes / (self._weights + least)
        return np.square(estimates, out=estimates)
