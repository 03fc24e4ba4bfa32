"""Audio files that are read a part at a time, all channels together.

Samples are single precision, which represents 24 bits.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import numpy as np
import soundfile
import soxr

from skvae.datasets.audio import QUALITY, resampled_length
from skvae.datasets.audio_folder import EXTENSIONS
from skvae.formats.encodings import LOSSY, Layout, ending_of
from skvae.formats.facts import Facts, examine
from skvae.formats.ffmpeg import FFmpegFile
from skvae.formats.riff import hides_sound
from skvae.utils.files import read_through, special_kind

#: Bits of integer encodings. Their samples are scaled here, since libsndfile reads full
#: scale as 2^(bits - 1) but writes it as 2^(bits - 1) - 1, which changes the level.
_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}

#: Range of sample rates in Hz of recordings of speech. Damaged headers contain others.
_LEAST_RATE, _MOST_RATE = 1000, 1_000_000

#: More samples than any file has: libsndfile returns such a number for unknown lengths.
_UNKNOWN_LENGTH = 2**62

#: Maximum sizes in bytes of a file without samples: headers, and in some formats tags
#: or a codebook.
_EMPTY_BYTES, _OTHER_EMPTY_BYTES = 2**16, 2**12
_FORMATS_WITH_TAGS = frozenset({"WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"})

#: Samples that an MP3 encoder adds at both ends, at most.
_PADDING = 10 * 1152

#: Samples of each channel that are counted at once.
_SAMPLES_AT_ONCE = 2**16

#: How libsndfile reports a header with more bytes than the file. Programs that write to
#: a pipe do not know the length, and put nearly 2^31 or 2^32 into the header.
_TRUNCATED = re.compile(r"(\d+) \(should be (\d+)\)")
_MOST_PROMISED = 2**31 - 2**16


class DamagedFileWarning(UserWarning):
    """Part of a recording, or its tags, are damaged; the rest was enhanced.

    Examples
    --------
    >>> issubclass(DamagedFileWarning, UserWarning)
    True
    """


def read_rate(path: str | os.PathLike[str]) -> int:
    """Return the sample rate of a recording, from its header.

    Parameters
    ----------
    path : str or path-like
        Audio file.

    Returns
    -------
    int
        Sample rate in Hz.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If the file is not audio, or has an implausible sample rate.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "silence.wav")
    >>> soundfile.write(path, np.zeros(8), 8000)
    >>> read_rate(path)
    8000
    """
    with _open(path) as file:
        return _check_rate(file.samplerate)


def encode(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Round and clip samples to the integers of an encoding.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples, n_channels)
        Samples; full scale is 1.
    subtype : str
        Name of the encoding in soundfile.

    Returns
    -------
    ndarray of the same shape
        For integer encodings int16 or int32, in the highest bits. For float encodings
        the samples themselves. For others the samples, clipped to [-1, 1].

    Examples
    --------
    >>> import numpy as np
    >>> encode(np.array([[0.5], [2.0]]), "PCM_16").ravel()
    array([16384, 32767], dtype=int16)
    """
    bits = _PCM_BITS.get(subtype)
    if bits is None:
        is_float = subtype in ("FLOAT", "DOUBLE")
        return samples if is_float else np.clip(samples, -1.0, 1.0)
    container = np.dtype(np.int16 if bits <= 16 else np.int32)
    # libsndfile uses the highest bits of the container.
    integers = np.ldexp(_integers(samples, bits), 8 * container.itemsize - bits)
    return integers.astype(container)


