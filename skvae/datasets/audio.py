"""Audio files as waveforms that are read on demand.

A corpus is a list of :class:`AudioFile` objects, which hold paths and numbers and no
audio. A file is opened when its length, its sample rate or its samples are needed, and
closed again at once.
"""

from __future__ import annotations

import errno
import math
import os
from numbers import Integral
from operator import index
from typing import Any, Literal, NamedTuple

import numpy as np

from skvae.utils.files import raise_write_error, read_through, special_kind
from skvae.utils.parameters import check_real
from skvae.utils.waveforms import check_sample_rate

#: Quality of soxr's resampling: 20 bits, far below the noise of any recording.
QUALITY = "HQ"

#: Samples of context on both sides of a part that is resampled, at the lower of the two
#: rates. The filter of "HQ" extends over less than 128 samples on each side.
CONTEXT = 256

#: Encodings in which libsndfile seeks exactly (measured for all that 1.2.2 can write).
#: MP3, Ogg Vorbis, GSM and others, and the two containers below, are decoded wrongly
#: after a seek. They are therefore read from the beginning.
SEEKABLE_ENCODINGS = frozenset(
    {
        "PCM_S8",
        "PCM_U8",
        "PCM_16",
        "PCM_24",
        "PCM_32",
        "FLOAT",
        "DOUBLE",
        "ULAW",
        "ALAW",
    }
)
UNSEEKABLE_FORMATS = frozenset({"PAF", "SDS"})


Channel = int | Literal["mean"]


class _Header(NamedTuple):
    n_samples: int
    sample_rate: int
    n_channels: int


class AudioFile:
    """Waveform in a file, or a part of it, that is read on demand.

    An AudioFile can be used wherever a waveform can: it has a length, a dtype and
    ``__array__``. It is immutable and small: a copy is the object itself, and a pickle
    holds the path and four numbers. A slice is another AudioFile, which reads only its
    own part of the file.

    Parameters
    ----------
    path : str or path-like
        Path of the file, in any format that soundfile reads.
    start : int, default=0
        Index of the first sample, counted at the output rate.
    stop : int or None, default=None
        Index after the last sample, counted at the output rate. None, or an index
        beyond the end, means the end of the file.
    sample_rate : int or None, default=None
        Sample rate in Hz to resample to (soxr, "HQ"). None means the rate of the file.
    channel : "mean" or int, default="mean"
        Channel to read, counted from 0. "mean" averages all channels.

    Attributes
    ----------
    path : str
        Path of the file.
    sample_rate : int
        Sample rate of the output in Hz.
    duration : float
        Duration in seconds.
    dtype : numpy.dtype
        Dtype of the samples, always float32.

    Raises
    ------
    OSError
        If the file is missing or cannot be opened. Errors of the file occur when it is
        first read, not when the object is created.
    ValueError
        If the file is not audio, is truncated, or does not have the channel.

    See Also
    --------
    find_audio : List the audio files of a folder.
    load_audio : Read a file at once.

    Notes
    -----
    A part of a resampled file is read with some context on both sides. It
    differs by about 1e-5 of full scale from the same part of the whole resampled file.

    WAV, FLAC and other lossless formats are read only where needed. MP3, Ogg and other
    compressed formats are decoded from the beginning, because libsndfile cannot seek in
    them exactly. Convert long compressed files if you need parts of them.

    Equality, hashes and caches use the path and the numbers. A change of the file on
    disk is not detected. Relative paths are kept relative.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, soundfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "tone.wav")
    >>> soundfile.write(path, np.sin(np.arange(48000) / 10), 48000)
    >>> audio = AudioFile(path, sample_rate=16000)
    >>> len(audio), audio.sample_rate, audio.duration
    (16000, 16000, 1.0)
    >>> np.asarray(audio[4000:8000]).shape
    (4000,)
    >>> folder.cleanup()
    """

    __slots__ = ("_channel", "_header", "_path", "_sample_rate", "_start", "_stop")

    def __init__(
        self,
        path: str | os.PathLike[str],
        start: int = 0,
        stop: int | None = None,
        sample_rate: int | None = None,
        channel: Channel = "mean",
    ) -> None:
        self._path = os.fsdecode(path)
        check_real("start", start, low=0, integer=True)
        check_real("stop", stop, low=0, integer=True, optional=True)
        self._start = index(start)
        self._stop = None if stop is None else index(stop)
        self._sample_rate = (
            None if sample_rate is None else check_sample_rate(sample_rate)
        )
        self._channel = _check_channel(channel)
        self._header: _Header | None = None

    @property
    def path(self) -> str:
        """Path of the file."""
        return self._path

    @property
    def sample_rate(self) -> int:
        """Sample rate of the output in Hz."""
        return self._sample_rate or self._read_header().sample_rate

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return len(self) / self.sample_rate

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the samples: float32."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        start, stop = self._bounds()
        return stop - start

    def __getitem__(self, part: slice) -> AudioFile:
        if not isinstance(part, slice):
            raise TypeError(
                "an AudioFile supports slices only, such as audio[:16000]: use "
                "np.asarray(audio) to read the samples."
            )
        first, last, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"a slice of an AudioFile must have step 1, got {step}.")
        start, stop = self._bounds()
        # Keep `stop` if the end is the same, so that audio[:] equals audio.
        end = self._stop if start + last == stop else start + max(first, last)
        return type(self)(
            self._path, start + first, end, self._sample_rate, self._channel
        )

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        if copy is False:
            raise ValueError(
                "copy=False is not supported: an AudioFile is read from its file."
            )
        samples = self._read()
        return samples if dtype is None else samples.astype(dtype, copy=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AudioFile):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[type[AudioFile], tuple]:
        return type(self), self._key()

    def __copy__(self) -> AudioFile:
        return self

    def __deepcopy__(self, memo: dict) -> AudioFile:
        return self

    def __repr__(self) -> str:
        defaults = {"start": 0, "stop": None, "sample_rate": None, "channel": "mean"}
        given = zip(defaults.items(), self._key()[1:], strict=True)
        others = [
            f"{name}={value!r}" for (name, default), value in given if value != default
        ]
        return f"AudioFile({', '.join([repr(self._path), *others])})"

    def _key(self) -> tuple:
        return (self._path, self._start, self._stop, self._sample_rate, self._channel)

    def _read_header(self) -> _Header:
        if self._header is None:
            self._header = _read_header(self._path)
        return self._header

    def _bounds(self) -> tuple[int, int]:
        """Return start and stop, clipped to the length of the file."""
        header = self._read_header()
        total = resampled_length(
            header.n_samples, header.sample_rate, self._sample_rate
        )
        stop = total if self._stop is None else min(self._stop, total)
        return min(self._start, stop), stop

    def _read(self) -> np.ndarray:
        header = self._read_header()
        if self._channel != "mean" and self._channel >= header.n_channels:
            raise ValueError(
                f"`channel` must be 'mean' or below {header.n_channels}, the number of "
                f"channels of {self._path!r}, got {self._channel}."
            )
        start, stop = self._bounds()
        return _read_part(
            self._path, header, start, stop, self._sample_rate, self._channel
        )


