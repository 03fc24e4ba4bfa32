"""Audio files as waveforms that read themselves when they are asked.

A corpus is a list of :class:`AudioFile`: it holds paths and numbers, and no audio. No
file is opened before its length, its rate or its samples are asked for, and none stays
open afterwards.
"""

from __future__ import annotations

import math
import os
from numbers import Integral
from operator import index
from typing import Any, Literal, NamedTuple

import numpy as np

from skvae.utils.parameters import check_real
from skvae.utils.waveforms import check_sample_rate

#: soxr's quality: 20 bits, far below the noise of any recording.
QUALITY = "HQ"

#: Samples, at the lower of the two rates, read on both sides of a part that is to be
#: resampled. The filter of "HQ" reaches less than 128 of them to each side.
CONTEXT = 256

#: Encodings in which libsndfile finds a sample exactly (measured for all that 1.2.2 can
#: write). MP3, Ogg Vorbis, GSM and others come out wrong after a seek, for a while or
#: for good, so they are decoded from their beginning; and so are two containers.
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
    """A waveform in a file, or a part of it, read when it is asked for.

    It serves wherever a waveform does: it has a length, a dtype and ``__array__``. It
    is immutable and small: copies are the object itself, and a pickle holds the path
    and four numbers. Slices are again such objects and read their own part only.

    Parameters
    ----------
    path : str or path-like
        The file, in any format that soundfile reads.
    start : int, default=0
        First sample, counted at the rate that comes out.
    stop : int or None, default=None
        One past the last sample, counted at the rate that comes out. None, like any
        number beyond the end, means the end of the file.
    sample_rate : int or None, default=None
        Rate in Hz to resample to (soxr, "HQ"); None keeps the file's own.
    channel : "mean" or int, default="mean"
        The mean of all channels, or one of them, counted from 0.

    Attributes
    ----------
    path : str
        The file.
    sample_rate : int
        Rate in Hz of the samples that come out.
    duration : float
        Length in seconds.
    dtype : numpy.dtype
        float32, always.

    Raises
    ------
    OSError
        When the file is missing or cannot be opened. This and the next are raised when
        the file is first read, not when the object is made.
    ValueError
        When the file is not audio, ends too early, or has no such channel.

    See Also
    --------
    find_audio : The audio files of a folder.
    load_audio : Read a file at once.

    Notes
    -----
    A part of a resampled file is read with some context on both sides, so that it
    agrees with that part of the whole resampled file to about 1e-5 of full scale.

    Parts of WAV, FLAC and other files without loss are read where they are. MP3, Ogg
    and other compressed files are decoded from their beginning, as libsndfile does not
    find places in them exactly: convert long ones of which parts are needed.

    Equality, hashes and caches go by the path and the numbers: a file that changes on
    the disk is not noticed. A relative path stays relative.

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
        """The file."""
        return self._path

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the samples that come out."""
        return self._sample_rate or self._read_header().sample_rate

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self) / self.sample_rate

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the samples: float32."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        start, stop = self._bounds()
        return stop - start

    def __getitem__(self, part: slice) -> AudioFile:
        if not isinstance(part, slice):
            raise TypeError(
                "an AudioFile takes slices, such as audio[:16000]; "
                "np.asarray(audio) gives the samples."
            )
        first, last, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"a slice of an AudioFile must have step 1, got {step}.")
        start, stop = self._bounds()
        # Where the end stays, so does a None: audio[:] equals audio.
        end = self._stop if start + last == stop else start + max(first, last)
        return type(self)(
            self._path, start + first, end, self._sample_rate, self._channel
        )

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        if copy is False:
            raise ValueError(
                "an AudioFile is read from its file: copy=False cannot be."
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
        """Start and stop, clipped to the file."""
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
        The file, in any format that soundfile reads.
    sample_rate : int or None, default=None
        Rate in Hz to resample to (soxr, "HQ"); None keeps the file's own.
    mono : bool, default=True
        Whether to average the channels.

    Returns
    -------
    samples : ndarray of shape (n_samples,) or (n_channels, n_samples)
        The audio in float32: one channel, or all of them with ``mono=False``.
    sample_rate : int
        Its rate in Hz.

    Raises
    ------
    OSError
        When the file is missing or cannot be opened.
    ValueError
        When the file is not audio or ends too early.

    See Also
    --------
    AudioFile : Read a file, or a part of it, when it is needed.

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


def resampled_length(n_samples: int, rate_in: int, rate_out: int | None) -> int:
    """Length of a waveform after resampling.

    Parameters
    ----------
    n_samples : int
        Its length before.
    rate_in : int
        Its rate in Hz.
    rate_out : int or None
        The new rate; None means the same.

    Returns
    -------
    int
        ``n_samples * rate_out / rate_in``, halves rounded up, as soxr does.

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
    """Return the same error with advice in its message."""
    return type(error)(error.errno, f"{error.strerror} ({hint})", error.filename)


def _cannot_read(path: str, error: Exception) -> Exception:
    """Say why soundfile failed: there is no such file, or it holds no audio."""
    try:
        with open(path, "rb"):
            pass
    except OSError as reason:
        is_folder = os.path.isdir(path)
        hint = (
            "find_audio lists the files of a folder"
            if is_folder
            else ("check the path; a relative one starts at the working directory")
        )
        return with_hint(reason, hint)
    return ValueError(
        f"{path!r} cannot be read as audio ({error}): convert it to a format that "
        "soundfile reads, such as WAV or FLAC."
    )


def _read_header(path: str) -> _Header:
    import soundfile

    try:
        info = soundfile.info(path)
    # soundfile raises TypeError where a headerless format needs more arguments.
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise _cannot_read(path, error) from error
    return _Header(info.frames, info.samplerate, info.channels)


def _read_samples(path: str, start: int, stop: int) -> np.ndarray:
    """Read samples `start` to `stop`, shape (stop - start, n_channels)."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            can_seek = (
                file.subtype in SEEKABLE_ENCODINGS
                and file.format not in UNSEEKABLE_FORMATS
            )
            first = start if can_seek else 0
            if first > 0:
                file.seek(first)
            # One call, for soundfile seeks after each of them.
            samples = file.read(stop - first, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise _cannot_read(path, error) from error
    if len(samples) < stop - first:
        raise ValueError(
            f"{path!r} ends at sample {first + len(samples)}, but its header promises "
            "more: it seems to be cut off."
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

    The shape is (n_samples,), or (n_samples, n_channels) where `channel` is None.
    """
    if rate is None or rate == header.sample_rate or start == stop:
        return _pick(_read_samples(path, start, stop), channel)
    import soxr

    # Output sample k * up lies exactly on input sample k * down: parts start there.
    common = math.gcd(rate, header.sample_rate)
    down, up = header.sample_rate // common, rate // common
    context = math.ceil(CONTEXT * max(1.0, down / up))
    k = max(0, start * down // up - context) // down
    end = min(header.n_samples, stop * down // up + 1 + context)
    samples = _pick(_read_samples(path, k * down, end), channel)
    resampled = soxr.resample(samples, header.sample_rate, rate, QUALITY)
    return resampled[start - k * up : stop - k * up]


def _pick(samples: np.ndarray, channel: Channel | None) -> np.ndarray:
    """Choose from the columns, the channels: one, their mean, or (None) all."""
    if channel is None:
        return samples
    if channel == "mean" and samples.shape[1] > 1:
        return samples.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(samples[:, 0 if channel == "mean" else channel])