def quantize(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Round and clip samples as an integer encoding does.

    Parameters
    ----------
    samples : ndarray of float
        Samples; full scale is 1.
    subtype : str
        Name of the encoding in soundfile.

    Returns
    -------
    ndarray of float, of the same shape
        Samples as they are read back. For other encodings the samples themselves.

    Examples
    --------
    >>> import numpy as np
    >>> quantize(np.array([0.3, 2.0]), "PCM_S8")
    array([0.296875 , 0.9921875])
    """
    bits = _PCM_BITS.get(subtype)
    return samples if bits is None else np.ldexp(_integers(samples, bits), 1 - bits)


def _integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Integers of an encoding with a number of bits, as float64."""
    full_scale = 2.0 ** (bits - 1)
    integers = np.rint(samples.astype(np.float64) * full_scale)
    return np.clip(integers, -full_scale, full_scale - 1)


class _Sequential(soundfile.SoundFile):
    """File that is read without seeking, after which MP3, Ogg and others are wrong."""

    def seekable(self) -> bool:
        return False  # else soundfile seeks after each read


class RecordingReader:
    """Audio file that is decoded once, from its beginning to its end.

    It stores the samples that were read last. No part may begin before the part that
    was read before it.

    Parameters
    ----------
    path : str or path-like
        Audio file.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If the file is not audio, or is damaged.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "silence.wav")
    >>> soundfile.write(path, np.zeros((8, 2)), 8000)
    >>> with RecordingReader(path) as recording:
    ...     recording.read(2, 8).shape
    (6, 2)
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path
        self._file = _open(path)
        self._facts: Facts | None = None
        try:
            self.sample_rate: int = _check_rate(self._file.samplerate)
            self.n_channels: int = self._file.channels
            self.subtype: str = self._file.subtype
            self.n_samples: int = self._find_length()
        except BaseException:
            self._file.close()
            raise
        self._n_read = 0
        self._stream: Any = None
        self._begin = 0
        self._held = np.zeros((0, self.n_channels), np.float32)

    def __enter__(self) -> RecordingReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def facts(self) -> Facts:
        """Facts about the streams in the file."""
        if self._facts is None:
            self._facts = examine(self.path, self._file.format, self.subtype)
        return self._facts

    def check_end(self) -> None:
        """Check that the file ends where its first stream ends, and not before.

        Raises
        ------
        ValueError
            If other streams follow, which libsndfile does not read.

        Warns
        -----
        DamagedFileWarning
            If the end of the stream is missing.
        """
        facts = self.facts
        n_all = facts.n_samples or 0
        if facts.n_streams > 1 or n_all > self.n_samples + _PADDING:
            raise ValueError(
                "the file contains several recordings, one after the other, and only "
                "the first one would be read: split the file, or convert all of it "
                "with `ffmpeg -i FILE NEW.wav`."
            )
        if facts.is_cut and not self._is_truncated():
            warnings.warn(
                "the mark at the end of the file is missing, so the file may be "
                "truncated; the available part was enhanced.",
                DamagedFileWarning,
                stacklevel=3,
            )

    @property
    def layout(self) -> Layout:
        """How the file is written."""
        names = ("samplerate", "channels", "format", "subtype", "endian")
        return Layout(*(getattr(self._file, name) for name in names))

    @property
    def bitrate(self) -> float | None:
        """Bit rate in kbit/s, if the encoding is lossy."""
        is_lossy = self.subtype in LOSSY or self.is_foreign
        return self.facts.bitrate if is_lossy else None

    @property
    def is_foreign(self) -> bool:
        """Whether the file has a format that cannot be written."""
        return isinstance(self._file, FFmpegFile)

    def resample(self, rate: int) -> None:
        """Let :meth:`read` count and return samples at another rate in Hz."""
        if rate != self.sample_rate:
            self._stream = soxr.ResampleStream(
                self.sample_rate, rate, self.n_channels, "float32", QUALITY
            )

    def channels(self, rate: int) -> list[_Channel]:
        """Return all channels, resampled to a rate in Hz."""
        self.resample(rate)
        length = resampled_length(self.n_samples, self.sample_rate, rate)
        return [_Channel(self, k, length, rate) for k in range(self.n_channels)]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read the samples `start` to `stop`, shape (stop - start, n_channels)."""
        # Release old samples before reading more: blocks are large.
        n_over = min(start - self._begin, len(self._held))
        self._held = self._held[n_over:].copy()
        self._begin += n_over
        pieces = [self._held]
        n_held = len(self._held)
        while self._begin + n_held < stop:
            pieces.append(self._read_on(stop - self._begin - n_held))
            n_held += len(pieces[-1])
        if len(pieces) > 1:
            self._held = np.concatenate(pieces)
        return self._held[start - self._begin : stop - self._begin]

    def _read_on(self, n_wanted: int) -> np.ndarray:
        n_left = self.n_samples - self._n_read
        if n_left == 0:  # rounding has made the resampled recording longer
            return np.zeros((n_wanted, self.n_channels), np.float32)
        n = min(n_left, self.sample_rate)  # one second, much shorter than a block
        if self._stream is None:
            n = min(n, n_wanted)
        try:
            samples = self._file.read(n, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            read_through(self.path)  # the disk may be damaged, and not the file
            raise self._ends_early() from error
        if len(samples) < n:
            raise self._ends_early()
        if not np.isfinite(samples).all():
            wrong = np.flatnonzero(~np.isfinite(samples).all(axis=1))[0]
            raise ValueError(
                f"sample {self._n_read + wrong} is NaN or inf, or exceeds single "
                "precision: replace such samples."
            )
        self._n_read += n
        if self._stream is not None:
            samples = self._stream.resample_chunk(
                samples, last=self._n_read == self.n_samples
            )
        return samples

    def _find_length(self) -> int:
        """Find the number of samples, and check the header for damage."""
        if isinstance(self._file, FFmpegFile):
            self._facts = Facts(self._file.bitrate)
            return _count(self.path)
        n_samples: int = self._file.frames
        if n_samples > _UNKNOWN_LENGTH or (
            # libsndfile then estimates the length from the size of the file.
            self._file.format == "MP3" and not self.facts.has_length
        ):
            n_samples = _count(self.path)
        is_truncated = self._is_truncated()
        if n_samples == 0:
            n_bytes = os.path.getsize(self.path)
            has_tags = self._file.format in _FORMATS_WITH_TAGS
            if (
                is_truncated
                or self.facts.is_cut
                or n_bytes > (_EMPTY_BYTES if has_tags else _OTHER_EMPTY_BYTES)
                or hides_sound(self.path)
            ):
                raise ValueError(
                    f"the file contains no samples in its {n_bytes} bytes: it is "
                    "truncated, or its header is damaged. Programs that ignore the "
                    "header may repair it."
                )
        elif is_truncated:
            warnings.warn(
                "the file is truncated (its header promises more samples); the "
                "available part was enhanced.",
                DamagedFileWarning,
                stacklevel=4,
            )
        return n_samples

    def _is_truncated(self) -> bool:
        """Whether the header promises more bytes than the file has."""
        return any(
            int(there) < int(promised) < _MOST_PROMISED
            for promised, there in _TRUNCATED.findall(self._file.extra_info)
        )

    def _ends_early(self) -> ValueError:
        return ValueError(
            f"the file cannot be read beyond sample {self._n_read} of "
            f"{self.n_samples}: it is truncated or damaged. Download it again, or "
            "convert the readable part."
        )


class _Channel:
    """One channel of a recording: a waveform that is read on demand."""

    dtype = np.dtype(np.float32)

    def __init__(self, recording: RecordingReader, index: int, length: int, rate: int):
        self._recording = recording
        self._index = index
        self._length = length
        self.sample_rate = rate

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self._length)
        return self._recording.read(start, stop)[:, self._index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype)

    def __repr__(self) -> str:
        return f"channel {self._index}"


def name_for_libsndfile(path: str | os.PathLike[str]) -> Any:
    """Return the name of a file for libsndfile, also if its bytes are not UTF-8."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def _open(path: str | os.PathLike[str]) -> Any:
    if (kind := special_kind(path)) is not None:
        raise ValueError(
            f"it is {kind}: name a file, or pass the sound through standard input, for "
            "which - (a hyphen) stands."
        )
    try:
        return _Sequential(name_for_libsndfile(path))
    # soundfile raises TypeError where a headerless format needs more arguments.
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        if read_through(path) == 0:
            raise ValueError("the file is empty.") from error
        if ending_of(path) not in EXTENSIONS:
            return FFmpegFile(path)
        raise ValueError(
            "soundfile cannot read the file: if it is audio, convert it to WAV or FLAC."
        ) from error


def _check_rate(sample_rate: int) -> int:
    if not _LEAST_RATE <= sample_rate <= _MOST_RATE:
        raise ValueError(
            f"the header gives a sample rate of {sample_rate} Hz, not between "
            f"{_LEAST_RATE} and {_MOST_RATE} Hz: the file may be damaged."
        )
    return sample_rate


def _count(path: str | os.PathLike[str]) -> int:
    """Number of samples, counted by decoding them."""
    n_samples = 0
    with _open(path) as file:
        if isinstance(file, FFmpegFile):
            n_samples = file.count()
            if (complaint := file.complaint()) is not None:
                warnings.warn(
                    f"ffmpeg reports damage ({complaint}); the available part was "
                    "enhanced.",
                    DamagedFileWarning,
                    stacklevel=5,
                )
            if n_samples == 0:
                raise ValueError("the file contains no samples: it may be damaged.")
            return n_samples
        while n_new := len(file.read(_SAMPLES_AT_ONCE, dtype="float32")):
            n_samples += n_new
    return n_samples
