"""Transformers from waveforms to spectrograms and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from skvae.metrics import mean_si_sdr
from skvae.signal.framing import Framing
from skvae.signal.opening import check_lengths, open_spectrograms
from skvae.signal.spectrogram import Spectrogram, SpectrogramArray, make_framing
from skvae.signal.types import Utterances, Waveform
from skvae.signal.utterances import (
    Kind,
    ListTransformer,
    read_collection,
    require_clean,
)
from skvae.utils.waveforms import check_sample_rate


class STFT(ListTransformer, BaseEstimator):
    """Short-time Fourier transform: waveforms in, spectrograms out.

    :class:`ISTFT` reconstructs every waveform exactly, from one sample on. Spectrograms
    are computed on demand, so transforming a list of
    :class:`~skvae.datasets.AudioFile` reads no audio.

    Parameters
    ----------
    n_fft : int, default=1024
        Samples in a frame (64 ms at 16 kHz, as in the papers).
    hop_length : int, default=None
        Samples from one frame to the next. None means a quarter of `n_fft`.
    window : str or array-like of shape (n_fft,), default="sine"
        Window of analysis and synthesis: "sine", "hann", "hamming", "blackman",
        "boxcar", another name that :func:`scipy.signal.get_window` accepts, or its
        samples.
    center : bool, default=True
        Whether frame t is centered on sample t * hop_length, or starts there.
    sample_rate : int, default=16000
        Sample rate of the waveforms in Hz.

    Attributes
    ----------
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    ISTFT : Inverse transform.

    Notes
    -----
    The frames are those of ``librosa.stft(..., pad_mode="constant")``, and further ones
    at the edges, so that every sample can be reconstructed.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import STFT
    >>> STFT().fit_transform([np.ones(16000), np.ones(700)])
    [<Spectrogram 513 bins x 63 frames, 16000 samples at 16000 Hz>,
     <Spectrogram 513 bins x 3 frames, 700 samples at 16000 Hz>]
    """

    def __init__(
        self,
        n_fft: int = 1024,
        hop_length: int | None = None,
        *,
        window: Any = "sine",
        center: bool = True,
        sample_rate: int = 16000,
    ):
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.window = window
        self.center = center
        self.sample_rate = sample_rate

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def framing(self) -> Framing:
        """Check the parameters of the transform.

        Returns
        -------
        Framing
            Frame length, hop length, window and positions of the frames.
        """
        return make_framing(self.n_fft, self.hop_length, self.window, self.center)

    def fit(self, X: Utterances, y: Any = None) -> Self:
        """Check the parameters and the kind of `X`; nothing is learned.

        Parameters
        ----------
        X : list of waveforms or 2-D array
            Utterances.
        y : Ignored
            Not used.

        Returns
        -------
        STFT
            The same object.
        """
        self.framing()
        check_sample_rate(self.sample_rate)
        _refuse_spectrograms(self, read_collection(self, X, reset=True).kind)
        return self

    @overload
    def transform(self, X: NDArray[Any]) -> SpectrogramArray: ...

    @overload
    def transform(self, X: Sequence[Waveform]) -> list[Spectrogram]: ...

    def transform(self, X: Any) -> Any:
        """Make spectrograms of waveforms.

        Parameters
        ----------
        X : list of waveforms or 2-D array
            Utterances.

        Returns
        -------
        list of Spectrogram, or SpectrogramArray
            Spectrograms of the utterances; a SpectrogramArray for a 2-D array.
        """
        framing = self.framing()
        sample_rate = check_sample_rate(self.sample_rate)
        items, kind = read_collection(self, X)
        _refuse_spectrograms(self, kind)
        spectrograms = open_spectrograms(items, framing, sample_rate)
        return SpectrogramArray(spectrograms) if kind is Kind.ARRAY else spectrograms


class ISTFT(ListTransformer, BaseEstimator):
    """Inverse short-time Fourier transform: spectrograms in, waveforms out.

    It has no parameters: a :class:`Spectrogram` contains those of its transform, and
    the length and dtype of its waveform.

    See Also
    --------
    STFT : Forward transform.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import ISTFT, STFT
    >>> spectrograms = STFT().fit_transform([np.arange(3.0)])
    >>> ISTFT().fit_transform(spectrograms)[0].round(9)
    array([0., 1., 2.])
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: Utterances, y: Any = None) -> Self:
        """Check the kind of `X`; nothing is learned.

        Parameters
        ----------
        X : list of Spectrogram
            Utterances.
        y : Ignored
            Not used.

        Returns
        -------
        ISTFT
            The same object.
        """
        _spectrograms_only(self, X)
        return self

    @overload
    def transform(self, X: SpectrogramArray) -> NDArray[Any]: ...

    @overload
    def transform(self, X: Sequence[Spectrogram]) -> list[NDArray[Any]]: ...

    def transform(self, X: Any) -> Any:
        """Compute the waveforms of spectrograms.

        Parameters
        ----------
        X : list of Spectrogram, or SpectrogramArray
            Utterances.

        Returns
        -------
        list of ndarray, or ndarray of shape (n_utterances, n_samples)
            Waveforms; one 2-D array for a SpectrogramArray.
        """
        spectrograms, kind = _spectrograms_only(self, X)
        waveforms = [spectrogram.to_waveform() for spectrogram in spectrograms]
        return np.stack(waveforms) if kind is Kind.SPECTROGRAM_ARRAY else waveforms

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean SI-SDR of the waveforms in dB: the score of a pipeline.

        Parameters
        ----------
        X : list of Spectrogram
            Enhanced utterances.
        y : list of waveforms
            Clean speech, with the same lengths as in X.

        Returns
        -------
        float
            Mean over all utterances whose clean speech is not silent.
        """
        spectrograms, _ = _spectrograms_only(self, X)
        clean = require_clean(y, len(spectrograms))
        check_lengths(spectrograms, clean)
        return mean_si_sdr(clean, (s.to_waveform() for s in spectrograms))


def _refuse_spectrograms(estimator: BaseEstimator, kind: Kind) -> None:
    if kind.spectral:
        raise ValueError(
            f"{type(estimator).__name__} takes waveforms, got {kind.value}."
        )


def _spectrograms_only(estimator: BaseEstimator, X: Any) -> tuple[list, Kind]:
    items, kind = read_collection(estimator, X)
    if not kind.spectral:
        raise ValueError(
            f"{type(estimator).__name__} takes spectrograms, got {kind.value}: "
            "transform them by STFT first."
        )
    spectrograms: list[Spectrogram] = list(items)
    return spectrograms, kind
