"""Words for people."""

from __future__ import annotations

from typing import Any


def counted(number: int, what: str) -> str:
    """Write a number of things with the singular or the plural.

    Parameters
    ----------
    number : int
        The number.
    what : str
        Singular of the things, whose plural ends in s.

    Returns
    -------
    str

    Examples
    --------
    >>> counted(1, "file"), counted(3, "file")
    ('1 file', '3 files')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def shortened(value: Any, width: int = 80) -> str:
    """Represent an object of any origin in a message.

    Parameters
    ----------
    value : object
        It may be long, such as what a file holds.
    width : int, default=80
        Maximum number of characters.

    Returns
    -------
    str

    Examples
    --------
    >>> shortened([1.0] * 100, width=20)
    '[1.0, 1.0, 1.0, 1...'
    """
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."
