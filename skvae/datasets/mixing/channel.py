"""Channels: what microphones, converters and telephones do to a recording."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import fft as scipy_fft
from sklearn.base import BaseEstimator

from skvae.utils.parameters import check_real

#: Silence around a segment while it is filtered, in samples.
PADDING = 512

#: Least and greatest level, relative to the peak, above which samples are clipped.
CLIP_LEVELS = (0.2, 0.9)

#: Width of the slope of a low-pass relative to its limit.
SLOPE = 0.06


class Channel(BaseEstimator):
    """Random defects of the recording of a mixture.

    Parameters
    ----------
    narrow : float, default=0.1
        Fraction of mixtures with a band limit. The clean speech has it, too.
    band_limits : sequence of float, default=(4000, 6000, 7000)
        Band limits in Hz, all equally likely. Limits above half the sample rate have no
        effect.
    clipped : float, default=0.05
        Fraction of clipped mixtures. The clean speech is not clipped, so a network
        learns to repair what a mask can repair.
    quantized : float, default=0.05
        Fraction of mixtures in eight bits, on the logarithmic scale of telephones
        (mu-law). The clean speech keeps its precision.

    See Also
    --------
    Mixer : Uses a channel for its mixtures.

    Notes
    -----
    A channel acts on the mixture, after noise was added. Clipping and quantization are
    relative to the peak of the mixture, so they do not depend on the level.

    Examples
    --------
    >>> from skvae.datasets import Channel, Mixer, make_speech
    >>> channel = Channel(narrow=0.0, clipped=1.0, quantized=0.0)
    >>> noisy, clean = Mixer(channel=channel).mix(make_speech(8000), rng=0)
    >>> int((abs(noisy) == abs(noisy).max()).sum()) > 1
    True
    """

    def __init__(
        self,
        *,
        narrow: float = 0.1,
        band_limits: Sequence[float] = (4000, 6000, 7000),
        clipped: float = 0.05,
        quantized: float = 0.05,
    ) -> None:
        self.narrow = narrow
        self.band_limits = band_limits
        self.clipped = clipped
        self.quantized = quantized

    def check(self) -> None:
        """Raise a ValueError if a parameter is out of range.

        Examples
        --------
        >>> Channel(narrow=2).check()
        Traceback (most recent call last):
            ...
        ValueError: `narrow` must be a number in [0, 1], got 2.
        """
        for name in ("narrow", "clipped", "quantized"):
            check_real(name, getattr(self, name), low=0, high=1)
        limits: Any = self.band_limits
        if not isinstance(limits, tuple | list) or not limits:
            raise ValueError(
                "`band_limits` must be a sequence of at least one frequency, got "
                f"{limits!r}."
            )
        for k, limit in enumerate(limits):
            check_real(f"band_limits[{k}]", limit, low=0, open_low=True)

    def apply(
        self,
        noisy: np.ndarray,
        clean: np.ndarray,
        sample_rate: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Send a pair through a random channel.

        Parameters
        ----------
        noisy, clean : ndarray of shape (n_samples,)
            Mixture and its speech; they are not changed.
        sample_rate : int
            Sample rate in Hz.
        rng : Generator
            Generator of the choices.

        Returns
        -------
        noisy : ndarray of shape (n_samples,)
            Mixture with the defects, in its dtype.
        clean : ndarray of shape (n_samples,)
            Speech with the band limit.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.sin(np.arange(1000.0))
        >>> channel = Channel(narrow=0.0, clipped=0.0, quantized=0.0)
        >>> noisy, clean = channel.apply(x, x, 16000, np.random.default_rng(0))
        >>> noisy is x
        True
        """
        if rng.random() < self.narrow:
            limit = float(self.band_limits[int(rng.integers(len(self.band_limits)))])
            is_same = noisy is clean
            noisy = low_pass(noisy, limit, sample_rate)
            clean = noisy if is_same else low_pass(clean, limit, sample_rate)
        if rng.random() < self.clipped:
            noisy = clip(noisy, rng.uniform(*CLIP_LEVELS))
        if rng.random() < self.quantized:
            noisy = mu_law(noisy)
        return noisy, clean


def low_pass(x: np.ndarray, limit: float, sample_rate: int) -> np.ndarray:
    """Remove what is above a frequency.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        Waveform, which counts as silent before and after.
    limit : float
        Frequency in Hz, the upper end of the slope.
    sample_rate : int
        Sample rate in Hz.

    Returns
    -------
    ndarray of shape (n_samples,)
        In the dtype of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> hiss = np.random.default_rng(0).standard_normal(4000)
    >>> spectrum = np.abs(np.fft.rfft(low_pass(hiss, 4000, 16000)))
    >>> bool(spectrum[1100:].max() < 0.1 * spectrum[:900].mean())
    True
    """
    size = scipy_fft.next_fast_len(len(x) + 2 * PADDING, real=True)
    padded = np.zeros(size, x.dtype)
    padded[PADDING : PADDING + len(x)] = x
    spectrum = scipy_fft.rfft(padded)
    frequency = np.arange(len(spectrum)) * (sample_rate / size)
    way = ((limit - frequency) / (SLOPE * limit)).clip(0, 1)
    spectrum *= np.sin(np.pi / 2 * way).astype(x.dtype) ** 2
    filtered: np.ndarray = scipy_fft.irfft(spectrum, size)[PADDING : PADDING + len(x)]
    return filtered


def clip(x: np.ndarray, level: float) -> np.ndarray:
    """Limit samples to a level relative to the peak.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        Waveform.
    level : float
        Level in (0, 1].

    Returns
    -------
    ndarray of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> clip(np.array([0.1, -0.4, 0.2]), 0.5)
    array([ 0.1, -0.2,  0.2])
    """
    bound = x.dtype.type(level) * np.abs(x).max(initial=0.0)
    return np.clip(x, -bound, bound)


def mu_law(x: np.ndarray) -> np.ndarray:
    """Round samples to eight bits on the logarithmic scale of telephones.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        Waveform. Its peak is full scale.

    Returns
    -------
    ndarray of shape (n_samples,)
        In the dtype of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> mu_law(np.array([0.0, -0.4, 0.013])).round(3)
    array([ 0.   , -0.4  ,  0.013])
    """
    peak = float(np.abs(x).max(initial=0.0))
    if not 0.0 < peak < math.inf:
        return x
    mu = 255.0
    scaled = x.astype(np.float64) / peak
    code = np.sign(scaled) * np.log1p(mu * np.abs(scaled)) / math.log1p(mu)
    code = np.round(127 * code) / 127
    decoded = np.sign(code) * np.expm1(np.abs(code) * math.log1p(mu)) / mu
    return (peak * decoded).astype(x.dtype)
