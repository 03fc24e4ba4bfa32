"""Short-time Fourier transform with exact reconstruction for every length.

Frames come first: the spectrum of a waveform has shape (N, F). The frames lie on a grid
of `hop_length` samples. Where the window gives samples at the edges of a recording
(almost) no weight, frames before its beginning or after its end are added. So weighted
overlap-add (Griffin and Lim, 1984, Eq. 6) inverts the transform for every length, from
one sample on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import fft as scipy_fft

#: Least sum of the squared window weights of an edge sample, relative to that of an
#: interior sample: overlap-add divides by it.
_MIN_COVERAGE = 0.01
#: Frames that are transformed together: about what fits into the second-level cache.
_CHUNK_FRAMES = 128


def _cosine_window(*coefficients: float) -> Callable[[int], np.ndarray]:
    def window(n_fft: int) -> np.ndarray:
        phase = 2 * np.pi * np.arange(n_fft) / n_fft
        return sum(
            (-1) ** k * a * np.cos(k * phase) for k, a in enumerate(coefficients)
        )

    return window


def _sine_window(n_fft: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(n_fft) + 0.5) / n_fft)


#: Periodic windows for which scipy.signal need not be imported, since the import takes
#: longer than enhancing a recording by a classical method.
WINDOWS: dict[str, Callable[[int], np.ndarray]] = {
    "hann": _cosine_window(0.5, 0.5),
    "hamming": _cosine_window(0.54, 0.46),
    "blackman": _cosine_window(0.42, 0.5, 0.08),
    "sine": _sine_window,
    "boxcar": np.ones,
}


def make_window(window: str | tuple[float, ...], n_fft: int) -> np.ndarray:
    """Return a window of `n_fft` samples.

    Parameters
    ----------
    window : str or tuple of float
        "hann", "hamming", "blackman", "sine", "boxcar", another name that
        :func:`scipy.signal.get_window` accepts, or the samples of the window.
    n_fft : int
        Number of samples.

    Returns
    -------
    ndarray of shape (n_fft,)

    Examples
    --------
    >>> make_window("hann", 4)
    array([0. , 0.5, 1. , 0.5])
    """
    if isinstance(window, str):
        if window in WINDOWS:
            return np.asarray(WINDOWS[window](n_fft), dtype=np.float64)
        from scipy.signal import get_window

        try:
            return np.asarray(get_window(window, n_fft))
        except ValueError as error:
            raise ValueError(
                f"`window` must be one of {sorted(WINDOWS)}, another name that "
                f"scipy.signal.get_window accepts, or an array, got {window!r}."
            ) from error
    weights = np.asarray(window, dtype=np.float64)
    if weights.shape != (n_fft,) or not np.isfinite(weights).all():
        raise ValueError(
            f"`window` must contain n_fft={n_fft} finite numbers, got an array of "
            f"shape {weights.shape}."
        )
    return weights


@dataclass(frozen=True)
class Framing:
    """Frames of a short-time Fourier transform, the transform, and its inverse.

    Parameters
    ----------
    n_fft : int
        Samples in a frame.
    hop_length : int
        Samples from one frame to the next.
    window : str or tuple of float
        Window; see :func:`make_window`.
    center : bool
        Whether frame t is centered on sample t * hop_length (True) or starts there.

    Examples
    --------
    >>> import numpy as np
    >>> framing = Framing(n_fft=8, hop_length=2)
    >>> x = np.arange(5.0)
    >>> X = framing.analyse(x)
    >>> X.shape
    (3, 5)
    >>> np.allclose(framing.synthesise(X, 5), x)
    True
    """

    n_fft: int
    hop_length: int
    window: str | tuple[float, ...] = "sine"
    center: bool = True

    def __post_init__(self):
        if not 1 <= self.hop_length <= self.n_fft:
            raise ValueError(
                f"`hop_length` must lie in [1, n_fft={self.n_fft}], "
                f"got {self.hop_length}."
            )
        energy = self._squared_window_sums
        if not energy.min() > 1e-10 * energy.max():
            raise ValueError(
                f"`window`={_short(self.window)} with n_fft={self.n_fft} and "
                f"hop_length={self.hop_length} leaves samples without weight (it "
                "violates NOLA), so they cannot be reconstructed: lower hop_length."
            )

    def __reduce__(self):
        # Without cached values, which must not change joblib's hashes.
        return Framing, (self.n_fft, self.hop_length, self.window, self.center)

    @property
    def n_bins(self) -> int:
        """Number of frequency bins, F."""
        return self.n_fft // 2 + 1

    @cached_property
    def weights(self) -> np.ndarray:
        """Window, shape (n_fft,)."""
        return make_window(self.window, self.n_fft)

    @cached_property
    def _squared_window_sums(self) -> np.ndarray:
        """Sum of the squared windows at an interior sample, by its phase."""
        padded = np.zeros(-(-self.n_fft // self.hop_length) * self.hop_length)
        padded[: self.n_fft] = self.weights**2
        return padded.reshape(-1, self.hop_length).sum(0)

    @property
    def _grid_origin(self) -> int:
        """First sample of frame 0 of the grid."""
        return -(self.n_fft // 2) if self.center else 0

    def _coverage(self, samples: np.ndarray, first: int, last: int) -> np.ndarray:
        """Weight of each sample in some grid frames, relative to the interior."""
        energy = self.weights**2
        seen = np.zeros(len(samples))
        for frame in range(first, last + 1):
            position = samples - self._grid_origin - frame * self.hop_length
            inside = (position >= 0) & (position < self.n_fft)
            seen[inside] += energy[position[inside]]
        full = self._squared_window_sums
        return seen / full[(samples - self._grid_origin) % self.hop_length]

    @cached_property
    def _lead(self) -> int:
        """Number of frames before frame 0 of the grid, which the first samples need."""
        samples = np.arange(self.n_fft)
        last = 2 * self.n_fft // self.hop_length + 1
        lead = 0
        while self._coverage(samples, -lead, last).min() < _MIN_COVERAGE:
            lead += 1
        return lead

    @property
    def origin(self) -> int:
        """First sample of the first frame, zero or negative."""
        return self._grid_origin - self._lead * self.hop_length

    def stretch(self, multiple: int) -> Framing:
        """Return the framing with the same times at a multiple of the sample rate.

        Parameters
        ----------
        multiple : int
            Factor of the sample rate.

        Returns
        -------
        Framing

        Examples
        --------
        >>> Framing(512, 128).stretch(3)
        Framing(n_fft=1536, hop_length=384, window='sine', center=True)
        """
        if multiple == 1:
            return self
        if not isinstance(self.window, str):
            raise ValueError(
                "a window given as an array cannot be stretched to another sample "
                "rate: pass the name of a window, or resample the recording."
            )
        return Framing(
            self.n_fft * multiple, self.hop_length * multiple, self.window, self.center
        )

    def n_frames(self, length: int) -> int:
        """Return the number of frames, N, of a waveform of `length` samples."""
        return _n_frames(self, length)

    def samples_of(self, first: int, last: int) -> tuple[int, int]:
        """Return the range of samples in the frames ``first`` to ``last - 1``.

        It may begin before the recording (negative) and end after it.
        """
        start = self.origin + first * self.hop_length
        return start, start + (last - 1 - first) * self.hop_length + self.n_fft

    def transform_frames(self, segment: np.ndarray) -> np.ndarray:
        """Compute the spectra of the frames that fit into a segment.

        Parameters
        ----------
        segment : ndarray of shape (n_samples,)
            Samples from the first one of a frame to the last one of another.

        Returns
        -------
        ndarray of shape (N, F)
            Spectra: complex64 for float32, else complex128.
        """
        segment = np.ascontiguousarray(segment)
        # As sliding_window_view, without its checks: a tenth of the transform's time.
        frames: np.ndarray = np.ndarray(
            ((len(segment) - self.n_fft) // self.hop_length + 1, self.n_fft),
            segment.dtype,
            segment,
            strides=(self.hop_length * segment.itemsize, segment.itemsize),
        )
        weights = self.weights.astype(segment.dtype)
        dtype = np.complex64 if segment.dtype == np.float32 else np.complex128
        spectra = np.empty((len(frames), self.n_bins), dtype)
        for start in range(0, len(frames), _CHUNK_FRAMES):
            chunk = slice(start, start + _CHUNK_FRAMES)
            windowed = frames[chunk] * weights
            spectra[chunk] = scipy_fft.rfft(windowed, axis=-1, overwrite_x=True)
        return spectra

    def analyse(self, waveform: np.ndarray) -> np.ndarray:
        """Compute the spectra of a whole waveform.

        Parameters
        ----------
        waveform : ndarray of float, shape (n_samples,)
            Samples.

        Returns
        -------
        ndarray of shape (N, F)
            Spectra.
        """
        start, stop = self.samples_of(0, self.n_frames(len(waveform)))
        return self.transform_frames(pad_segment(waveform, start, stop))

    def synthesise(self, spectra: np.ndarray, length: int) -> np.ndarray:
        """Compute the waveform whose spectra are nearest to these in least squares.

        Parameters
        ----------
        spectra : ndarray of shape (N, F)
            Spectra.
        length : int
            Number of samples.

        Returns
        -------
        ndarray of shape (length,)
            Samples.
        """
        overlap_add = OverlapAdd(self, length, spectra.dtype)
        return overlap_add.push(spectra)


class OverlapAdd:
    """Weighted overlap-add, a block of frames at a time.

    Parameters
    ----------
    framing : Framing
        Parameters of the transform.
    length : int
        Number of samples of the whole waveform.
    dtype : numpy.dtype
        Dtype of the spectra.

    Examples
    --------
    >>> import numpy as np
    >>> framing = Framing(n_fft=8, hop_length=2)
    >>> x = np.arange(20.0)
    >>> X = framing.analyse(x)
    >>> overlap_add = OverlapAdd(framing, 20, X.dtype)
    >>> pieces = [overlap_add.push(X[:6]), overlap_add.push(X[6:])]
    >>> np.allclose(np.concatenate(pieces), x)
    True
    """

    def __init__(self, framing: Framing, length: int, dtype: np.dtype):
        self.framing = framing
        self.length = length
        self._n_frames = framing.n_frames(length)
        self._dtype = np.dtype(np.float32 if dtype == np.complex64 else np.float64)
        self._weights = framing.weights.astype(self._dtype)
        # Number of hops in a frame, the last one padded with zeros.
        self._n_slices = -(-framing.n_fft // framing.hop_length)
        squared = np.zeros(self._n_slices * framing.hop_length, self._dtype)
        squared[: framing.n_fft] = self._weights**2
        self._squared = squared.reshape(self._n_slices, framing.hop_length)
        self._done = 0
        self._tail = np.zeros((self._n_slices - 1, framing.hop_length), self._dtype)

    def push(self, spectra: np.ndarray) -> np.ndarray:
        """Add the next frames, and return the samples that they complete.

        Parameters
        ----------
        spectra : ndarray of shape (n_new_frames, F)
            Spectra of the frames.

        Returns
        -------
        ndarray of shape (n_samples,)
            Samples that no later frame changes. After the last frame, all that remain.
        """
        n_fft, hop, n_slices = (
            self.framing.n_fft,
            self.framing.hop_length,
            self._n_slices,
        )
        n_new = len(spectra)
        added = np.zeros((n_new + n_slices - 1, hop), self._dtype)
        added[: n_slices - 1] = self._tail
        padded = np.zeros((min(n_new, _CHUNK_FRAMES), n_slices * hop), self._dtype)
        for start in range(0, n_new, _CHUNK_FRAMES):
            chunk = spectra[start : start + _CHUNK_FRAMES]
            frames = padded[: len(chunk)]
            inverse = scipy_fft.irfft(chunk, n_fft, axis=-1)
            np.multiply(inverse, self._weights, out=frames[:, :n_fft])
            slices = frames.reshape(-1, n_slices, hop)
            for k in range(n_slices):
                added[start + k : start + k + len(chunk)] += slices[:, k]

        first_slice = self._done
        self._done += n_new
        if self._done > self._n_frames:
            raise ValueError(
                f"expected {self._n_frames} frames for {self.length} samples, "
                f"got {self._done}."
            )
        if self._done < self._n_frames:
            self._tail = added[n_new:].copy()
            added = added[:n_new]
        self._divide_by_weights(added, first_slice)
        begin = max(0, -self.framing.origin - first_slice * hop)
        end = self.length - self.framing.origin - first_slice * hop
        return added.reshape(-1)[begin:end]

    def _divide_by_weights(self, added: np.ndarray, first_slice: int) -> None:
        """Divide sums of frames by the sums of squared windows, in place."""
        first = max(0, self._n_slices - 1 - first_slice)
        last = max(first, self._n_frames - first_slice)
        added[first:last] /= self._squared.sum(0)
        rows = range(len(added))
        for row in (*rows[:first], *rows[last:]):
            slice_ = first_slice + row
            # Frames that begin up to n_slices - 1 slices before this one.
            seen = self._squared[max(0, slice_ - self._n_frames + 1) : slice_ + 1].sum(
                0
            )
            np.divide(added[row], seen, out=added[row], where=seen > 0)


def power(spectra: np.ndarray) -> np.ndarray:
    """Compute the power of spectra, without the square root of the modulus.

    Parameters
    ----------
    spectra : ndarray of complex, any shape
        Spectra.

    Returns
    -------
    ndarray of the same shape
        ``|X|^2``.

    Examples
    --------
    >>> import numpy as np
    >>> power(np.array([3 + 4j]))
    array([25.])
    """
    squares = np.square(spectra.real)
    squares += np.square(spectra.imag)
    return squares


def at_level(V: np.ndarray, level: float, of: np.ndarray | None = None) -> np.ndarray:
    """Scale power to a given mean; silence stays silent.

    Parameters
    ----------
    V : ndarray of float, shape (N, F)
        Power.
    level : float
        Mean power after scaling.
    of : ndarray of shape (N, F), default=None
        Power whose mean determines the factor. None means `V`.

    Returns
    -------
    ndarray of float, shape (N, F)
        Scaled power.

    Examples
    --------
    >>> import numpy as np
    >>> at_level(np.array([[1.0, 3.0]]), 5.0)
    array([[2.5, 7.5]])
    """
    mean = float((V if of is None else of).mean())
    # The floor keeps the quotient finite in the precision of V.
    scale = level / max(mean, level * float(np.finfo(V.dtype).tiny))
    return V * V.dtype.type(scale)


def pad_segment(waveform: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return the samples ``start`` to ``stop - 1`` of a waveform, zero outside it.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,)
        Samples.
    start, stop : int
        Range of samples, which may exceed [0, n_samples].

    Returns
    -------
    ndarray of shape (stop - start,)
        New array.

    Examples
    --------
    >>> import numpy as np
    >>> pad_segment(np.ones(2), -1, 4)
    array([0., 1., 1., 0., 0.])
    """
    inside = waveform[max(0, start) : max(0, stop)]
    before = max(0, -start)
    segment = np.zeros(stop - start, waveform.dtype)
    segment[before : before + len(inside)] = inside
    return segment


@lru_cache(maxsize=4096)
def _n_frames(framing: Framing, length: int) -> int:
    # Frames of the grid that are centered on, or start at, a sample of the recording.
    # As in librosa, a frame may also be centered right after the last sample.
    last = (length if framing.center else length - 1) // framing.hop_length
    samples = np.arange(max(0, length - framing.n_fft), length)
    earliest = (samples[0] - framing._grid_origin - framing.n_fft) // framing.hop_length
    first = max(-framing._lead, int(earliest))
    while framing._coverage(samples, first, last).min() < _MIN_COVERAGE:
        last += 1
    return last + 1 + framing._lead


def _short(window: str | tuple[float, ...]) -> str:
    return repr(window) if isinstance(window, str) else "(an array)"
