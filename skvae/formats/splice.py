"""Bytes in the middle of a file replaced by others, in place."""

from __future__ import annotations

import os
from typing import BinaryIO

#: Bytes that are moved at once.
_AT_ONCE = 2**20


def splice(file: BinaryIO, start: int, n_removed: int, content: bytes) -> None:
    """Replace some bytes of a file by others, and move what follows.

    Parameters
    ----------
    file : binary file
        File that is open for reading and writing.
    start : int
        Place of the first byte to replace.
    n_removed : int
        Number of bytes to replace.
    content : bytes
        Their replacement, of any length.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO(b"one three")
    >>> splice(file, 4, 0, b"two ")
    >>> file.getvalue()
    b'one two three'
    """
    end = file.seek(0, os.SEEK_END)
    shift = len(content) - n_removed
    places = range(start + n_removed, end if shift else start + n_removed, _AT_ONCE)
    # What moves back is moved from its end on, so that nothing is lost.
    for place in places if shift < 0 else reversed(places):
        file.seek(place)
        block = file.read(_AT_ONCE)
        file.seek(place + shift)
        file.write(block)
    if shift < 0:
        file.truncate(end + shift)
    file.seek(start)
    file.write(content)
