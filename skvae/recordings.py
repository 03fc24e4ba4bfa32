"""Recordings in files: any rate, any number of channels, any length, in bounded memory.

What is written has the sample rate, the channels, the length and the encoding of what
was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skvae.base import BaseEnhancer
from skvae.datasets.audio import QUALITY, AudioFile
from skvae.stft import STFT

#: Integer encodings: the samples are scaled here, since libsndfile reads full scale as
#: 2^(bits - 1) but writes it as 2^(bits - 1) - 1, which changes the level.
_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def enhance_file(enhancer: BaseEnhancer, source: Any, target: Any) -> float:
    """Enhance one recording from file to file.

    Parameters
    ----------
    enhancer : BaseEnhancer
        A fitted one. A recording at another rate than the enhancer's is brought to the
        next multiple of that rate, and back; frequencies above the enhancer's band are
        treated as :meth:`BaseEnhancer.enhance_blocks` says.
    source, target : str or path-like
        The file to read, and the one to write. They must differ.

    Returns
    -------
    float
        Seconds of sound.

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
    import soundfile

    info = soundfile.info(str(source))
    if Path(source).resolve() == Path(target).resolve():
        raise ValueError(f"source and target must differ, got {source} for both.")
    own_rate = int(enhancer.stft_.sample_rate)
    rate = -(-info.samplerate // own_rate) * own_rate
    resampled = None if rate == info.samplerate else rate
    channels = [
        AudioFile(source, sample_rate=resampled, channel=channel)
        for channel in range(info.channels)
    ]
    pieces = enhancer.enhance_blocks(channels, rate)
    if resampled:
        pieces = _resample(pieces, rate, info.samplerate, info.frames)
    with soundfile.SoundFile(
        str(target),
        "w",
        samplerate=info.samplerate,
        channels=info.channels,
        format=info.format,
        subtype=info.subtype,
        endian=info.endian,
    ) as output:
        for piece in pieces:
            output.write(encode(piece.T, info.subtype))
    return info.frames / info.samplerate


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
    full_scale = 2.0 ** (bits - 1)
    integers = np.rint(samples.astype(np.float64) * full_scale)
    integers = np.clip(integers, -full_scale, full_scale - 1)
    container = np.dtype(np.int16 if bits <= 16 else np.int32)
    # libsndfile takes the highest bits of the container.
    return np.ldexp(integers, 8 * container.itemsize - bits).astype(container)


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
