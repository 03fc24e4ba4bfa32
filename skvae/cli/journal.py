"""What a run in place has done, so that the same command does not do it twice.

A file that replaces its own input looks like an input afterwards. Each folder with
such files has a hidden file while a run is under way: a line with the options, and
for each finished file a line with its name and the SHA-256 of its new content. A line
is written just before its file is replaced. If the process ends between the two, the
content differs from the line, and the file is enhanced again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from skvae.cli.errors import CommandError
from skvae.cli.files import Job
from skvae.utils.words import shown

#: Name of the hidden file.
NAME = ".skvae-in-place"


def is_in_place(job: Job) -> bool:
    """Return whether the output of a file replaces the file itself.

    Parameters
    ----------
    job : Job
        The file.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_in_place(Job("a", Path("a.wav"), Path("out/a.wav")))
    False
    """
    return os.path.realpath(job.source) == os.path.realpath(job.target)


def note(target: Path, content: str | os.PathLike[str]) -> None:
    """Note that a file is about to be replaced.

    Parameters
    ----------
    target : Path
        The file.
    content : str or path-like
        File with its new content.
    """
    line = json.dumps([target.name, _digest(content)]) + "\n"
    # One write at the end of the file: workers share it.
    with open(target.parent / NAME, "ab", buffering=0) as file:
        file.write(line.encode())
        os.fsync(file.fileno())


class Journals:
    """Journals of all folders of a run.

    Parameters
    ----------
    jobs : iterable of Job
        Files of the run. Those that are not replaced themselves need no journal.
    options : str
        Options of the run that change the result.

    Raises
    ------
    CommandError
        If an interrupted run with other options has replaced files.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.wav")
    >>> path.write_bytes(b"new")
    3
    >>> job = Job("a", path, path)
    >>> journals = Journals([job], "wiener")
    >>> journals.is_done(job)
    False
    >>> note(path, path)
    >>> Journals([job], "wiener").is_done(job)
    True
    >>> journals.remove()
    """

    def __init__(self, jobs: Iterable[Job], options: str):
        self._paths = {
            job.target.parent / NAME: None for job in jobs if is_in_place(job)
        }
        self._digests: dict[Path, set[str]] = {}
        for path in self._paths:
            self._read(path, options)

    def _read(self, path: Path, options: str) -> None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            before, *entries = map(json.loads, lines)
        except (OSError, ValueError):  # none, or its first line is incomplete
            before, entries = options, []
        if before != options:
            raise CommandError(
                f"an interrupted run with other options has enhanced files in "
                f"{shown(path.parent)} in place: complete it with its own options, or "
                f"remove {shown(path)} to enhance all files with these ones."
            )
        for name, digest in entries:
            self._digests.setdefault(path.parent / name, set()).add(digest)
        if not entries:
            try:
                path.write_text(json.dumps(options) + "\n", encoding="utf-8")
            except OSError as error:
                raise CommandError(
                    f"{shown(path)} cannot be written: {error.strerror}."
                ) from error

    def is_done(self, job: Job) -> bool:
        """Return whether an interrupted run has replaced the file already.

        Parameters
        ----------
        job : Job
            The file.

        Returns
        -------
        bool
        """
        digests = self._digests.get(job.target, ())
        try:
            return bool(digests) and _digest(job.target) in digests
        except OSError:
            return False

    def remove(self) -> None:
        """Remove the journals of a run that has done everything."""
        for path in self._paths:
            path.unlink(missing_ok=True)


def _digest(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
