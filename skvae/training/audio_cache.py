"""Cache of decoded audio, since decoding takes longer than a training step."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvae.signal.spectrogram import Spectrogram, reads_itself
from skvae.utils.waveforms import INT16_SCALE


class AudioCache:
    """Cache of decoded audio up to a size.

    Nothing is evicted: audio that does not fit is read again each time.

    Parameters
    ----------
    max_bytes : float
        Size of the cache.

    Examples
    --------
    >>> import numpy as np
    >>> class Recording:
    ...     dtype, sample_rate = np.dtype("float32"), 16000
    ...     def __len__(self):
    ...         return 3
    ...     def __array__(self, dtype=None, copy=None):
    ...         print("read")
    ...         return np.array([0.0, 0.5, -1.0], np.float32)
    >>> audio = AudioCache(1000).wrap(Recording())
    >>> np.asarray(audio), np.asarray(audio)
    read
    (array([     0,  16384, -32768], dtype=int16),
     array([     0,  16384, -32768], dtype=int16))
    """

    def __init__(self, max_bytes: float):
        self.free_bytes = max_bytes

    def wrap(self, audio: Any) -> CachedAudio:
        """Return audio that is decoded once if it fits.

        Parameters
        ----------
        audio : AudioFile
            Or any other waveform that reads itself.

        Returns
        -------
        CachedAudio
        """
        return CachedAudio(audio, self)

    def wrap_spectrogram(self, spectrogram: Spectrogram) -> Spectrogram:
        """Return a spectrogram whose audio is decoded once if it fits.

        Parameters
        ----------
        spectrogram : Spectrogram
            Of one utterance.

        Returns
        -------
        Spectrogram
            The same one unless its waveform reads itself.

        Examples
        --------
        >>> from skvae import STFT
        >>> [spectrogram] = STFT().fit_transform([np.ones(16000)])
        >>> AudioCache(1e6).wrap_spectrogram(spectrogram) is spectrogram
        True
        """
        audio = spectrogram.source
        if audio is None or not reads_itself(audio):
            return spectrogram
        return Spectrogram.from_waveform(
            self.wrap(audio), spectrogram.framing, spectrogram.sample_rate
        )

    def keep(self, samples: np.ndarray) -> np.ndarray | None:
        """Return samples to keep, in 16 bits if these represent them exactly.

        Parameters
        ----------
        samples : ndarray of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,), or None if it does not fit
        """
        kept = _as_int16(samples)
        if kept.nbytes > self.free_bytes:
            return None
        self.free_bytes -= kept.nbytes
        return kept


class CachedAudio:
    """A waveform that reads itself through a cache.

    Parameters
    ----------
    audio : AudioFile
        Waveform that reads itself.
    cache : AudioCache
        Cache of its samples.
    """

    def __init__(self, audio: Any, cache: AudioCache):
        self._audio = audio
        self._cache = cache
        self._samples: np.ndarray | None = None
        self.dtype = audio.dtype
        for name in ("path", "sample_rate"):
            if hasattr(audio, name):
                setattr(self, name, getattr(audio, name))

    def __len__(self) -> int:
        return len(self._audio)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        samples = self._samples
        if samples is None:
            read = np.asarray(self._audio)
            samples = self._samples = self._cache.keep(read)
            if samples is None:
                samples = read
        return samples if dtype is None else samples.astype(dtype)

    def __getitem__(self, part: slice) -> Any:
        if self._samples is None and 2 * len(self) <= self._cache.free_bytes:
            self.__array__()
        if self._samples is not None:
            return self._samples[part]
        if hasattr(self._audio, "__getitem__"):
            return self._audio[part]
        return np.asarray(self._audio)[part]

    def __repr__(self) -> str:
        return repr(self._audio)


def _as_int16(samples: np.ndarray) -> np.ndarray:
    if samples.dtype != np.float32:
        return samples
    scaled = samples * np.float32(INT16_SCALE)
    if not np.abs(scaled).max(initial=0.0) <= INT16_SCALE:
        return samples
    rounded = scaled.clip(max=INT16_SCALE - 1).astype(np.int16)
    return rounded if np.array_equal(rounded, scaled) else samples
