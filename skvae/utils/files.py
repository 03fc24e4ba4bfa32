"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where files that are open cannot be removed
    fcntl = None  # type: ignore[assignment]

#: What a temporary file is called: hidden, and like nobody else's.
_PART = re.compile(r"\..+\.skvae-[0-9a-f]{8}\.part", re.DOTALL)

#: File systems take no names of more bytes than 255: what is left for the file's own,
#: at four bytes a letter.
_MAX_LETTERS = 50


@contextmanager
def written_whole(
    path: str | os.PathLike[str], part: str | os.PathLike[str] | None = None
) -> Iterator[BinaryIO]:
    """Open a file that takes its place when all is written.

    Whatever ends the process, and even the machine, afterwards the file is there as it
    was before, or whole. Several may write it at once: the last one to finish wins.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that is there. If it is there already, the new one takes
        over its permissions.
    part : str or path-like, default=None
        Where to write at first, in the same folder. None means a hidden file of a name
        of its own, which :func:`remove_parts` removes if a kill leaves it behind. A
        name that is given is known to whoever looks for it, and used again next time.

    Yields
    ------
    binary file
        Its `name` may be opened by others, too. If an exception leaves the block, it is
        removed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "numbers")
    >>> with written_whole(path) as file:
    ...     n_written = file.write(b"123")
    ...     path.exists()
    False
    >>> path.read_bytes()
    b'123'
    """
    path = Path(path)
    with _create(path) if part is None else open(part, "wb") as file:
        try:
            yield file
            file.flush()
            if path.exists():
                shutil.copymode(path, file.name)
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            # Before it is closed, which gives up its lock.
            os.replace(file.name, path)
        except BaseException:
            with suppress(OSError):  # of what a full disk has not taken
                file.close()
            with suppress(FileNotFoundError):
                os.unlink(file.name)
            raise
    _sync_folder(path.parent)


def remove_parts(folder: str | os.PathLike[str]) -> int:
    """Remove what killed processes left behind.

    Parameters
    ----------
    folder : str or path-like
        Where :func:`written_whole` has written; it may be missing.

    Returns
    -------
    int
        How many were removed. What somebody is writing stays.

    Examples
    --------
    >>> import tempfile
    >>> remove_parts(tempfile.mkdtemp())
    0
    """
    n_removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                n_removed += _remove_if_abandoned(entry.path)
    return n_removed


def _create(path: Path) -> BinaryIO:
    """Open a new hidden file beside another, locked for as long as it is open."""
    name = path.name[:_MAX_LETTERS]
    while True:
        part = path.with_name(f".{name}.skvae-{secrets.token_hex(4)}.part")
        # Opened plainly, it has the usual permissions.
        file = open(part, "xb")  # noqa: SIM115 (for the caller)
        try:
            _lock(file, wait=True)
            # Somebody may have removed it before it was locked.
            if os.path.exists(part):
                return file
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        file.close()


def _remove_if_abandoned(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            if not _lock(file, wait=False):
                return False
            if fcntl is not None:
                os.unlink(path)
                return True
        os.unlink(path)
    except OSError:  # somebody else's, or gone
        return False
    return True


def _lock(file: Any, wait: bool) -> bool:
    """Lock an open file, and tell whether nobody else had."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        # In use; or on a file system without locks, where all that is there stays.
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder outlast the machine's power."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):  # some file systems know no such thing
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
