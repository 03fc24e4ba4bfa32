"""Words for people."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Tell how many there are.

    Parameters
    ----------
    number : int
        How many.
    what : str
        One of them.

    Returns
    -------
    str

    Examples
    --------
    >>> counted(1, "file"), counted(3, "file")
    ('1 file', '3 files')
    """
    return f"{number} {what}{'s' * (number != 1)}"
