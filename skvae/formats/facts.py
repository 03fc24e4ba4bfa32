"""Facts about the streams in a file, from their structure, without decoding them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

#: Share of the parts of a stream whose bit rate is at most the one that is reported.
#: Encoders save bits in pauses, which says nothing about the quality of the speech.
_QUANTILE = 0.9


class Facts(NamedTuple):
    """Facts about the streams in a file.

    Attributes
    ----------
    bitrate : float or None
        Bit rate in kbit/s, for lossy encodings: that of nine parts of ten, and at least
        that of the rest.
    n_streams : int
        Number of streams, one after the other. libsndfile reads only the first one.
    n_samples : int or None
        Number of samples of each channel in all streams, if known. It may include the
        padding of an encoder, a few thousand samples.
    has_length : bool
        Whether the header tells the number of samples, which libsndfile estimates
        otherwise.
    is_cut : bool
        Whether the end of the last stream is missing.
    """

    bitrate: float | None = None
    n_streams: int = 1
    n_samples: int | None = None
    has_length: bool = True
    is_cut: bool = False


def upper_bitrate(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Return the bit rate that most parts of a stream do not exceed.

    Parameters
    ----------
    sizes : sequence of float
        Sizes of the parts in bytes.
    seconds : sequence of float
        Their durations.

    Returns
    -------
    float or None
        Bit rate in kbit/s. None without parts.

    Examples
    --------
    >>> upper_bitrate([1000] * 18 + [10, 4000], [0.5] * 20)
    16.0
    """
    rates = sorted(
        8e-3 * size / time
        for size, time in zip(sizes, seconds, strict=True)
        if time > 0
    )
    return rates[int(_QUANTILE * (len(rates) - 1))] if rates else None


def examine(path: str | os.PathLike[str], file_format: str, subtype: str) -> Facts:
    """Read the structure of a file.

    Parameters
    ----------
    path : str or path-like
        Audio file.
    file_format, subtype : str
        Format and encoding, as soundfile names them.

    Returns
    -------
    Facts
        For MP3, Ogg and FLAC. Other formats hold one stream, and libsndfile says where
        it ends.

    Examples
    --------
    >>> import pathlib, tempfile, soundfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.flac")
    >>> soundfile.write(path, [0.0] * 800, 8000)
    >>> path.write_bytes(2 * path.read_bytes()) > 0
    True
    >>> examine(path, "FLAC", "PCM_16").n_streams
    2
    """
    from skvae.formats import flac, mpeg, ogg

    if file_format == "MP3":
        return mpeg.examine(path)
    if file_format == "OGG":
        return ogg.examine(path, subtype)
    if file_format == "FLAC":
        return Facts(n_streams=flac.count_streams(path))
    return Facts()
