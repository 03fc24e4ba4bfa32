"""Input features of networks: logarithms of the power in mel bands."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags

from skvae.signal.framing import Framing, power
from skvae.signal.opening import open_spectrograms
from skvae.signal.stft import STFT
from skvae.signal.types import Utterances
from skvae.signal.utterances import Kind, ListTransformer, read_collection
from skvae.utils.parameters import (
    MAX_UNITS,
    check_real,
)
from skvae.utils.waveforms import check_sample_rate


class LogMel(ListTransformer, BaseEstimator):
    """Logarithms of the power in mel bands, one row per frame.

    Parameters
    ----------
    n_mels : int, default=100
        Number of bands.
    f_min : float, default=0.0
        Lower edge of the first band in Hz.
    f_max : float, default=None
        Upper edge of the last band in Hz. None means half the sample rate.
    dynamic_range : float, default=100.0
        Range of the values in dB, below the loudest value of the utterance. Lower
        values are raised to the limit, so that digital silence is no outlier. In a
        silent utterance all values are the logarithm of the smallest normal number.
    stft : STFT, default=None
        Analysis of waveforms. None means ``STFT()``. Spectrograms bring their own.

    Attributes
    ----------
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    STFT : Transform whose power the features are computed from.

    Notes
    -----
    The bands are those of :func:`librosa.filters.mel`, of equal area. Scaling an
    utterance by c adds ``2 log(c)`` to its features.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import LogMel
    >>> features = LogMel(n_mels=20).fit_transform([np.ones(16000), np.ones(700)])
    >>> [x.shape for x in features]
    [(63, 20), (3, 20)]
    """

    def __init__(
        self,
        n_mels: int = 100,
        *,
        f_min: float = 0.0,
        f_max: float | None = None,
        dynamic_range: float = 100.0,
        stft: Any = None,
    ):
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        self.dynamic_range = dynamic_range
        self.stft = stft

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Utterances, y: Any = None) -> Self:
        """Check the parameters and the kind of `X`; nothing is learned.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Utterances.
        y : Ignored
            Not used.

        Returns
        -------
        LogMel
            The same object.
        """
        check_real("n_mels", self.n_mels, low=1, high=MAX_UNITS, integer=True)
        check_real("f_min", self.f_min, low=0)
        check_real("f_max", self.f_max, low=self.f_min, open_low=True, optional=True)
        check_real("dynamic_range", self.dynamic_range, low=0, open_low=True)
        read_collection(self, X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Compute the features of utterances.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Utterances.

        Returns
        -------
        list of ndarray, each of shape (n_frames, n_mels), or one 3-D array
            Features of each utterance. A 2-D array gives one array of shape
            (n_utterances, n_frames, n_mels).
        """
        items, kind = read_collection(self, X)
        if kind.spectral:
            framing, sample_rate = items[0].framing, items[0].sample_rate
        else:
            stft = STFT() if self.stft is None else clone(self.stft)
            framing = stft.framing()
            sample_rate = check_sample_rate(stft.sample_rate)
        if self.f_max is not None and self.f_max > sample_rate / 2:
            raise ValueError(
                f"`f_max` must be at most half the sample rate, {sample_rate / 2:g}, "
                f"got {self.f_max}."
            )
        filters = mel_filters(
            framing, sample_rate, self.n_mels, float(self.f_min), self.f_max
        )
        spectrograms = open_spectrograms(items, framing, sample_rate)
        features = [
            log_mel(power(s.frames()), filters, self.dynamic_range)
            for s in spectrograms
        ]
        equal = kind in (Kind.ARRAY, Kind.SPECTROGRAM_ARRAY)
        return np.stack(features) if equal else features


#: Slaney's mel scale: its linear part, its corner, and its logarithmic part.
_HZ_PER_MEL = 200 / 3
_CORNER_HZ, _CORNER_MEL = 1000.0, 1000.0 / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


