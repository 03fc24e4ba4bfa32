"""Chunks of WAV, RF64 and AIFF files, and the header of AU files."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, NamedTuple

#: Byte order and name of a format, by its mark.
_MARKS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"FORM": ">"}

#: Chunks with the samples.
SOUND = (b"data", b"SSND")

#: Size in a header that stands for one in the ds64 chunk, or for an unknown one.
_ELSEWHERE = 0xFFFFFFFF


class Chunk(NamedTuple):
    """Part of a file.

    Attributes
    ----------
    name : bytes
        Four letters.
    start, size : int
        Place and size of its content in bytes.
    """

    name: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """Place of the next chunk."""
        return self.start + self.size + self.size % 2


class Chunks(NamedTuple):
    """Chunks of a file, as far as they follow each other.

    Attributes
    ----------
    order : {"<", ">"}
        Byte order of the sizes.
    chunks : list of Chunk
        Chunks in the order of the file. The last one may promise more than there is.
    n_behind : int
        Number of bytes behind them that are no chunk.
    """

    order: str
    chunks: list[Chunk]
    n_behind: int


def read_chunks(file: BinaryIO) -> Chunks | None:
    """List the chunks of a file.

    Parameters
    ----------
    file : binary file
        WAV, RF64 or AIFF file.

    Returns
    -------
    Chunks or None
        None for other files.

    Examples
    --------
    >>> import io, soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, [0.0] * 800, 8000, format="WAV")
    >>> found = read_chunks(file)
    >>> [chunk.name for chunk in found.chunks], found.n_behind
    ([b'fmt ', b'data'], 0)
    """
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    order = _MARKS.get(file.read(12)[:4])
    if order is None:
        return None
    chunks, place, n_data = [], 12, _ELSEWHERE
    while place + 8 <= n_bytes:
        file.seek(place)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        if not all(32 <= letter < 127 for letter in name):
            break
        if name == b"ds64":
            n_data = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name == b"data" and size == _ELSEWHERE:
            size = n_data
        chunks.append(Chunk(name, place + 8, size))
        place = chunks[-1].end
    return Chunks(order, chunks, max(0, n_bytes - place))


def hides_sound(path: str | os.PathLike[str]) -> bool:
    """Return whether there is something behind a header that promises no sample.

    Parameters
    ----------
    path : str or path-like
        File in which libsndfile finds no sample.

    Returns
    -------
    bool
        False for other formats than WAV, RF64, AIFF and AU.

    Examples
    --------
    >>> import pathlib, tempfile, soundfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.au")
    >>> soundfile.write(path, [], 8000)
    >>> hides_sound(path)
    False
    >>> path.write_bytes(path.read_bytes() + bytes(800)) > 0
    True
    >>> hides_sound(path)
    True
    """
    with open(path, "rb") as file:
        start = file.read(8)
        if start[:4] in (b".snd", b"dns.") and len(start) == 8:
            order = ">" if start[:4] == b".snd" else "<"
            return os.path.getsize(path) > struct.unpack(f"{order}I", start[4:])[0]
        found = read_chunks(file)
    if found is None or not any(chunk.name in SOUND for chunk in found.chunks):
        return False
    # Samples behind the header make no chunks.
    return found.n_behind > 0 or found.chunks[-1].end > os.path.getsize(path) + 1
