"""Recordings in files: any rate, any number of channels, any length, in bounded memory.

Outputs have the sample rate, the channels, the length and the encoding of the input.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import soxr

from skvae.base import BaseEnhancer
from skvae.datasets.audio import QUALITY
from skvae.recording_files import RecordingReader, RecordingWriter, quantize
from skvae.signal.stft import STFT
from skvae.utils.parameters import check_real

#: Samples of each channel that are written at once.
_SAMPLES_AT_ONCE = 2**16


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
        Fitted enhancer. A recording at another sample rate is resampled to the next
        multiple of the enhancer's rate, and back. For frequencies above the enhancer's
        band see :meth:`BaseEnhancer.enhance_blocks`.
    source : str or path-like
        File to read. A file without samples is copied.
    target : str, path-like or None
        File to write. None writes no file.
    mix : float, default=1.0
        Weight of the enhanced recording in the output, from 0 to 1. The weight of the
        original recording is ``1 - mix``.
    noise_target : str, path-like or None, default=None
        Second file to write: the recording minus the output. The two files sum to the
        recording, exactly so in up to 24 bits if nothing is clipped.
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
        other, cannot be written in its own format, or contains NaN or inf.

    Warns
    -----
    DamagedFileWarning
        If the header promises more samples than the file contains, or the end of the
        stream is missing. The available part is enhanced.

    See Also
    --------
    scaled_stft : STFT for untrained methods at the recording's own sample rate.

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
        recording = stack.enter_context(RecordingReader(source))
        seconds = recording.n_samples / recording.sample_rate
        if recording.n_samples == 0:
            for path in targets:
                if path is not None:
                    shutil.copyfile(source, path)
            return seconds
        recording.check_end()
        outputs = [
            None
            if path is None
            else stack.enter_context(RecordingWriter(path, recording))
            for path in targets
        ]
        own_rate = int(enhancer.stft_.sample_rate)
        rate = -(-recording.sample_rate // own_rate) * own_rate
        pieces = enhancer.enhance_blocks(recording.channels(rate), rate)
        if rate != recording.sample_rate:
            pieces = _resample(pieces, rate, recording.sample_rate, recording.n_samples)
        # A second pass through the file, since the first is one block ahead.
        again = None
        if mix < 1 or noise_target is not None:
            again = stack.enter_context(RecordingReader(source))
        start = 0
        for piece in pieces:
            # In short parts, since encoding computes in double precision.
            for enhanced in _slices(piece.T, _SAMPLES_AT_ONCE):
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
