"""Packages that only an extra installs."""

from __future__ import annotations

from importlib.util import find_spec


def require_pandas(what: str) -> None:
    """Raise an ImportError with advice if pandas is not installed.

    Parameters
    ----------
    what : str
        What needs it.

    Examples
    --------
    >>> require_pandas("evaluate")
    """
    try:
        found = find_spec("pandas") is not None
    except ValueError:  # an entry of sys.modules without a specification
        found = False
    if not found:
        raise ModuleNotFoundError(
            f'{what} needs the package pandas: pip install "skvae[evaluate]".',
            name="pandas",
        )