def load_audio(
    path: str | os.PathLike[str], sample_rate: int | None = None, mono: bool = True
) -> tuple[np.ndarray, int]:
    """Read an audio file at once.

    Parameters
    ----------
    path : str or path-like
        Path of the file, in any format that soundfile reads.
    sample_rate : int or None, default=None
        Sample rate in Hz to resample to (soxr, "HQ"). None means the rate of the file.
    mono : bool, default=True
        Whether to average the channels.

    Returns
    -------
    samples : ndarray of shape (n_samples,) or (n_channels, n_samples)
        Samples in float32: the mean of the channels, or all of them if `mono` is False.
    sample_rate : int
        Sample rate in Hz.

    Raises
    ------
    OSError
        If the file is missing or cannot be opened.
    ValueError
        If the file is not audio or is truncated.

    See Also
    --------
    AudioFile : Read a file, or a part of it, on demand.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "stereo.wav")
    ...     soundfile.write(path, np.zeros((800, 2)), 8000)
    ...     samples, sample_rate = load_audio(path, sample_rate=16000, mono=False)
    >>> samples.shape, sample_rate
    ((2, 1600), 16000)
    """
    path = os.fsdecode(path)
    rate = None if sample_rate is None else check_sample_rate(sample_rate)
    header = _read_header(path)
    length = resampled_length(header.n_samples, header.sample_rate, rate)
    channel: Channel | None = "mean" if mono else None
    samples = _read_part(path, header, 0, length, rate, channel)
    return np.ascontiguousarray(samples.T), rate or header.sample_rate


def write_wav(
    path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int
) -> None:
    """Write a WAV file of 16 bits.

    Parameters
    ----------
    path : str or path-like
        File to write.
    samples : ndarray of shape (n_samples,)
        Samples; full scale is 1.
    sample_rate : int
        Sample rate in Hz.

    Raises
    ------
    OSError
        If the disk is full, or the file cannot be written for another reason.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_wav(os.path.join(folder, "a.wav"), np.zeros(8), 8000)
    ...     load_audio(os.path.join(folder, "a.wav"))[0].shape
    (8,)
    """
    import soundfile

    try:
        soundfile.write(
            os.fsdecode(path), samples, sample_rate, subtype="PCM_16", format="WAV"
        )
        is_whole = os.path.getsize(path) >= 2 * len(samples)
    except soundfile.SoundFileError as error:
        raise_write_error(path)
        raise OSError(f"writing failed: {error}") from error
    if not is_whole:  # libsndfile reports no errors of closing
        raise_write_error(path)


