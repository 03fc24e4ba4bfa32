"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that takes its place when all is written.

    Whatever ends the process, afterwards the file is there as it was before, or whole.
    A kill may leave a second one whose name begins with a dot and ends in ".part".

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that is there.

    Yields
    ------
    binary file
        If an exception leaves the block, it is removed.

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
    # A name of its own for each writer; opened plainly, it has the usual permissions.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
