"""Recordings in files: any rate, any number of channels, any length, in bounded memory.

What is written has the sample rate, the channels, the length and the encoding of what
was read. Samples are single precision on the way, which holds 24 bits.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import soundfile

from skvae.base import BaseEnhancer
from skvae.datasets.audio import QUALITY, resampled_length
from skvae.signal.stft import STFT
from skvae.utils.parameters import check_real

#: Integer encodings: the samples are scaled here, since libsndfile reads full scale as
#: 2^(bits - 1) but writes it as 2^(bits - 1) - 1, which changes the level.
_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}

#: Encodings that libsndfile 1.2.2 writes such that loud noise comes back as another.
_WRONG_WHEN_WRITTEN = frozenset({"ALAC_32"})

#: Sample rates in Hz between which there is speech in a recording; headers that are
#: damaged promise any.
_LEAST_RATE, _MOST_RATE = 1000, 1_000_000

#: More samples than any file holds: libsndfile's word for a number it does not know.
_UNKNOWN_LENGTH = 2**62

#: Bytes of a file without a sample: headers, tags, a codebook.
_EMPTY_BYTES = 2**16

#: Samples of each channel that are counted, or written, at once.
_FRAMES_AT_ONCE = 2**16

#: How libsndfile tells of a header that promises more bytes than there are. Those that
#: writers to a pipe put there, who do not know the length, are nearly 2^31 or 2^32.
_CUT_OFF = re.compile(r"(\d+) \(should be (\d+)\)")
_MOST_PROMISED = 2**31 - 2**16


class DamagedFileWarning(UserWarning):
    """Some of a recording is missing, and the rest was enhanced.

    Examples
    --------
    >>> issubclass(DamagedFileWarning, UserWarning)
    True
    """


def enhance_file(
    enhancer: BaseEnhancer,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None,
    *,
    mix: float = 1.0,
    noise_target: str | os.PathLike[str] | None = None,
    progress: Callable[[float], object] | None = None,
) -> float:
    """Enhance one recording from file to file.

    Parameters
    ----------
    enhancer : BaseEnhancer
        A fitted one. A recording at another rate than the enhancer's is brought to the
        next multiple of that rate, and back; frequencies above the enhancer's band are
        treated as :meth:`BaseEnhancer.enhance_blocks` says.
    source : str or path-like
        The file to read. One without a sample is copied.
    target : str, path-like or None
        The file to write; None writes none.
    mix : float, default=1.0
        Share of the enhanced recording in what is written, from 0 to 1. The rest is the
        recording as it was.
    noise_target : str, path-like or None, default=None
        A second file to write: the recording minus what `target` holds. The two sum to
        the recording, exactly in up to 24 bits where nothing is clipped.
    progress : callable, default=None
        Called after each block with the share that is done, from 0 to 1.

    Returns
    -------
    float
        Seconds of sound.

    Raises
    ------
    OSError
        If a file cannot be opened, or the disk is full.
    ValueError
        If the file is not audio, ends too early, cannot be written in its own format,
        or holds NaN or inf.

    Warns
    -----
    DamagedFileWarning
        If the header promises more than there is, and all that there is was enhanced.

    See Also
    --------
    scaled_stft : Lets a method without training work at the recording's own rate.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import soundfile
    >>> from skvae import WienerFilter
    >>> from skvae.datasets import make_dataset
    >>> noisy, _ = make_dataset(1, random_state=0)
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "noisy.flac", noisy[0], 16000)
    >>> seconds = enhance_file(
    ...     WienerFilter().fit(noisy), folder / "noisy.flac", folder / "enhanced.flac"
    ... )
    >>> soundfile.info(folder / "enhanced.flac").frames == len(noisy[0])
    True
    """
    check_real("mix", mix, low=0, high=1)
    targets = [target, noise_target]
    paths = [os.path.realpath(path) for path in (source, *targets) if path is not None]
    if len(set(paths)) < len(paths):
        raise ValueError(f"source and target must differ, got {source} for both.")
    with ExitStack() as stack:
        recording = stack.enter_context(_Recording(source))
        seconds = recording.n_samples / recording.sample_rate
        if recording.n_samples == 0:
            for path in targets:
                if path is not None:
                    shutil.copyfile(source, path)
            return seconds
        outputs = [
            None if path is None else stack.enter_context(_Writer(path, recording))
            for path in targets
        ]
        own_rate = int(enhancer.stft_.sample_rate)
        rate = -(-recording.sample_rate // own_rate) * own_rate
        pieces = enhancer.enhance_blocks(recording.channels(rate), rate)
        if rate != recording.sample_rate:
            pieces = _resample(pieces, rate, recording.sample_rate, recording.n_samples)
        # Another pass through the file: the first one is ahead by a block.
        again = None
        if mix < 1 or noise_target is not None:
            again = stack.enter_context(_Recording(source))
        start = 0
        for piece in pieces:
            # Little by little, for integers are made in double precision.
            for enhanced in _slices(piece.T, _FRAMES_AT_ONCE):
                stop, noise = start + len(enhanced), None
                if again is not None:
                    noisy = again.read(start, stop)
                    enhanced = mix * enhanced + (1 - mix) * noisy
                    noise = noisy - quantize(enhanced, recording.subtype)
                for output, samples in zip(outputs, (enhanced, noise), strict=True):
                    if output is not None and samples is not None:
                        output.write(samples)
                start = stop
            if progress is not None:
                progress(start / recording.n_samples)
    return seconds


def scaled_stft(sample_rate: int) -> STFT:
    """Short-time Fourier transform of 64 ms frames at any sample rate.

    Parameters
    ----------
    sample_rate : int
        Samples per second.

    Returns
    -------
    STFT
        ``STFT()`` at 16 kHz.

    Examples
    --------
    >>> scaled_stft(44100)
    STFT(hop_length=720, n_fft=2880, sample_rate=44100)
    """
    from scipy.fft import next_fast_len

    reference = STFT()
    frame = reference.n_fft / reference.sample_rate * sample_rate
    hop_length = max(1, next_fast_len(round(frame / 4), real=True))
    return STFT(4 * hop_length, hop_length, sample_rate=sample_rate)


def read_rate(path: str | os.PathLike[str]) -> int:
    """Sample rate of a recording, from its header.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    int
        In Hz.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not audio, or no rate at which there is speech.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "silence.wav")
    >>> soundfile.write(path, np.zeros(8), 8000)
    >>> read_rate(path)
    8000
    """
    with _Recording(path) as recording:
        return recording.sample_rate


def encode(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Samples as the integers of an encoding, rounded and clipped.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples, n_channels)
        Full scale is 1.
    subtype : str
        soundfile's name of the encoding.

    Returns
    -------
    ndarray of the same shape
        int16 or int32 in the highest bits for an integer encoding; else clipped to
        [-1, 1] unless the encoding is of floats, which hold any level.

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
    # libsndfile takes the highest bits of the container.
    integers = np.ldexp(_integers(samples, bits), 8 * container.itemsize - bits)
    return integers.astype(container)


def quantize(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Samples as an encoding of integers will give them back.

    Parameters
    ----------
    samples : ndarray of float
        Full scale is 1.
    subtype : str
        soundfile's name of the encoding. All others return what they are given.

    Returns
    -------
    ndarray of float, of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> quantize(np.array([0.3, 2.0]), "PCM_S8")
    array([0.296875 , 0.9921875])
    """
    bits = _PCM_BITS.get(subtype)
    return samples if bits is None else np.ldexp(_integers(samples, bits), 1 - bits)


