"""Errors that end a command with a sentence instead of a traceback."""

from __future__ import annotations

from skvae.utils.words import shown


def reason_of(error: Exception) -> str:
    """Describe an error of the system without its number and without a full stop.

    Parameters
    ----------
    error : Exception
        OSError, or an error of skvae with a sentence.

    Returns
    -------
    str

    Examples
    --------
    >>> reason_of(FileNotFoundError(2, "No such file or directory", "a.wav"))
    'a.wav: No such file or directory'
    """
    if not isinstance(error, OSError) or not error.strerror:
        return str(error).rstrip(".")
    named = error.filename is not None
    return f"{error.filename}: {error.strerror}" if named else error.strerror


class CommandError(Exception):
    """An error of a command, with its exit status.

    Parameters
    ----------
    message : str
        What is wrong, and what to do. Characters that control a terminal, as names of
        files may have them, are escaped.
    status : int, default=1
        Exit status.

    Examples
    --------
    >>> CommandError("no such file", status=2).status
    2
    """

    def __init__(self, message: str, status: int = 1):
        super().__init__(shown(message))
        self.status = status
