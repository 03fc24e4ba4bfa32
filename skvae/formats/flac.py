"""Blocks of FLAC files (RFC 9639)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

from skvae.formats.mpeg import id3_size
from skvae.formats.splice import splice
from skvae.formats.tags import pack_comments, unpack_comments

#: How a stream begins: a mark, and the header of its first block, of 34 bytes, which
#: may be the last block before the sound.
_BEGINS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_N_BEGIN = 8

#: Size of a block that does not fit into the three bytes of its header.
_MOST = 2**24

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


#: Kinds of blocks that describe the recording: of applications, comments, cue sheets
#: and pictures.
_COMMENTS, _PICTURE = 4, 6
_KEPT = frozenset({2, _COMMENTS, 5, _PICTURE})


class Block(NamedTuple):
    """A block before the sound.

    Attributes
    ----------
    kind : int
        0 for the properties of the stream, 4 for comments, 6 for a picture.
    content : bytes
        Its content.
    """

    kind: int
    content: bytes


def read_blocks(file: BinaryIO) -> tuple[int, list[Block], int]:
    """Read the blocks before the sound.

    Parameters
    ----------
    file : binary file
        FLAC file.

    Returns
    -------
    start : int
        Place of the first block.
    blocks : list of Block
        The blocks.
    end : int
        Place of the sound.

    Examples
    --------
    >>> import io, soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, [0.0] * 800, 8000, format="FLAC")
    >>> start, blocks, _ = read_blocks(file)
    >>> start, blocks[0].kind, len(blocks[0].content)
    (4, 0, 34)
    """
    file.seek(0)
    start = id3_size(file.read(10))  # some programs put such a tag in front
    file.seek(start)
    if file.read(4) != b"fLaC":
        raise ValueError("it does not begin like a FLAC file")
    blocks = []
    while len(header := file.read(4)) == 4:
        blocks.append(Block(header[0] & 127, file.read(int.from_bytes(header[1:]))))
        if header[0] & 128:
            break
    return start + 4, blocks, file.tell()


def kept_blocks(blocks: Iterable[Block]) -> list[Block]:
    """Return the blocks that describe the recording and not its encoding."""
    return [block for block in blocks if block.kind in _KEPT]


def split_blocks(blocks: Iterable[Block]) -> tuple[list[bytes], list[bytes]]:
    """Return the comments and the pictures of blocks."""
    blocks = list(blocks)
    comments = [
        comment
        for block in blocks
        if block.kind == _COMMENTS
        for comment in unpack_comments(block.content)
    ]
    return comments, [block.content for block in blocks if block.kind == _PICTURE]


def make_blocks(comments: Sequence[bytes], pictures: Iterable[bytes]) -> list[Block]:
    """Make blocks of comments and pictures."""
    return [
        Block(_COMMENTS, pack_comments(b"skvae", comments)),
        *(Block(_PICTURE, picture) for picture in pictures),
    ]


def write_blocks(file: BinaryIO, added: Sequence[Block]) -> None:
    """Replace the blocks of a file that describe the recording.

    Parameters
    ----------
    file : binary file
        FLAC file, open for reading and writing.
    added : sequence of Block
        Their replacement. Blocks of 16 MB and more do not fit into the format.
    """
    start, blocks, end = read_blocks(file)
    first, *others = (block for block in blocks if block.kind not in _KEPT)
    every = [first, *(b for b in added if len(b.content) < _MOST), *others]
    content = b"".join(
        bytes([block.kind | (128 if k == len(every) - 1 else 0)])
        + len(block.content).to_bytes(3)
        + block.content
        for k, block in enumerate(every)
    )
    splice(file, start, end - start, content)
