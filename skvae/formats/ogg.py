"""Pages of Ogg files (RFC 3533)."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from skvae.formats.facts import Facts, upper_bitrate
from skvae.formats.splice import splice

_MAGIC = b"OggS"
_HEADER = struct.Struct("<4sBBqIIIB")

#: Flags of a page.
CONTINUED, FIRST, LAST = 1, 2, 4

#: Position of a page on which no packet ends.
_NOWHERE = -1

#: Bytes that are searched for a page at once.
_N_SEARCHED = 2**16

#: Ticks per second of the positions in an Opus stream, whatever its sample rate.
_OPUS_RATE = 48000


class Page(NamedTuple):
    """A page of a stream.

    Attributes
    ----------
    flags : int
        Sum of CONTINUED, FIRST and LAST.
    position : int
        Number of samples up to the last packet that ends on the page; -1 for none.
    serial : int
        Number of the stream.
    number : int
        Number of the page in its stream.
    segments : bytes
        Sizes of the segments. A packet ends with a segment of less than 255 bytes.
    body : bytes
        The segments. It is shorter than their sizes if the file ends before.
    """

    flags: int
    position: int
    serial: int
    number: int
    segments: bytes
    body: bytes

    @property
    def is_whole(self) -> bool:
        """Whether the file has all bytes of the page."""
        return len(self.body) == sum(self.segments)


def read_pages(file: BinaryIO) -> Iterator[Page]:
    """Read the pages of an Ogg file. Bytes between pages are ignored.

    Parameters
    ----------
    file : binary file
        The file, at the beginning of a page.

    Yields
    ------
    Page
        Only the last one may be incomplete.

    Examples
    --------
    >>> import io, soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, [0.0] * 800, 8000, format="OGG")
    >>> _ = file.seek(0)
    >>> [page.flags for page in read_pages(file)]
    [2, 0, 4]
    """
    while _find_page(file):
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            yield Page(0, _NOWHERE, 0, 0, b"\1", b"")
            return
        _, _, flags, position, serial, number, _, n_segments = _HEADER.unpack(header)
        segments = file.read(n_segments)
        body = file.read(sum(segments))
        page = Page(flags, position, serial, number, segments, body)
        if len(segments) < n_segments:
            page = page._replace(segments=b"\1", body=b"")
        yield page
        if not page.is_whole:
            return


def _find_page(file: BinaryIO) -> bool:
    """Go to the next page, and return whether there is one."""
    start = file.read(len(_MAGIC))
    file.seek(-len(start), os.SEEK_CUR)
    if start == _MAGIC:
        return True
    rest = b""
    while block := file.read(_N_SEARCHED):
        block = rest + block
        found = block.find(_MAGIC)
        if found >= 0:
            file.seek(found - len(block), os.SEEK_CUR)
            return True
        rest = block[1 - len(_MAGIC) :]
    return False


def examine(path: str | os.PathLike[str], subtype: str) -> Facts:
    """Read the structure of an Ogg file.

    Parameters
    ----------
    path : str or path-like
        The file.
    subtype : {"VORBIS", "OPUS"} or str
        Encoding of its first stream.

    Returns
    -------
    Facts
        The bit rate of Vorbis is the nominal one of its header, which stands for the
        quality that was chosen.

    Examples
    --------
    >>> import pathlib, tempfile, soundfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.ogg")
    >>> soundfile.write(path, [0.0] * 8000, 8000)
    >>> facts = examine(path, "VORBIS")
    >>> facts.n_streams, facts.is_cut
    (1, False)
    """
    nominal, rate = None, float(_OPUS_RATE)
    n_streams, is_cut, is_within = 0, True, False
    sizes: list[float] = []
    seconds: list[float] = []
    before = 0
    with open(path, "rb") as file:
        for page in read_pages(file):
            if page.flags & FIRST:
                # Streams at the same time begin together, before all other pages.
                n_streams += is_within or n_streams == 0
                is_within = False
                if subtype == "VORBIS" and n_streams == 1:
                    rate, nominal = read_vorbis(page.body)
                before = 0
            else:
                is_within = True
                if page.position > before:
                    sizes.append(len(page.body))
                    seconds.append((page.position - before) / rate)
                    before = page.position
            is_cut = not (page.flags & LAST and page.is_whole)
    bitrate = nominal or upper_bitrate(sizes, seconds)
    return Facts(bitrate, max(n_streams, 1), is_cut=is_cut)


def read_vorbis(packet: bytes) -> tuple[float, float | None]:
    """Read the identification header of Vorbis.

    Parameters
    ----------
    packet : bytes
        First packet of the stream.

    Returns
    -------
    sample_rate : float
        Sample rate in Hz.
    bitrate : float or None
        Nominal bit rate in kbit/s; None if the encoder has written none.
    """
    if len(packet) < 28 or packet[:7] != b"\1vorbis":
        return float(_OPUS_RATE), None
    rate, _, nominal = struct.unpack_from("<Iii", packet, 12)
    return float(max(rate, 1)), nominal / 1000 if nominal > 0 else None


#: Beginning of the packet with the comments, and its end, by encoding.
_COMMENT_PACKETS = {"VORBIS": (b"\3vorbis", b"\1"), "OPUS": (b"OpusTags", b"")}

#: Number of packets before the sound.
_N_HEADERS = {"VORBIS": 3, "OPUS": 2}

#: Place of the checksum in the header of a page.
_CHECKSUM_PLACE = 22

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Head(NamedTuple):
    start: int  # place behind the first page
    end: int  # place of the first page with sound
    n_pages: int  # between these places
    serial: int
    packets: list[bytes]  # that with the comments, and others


def checksum(page: bytes) -> int:
    """Return the checksum of a page whose own checksum is zero.

    Examples
    --------
    >>> hex(checksum(b"123456789"))
    '0x89a1897f'
    """
    # zlib has the same polynomial, with the bits of each byte in the other order.
    reverse = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reverse:032b}"[::-1], 2)


def read_comments(file: BinaryIO, subtype: str) -> bytes:
    """Return the block of comments of an Ogg file.

    Parameters
    ----------
    file : binary file
        The file.
    subtype : {"VORBIS", "OPUS"}
        Its encoding.

    Returns
    -------
    bytes
        Block as :func:`~skvae.formats.tags.unpack_comments` reads it.
    """
    begin, _ = _COMMENT_PACKETS[subtype]
    return _read_head(file, subtype).packets[0][len(begin) :]


def write_comments(file: BinaryIO, subtype: str, block: bytes) -> None:
    """Replace the block of comments of an Ogg file.

    Parameters
    ----------
    file : binary file
        File with one stream, open for reading and writing.
    subtype : {"VORBIS", "OPUS"}
        Its encoding.
    block : bytes
        The new comments.
    """
    head = _read_head(file, subtype)
    begin, end = _COMMENT_PACKETS[subtype]
    pages = _make_pages([begin + block + end, *head.packets[1:]], head.serial)
    splice(file, head.start, head.end - head.start, b"".join(pages))
    if shift := len(pages) - head.n_pages:
        file.seek(head.start + sum(map(len, pages)))
        _renumber(file, shift)


def _read_head(file: BinaryIO, subtype: str) -> _Head:
    file.seek(0)
    packets, parts = [], []
    start = n_pages = 0
    for page in read_pages(file):
        if page.flags & FIRST:
            start = file.tell()
            continue
        n_pages += 1
        place = 0
        for size in page.segments:
            parts.append(page.body[place : place + size])
            place += size
            if size < 255:
                packets.append(b"".join(parts))
                parts = []
        if len(packets) >= _N_HEADERS[subtype] - 1:
            break
    begin, _ = _COMMENT_PACKETS[subtype]
    if len(packets) != _N_HEADERS[subtype] - 1 or not packets[0].startswith(begin):
        raise ValueError("the headers of the Ogg stream are unusual")
    return _Head(start, file.tell(), n_pages, page.serial, packets)


def _make_pages(packets: list[bytes], serial: int) -> list[bytes]:
    """Distribute packets over pages, from number 1 on."""
    segments: list[bytes] = []
    for packet in packets:
        # The last segment of a packet has less than 255 bytes, maybe none.
        segments += [packet[k : k + 255] for k in range(0, len(packet) + 1, 255)]
    pages: list[bytes] = []
    is_within = False
    for k in range(0, len(segments), 255):
        part = segments[k : k + 255]
        flags = CONTINUED if is_within else 0
        is_within = len(part[-1]) == 255
        position = 0 if any(len(segment) < 255 for segment in part) else _NOWHERE
        header = _HEADER.pack(
            _MAGIC, 0, flags, position, serial, len(pages) + 1, 0, len(part)
        )
        pages.append(_seal(header + bytes(map(len, part)) + b"".join(part)))
    return pages


def _seal(page: bytes) -> bytes:
    """Put the checksum into a page."""
    page = page[:_CHECKSUM_PLACE] + bytes(4) + page[_CHECKSUM_PLACE + 4 :]
    found = struct.pack("<I", checksum(page))
    return page[:_CHECKSUM_PLACE] + found + page[_CHECKSUM_PLACE + 4 :]


def _renumber(file: BinaryIO, shift: int) -> None:
    """Change the numbers of all pages from here on."""
    start = file.tell()
    for page in read_pages(file):
        end = file.tell()
        number = page.number + shift
        header = _HEADER.pack(
            _MAGIC,
            0,
            page.flags,
            page.position,
            page.serial,
            number,
            0,
            len(page.segments),
        )
        file.seek(start)
        file.write(_seal(header + page.segments + page.body))
        file.seek(end)
        start = end
