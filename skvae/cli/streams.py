"""Standard streams that are closed or full."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def fill_closed_streams() -> None:
    """Put the null device in the place of closed standard streams.

    A file that is opened later would get the number of a closed stream, and so what
    libraries write to standard error. ``sys.stdin`` and ``sys.stdout`` remain None,
    which ``print`` allows; ``sys.stderr`` would print to standard output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def flush_output() -> None:
    """Write what ``print`` holds back, so that its errors occur now.

    Raises
    ------
    OSError
        If the disk is full, for instance.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def drop_output() -> None:
    """Drop what standard output could not take; the interpreter would try again."""
    stream = sys.__stdout__
    if stream is None or stream is not sys.stdout:
        return
    number = stream.fileno()
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
