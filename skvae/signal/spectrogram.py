"""Spectrograms of utterances, as they pass between the steps of a pipeline."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from skvae.signal.framing import Framing, pad_segment
from skvae.utils.parameters import check_real
from skvae.utils.waveforms import float_dtype, open_waveform, restore_dtype


class Spectrogram:
    """Short-time Fourier transform of one utterance, with what inverts it.

    Spectrograms are immutable. One that was made from a waveform stores the waveform
    and computes `data` on demand, so a list of them needs little memory.

    Parameters
    ----------
    data : array-like of complex, shape (n_bins, n_frames)
        Transform, frequency x time.
    length : int
        Number of samples of the waveform.
    n_fft : int, default=None
        Samples in a frame. None means ``2 * (n_bins - 1)``.
    hop_length : int, default=None
        Samples from one frame to the next. None means a quarter of `n_fft`.
    window : str or array-like of shape (n_fft,), default="sine"
        Window of the analysis.
    center : bool, default=True
        Whether frame t is centered on sample t * hop_length.
    sample_rate : int, default=16000
        Sample rate in Hz.
    dtype : dtype, default=None
        Dtype of the waveform. None means the precision of `data`.

    See Also
    --------
    STFT : Makes spectrograms of waveforms.
    ISTFT : Makes waveforms of spectrograms.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import STFT
    >>> [spectrogram] = STFT(n_fft=8, hop_length=2).fit_transform([np.arange(5.0)])
    >>> spectrogram
    <Spectrogram 5 bins x 3 frames, 5 samples at 16000 Hz>
    >>> abs(spectrogram.replace(2 * spectrogram.data).to_waveform()).round(9)
    array([0., 2., 4., 6., 8.])
    """

    __slots__ = ("_frames", "_waveform", "dtype", "framing", "length", "sample_rate")

    _frames: np.ndarray | None
    _waveform: Any
    dtype: np.dtype
    framing: Framing
    length: int
    sample_rate: int

    def __init__(
        self,
        data: Any,
        *,
        length: int,
        n_fft: int | None = None,
        hop_length: int | None = None,
        window: str | Sequence[float] = "sine",
        center: bool = True,
        sample_rate: int = 16000,
        dtype: Any = None,
    ):
        data = np.asarray(data)
        if data.ndim != 2:
            raise ValueError(
                f"`data` must have shape (n_bins, n_frames), got {data.shape}."
            )
        if n_fft is None:
            n_fft = 2 * (data.shape[0] - 1)
        framing = make_framing(n_fft, hop_length, window, center)
        single = data.dtype in (np.complex64, np.float32)
        data = data.astype(np.complex64 if single else np.complex128, copy=False)
        wanted = (framing.n_bins, framing.n_frames(length))
        if data.shape != wanted:
            raise ValueError(
                f"`data` must have shape (n_bins, n_frames) = {wanted} for {length} "
                f"samples, n_fft={n_fft} and hop_length={framing.hop_length}, "
                f"got {data.shape}."
            )
        if not np.isfinite(data).all():
            raise ValueError("`data` must be finite, but it contains NaN or inf.")
        if dtype is None:
            dtype = np.float32 if single else np.float64
        self._set(
            # One memory layout, so that sums over it always have the same bits.
            frames=np.ascontiguousarray(data.T),
            waveform=None,
            dtype=np.dtype(dtype),
            framing=framing,
            length=int(length),
            sample_rate=sample_rate,
        )

    @classmethod
    def from_waveform(
        cls,
        waveform: Any,
        framing: Framing,
        sample_rate: int = 16000,
        *,
        name: str = "the waveform",
    ) -> Spectrogram:
        """Make the spectrogram of a waveform, computed on demand.

        Parameters
        ----------
        waveform : array-like, shape (n_samples,)
            Audio, or an object that reads it, such as an AudioFile. Arrays are
            validated at once, other objects when they are read.
        framing : Framing
            Parameters of the transform.
        sample_rate : int, default=16000
            Sample rate in Hz.
        name : str
            Name of the waveform in error messages.

        Returns
        -------
        Spectrogram
        """
        if not reads_itself(waveform):
            opened = open_waveform(waveform, name)
            dtype = np.asarray(waveform).dtype.newbyteorder("=")
            waveform = opened
        else:
            dtype = np.dtype(waveform.dtype)
            rate = getattr(waveform, "sample_rate", sample_rate)
            if rate != sample_rate:
                raise ValueError(
                    f"{name} has a sample rate of {rate} Hz, expected {sample_rate}: "
                    "resample it, e.g. with AudioFile(path, sample_rate="
                    f"{sample_rate}), or set the `sample_rate` of `stft`."
                )
            if len(waveform) == 0:
                raise ValueError(f"{name} must have at least one sample, got 0.")
        spectrogram = cls.__new__(cls)
        spectrogram._set(
            frames=None,
            waveform=waveform,
            dtype=dtype,
            framing=framing,
            length=len(waveform),
            sample_rate=sample_rate,
        )
        return spectrogram

    def _set(self, *, frames: np.ndarray | None, **fields: Any) -> None:
        if frames is not None:
            frames = frames.view()
            frames.flags.writeable = False
        object.__setattr__(self, "_frames", frames)
        for name, value in fields.items():
            object.__setattr__(self, "_waveform" if name == "waveform" else name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            "a Spectrogram is immutable: use replace(data) instead of setting "
            f"{name!r}."
        )

    def __reduce__(self):
        return _rebuild, ({name: getattr(self, name) for name in self.__slots__},)

    def __repr__(self) -> str:
        n_bins, n_frames = self.shape
        return (
            f"<Spectrogram {n_bins} bins x {n_frames} frames, {self.length} samples "
            f"at {self.sample_rate} Hz>"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype, copy=copy)

    @property
    def n_fft(self) -> int:
        """Samples in a frame."""
        return self.framing.n_fft

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return self.framing.hop_length

    @property
    def window(self) -> str | tuple[float, ...]:
        """Window of the analysis."""
        return self.framing.window

    @property
    def center(self) -> bool:
        """Whether frame t is centered on sample t * hop_length."""
        return self.framing.center

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.framing.n_frames(self.length)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_bins, n_frames)."""
        return self.framing.n_bins, self.n_frames

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def source(self) -> Any:
        """Waveform that `data` is computed from; None if `data` was passed."""
        return self._waveform

    @property
    def data(self) -> np.ndarray:
        """Transform, complex, shape (n_bins, n_frames)."""
        return self.frames().T

    def frames(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return the spectra of some frames, frames first.

        Parameters
        ----------
        first, last : int
            Range of frames, ``first`` to ``last - 1``; all by default. Only their part
            of a file is read.

        Returns
        -------
        ndarray of complex, shape (last - first, n_bins)
            Possibly the spectrogram's own memory: do not write to it.
        """
        last = self.n_frames if last is None else last
        return self.reader(first, last)(first, last)

    def reader(self, first: int, last: int) -> Callable[[int, int], np.ndarray]:
        """Return a function that computes some of the frames, which it reads once.

        Parameters
        ----------
        first, last : int
            Range of frames that the function computes, ``first`` to ``last - 1``.

        Returns
        -------
        callable
            Function with the arguments of :meth:`frames`. It stores the samples of its
            frames and no spectra.
        """
        if self._frames is not None:
            own = self._frames
            return lambda start, stop: own[start:stop]
        framing = self.framing
        begin, end = framing.samples_of(first, last)
        waveform, low, high = self._part(begin, end)
        if low < 0 or high > len(waveform):
            samples = pad_segment(waveform, low, high)
        else:  # no copy: blocks are large
            samples = waveform[low:high]

        def read(start: int, stop: int) -> np.ndarray:
            part = slice(*(n - begin for n in framing.samples_of(start, stop)))
            return framing.transform_frames(samples[part])

        return read

    def samples(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return part of the waveform as floats, zero outside the recording.

        Parameters
        ----------
        start, stop : int
            Range of samples, ``start`` to ``stop - 1``; all by default.

        Returns
        -------
        ndarray of float, shape (stop - start,)
            Samples; 16-bit integers are scaled to [-1, 1].
        """
        stop = self.length if stop is None else stop
        return pad_segment(*self._part(start, stop))

    def _part(self, start: int, stop: int) -> tuple[np.ndarray, int, int]:
        """Waveform that contains some samples as floats, and their range in it.

        Samples before its beginning or after its end are outside the recording.
        """
        waveform = self._waveform
        if self._frames is not None:
            waveform = self.framing.synthesise(self._frames, self.length)
        elif reads_itself(waveform):
            inside = slice(max(0, start), max(0, min(stop, self.length)))
            if inside == slice(0, self.length) or not hasattr(waveform, "__getitem__"):
                waveform = open_waveform(waveform, repr(waveform))
            elif inside.start < inside.stop:
                waveform = open_waveform(waveform[inside], repr(waveform))
                start, stop = start - inside.start, stop - inside.start
            else:
                waveform = np.zeros(0, float_dtype(self.dtype))
        return waveform, start, stop

    def to_waveform(self) -> np.ndarray:
        """Return the waveform of this spectrogram, in the dtype of the original.

        Returns
        -------
        ndarray of shape (length,)
            Waveform; 16-bit integers are rounded and clipped.
        """
        return restore_dtype(self.samples(), self.dtype)

    def replace(self, data: np.ndarray) -> Spectrogram:
        """Make a spectrogram with other values and the same parameters.

        Parameters
        ----------
        data : array-like of complex, shape (n_bins, n_frames)
            New values.

        Returns
        -------
        Spectrogram
            New spectrogram; this one does not change.
        """
        return Spectrogram(
            data,
            length=self.length,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            window=self.window,
            center=self.center,
            sample_rate=self.sample_rate,
            dtype=self.dtype,
        )


def _rebuild(fields: dict[str, Any]) -> Spectrogram:
    spectrogram = Spectrogram.__new__(Spectrogram)
    spectrogram._set(
        frames=fields["_frames"],
        waveform=fields["_waveform"],
        dtype=fields["dtype"],
        framing=fields["framing"],
        length=fields["length"],
        sample_rate=fields["sample_rate"],
    )
    return spectrogram


class SpectrogramArray(Sequence):
    """Spectrograms of the rows of a 2-D array: all of one length, so it has a shape.

    Parameters
    ----------
    spectrograms : list of Spectrogram
        At least one, all of one length.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import STFT
    >>> STFT(n_fft=8, hop_length=2).fit_transform(np.ones((3, 5))).shape
    (3, 5, 3)
    """

    holds_spectrograms = True

    def __init__(self, spectrograms: list[Spectrogram]):
        self._spectrograms = list(spectrograms)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_utterances, n_bins, n_frames)."""
        return len(self), *self._spectrograms[0].shape

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the values."""
        single = float_dtype(self._spectrograms[0].dtype) == np.float32
        return np.dtype(np.complex64 if single else np.complex128)

    def __len__(self) -> int:
        return len(self._spectrograms)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):  # scikit-learn selects rows by X[rows, ...]
            key = key[0]
        if isinstance(key, numbers.Integral):
            return self._spectrograms[key]
        chosen = np.arange(len(self))[key]
        return SpectrogramArray([self._spectrograms[i] for i in chosen])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.stack([s.data for s in self._spectrograms]).astype(
            self.dtype if dtype is None else dtype, copy=False
        )

    def __repr__(self) -> str:
        return f"<SpectrogramArray {len(self)} x {self._spectrograms[0]!r}>"


