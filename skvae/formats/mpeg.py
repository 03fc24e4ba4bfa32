"""Frames of MP3 files (ISO/IEC 11172-3 and 13818-3)."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import BinaryIO, NamedTuple

import numpy as np

from skvae.formats.facts import Facts, upper_bitrate

#: Bit rates in kbit/s of layer III, by their number in the header. 0 means none.
_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES = (44100, 48000, 32000, 0)

#: Tags of the frame in front of a stream that tells its length.
_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")

#: Bytes of that frame in which the tag begins.
_N_LENGTH_TAG = 64

#: Bytes that are searched for the next frame.
_N_SEARCHED = 2**16

_BUFFER = 2**20


class _Frame(NamedTuple):
    kind: tuple[int, int]  # version and sample rate, the same in the whole stream
    n_bytes: int
    n_samples: int
    seconds: float


def bitrates(sample_rate: int) -> tuple[int, ...]:
    """Return the bit rates that MP3 has at a sample rate.

    Parameters
    ----------
    sample_rate : int
        Sample rate in Hz.

    Returns
    -------
    tuple of int
        Bit rates in kbit/s, in ascending order.

    Examples
    --------
    >>> bitrates(44100)[-1], bitrates(16000)[-1], bitrates(8000)[-1]
    (320, 160, 64)
    """
    rates = _BITRATES[1 if sample_rate >= 32000 else 2]
    limit = 64 if sample_rate < 16000 else max(rates)
    return tuple(rate for rate in rates if 0 < rate <= limit)


def id3_size(header: bytes) -> int:
    """Return the size of an ID3v2 tag, with its header and footer.

    Parameters
    ----------
    header : bytes
        At least 10 bytes of a file.

    Returns
    -------
    int
        Size in bytes; 0 if no tag begins there.

    Examples
    --------
    >>> id3_size(b"ID3" + bytes([4, 0, 0, 0, 0, 1, 0]))
    138
    """
    if len(header) < 10 or header[:3] != b"ID3" or max(header[6:10]) > 127:
        return 0
    size = 0
    for byte in header[6:10]:
        size = size << 7 | byte
    return 10 + size + (10 if header[5] & 0x10 else 0)


def examine(path: str | os.PathLike[str]) -> Facts:
    """Read the frames of an MP3 file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Facts

    Examples
    --------
    >>> import pathlib, tempfile, soundfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.mp3")
    >>> options = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    >>> soundfile.write(path, [0.0] * 16000, 16000, **options)
    >>> facts = examine(path)
    >>> facts.bitrate, facts.has_length, facts.is_cut
    (80.0, True, False)
    """
    kind, n_samples, end, has_length = None, 0, 0, False
    sizes: list[float] = []
    seconds: list[float] = []
    with open(path, "rb", buffering=_BUFFER) as file:
        size = os.fstat(file.fileno()).st_size
        while (frame := _next_frame(file, kind)) is not None:
            start = file.tell()
            end = start + frame.n_bytes
            if kind is None:
                kind = frame.kind
                first = file.read(min(frame.n_bytes, _N_LENGTH_TAG))
                has_length = any(tag in first for tag in _LENGTH_TAGS)
                if has_length:
                    file.seek(end)
                    continue
            if end <= size:
                n_samples += frame.n_samples
                sizes.append(frame.n_bytes)
                seconds.append(frame.seconds)
            file.seek(end)
    if kind is None:
        return Facts()
    bitrate = upper_bitrate(sizes, seconds)
    if bitrate is not None:  # frames are whole bytes
        nominal = np.array(bitrates(kind[1]))
        bitrate = float(nominal[np.abs(nominal - bitrate).argmin()])
    # Where the length is known, the decoder finds out whether samples are missing.
    return Facts(bitrate, 1, n_samples, has_length, end > size and not has_length)


def _next_frame(file: BinaryIO, kind: tuple[int, int] | None) -> _Frame | None:
    """Go to the next frame of a kind, and describe it. Tags and others are skipped."""
    while True:
        start = file.tell()
        header = file.read(4)
        frame = _parse(header, kind)
        if frame is None:
            header += file.read(6)
            if size := id3_size(header):
                file.seek(start + size)
                continue
            block = header + file.read(_N_SEARCHED)
            found = next(
                (
                    place
                    for place in range(1, len(block) - 3)
                    if block[place] == 0xFF
                    and (frame := _parse(block[place : place + 4], kind)) is not None
                    # Other bytes look like a frame, but not like two in a row.
                    and _follows(block, place + frame.n_bytes, frame.kind)
                ),
                None,
            )
            if found is None:
                return None
            start += found
        file.seek(start)
        return frame


def _follows(block: bytes, place: int, kind: tuple[int, int]) -> bool:
    return _parse(block[place : place + 4], kind) is not None


def _parse(header: bytes, kind: tuple[int, int] | None) -> _Frame | None:
    """Describe a frame of layer III. None if it is none, or of another kind."""
    if len(header) < 4 or header[0] != 0xFF:
        return None
    frame = _describe(header[1:3])
    return None if frame is None or kind not in (None, frame.kind) else frame


@lru_cache
def _describe(header: bytes) -> _Frame | None:
    """Describe a frame by the second and third byte of its header."""
    version = {0: 4, 2: 2, 3: 1}.get(header[0] >> 3 & 3)  # 4 stands for 2.5
    if header[0] & 0xE6 != 0xE2 or version is None:
        return None
    bitrate = _BITRATES[min(version, 2)][header[1] >> 4]
    rate = _RATES[header[1] >> 2 & 3] // version
    if bitrate == 0 or rate == 0:
        return None
    n_samples = 1152 if version == 1 else 576
    n_bytes = n_samples * 125 * bitrate // rate + (header[1] >> 1 & 1)
    return _Frame((version, rate), n_bytes, n_samples, n_samples / rate)