def resampled_length(n_samples: int, rate_in: int, rate_out: int | None) -> int:
    """Return the length of a waveform after resampling.

    Parameters
    ----------
    n_samples : int
        Length before resampling.
    rate_in : int
        Sample rate before, in Hz.
    rate_out : int or None
        Sample rate after, in Hz. None means no change.

    Returns
    -------
    int
        ``n_samples * rate_out / rate_in``, with halves rounded up as in soxr.

    Examples
    --------
    >>> resampled_length(44100, 44100, 16000)
    16000
    """
    if rate_out is None or rate_out == rate_in:
        return n_samples
    return (2 * n_samples * rate_out + rate_in) // (2 * rate_in)


def _check_channel(channel: Any) -> Channel:
    if isinstance(channel, str) and channel == "mean":
        return "mean"
    if not isinstance(channel, Integral) or isinstance(channel, bool) or channel < 0:
        raise ValueError(
            f"`channel` must be 'mean' or an integer of at least 0, got {channel!r}."
        )
    return index(channel)


def with_hint(error: OSError, hint: str) -> OSError:
    """Return a copy of an error with advice in its message."""
    return type(error)(error.errno, f"{error.strerror} ({hint})", error.filename)


def _refuse_special(path: str) -> None:
    """Raise an error for a pipe, where opening would wait for a writer."""
    if (kind := special_kind(path)) is not None:
        raise ValueError(f"{path!r} is {kind}: store the sound in a file first.")


def _cannot_read(path: str, error: Exception) -> Exception:
    """Return the error for a file that soundfile cannot read."""
    try:
        read_through(path)
    except OSError as reason:
        if reason.errno == errno.EIO:  # the disk is damaged
            return reason
        is_folder = os.path.isdir(path)
        hint = (
            "find_audio lists the files of a folder"
            if is_folder
            else "check the path; relative paths start at the working directory"
        )
        return with_hint(reason, hint)
    return ValueError(
        f"{path!r} cannot be read as audio ({error}): convert it to a format that "
        "soundfile reads, such as WAV or FLAC."
    )


def _read_header(path: str) -> _Header:
    import soundfile

    _refuse_special(path)
    try:
        info = soundfile.info(path)
    # soundfile raises TypeError where a headerless format needs more arguments.
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise _cannot_read(path, error) from error
    return _Header(info.frames, info.samplerate, info.channels)


def _read_samples(path: str, start: int, stop: int) -> np.ndarray:
    """Read samples `start` to `stop` in shape (stop - start, n_channels)."""
    import soundfile

    _refuse_special(path)
    try:
        with soundfile.SoundFile(path) as file:
            can_seek = (
                file.subtype in SEEKABLE_ENCODINGS
                and file.format not in UNSEEKABLE_FORMATS
            )
            first = start if can_seek else 0
            if first > 0:
                file.seek(first)
            # Read in one call: soundfile seeks after each call.
            samples = file.read(stop - first, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise _cannot_read(path, error) from error
    if len(samples) < stop - first:
        raise ValueError(
            f"{path!r} is truncated: it ends at sample {first + len(samples)}, but its "
            "header announces more."
        )
    return samples[start - first :]


def _read_part(
    path: str,
    header: _Header,
    start: int,
    stop: int,
    rate: int | None,
    channel: Channel | None,
) -> np.ndarray:
    """Read samples `start` to `stop`, counted at `rate`.

    The shape is (n_samples,), or (n_samples, n_channels) if `channel` is None.
    """
    if rate is None or rate == header.sample_rate or start == stop:
        return _pick(_read_samples(path, start, stop), channel)
    import soxr

    # Output sample k * up coincides with input sample k * down: parts start there.
    common = math.gcd(rate, header.sample_rate)
    down, up = header.sample_rate // common, rate // common
    context = math.ceil(CONTEXT * max(1.0, down / up))
    k = max(0, start * down // up - context) // down
    end = min(header.n_samples, stop * down // up + 1 + context)
    samples = _pick(_read_samples(path, k * down, end), channel)
    resampled = soxr.resample(samples, header.sample_rate, rate, QUALITY)
    return resampled[start - k * up : stop - k * up]


def _pick(samples: np.ndarray, channel: Channel | None) -> np.ndarray:
    """Return one channel, the mean of all channels, or (None) all channels."""
    if channel is None:
        return samples
    if channel == "mean" and samples.shape[1] > 1:
        return samples.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(samples[:, 0 if channel == "mean" else channel])