def _integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers of an encoding of so many bits, as float64."""
    full_scale = 2.0 ** (bits - 1)
    integers = np.rint(samples.astype(np.float64) * full_scale)
    return np.clip(integers, -full_scale, full_scale - 1)


class _Sequential(soundfile.SoundFile):
    """A file that is only read on: after a seek MP3, Ogg and others come out wrong."""

    def seekable(self) -> bool:
        return False  # soundfile seeks after each reading where it can


class _Recording:
    """A file that is decoded once, from its beginning on, all channels together.

    It holds what was read last. Parts are asked for in order: none begins before the
    one asked for before it.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path
        self._file = _open(path)
        self.sample_rate: int = self._file.samplerate
        self.n_channels: int = self._file.channels
        self.subtype: str = self._file.subtype
        self.n_samples: int = self._file.frames
        try:
            self._check()
        except BaseException:
            self._file.close()
            raise
        self._n_read = 0
        self._stream: Any = None
        self._begin = 0
        self._held = np.zeros((0, self.n_channels), np.float32)

    def __enter__(self) -> _Recording:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def layout(self) -> dict[str, Any]:
        """What soundfile needs to write such a file."""
        names = ("samplerate", "channels", "format", "subtype", "endian")
        return {name: getattr(self._file, name) for name in names}

    def channels(self, rate: int) -> list[_Channel]:
        """All channels, resampled to some rate in Hz."""
        if rate != self.sample_rate:
            import soxr

            self._stream = soxr.ResampleStream(
                self.sample_rate, rate, self.n_channels, "float32", QUALITY
            )
        length = resampled_length(self.n_samples, self.sample_rate, rate)
        return [_Channel(self, k, length, rate) for k in range(self.n_channels)]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read samples `start` to `stop`, shape (stop - start, n_channels)."""
        # What is over is let go of before more is read: blocks are large.
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
        if n_left == 0:  # a resampled end, which rounding has made longer
            return np.zeros((n_wanted, self.n_channels), np.float32)
        n = min(n_left, self.sample_rate)  # a second: little beside a block
        if self._stream is None:
            n = min(n, n_wanted)
        try:
            samples = self._file.read(n, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise self._ends_early() from error
        if len(samples) < n:
            raise self._ends_early()
        if not np.isfinite(samples).all():
            wrong = np.flatnonzero(~np.isfinite(samples).all(axis=1))[0]
            raise ValueError(
                f"sample {self._n_read + wrong} is NaN or inf, or beyond single "
                "precision: it was written by mistake; replace such samples, and "
                "enhance it again."
            )
        self._n_read += n
        if self._stream is not None:
            samples = self._stream.resample_chunk(
                samples, last=self._n_read == self.n_samples
            )
        return samples

    def _check(self) -> None:
        """Find the length, and refuse or tell what a damaged header does."""
        if not _LEAST_RATE <= self.sample_rate <= _MOST_RATE:
            raise ValueError(
                f"its header says {self.sample_rate} samples per second, where there "
                f"is no speech below {_LEAST_RATE} and no recording above "
                f"{_MOST_RATE}: is it damaged?"
            )
        if self.n_samples > _UNKNOWN_LENGTH:
            self.n_samples = _count(self.path)
        cut_off = any(
            int(there) < int(promised) < _MOST_PROMISED
            for promised, there in _CUT_OFF.findall(self._file.extra_info)
        )
        if self.n_samples == 0:
            n_bytes = os.path.getsize(self.path)
            if cut_off or n_bytes > _EMPTY_BYTES:
                raise ValueError(
                    f"no sample can be found in its {n_bytes} bytes: its header is "
                    "damaged, or it was cut off. Programs that read a file without "
                    "believing its header may repair it."
                )
        elif cut_off:
            warnings.warn(
                "it was cut off, for its header promises more; what is there is "
                "enhanced.",
                DamagedFileWarning,
                stacklevel=4,
            )

    def _ends_early(self) -> ValueError:
        return ValueError(
            f"it cannot be read beyond sample {self._n_read} of {self.n_samples}: it "
            "was cut off, or is damaged. Fetch it again, or convert what is there."
        )


class _Channel:
    """One channel of a recording, which serves as a waveform that reads itself."""

    dtype = np.dtype(np.float32)

    def __init__(self, recording: _Recording, index: int, length: int, rate: int):
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


class _Writer:
    """A file like a recording, which at the end is known to hold all of it."""

    def __init__(self, path: str | os.PathLike[str], like: _Recording):
        self._path = path
        self._like = like
        layout = like.layout
        kind = {name: layout[name] for name in ("format", "subtype", "endian")}
        try:
            if kind["subtype"] in _WRONG_WHEN_WRITTEN:
                raise ValueError("libsndfile writes it wrong")
            if not soundfile.check_format(**kind):
                raise ValueError("soundfile only reads it")
            self._file = soundfile.SoundFile(_name(path), "w", **layout)
        except (soundfile.SoundFileError, ValueError) as error:
            _raise_reason(path)
            raise ValueError(
                f"it cannot be written in its own format, {layout['format']} with "
                f"{layout['subtype']} ({error}): convert it to WAV or FLAC first."
            ) from error

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._file.close()
        # libsndfile tells of no error that it meets while it closes a file.
        if kind is None:
            try:
                n_samples = soundfile.info(_name(self._path)).frames
            except soundfile.SoundFileError:
                n_samples = 0
            if n_samples < self._like.n_samples:
                _raise_reason(self._path)
                raise OSError(
                    f"{n_samples} samples of {self._like.n_samples} were written"
                )

    def write(self, samples: np.ndarray) -> None:
        """Add samples of shape (n_samples, n_channels)."""
        try:
            self._file.write(encode(samples, self._like.subtype))
        except (soundfile.SoundFileError, AssertionError) as error:
            _raise_reason(self._path)
            raise OSError(f"writing failed: {error}") from error


def _slices(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def _name(path: str | os.PathLike[str]) -> Any:
    """Name for libsndfile, also where its bytes are no UTF-8."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def _open(path: str | os.PathLike[str]) -> _Sequential:
    try:
        return _Sequential(_name(path))
    # soundfile raises TypeError where a headerless format needs more arguments.
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        with open(path, "rb") as file:  # says why, if it cannot be opened at all
            is_empty = not file.read(1)
        if is_empty:
            raise ValueError("it is empty: not even a header is there.") from error
        raise ValueError(
            "it holds no audio that soundfile reads: convert it to WAV or FLAC, if it "
            "is audio."
        ) from error


