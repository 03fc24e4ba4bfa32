"""Wording of messages."""

from __future__ import annotations

from typing import Any


def counted(number: int, what: str) -> str:
    """Return a number with its noun in the singular or plural.

    Parameters
    ----------
    number : int
        Number of items.
    what : str
        Noun in the singular, with a regular plural.

    Returns
    -------
    str
        Number and noun.

    Examples
    --------
    >>> counted(1, "file"), counted(3, "file")
    ('1 file', '3 files')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def shortened(value: Any, width: int = 80) -> str:
    """Return the representation of an object, cut to a width.

    Parameters
    ----------
    value : object
        Object of any origin, such as the content of a file.
    width : int, default=80
        Maximum number of characters.

    Returns
    -------
    str
        Representation that ends in "..." if it was cut.

    Examples
    --------
    >>> shortened([1.0] * 100, width=20)
    '[1.0, 1.0, 1.0, 1...'
    """
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."
