"""Atomic writing of files: a file is either complete or unchanged."""

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
except ImportError:  # Windows, which cannot remove open files
    fcntl = None  # type: ignore[assignment]

#: Names of temporary files.
_PART = re.compile(r"\..+\.skvae-[0-9a-f]{8}\.part", re.DOTALL)

#: Letters of the target's name in the temporary name. File systems allow 255 bytes,
#: and a letter takes up to four.
_MAX_LETTERS = 50


@contextmanager
def written_whole(
    path: str | os.PathLike[str], part: str | os.PathLike[str] | None = None
) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces its target once it is complete.

    If the process is killed or the machine fails, the target is unchanged or complete.
    If several processes write at once, the last one to finish wins.

    Parameters
    ----------
    path : str or path-like
        Target file, in an existing folder. The permissions of an existing file are
        kept.
    part : str or path-like, default=None
        Temporary file, in the same folder. None means a hidden file with a unique name,
        which :func:`remove_parts` removes if a killed process leaves it behind. A given
        name is reused by the next writer.

    Yields
    ------
    binary file
        Temporary file, whose `name` may be opened by others. An exception in the block
        removes it.

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
            # Closing releases the lock, so replace the target first.
            os.replace(file.name, path)
        except BaseException:
            with suppress(OSError):  # a full disk fails here again
                file.close()
            with suppress(FileNotFoundError):
                os.unlink(file.name)
            raise
    _sync_folder(path.parent)


def remove_parts(folder: str | os.PathLike[str]) -> int:
    """Remove temporary files that killed processes left behind.

    Parameters
    ----------
    folder : str or path-like
        Folder in which :func:`written_whole` has written. It may be missing.

    Returns
    -------
    int
        Number of removed files. Files that are being written are kept.

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
    """Create a hidden temporary file next to `path` and lock it while it is open."""
    name = path.name[:_MAX_LETTERS]
    while True:
        part = path.with_name(f".{name}.skvae-{secrets.token_hex(4)}.part")
        # Unlike tempfile, a plain `open` applies the usual permissions.
        file = open(part, "xb")  # noqa: SIM115 (the caller closes it)
        try:
            _lock(file, wait=True)
            # Another process may have removed it before it was locked.
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
    except OSError:  # owned by another user, or gone
        return False
    return True


def _lock(file: Any, wait: bool) -> bool:
    """Lock an open file and return whether that succeeded."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        # In use, or on a file system without locks, where no part is removed.
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):  # not all file systems support it
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