def _count(path: str | os.PathLike[str]) -> int:
    """Count samples by decoding them."""
    n_samples = 0
    with _open(path) as file:
        while n_new := len(file.read(_FRAMES_AT_ONCE, dtype="float32")):
            n_samples += n_new
    return n_samples


def _raise_reason(path: str | os.PathLike[str]) -> None:
    """Find out why libsndfile, which does not tell, could not write on."""
    with open(path, "ab") as file:
        file.write(bytes(_EMPTY_BYTES))


def _resample(
    pieces: Iterator[np.ndarray], rate: int, wanted_rate: int, length: int
) -> Iterator[np.ndarray]:
    """Resample pieces of shape (n_channels, n_samples) to exactly `length` samples."""
    import soxr

    stream = None
    for piece in pieces:
        if stream is None:
            n_channels, dtype = len(piece), piece.dtype
            stream = soxr.ResampleStream(
                rate, wanted_rate, n_channels, dtype=str(dtype), quality=QUALITY
            )
        resampled = stream.resample_chunk(np.ascontiguousarray(piece.T))[:length].T
        length -= resampled.shape[1]
        yield resampled
    if stream is not None:
        silence = np.zeros((0, n_channels), dtype)
        rest = stream.resample_chunk(silence, last=True)[:length].T
        yield np.pad(rest, [(0, 0), (0, length - rest.shape[1])])
