"""Atomic writing of files: a file is either complete or unchanged."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
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


#: Bytes that are read at once.
_BYTES_AT_ONCE = 2**20

#: Where links of the system lead that stand for a stream, such as /dev/stdout.
_STREAMS = ("/dev/", "/proc/")


def check_writable(
    path: str | os.PathLike[str],
    overwrite: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Raise an error if a file must not be written, or cannot be.

    Call it before long work whose result goes to the file. :func:`written_whole`
    refuses the same when the work is done.

    Parameters
    ----------
    path : str or path-like
        File to write.
    overwrite : bool, default=False
        Whether the user has agreed to replace a file.
    inputs : iterable of str or path-like, default=()
        Files that are read for the result. They are never replaced, under whatever
        name.

    Raises
    ------
    ValueError
        If the name is empty.
    FileNotFoundError
        If the folder is missing.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        Its subclasses, if the path is a folder, if it exists and is no regular file
        (a device, a pipe, a socket), if it is one of `inputs`, or if its folder cannot
        be written to. The attribute `strerror` is a sentence without the path.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "scores.csv")
    >>> check_writable(path)
    >>> path.touch()
    >>> check_writable(path)
    Traceback (most recent call last):
        ...
    FileExistsError: [Errno 17] it exists: '...scores.csv'
    >>> check_writable(path, overwrite=True)
    """
    name = os.fspath(path)
    if not name:
        raise ValueError("the name of the file is empty.")
    folder = os.path.dirname(os.path.abspath(name))
    if name.endswith(os.sep) or os.path.isdir(name):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", name)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", name)
    _refuse_special(name)
    if os.path.exists(name) and any(_is_same(name, other) for other in inputs):
        raise shutil.SameFileError(errno.EEXIST, "it is one of the inputs", name)
    if os.path.lexists(name) and not overwrite:
        raise FileExistsError(errno.EEXIST, "it exists", name)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "its folder cannot be written to", name)


@contextmanager
def written_whole(
    path: str | os.PathLike[str],
    part: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = True,
) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces its target once it is complete.

    If the process is killed or the machine fails, the target is unchanged or complete.
    If several processes write at once, the last one to finish wins. A link is replaced,
    and not the file that it leads to.

    Parameters
    ----------
    path : str or path-like
        Target file, in an existing folder. The permissions of an existing file are
        kept.
    part : str or path-like, default=None
        Temporary file, in the same folder. None means a hidden file with a unique name,
        which :func:`remove_parts` removes if a killed process leaves it behind. A given
        name is reused by the next writer.
    overwrite : bool, default=True
        Whether the target may exist by the time that the file is complete.

    Yields
    ------
    binary file
        Temporary file, whose `name` may be opened by others. An exception in the block
        removes it.

    Raises
    ------
    OSError
        If the target is a folder, a device, a pipe or a socket: these are never
        replaced. FileExistsError if it exists and `overwrite` is False.

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
    _refuse_special(path)
    with _create(path) if part is None else open(part, "wb") as file:
        try:
            yield file
            file.flush()
            if path.exists():
                shutil.copymode(path, file.name)
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            # Closing releases the lock, so move the file first.
            _refuse_special(path)
            (os.replace if overwrite else _move_if_free)(file.name, path)
        except BaseException:
            with suppress(OSError):  # a full disk fails here again
                file.close()
            with suppress(FileNotFoundError):
                os.unlink(file.name)
            raise
    _sync_folder(path.parent)


def is_part(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one of :func:`written_whole` that is not complete.

    Parameters
    ----------
    path : str or path-like
        File.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_part(".a.wav.skvae-0123abcd.part"), is_part("a.part")
    (True, False)
    """
    return _PART.fullmatch(os.path.basename(os.fsdecode(path))) is not None


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


def ignores_case(folder: str | os.PathLike[str]) -> bool:
    """Return whether names that differ by case only are one file in a folder.

    Parameters
    ----------
    folder : str or path-like
        Folder. If it is missing, the nearest folder above it is asked.

    Returns
    -------
    bool
        Also True if no file can be written there, and so nothing can be found out.

    Examples
    --------
    >>> import tempfile
    >>> isinstance(ignores_case(tempfile.mkdtemp()), bool)
    True
    """
    place = Path(folder).absolute()
    place = next(path for path in (place, *place.parents) if path.is_dir())
    try:
        with _create(place / "case") as file:
            try:
                return os.path.exists(place / os.path.basename(file.name).upper())
            finally:
                os.unlink(file.name)
    except OSError:
        return True


def special_kind(path: str | os.PathLike[str]) -> str | None:
    """Say what kind of file cannot be opened several times, as recordings are.

    Parameters
    ----------
    path : str or path-like
        Path of a file.

    Returns
    -------
    str or None
        "a pipe", "a device" or "a socket". None for files, folders and missing files.

    Examples
    --------
    >>> special_kind(os.devnull)
    'a device'
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None  # reported when it is opened
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else None


def read_through(path: str | os.PathLike[str]) -> int:
    """Read a file to its end, to find out why a library cannot read it.

    Parameters
    ----------
    path : str or path-like
        File.

    Returns
    -------
    int
        Number of bytes.

    Raises
    ------
    OSError
        If the file cannot be opened, or the disk is damaged. It names the file.

    Examples
    --------
    >>> read_through(os.devnull)
    0
    """
    n_bytes = 0
    with open(path, "rb") as file:
        try:
            while n_new := len(file.read(_BYTES_AT_ONCE)):
                n_bytes += n_new
        except OSError as error:  # without a name
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    return n_bytes


def raise_write_error(path: str | os.PathLike[str]) -> None:
    """Raise the error that a library did not report when it wrote a file.

    Parameters
    ----------
    path : str or path-like
        The file. Zeros are appended to it, so it must be removed.

    Raises
    ------
    OSError
        If the disk is full, or the file cannot be written for another reason.
    """
    with open(path, "ab") as file:
        file.write(bytes(2**16))


def _is_same(path: str, other: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them is gone
        return False


def _refuse_special(path: str | os.PathLike[str]) -> None:
    """Raise an error for what exists and is no regular file, or leads to none."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        return  # nothing is there, or nothing that can be looked at
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    is_stream = os.path.islink(path) and os.readlink(path).startswith(_STREAMS)
    if is_stream or not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket", path)


def _move_if_free(source: str, target: Path) -> None:
    """Move a file to a name that nothing has, also not since the last look."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "it exists", target) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it exists", target) from None
        os.replace(source, target)
    else:
        os.unlink(source)


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
