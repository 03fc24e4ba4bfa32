"""Errors that end a command with a sentence instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """An error of a command, with its exit status.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    status : int, default=1
        Exit status.

    Examples
    --------
    >>> CommandError("no such file", status=2).status
    2
    """

    def __init__(self, message: str, status: int = 1):
        super().__init__(message)
        self.status = status