@lru_cache(maxsize=8)
def mel_filters(
    framing: Framing, sample_rate: int, n_mels: int, f_min: float, f_max: float | None
) -> np.ndarray:
    """Return triangular bands of equal area on the mel scale.

    Parameters
    ----------
    framing : Framing
        Transform whose bins the bands gather.
    sample_rate : int
        Sample rate in Hz.
    n_mels : int
        Number of bands.
    f_min : float
        Lower edge of the first band in Hz.
    f_max : float or None
        Upper edge of the last band in Hz. None means half the sample rate.

    Returns
    -------
    ndarray of shape (n_bins, n_mels)
        Weights; read-only, since they are cached.

    Examples
    --------
    >>> from skvae.signal.framing import Framing
    >>> mel_filters(Framing(512, 128), 16000, 20, 0.0, None).shape
    (257, 20)
    """
    top = sample_rate / 2 if f_max is None else f_max
    frequencies = np.fft.rfftfreq(framing.n_fft, 1 / sample_rate)[:, None]
    edges = mel_to_hz(np.linspace(hz_to_mel(f_min), hz_to_mel(top), n_mels + 2))
    lower, centers, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies - lower) / (centers - lower)
    falling = (upper - frequencies) / (upper - centers)
    triangles = np.minimum(rising, falling).clip(0).astype(np.float32)
    # Stored band by band, as by librosa: sums over the bins then have the same bits.
    filters = (triangles * (2 / (upper - lower))).astype(np.float32, order="F")
    filters.flags.writeable = False
    return filters


def hz_to_mel(frequency: Any) -> Any:
    """Convert a frequency to the mel scale of M. Slaney's Auditory Toolbox (1998).

    The scale is linear below 1 kHz, 15 mel, and logarithmic above, where 27 mel are a
    factor of 6.4.

    Parameters
    ----------
    frequency : float or ndarray
        Frequency in Hz.

    Returns
    -------
    float or ndarray
        Frequency in mel.

    Examples
    --------
    >>> hz_to_mel(np.array([1000.0, 6400.0])).round(6)
    array([15., 42.])
    """
    mel = np.asarray(frequency / _HZ_PER_MEL)
    above = np.maximum(frequency, _CORNER_HZ)
    logarithmic = _CORNER_MEL + np.log(above / _CORNER_HZ) / _LOG_STEP
    return np.where(frequency >= _CORNER_HZ, logarithmic, mel)


def mel_to_hz(mel: Any) -> Any:
    """Convert mel to Hz; see :func:`hz_to_mel`.

    Parameters
    ----------
    mel : float or ndarray
        Frequency in mel.

    Returns
    -------
    float or ndarray
        Frequency in Hz.

    Examples
    --------
    >>> mel_to_hz(np.array([7.5, 15.0])).round(6)
    array([ 500., 1000.])
    """
    logarithmic = _CORNER_HZ * np.exp(_LOG_STEP * (mel - _CORNER_MEL))
    return np.where(mel >= _CORNER_MEL, logarithmic, _HZ_PER_MEL * mel)


def log_mel(V: np.ndarray, filters: np.ndarray, dynamic_range: float) -> np.ndarray:
    """Compute the logarithm of the power in bands.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power spectrogram.
    filters : ndarray of shape (F, n_mels)
        Weights of the bands.
    dynamic_range : float
        Range of the values in dB, below the largest value.

    Returns
    -------
    ndarray of shape (N, n_mels)
        Natural logarithms.

    Examples
    --------
    >>> import numpy as np
    >>> log_mel(np.array([[1.0], [0.0]]), np.ones((1, 1)), dynamic_range=100).round(2)
    array([[  0.  ],
           [-23.03]])
    """
    bands = V @ filters.astype(V.dtype, copy=False)
    floor = bands.max() * 10 ** (-dynamic_range / 10)
    return np.log(np.maximum(bands, max(floor, np.finfo(V.dtype).tiny)))
