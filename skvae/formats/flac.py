"""Blocks of FLAC files (RFC 9639)."""

from __future__ import annotations

import os

#: How a stream begins: a mark, and the header of its first block, of 34 bytes, which
#: may be the last block before the sound.
_BEGINS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_N_BEGIN = 8

#: Bytes that are read at once.
_AT_ONCE = 2**20


def count_streams(path: str | os.PathLike[str]) -> int:
    """Count the streams of a FLAC file, one after the other.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    int
        Number of streams, of which decoders read only the first.

    Examples
    --------
    >>> import pathlib, tempfile, soundfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.flac")
    >>> soundfile.write(path, [0.0] * 800, 8000)
    >>> count_streams(path)
    1
    """
    n_streams, rest = 0, b""
    with open(path, "rb") as file:
        while block := file.read(_AT_ONCE):
            block = rest + block
            n_streams += sum(map(block.count, _BEGINS))
            rest = block[1 - _N_BEGIN :]
    return n_streams
