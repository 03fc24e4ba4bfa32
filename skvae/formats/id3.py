"""Tags of MP3 files: ID3, which WAV and AIFF files may have, too, and APE tags."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from skvae.formats.mpeg import id3_size
from skvae.formats.tags import Chapter, Picture, Tags

#: Frames with a text, and the names of Vorbis comments with the same meaning.
_FIELDS = {
    "TIT2": "TITLE",
    "TIT1": "GROUPING",
    "TIT3": "SUBTITLE",
    "TPE1": "ARTIST",
    "TPE2": "ALBUMARTIST",
    "TALB": "ALBUM",
    "TRCK": "TRACKNUMBER",
    "TPOS": "DISCNUMBER",
    "TDRC": "DATE",
    "TCON": "GENRE",
    "TCOM": "COMPOSER",
    "TCOP": "COPYRIGHT",
    "TPUB": "ORGANIZATION",
    "TSRC": "ISRC",
    "TLAN": "LANGUAGE",
    "TBPM": "BPM",
}
_FRAMES = {field: frame for frame, field in _FIELDS.items()}

#: Frames of earlier versions.
_EARLIER = {
    "TYER": "TDRC",
    "TT2": "TIT2",
    "TP1": "TPE1",
    "TP2": "TPE2",
    "TAL": "TALB",
    "TRK": "TRCK",
    "TYE": "TDRC",
    "TCO": "TCON",
    "TCM": "TCOM",
    "TXX": "TXXX",
    "COM": "COMM",
    "ULT": "USLT",
    "PIC": "APIC",
}

_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")

#: Texts about the file itself, which are wrong for another one.
_OF_FILE = ("TLEN", "TSIZ", "TSSE", "TENC", "TFLT")


def read_mp3(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return the bytes of the tags at the beginning and at the end of an MP3 file.

    Examples
    --------
    >>> import io
    >>> read_mp3(io.BytesIO(bytes(500) + b"TAG" + bytes(125)))[1][:3]
    b'TAG'
    """
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = b""
    while size := id3_size(file.read(10)):
        file.seek(len(head))
        head += file.read(size)
        file.seek(len(head))
    n_end = 0
    file.seek(max(0, n_bytes - 128))
    if file.read(3) == b"TAG":
        n_end = 128
    file.seek(max(0, n_bytes - n_end - 32))
    footer = file.read(32)
    if footer[:8] == b"APETAGEX" and len(footer) == 32:
        size, _, flags = struct.unpack_from("<III", footer, 12)
        size += 32 if flags >> 31 else 0
        if size <= n_bytes - n_end - len(head):
            n_end += size
    file.seek(n_bytes - n_end)
    return head, file.read(n_end)


def parse(tag: bytes) -> Tags:
    """Read an ID3 tag of version 2.2, 2.3 or 2.4.

    Examples
    --------
    >>> tags = Tags([("TITLE", "Grüße"), ("MOOD", "calm")], [], [Chapter(1.5, "one")])
    >>> parse(build(tags)).fields
    [('TITLE', 'Grüße'), ('MOOD', 'calm')]
    """
    size = id3_size(tag)
    if not size:
        return Tags()
    version, flags = tag[3], tag[5]
    body = tag[10:size]
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    if flags & 0x40 and version > 2:  # an extended header
        n_extended = struct.unpack_from(">I", body)[0]
        body = body[n_extended + 4 if version == 3 else _synchsafe(body[:4]) :]
    fields: list[tuple[str, str]] = []
    pictures: list[Picture] = []
    chapters: list[Chapter] = []
    for name, content in _frames(body, version):
        name = _EARLIER.get(name, name)
        if name == "APIC":
            pictures.append(_picture(content, version))
        elif name == "CHAP":
            chapters.append(_chapter(content, version))
        elif name in ("COMM", "USLT"):
            _, text = _described(content[:1] + content[4:])
            fields.append(("COMMENT" if name == "COMM" else "LYRICS", text))
        elif name == "TXXX":
            key, text = _described(content)
            if key and "=" not in key:
                fields.append((key.upper(), text))
        elif name.startswith("T") and name not in _OF_FILE:
            texts = _text(content[0], content[1:]).split("\0")
            key = _FIELDS.get(name, name)
            fields += [(key, text) for text in texts if text]
    return Tags(fields, pictures, sorted(chapters, key=lambda chapter: chapter.start))


