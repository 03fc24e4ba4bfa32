"""Tags of one recording copied to another one."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from skvae.formats import ffmpeg, flac, id3, ogg, riff
from skvae.formats.encodings import Layout
from skvae.formats.splice import splice
from skvae.formats.tags import (
    PICTURE,
    Tags,
    from_comments,
    pack_comments,
    pack_picture,
    read_vendor,
    to_comments,
    unpack_comments,
)

#: Kinds of tags, by format.
_KINDS = {
    "WAV": "WAV",
    "WAVEX": "WAV",
    "RF64": "WAV",
    "AIFF": "AIFF",
    "MP3": "MP3",
    "FLAC": "FLAC",
    "OGG": "OGG",
    "FFMPEG": "FFMPEG",
}

#: What damaged tags raise.
_DAMAGE = (ValueError, LookupError, ArithmeticError, struct.error)


def copy_tags(
    source: str | os.PathLike[str],
    source_layout: Layout,
    target: str | os.PathLike[str],
    target_layout: Layout,
) -> None:
    """Copy the tags of a recording, as far as the format of the other one has them.

    Parameters
    ----------
    source : str or path-like
        File with tags.
    source_layout : Layout
        How it is written.
    target : str or path-like
        File without tags.
    target_layout : Layout
        How it is written.

    Raises
    ------
    ValueError
        If the tags are damaged. The other file is then unchanged.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile, soundfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("a.flac", "b.flac"):
    ...     with soundfile.SoundFile(folder / name, "w", 8000, 1) as file:
    ...         file.title = name
    ...         file.write([0.0] * 8)
    >>> layout = Layout(8000, 1, "FLAC", "PCM_16")
    >>> copy_tags(folder / "a.flac", layout, folder / "b.flac", layout)
    >>> soundfile.SoundFile(folder / "b.flac").title
    'a.flac'
    """
    kinds = [_KINDS.get(x.file_format, "") for x in (source_layout, target_layout)]
    subtypes = source_layout.subtype, target_layout.subtype
    if not all(kinds):
        return
    with open(source, "rb") as old, open(target, "r+b") as new:
        try:
            if kinds[0] == kinds[1]:
                _copy(old, new, kinds[0], subtypes)
                return
            tags = _read(source, old, kinds[0], subtypes[0])
            if any(tags):
                _write(new, kinds[1], subtypes[1], tags)
        except _DAMAGE as error:
            raise ValueError(f"the tags are damaged ({error})") from error


def _copy(old: BinaryIO, new: BinaryIO, kind: str, subtypes: tuple[str, str]) -> None:
    """Copy the bytes of the tags within a format."""
    if kind in ("WAV", "AIFF"):
        riff.write_kept(new, *riff.read_kept(old))
    elif kind == "MP3":
        _write_mp3(new, *id3.read_mp3(old))
    elif kind == "FLAC":
        flac.write_blocks(new, flac.kept_blocks(flac.read_blocks(old)[1]))
    elif subtypes[0] == subtypes[1]:
        _write_ogg(
            new, subtypes[1], unpack_comments(ogg.read_comments(old, subtypes[0]))
        )
    else:
        tags = from_comments(unpack_comments(ogg.read_comments(old, subtypes[0])))
        _write(new, kind, subtypes[1], tags)


def _read(
    source: str | os.PathLike[str], file: BinaryIO, kind: str, subtype: str
) -> Tags:
    if kind == "FFMPEG":
        return ffmpeg.read_tags(source)
    if kind == "MP3":
        return id3.parse(id3.read_mp3(file)[0])
    if kind == "FLAC":
        return from_comments(*flac.split_blocks(flac.read_blocks(file)[1]))
    if kind == "OGG":
        return from_comments(unpack_comments(ogg.read_comments(file, subtype)))
    before, behind = riff.read_kept(file)
    return riff.parse_kept([*before, *behind])


def _write(file: BinaryIO, kind: str, subtype: str, tags: Tags) -> None:
    if kind in ("WAV", "AIFF"):
        riff.write_kept(file, [], riff.build_chunks(tags))
    elif kind == "MP3":
        _write_mp3(file, id3.build(tags), b"")
    elif kind == "FLAC":
        pictures = [pack_picture(picture) for picture in tags.pictures]
        comments = to_comments(tags, with_pictures=False)
        flac.write_blocks(file, flac.make_blocks(comments, pictures))
    else:
        _write_ogg(file, subtype, to_comments(tags, with_pictures=True))


def _write_mp3(file: BinaryIO, head: bytes, tail: bytes) -> None:
    n_old = len(id3.read_mp3(file)[0])
    splice(file, 0, n_old, head)
    file.seek(0, os.SEEK_END)
    file.write(tail)


def _write_ogg(file: BinaryIO, subtype: str, comments: list[bytes]) -> None:
    vendor = read_vendor(ogg.read_comments(file, subtype))
    # Some players read a picture only if it is the last comment.
    comments = sorted(comments, key=lambda one: one.upper().startswith(PICTURE))
    ogg.write_comments(file, subtype, pack_comments(vendor, comments))