def reads_itself(waveform: Any) -> bool:
    """Return whether a waveform is read on demand, like an ``AudioFile``.

    Examples
    --------
    >>> import numpy as np
    >>> reads_itself(np.zeros(3))
    False
    """
    return hasattr(waveform, "__array__") and not hasattr(waveform, "ndim")


def make_framing(
    n_fft: int, hop_length: int | None, window: Any, center: bool
) -> Framing:
    """Check the parameters of a short-time Fourier transform.

    Parameters
    ----------
    n_fft : int
        Samples in a frame.
    hop_length : int or None
        Samples from one frame to the next. None means a quarter of `n_fft`.
    window : str or array-like of shape (n_fft,)
        Window.
    center : bool
        Whether frame t is centered on sample t * hop_length.

    Returns
    -------
    Framing

    Raises
    ------
    ValueError
        If a parameter is invalid, or if the windows leave out samples.

    Examples
    --------
    >>> make_framing(1024, None, "sine", True)
    Framing(n_fft=1024, hop_length=256, window='sine', center=True)
    """
    if hop_length is None and isinstance(n_fft, numbers.Integral):
        hop_length = max(1, n_fft // 4)
    check_real("n_fft", n_fft, low=1, integer=True)
    check_real("hop_length", hop_length, low=1, integer=True)
    assert hop_length is not None
    if not isinstance(window, str):
        try:
            window = tuple(np.asarray(window, dtype=np.float64).ravel().tolist())
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`window` must be a name or an array of {n_fft} numbers, "
                f"got {window!r}."
            ) from error
    return _cached_framing(int(n_fft), int(hop_length), window, bool(center))


#: One object for each set of parameters, since it caches the window.
_cached_framing = lru_cache(maxsize=64)(Framing)
