"""Tags of recordings: what one format keeps, in a form that another one can keep.

Within a format, tags are copied byte by byte, known or unknown ones. Between formats,
the fields with a common meaning, covers and chapters are translated.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Name of the comment that holds a picture in Ogg files.
PICTURE = b"METADATA_BLOCK_PICTURE"

_CHAPTER = re.compile(r"CHAPTER(\d{3})(NAME)?")
_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")

#: Comments about an encoding, which are wrong for another one.
_OF_ENCODING = ("ENCODER", "R128_TRACK_GAIN", "R128_ALBUM_GAIN")


class Picture(NamedTuple):
    """A picture, such as a cover.

    Attributes
    ----------
    kind : int
        Kind of picture in ID3 and FLAC; 3 is the front cover.
    mime, description : str
        Type of the data, and a description.
    data : bytes
        File with the picture.
    """

    kind: int
    mime: str
    description: str
    data: bytes


class Chapter(NamedTuple):
    """A chapter: its start in seconds, its title, and its end if that is known."""

    start: float
    title: str
    end: float | None = None


class Tags(NamedTuple):
    """Tags of a recording.

    Attributes
    ----------
    fields : sequence of (str, str)
        Names, as they are usual in Vorbis comments, and values.
    pictures : sequence of Picture
        Pictures.
    chapters : sequence of Chapter
        Chapters.
    """

    fields: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = ()
    chapters: Sequence[Chapter] = ()


def unpack_comments(block: bytes) -> list[bytes]:
    """Split a block of Vorbis comments, without the vendor.

    Examples
    --------
    >>> unpack_comments(pack_comments(b"me", [b"TITLE=a", b"ARTIST=b"]))
    [b'TITLE=a', b'ARTIST=b']
    """
    place = 4 + struct.unpack_from("<I", block)[0]
    (n,) = struct.unpack_from("<I", block, place)
    place += 4
    comments = []
    for _ in range(n):
        (size,) = struct.unpack_from("<I", block, place)
        comments.append(block[place + 4 : place + 4 + size])
        if len(comments[-1]) < size:
            raise ValueError("a comment is longer than its block")
        place += 4 + size
    return comments


def pack_comments(vendor: bytes, comments: Sequence[bytes]) -> bytes:
    """Join Vorbis comments to a block.

    Examples
    --------
    >>> len(pack_comments(b"me", []))
    10
    """
    parts = [struct.pack("<I", len(vendor)), vendor, struct.pack("<I", len(comments))]
    for comment in comments:
        parts += [struct.pack("<I", len(comment)), comment]
    return b"".join(parts)


def read_vendor(block: bytes) -> bytes:
    """Return the vendor of a block of Vorbis comments.

    Examples
    --------
    >>> read_vendor(pack_comments(b"me", []))
    b'me'
    """
    return block[4 : 4 + struct.unpack_from("<I", block)[0]]


def pack_picture(picture: Picture) -> bytes:
    """Make a picture block of FLAC.

    Examples
    --------
    >>> picture = Picture(3, "image/png", "", b"123")
    >>> unpack_picture(pack_picture(picture)) == picture
    True
    """
    mime, description = picture.mime.encode(), picture.description.encode()
    return b"".join(
        [
            struct.pack(">II", picture.kind, len(mime)),
            mime,
            struct.pack(">I", len(description)),
            description,
            struct.pack(">5I", 0, 0, 0, 0, len(picture.data)),  # sizes: unknown
            picture.data,
        ]
    )


def unpack_picture(block: bytes) -> Picture:
    """Read a picture block of FLAC."""
    kind, size = struct.unpack_from(">II", block)
    mime = block[8 : 8 + size].decode("utf-8", "replace")
    place = 8 + size
    (size,) = struct.unpack_from(">I", block, place)
    description = block[place + 4 : place + 4 + size].decode("utf-8", "replace")
    place += 4 + size + 16
    (size,) = struct.unpack_from(">I", block, place)
    return Picture(kind, mime, description, block[place + 4 : place + 4 + size])


def from_comments(comments: Iterable[bytes], pictures: Iterable[bytes] = ()) -> Tags:
    """Read Vorbis comments, and pictures of FLAC.

    Examples
    --------
    >>> comments = [b"TITLE=a", b"CHAPTER001=00:01:00.5", b"CHAPTER001NAME=one"]
    >>> from_comments(comments).chapters
    [Chapter(start=60.5, title='one', end=None)]
    """
    fields: list[tuple[str, str]] = []
    found = [unpack_picture(picture) for picture in pictures]
    starts: dict[str, float] = {}
    titles: dict[str, str] = {}
    for comment in comments:
        name, _, value = comment.partition(b"=")
        key, text = (
            name.decode("ascii", "replace").upper(),
            value.decode("utf-8", "replace"),
        )
        chapter = _CHAPTER.fullmatch(key)
        if key.encode() == PICTURE:
            found.append(unpack_picture(base64.b64decode(value)))
        elif chapter and chapter[2]:
            titles[chapter[1]] = text
        elif chapter and (time := _TIME.match(text)):
            hours, minutes, seconds = map(float, time.groups())
            starts[chapter[1]] = 3600 * hours + 60 * minutes + seconds
        elif key not in _OF_ENCODING:
            fields.append((key, text))
    chapters = [Chapter(starts[k], titles.get(k, "")) for k in sorted(starts)]
    return Tags(fields, found, chapters)


def to_comments(tags: Tags, *, with_pictures: bool) -> list[bytes]:
    """Make Vorbis comments of tags.

    Examples
    --------
    >>> to_comments(Tags([("TITLE", "a")]), with_pictures=True)
    [b'TITLE=a']
    """
    comments = [f"{name}={value}".encode() for name, value in tags.fields]
    for k, chapter in enumerate(tags.chapters, start=1):
        minutes, seconds = divmod(round(chapter.start, 3), 60)
        time = f"{int(minutes) // 60:02}:{int(minutes) % 60:02}:{seconds:06.3f}"
        comments.append(f"CHAPTER{k:03}={time}".encode())
        comments.append(f"CHAPTER{k:03}NAME={chapter.title}".encode())
    if with_pictures:
        comments += [
            PICTURE + b"=" + base64.b64encode(pack_picture(picture))
            for picture in tags.pictures
        ]
    return comments