def build(tags: Tags) -> bytes:
    """Make an ID3 tag of version 2.4.

    Examples
    --------
    >>> build(Tags())
    b''
    """
    frames, texts = [], dict[str, list[str]]()
    for name, value in tags.fields:
        texts.setdefault(name, []).append(value)
    for name, values in texts.items():
        text = "\0".join(values).encode()
        if name in _FRAMES:
            frames.append(_frame(_FRAMES[name], b"\3" + text))
        elif name in ("COMMENT", "DESCRIPTION"):
            frames.append(_frame("COMM", b"\3eng\0" + text))
        elif name == "LYRICS":
            frames.append(_frame("USLT", b"\3eng\0" + text))
        else:
            frames.append(_frame("TXXX", b"\3" + name.encode() + b"\0" + text))
    for k, picture in enumerate(tags.pictures):
        mime = picture.mime.encode("latin-1", "replace")
        # Two pictures must not have the same description.
        description = picture.description or ("" if k == 0 else str(k))
        start = b"\3" + mime + b"\0" + bytes([picture.kind & 255])
        frames.append(
            _frame("APIC", start + description.encode() + b"\0" + picture.data)
        )
    names = [f"chp{k}".encode() + b"\0" for k in range(len(tags.chapters))]
    if names:
        frames.append(
            _frame("CTOC", b"toc\0\3" + bytes([len(names) & 255]) + b"".join(names))
        )
    for k, (label, chapter) in enumerate(zip(names, tags.chapters, strict=True)):
        behind = tags.chapters[k + 1 : k + 2]
        end = chapter.end or (behind[0].start if behind else chapter.start)
        times = struct.pack(
            ">4I", round(1000 * chapter.start), round(1000 * end), 2**32 - 1, 2**32 - 1
        )
        title = _frame("TIT2", b"\3" + chapter.title.encode())
        frames.append(_frame("CHAP", label + times + title))
    if not frames:
        return b""
    body = b"".join(frames)
    return b"ID3\4\0\0" + _pack_synchsafe(len(body)) + body


def _frame(name: str, content: bytes) -> bytes:
    return name.encode() + _pack_synchsafe(len(content)) + b"\0\0" + content


def _frames(body: bytes, version: int) -> Iterator[tuple[str, bytes]]:
    place, n_name = 0, 3 if version == 2 else 4
    n_header = 6 if version == 2 else 10
    while place + n_header <= len(body):
        name = body[place : place + n_name]
        if not re.fullmatch(rb"[A-Z0-9]+", name):  # padding
            return
        if version == 2:
            size = int.from_bytes(body[place + 3 : place + 6])
        elif version == 3:
            size = int.from_bytes(body[place + 4 : place + 8])
        else:
            size = _synchsafe(body[place + 4 : place + 8])
        flags = body[place + 9] if version > 2 else 0
        content = body[place + n_header : place + n_header + size]
        place += n_header + size
        if version == 4 and flags & 2:
            content = content.replace(b"\xff\x00", b"\xff")
        if version == 4 and flags & 1:  # with the length of the content
            content = content[4:]
        is_plain = not flags & (0xC0 if version == 3 else 0x0C)
        if content and is_plain:  # neither compressed nor encrypted
            yield name.decode(), content


def _text(encoding: int, content: bytes) -> str:
    name = _ENCODINGS[encoding] if encoding < len(_ENCODINGS) else "latin-1"
    return content.decode(name, "replace").rstrip("\0")


def _described(content: bytes) -> tuple[str, str]:
    """Split a description from the content behind it; both are texts."""
    encoding = content[0]
    description, rest = _cut(encoding, content[1:])
    return _text(encoding, description), _text(encoding, rest)


def _cut(encoding: int, content: bytes) -> tuple[bytes, bytes]:
    """Split a text from what follows the zeros at its end."""
    if encoding not in (1, 2):
        first, _, rest = content.partition(b"\0")
        return first, rest
    for place in range(0, len(content) - 1, 2):
        if content[place : place + 2] == b"\0\0":
            return content[:place], content[place + 2 :]
    return content, b""


def _picture(content: bytes, version: int) -> Picture:
    encoding, rest = content[0], content[1:]
    if version == 2:
        mime, rest = f"image/{rest[:3].decode('latin-1').lower()}", rest[3:]
        mime = mime.replace("jpg", "jpeg")
    else:
        name, _, rest = rest.partition(b"\0")
        mime = name.decode("latin-1")
    description, data = _cut(encoding, rest[1:])
    return Picture(rest[0], mime, _text(encoding, description), data)


def _chapter(content: bytes, version: int) -> Chapter:
    _, _, rest = content.partition(b"\0")
    start, end = struct.unpack_from(">II", rest)
    title = ""
    for name, text in _frames(rest[16:], version):
        if name == "TIT2":
            title = _text(text[0], text[1:])
    return Chapter(start / 1000, title, end / 1000)


def _synchsafe(content: bytes) -> int:
    size = 0
    for byte in content:
        size = size << 7 | byte & 127
    return size


def _pack_synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
