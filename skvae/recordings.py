"""Recordings in files: any rate, any number of channels, any length, in bounded memory.

Outputs have the sample rate, the channels, the length and the encoding of the input,
unless another format is chosen.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeGuard

import numpy as np
import soxr

from skvae.base import BaseEnhancer
from skvae.datasets.audio import QUALITY, resampled_length
from skvae.formats.copying import copy_tags
from skvae.formats.encodings import check_ending, choose_layout, format_of_ending
from skvae.formats.names import DEFAULT_FORMAT, FORMAT_NAMES, FormatName
from skvae.recording_files import DamagedFileWarning, RecordingReader, quantize
from skvae.recording_writer import RecordingWriter
from skvae.signal.music import MusicDetector, MusicWarning
from skvae.signal.stft import STFT
from skvae.storage.pretrained import has_own_rate, load_pretrained
from skvae.utils.files import is_part, written_whole
from skvae.utils.parameters import check_real

#: Models that stay loaded between calls.
_N_LOADED = 4

#: Samples of each channel that are written at once.
_SAMPLES_AT_ONCE = 2**16


def enhance_file(
    enhancer: BaseEnhancer | str | os.PathLike[str],
    source: str | os.PathLike[str] | IO[bytes],
    target: str | os.PathLike[str] | IO[bytes] | None,
    *,
    mix: float = 1.0,
    noise_target: str | os.PathLike[str] | IO[bytes] | None = None,
    format: FormatName | None = None,
    bitrate: float | None = None,
    progress: Callable[[float], object] | None = None,
) -> float:
    """Enhance one recording from file to file.

    Parameters
    ----------
    enhancer : BaseEnhancer, str or path-like
        Fitted enhancer, or a model as for :func:`load_pretrained`. A recording at
        another sample rate is resampled to the next multiple of the enhancer's rate,
        and back. For frequencies above the enhancer's band see
        :meth:`BaseEnhancer.enhance_blocks`. A method without training, given by name,
        works at the rate of the recording.
    source : str, path-like or binary file
        File to read. A file without samples is copied. Formats that soundfile does not
        read, such as M4A and video, are decoded by the program ffmpeg, if it is
        installed.
    target : str, path-like, binary file or None
        File to write. None writes no file. An existing file is replaced once the new
        one is complete.
    mix : float, default=1.0
        Weight of the enhanced recording in the output, from 0 to 1. The weight of the
        original recording is ``1 - mix``.
    noise_target : str, path-like, binary file or None, default=None
        Second file to write: the recording minus the output. In lossless formats, the
        two files sum to the recording, exactly so in up to 24 bits if nothing is
        clipped.
    format : {"wav", "flac", "mp3", "ogg", "opus"} or None, default=None
        Format of the output. None means the format that the ending of `target` names,
        and that of `source` if the endings are equal or `target` has none of these
        five. Recordings that ffmpeg reads become "flac" by default. MP3 and Opus do not
        have all sample rates: a recording at another rate is resampled to the next
        higher one that they have.
    bitrate : float or None, default=None
        Bit rate of MP3, Ogg Vorbis and Opus outputs in kbit/s. None means the bit rate
        of the recording or a little more; for recordings without one, 128 for MP3, 96
        for Ogg Vorbis and 64 for Opus, and 192, 160 and 128 for more than one channel.
        Other formats have no bit rate.
    progress : callable, default=None
        Function that is called after each block with the completed fraction, from 0 to
        1.

    Returns
    -------
    float
        Duration of the recording in seconds.

    Raises
    ------
    OSError
        If a file cannot be opened, or the disk is full.
    ValueError
        If the file is not audio, is damaged, contains several recordings one after the
        other, or contains NaN or inf; or if the output cannot have the format, or its
        name has the ending of another one.

    Warns
    -----
    DamagedFileWarning
        If the header promises more samples than the file contains, or the end of the
        stream is missing. The available part is enhanced.
    MusicWarning
        If little is left of a recording that was probably music, which models of speech
        remove.

    See Also
    --------
    scaled_stft : STFT for untrained methods at the recording's own sample rate.

    Notes
    -----
    Tags, pictures and chapters are copied. A warning says
    if they are damaged and cannot be copied.

    Binary files, such as ``io.BytesIO``, are read and written through temporary files,
    which are removed at the end.

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

    From memory to memory, with a model by its name:

    >>> import io
    >>> source, target = io.BytesIO((folder / "noisy.flac").read_bytes()), io.BytesIO()
    >>> seconds = enhance_file("wiener", source, target, format="opus", bitrate=32)
    """
    check_real("mix", mix, low=0, high=1)
    check_real("bitrate", bitrate, low=0, open_low=True, optional=True)
    if format is not None and format not in FORMAT_NAMES:
        raise ValueError(
            f"`format` must be None or one of {', '.join(FORMAT_NAMES)}, got "
            f"{format!r}."
        )
    given = [file for file in (source, target, noise_target) if _is_path(file)]
    paths = [os.path.realpath(path) for path in given]
    if len(set(paths)) < len(paths):
        raise ValueError(f"source and target must differ, got {source} for both.")
    with ExitStack() as stack:
        files = _Files(source, [target, noise_target], stack)
        seconds = _enhance(enhancer, files, mix, format, bitrate, progress)
        files.deliver()
    return seconds


def enhancer_at(
    model: BaseEnhancer | str | os.PathLike[str], sample_rate: int
) -> BaseEnhancer:
    """Return the enhancer that a model stands for.

    Parameters
    ----------
    model : BaseEnhancer, str or path-like
        Enhancer, or a model as for :func:`load_pretrained`.
    sample_rate : int
        Rate in Hz of methods without training; models have their own.

    Returns
    -------
    BaseEnhancer
        The enhancer. One that was loaded is shared by all callers: do not change it.

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> enhancer_at("wiener", 48000).stft_.sample_rate
    48000
    """
    if isinstance(model, BaseEnhancer):
        return model
    if not isinstance(model, str | os.PathLike):
        raise ValueError(
            "`enhancer` must be a fitted enhancer, the name of a model or a model "
            f"file, got {model!r}."
        )
    return _load(os.fspath(model), None if has_own_rate(model) else sample_rate)


@lru_cache(maxsize=_N_LOADED)
def _load(model: str, rate: int | None) -> BaseEnhancer:
    enhancer = load_pretrained(
        model, **({} if rate is None else {"stft": scaled_stft(rate)})
    )
    if not isinstance(enhancer, BaseEnhancer):
        raise ValueError(
            f"{model} holds a {type(enhancer).__name__}, which does not enhance."
        )
    return enhancer


def _is_path(file: object) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(file, str | os.PathLike)


class _Files:
    """Names of the files to read and to write, and the files that stand for them.

    Outputs are temporary files that replace their targets when all is done. Binary
    files are copied from and to temporary files.
    """

    def __init__(self, source: Any, targets: Sequence[Any], stack: ExitStack):
        self._stack = stack
        self._borrowed: list[tuple[Any, str]] = []
        self.source = os.fsdecode(source) if _is_path(source) else self._make_path()
        if not _is_path(source):
            with open(self.source, "wb") as file:
                shutil.copyfileobj(source, file)
        self.names = [os.fsdecode(path) for path in targets if _is_path(path)]
        self.targets = [self._open(target) for target in targets]

    def _open(self, target: Any) -> str | None:
        if target is None:
            return None
        if not _is_path(target):
            path = self._make_path()
            self._borrowed.append((target, path))
            return path
        if is_part(target):  # the caller will move it
            return os.fsdecode(target)
        part = self._stack.enter_context(written_whole(target))
        return os.fsdecode(part.name)

    def _make_path(self) -> str:
        folder = self._stack.enter_context(TemporaryDirectory(prefix="skvae-"))
        return os.path.join(folder, "recording")

    def deliver(self) -> None:
        """Copy what was written to the binary files."""
        for file, path in self._borrowed:
            with open(path, "rb") as written:
                shutil.copyfileobj(written, file)


def _enhance(
    model: BaseEnhancer | str | os.PathLike[str],
    files: _Files,
    mix: float,
    name: FormatName | None,
    bitrate: float | None,
    progress: Callable[[float], object] | None,
) -> float:
    written = [path for path in files.targets if path is not None]
    if name is None and files.names:
        name = format_of_ending(files.names[0], files.source)
    with ExitStack() as stack:
        recording = stack.enter_context(RecordingReader(files.source))
        seconds = recording.n_samples / recording.sample_rate
        if recording.n_samples > 0:
            recording.check_end()
        if name is None and recording.is_foreign:
            name = DEFAULT_FORMAT
        layout = choose_layout(recording.layout, name, bitrate, recording.bitrate)
        is_kept = layout[:4] == recording.layout[:4]
        for path in files.names:
            check_ending(path, layout, files.source if is_kept else "")
        if recording.n_samples == 0 and is_kept:
            for path in written:
                shutil.copyfile(files.source, path)
            return seconds
        n_samples = resampled_length(
            recording.n_samples, recording.sample_rate, layout.sample_rate
        )
        outputs = [
            None
            if path is None
            else stack.enter_context(RecordingWriter(path, layout, n_samples))
            for path in files.targets
        ]
        if n_samples == 0:
            return seconds
        enhancer = enhancer_at(model, recording.sample_rate)
        own_rate = int(enhancer.stft_.sample_rate)
        rate = -(-recording.sample_rate // own_rate) * own_rate
        detector = MusicDetector.of(enhancer.stft_)
        pieces = enhancer.enhance_blocks(
            recording.channels(rate), rate, detector.observe
        )
        if rate != layout.sample_rate:
            pieces = _resample(pieces, rate, layout.sample_rate, n_samples)
        # A second pass through the file, since the first is one block ahead.
        again = None
        if mix < 1 or outputs[1] is not None:
            again = stack.enter_context(RecordingReader(files.source))
            again.resample(layout.sample_rate)
        start = 0
        for piece in pieces:
            # In short parts, since encoding computes in double precision.
            for enhanced in _slices(piece.T, _SAMPLES_AT_ONCE):
                stop, noise = start + len(enhanced), None
                if again is not None:
                    noisy = again.read(start, stop)
                    enhanced = mix * enhanced + (1 - mix) * noisy
                    noise = noisy - quantize(enhanced, layout.subtype)
                for output, samples in zip(outputs, (enhanced, noise), strict=True):
                    if output is not None and samples is not None:
                        output.write(samples)
                start = stop
            if progress is not None:
                progress(start / n_samples)
        if detector.is_erased:
            warnings.warn(detector.message, MusicWarning, stacklevel=3)
    for path in written:
        try:
            copy_tags(files.source, recording.layout, path, layout)
        except ValueError as error:
            warnings.warn(
                f"tags were not copied: {error}.", DamagedFileWarning, stacklevel=3
            )
    return seconds


def scaled_stft(sample_rate: int) -> STFT:
    """Make a short-time Fourier transform with frames of 64 ms at any sample rate.

    Parameters
    ----------
    sample_rate : int
        Sample rate in Hz.

    Returns
    -------
    STFT
        Transform that equals ``STFT()`` at 16 kHz.

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


def _slices(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def _resample(
    pieces: Iterator[np.ndarray], rate: int, wanted_rate: int, length: int
) -> Iterator[np.ndarray]:
    """Resample pieces of shape (n_channels, n_samples) to `length` samples in all."""
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
