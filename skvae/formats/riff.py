"""Chunks of WAV, RF64 and AIFF files, and the header of AU files."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

from skvae.formats import id3
from skvae.formats.splice import splice
from skvae.formats.tags import Tags

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


#: Chunks about the samples as they are written, which are wrong for other samples, and
#: empty space.
_OF_SAMPLES = (
    b"fmt ",
    b"fact",
    b"PEAK",
    b"levl",
    b"MD5 ",
    b"ds64",
    b"JUNK",
    b"junk",
    b"PAD ",
    b"FLLR",
    b"COMM",
    b"FVER",
    *SOUND,
)

#: Texts in the LIST chunk of WAV files, and in AIFF files, and the names of Vorbis
#: comments with the same meaning.
_INFO = {
    b"INAM": "TITLE",
    b"IART": "ARTIST",
    b"IPRD": "ALBUM",
    b"ICRD": "DATE",
    b"IGNR": "GENRE",
    b"ICMT": "COMMENT",
    b"ICOP": "COPYRIGHT",
    b"ITRK": "TRACKNUMBER",
}
_AIFF_TEXTS = {
    b"NAME": "TITLE",
    b"AUTH": "ARTIST",
    b"(c) ": "COPYRIGHT",
    b"ANNO": "COMMENT",
}

#: Largest chunk that is copied, in bytes.
_MOST = 2**26

#: Place of the size of the file in the ds64 chunk of RF64, which is the first.
_RF64_SIZE_PLACE = 20


def read_kept(file: BinaryIO) -> tuple[list[bytes], list[bytes]]:
    """Return the chunks that describe a recording and not its encoding.

    Parameters
    ----------
    file : binary file
        WAV, RF64 or AIFF file.

    Returns
    -------
    before, behind : list of bytes
        Whole chunks, those before the samples and those behind them.
    """
    found = read_chunks(file)
    before: list[bytes] = []
    behind: list[bytes] = []
    chosen = before
    n_bytes = file.seek(0, os.SEEK_END)
    for chunk in [] if found is None else found.chunks:
        if chunk.name in SOUND:
            chosen = behind
        if chunk.name in _OF_SAMPLES or chunk.size > _MOST:
            continue
        if chunk.start + chunk.size <= n_bytes:
            file.seek(chunk.start)
            assert found is not None
            header = struct.pack(f"{found.order}4sI", chunk.name, chunk.size)
            content = file.read(chunk.size)
            chosen.append(header + content + b"\0" * (chunk.size % 2))
    return before, behind


def write_kept(
    file: BinaryIO, before: Sequence[bytes], behind: Sequence[bytes]
) -> None:
    """Add chunks to a file.

    Parameters
    ----------
    file : binary file
        WAV, RF64 or AIFF file, open for reading and writing.
    before, behind : sequence of bytes
        Whole chunks, to go before the samples and behind them.
    """
    found = read_chunks(file)
    if found is None or not (before or behind):
        return
    [sound] = [chunk for chunk in found.chunks if chunk.name in SOUND]
    end = found.chunks[-1].end
    n_bytes = file.seek(0, os.SEEK_END)
    file.write(bytes(max(0, end - n_bytes)))  # the samples may end on an odd byte
    splice(file, end, 0, b"".join(behind))
    splice(file, sound.start - 8, 0, b"".join(before))
    size = file.seek(0, os.SEEK_END) - 8
    file.seek(0)
    if file.read(4) == b"RF64":
        file.seek(_RF64_SIZE_PLACE)
        file.write(struct.pack("<Q", size))
    else:
        file.write(struct.pack(f"{found.order}I", min(size, _ELSEWHERE)))


def parse_kept(chunks: Iterable[bytes]) -> Tags:
    """Read the tags in chunks.

    Examples
    --------
    >>> parse_kept(build_chunks(Tags([("TITLE", "a")]))).fields
    [('TITLE', 'a')]
    """
    texts: list[tuple[str, str]] = []
    for chunk in chunks:
        name, content = chunk[:4], chunk[8:]
        if name in (b"id3 ", b"ID3 "):
            return id3.parse(content)
        if name == b"LIST" and content[:4] == b"INFO":
            place = 4
            while place + 8 <= len(content):
                kind, size = struct.unpack_from("<4sI", content, place)
                text = content[place + 8 : place + 8 + size]
                if kind in _INFO:
                    texts.append((_INFO[kind], _decode(text)))
                place += 8 + size + size % 2
        elif name in _AIFF_TEXTS:
            texts.append((_AIFF_TEXTS[name], _decode(content)))
    return Tags([(name, text) for name, text in texts if text])


def build_chunks(tags: Tags) -> list[bytes]:
    """Make chunks of WAV of tags: a list of texts that most programs read, and ID3."""
    tag = id3.build(tags)
    if not tag:
        return []
    texts = dict(reversed(list(tags.fields)))
    entries = b"".join(
        _chunk(kind, texts[name].encode() + b"\0")
        for kind, name in _INFO.items()
        if name in texts
    )
    chunks = [_chunk(b"LIST", b"INFO" + entries)] if entries else []
    return [*chunks, _chunk(b"id3 ", tag)]


def _chunk(name: bytes, content: bytes) -> bytes:
    header = struct.pack("<4sI", name, len(content))
    return header + content + b"\0" * (len(content) % 2)


def _decode(text: bytes) -> str:
    text = text.split(b"\0")[0]
    try:
        return text.decode().strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()
