"""Wording of messages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

#: Most names that a message suggests.
_MOST_NAMES = 3


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


def shown(text: str | os.PathLike[str]) -> str:
    r"""Return a text on one line, without characters that control a terminal.

    Parameters
    ----------
    text : str or path-like
        Text of any origin, such as the name of a file or a line of a model card.

    Returns
    -------
    str
        The text, with escapes for characters that cannot be printed.

    Examples
    --------
    >>> print(shown("two\nlines.wav"), shown("\x1b[2J"))
    two\nlines.wav \x1b[2J
    """
    name = os.fspath(text)
    if name.isprintable():
        return name
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape").decode("ascii")
        for letter in name
    )


def shown_lines(text: str) -> str:
    r"""Return a text of several lines, each as :func:`shown` gives it.

    Parameters
    ----------
    text : str
        Text, such as a table or a traceback.

    Returns
    -------
    str

    Examples
    --------
    >>> print(shown_lines("one\ntwo\x1b[2J"))
    one
    two\x1b[2J
    """
    return "\n".join(map(shown, text.split("\n")))


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


def did_you_mean(name: Any, names: Iterable[str]) -> str:
    """Ask whether one of the names that resemble a misspelled one was meant.

    Parameters
    ----------
    name : object
        Name that a user wrote.
    names : iterable of str
        Names that exist.

    Returns
    -------
    str
        Question for the end of a message, or an empty string if no name is similar. A
        parameter of a part is similar to its own last component.

    Examples
    --------
    >>> did_you_mean("attenuation_limt", ["attenuation_limit", "n_jobs"])
    "did you mean 'attenuation_limit'?"
    >>> did_you_mean("max_iter", ["training__max_iter", "n_jobs"])
    "did you mean 'training__max_iter'?"
    """
    names, text = list(names), str(name)
    last = text.rpartition("__")[2]
    near = get_close_matches(text, names, n=_MOST_NAMES)
    near += [other for other in names if other.rpartition("__")[2] == last]
    folded = {other.lower().replace("_", "-"): other for other in names}
    if (same := folded.get(text.lower().replace("_", "-"))) is not None:
        near.insert(0, same)
    listed = [repr(other) for other in dict.fromkeys(near)][:_MOST_NAMES]
    if not listed:
        return ""
    *others, final = listed
    return (
        f"did you mean {', '.join(others)} or {final}?"
        if others
        else (f"did you mean {final}?")
    )
