"""Tables of scores by system."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skvae.utils.words import shortened

if TYPE_CHECKING:
    import pandas

#: Column with the names of systems. A mean over systems has no meaning.
SYSTEM = "system"


def list_systems(
    table: Any, name: str = "table", is_named: bool = False
) -> list[tuple[dict[str, Any], pandas.DataFrame]]:
    """List the tables of systems.

    Parameters
    ----------
    table : DataFrame, dict of str to DataFrame, or list of DataFrames
        Tables of `evaluate`. A single one may have a column `system`.
    name : str, default="table"
        Name of the parameter in error messages.
    is_named : bool, default=False
        Whether a column `system` gives a name to a single system, too.

    Returns
    -------
    list of (dict, DataFrame)
        Each table with ``{"system": its name}``, or ``{}`` for a single system.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"system": ["a", "a", "b", "b"], "stoi": [1, 2, 3, 4]})
    >>> [(system, len(rows)) for system, rows in list_systems(table)]
    [({'system': 'a'}, 2), ({'system': 'b'}, 2)]
    """
    import pandas

    if isinstance(table, pandas.DataFrame):
        if SYSTEM not in table or (table[SYSTEM].nunique() < 2 and not is_named):
            return [({}, table)]
        # The files of one utterance differ between systems, its label does not.
        rows = table.drop(columns="file", errors="ignore")
        if "utterance" in table:
            rows = rows.set_index("utterance", drop=False)
        groups = rows.groupby(SYSTEM, sort=False, observed=True, dropna=False)
        return [({SYSTEM: label}, part) for label, part in groups]
    if isinstance(table, Mapping):
        named = list(table.items())
    elif isinstance(table, list | tuple):
        named = list(enumerate(table))
    else:
        named = []
    if not named or not all(isinstance(one, pandas.DataFrame) for _, one in named):
        raise ValueError(
            f"`{name}` must be a table of `evaluate`, or a dict or list of at least "
            f"one, got {shortened(table)}."
        )
    return [({SYSTEM: label}, one) for label, one in named]


def list_pairs(
    table: Any, other: Any, is_named: bool = False
) -> Iterator[tuple[dict[str, Any], pandas.DataFrame, pandas.DataFrame]]:
    """Pair the table of each system with that of a reference.

    Parameters
    ----------
    table : DataFrame, dict of str to DataFrame, or list of DataFrames
        Tables, as for :func:`list_systems`.
    other : DataFrame, str or int
        Table of the reference, or its name in `table`.
    is_named : bool, default=False
        As for :func:`list_systems`.

    Yields
    ------
    dict, DataFrame, DataFrame
        Name of a system, its table, and the table of the reference. A reference in
        `table` is not paired with itself.

    Examples
    --------
    >>> import pandas
    >>> one = pandas.DataFrame({"stoi": [0.5, 0.7]})
    >>> [system for system, _, _ in list_pairs({"noisy": one, "a": one + 0.1}, "noisy")]
    [{'system': 'a'}]
    """
    import pandas

    is_name = isinstance(other, str)
    systems = list_systems(table, is_named=is_named or is_name)
    if isinstance(other, pandas.DataFrame):
        references = [one for _, one in list_systems(other, "other")]
        if len(references) > 1:
            raise ValueError("`other` must contain one system, got several.")
        for system, rows in systems:
            yield system, rows, references[0]
        return
    names = [system[SYSTEM] for system, _ in systems if system]
    if not isinstance(other, Hashable) or other not in names:
        raise ValueError(
            f"`other` must be a table, or the name of a system in `table`, {names}, "
            f"got {shortened(other)}."
        )
    reference = systems[names.index(other)][1]
    for system, rows in systems:
        if system[SYSTEM] != other:
            yield system, rows, reference


def check_paired(table: pandas.DataFrame, other: pandas.DataFrame) -> None:
    """Raise an error for tables of different utterances.

    Parameters
    ----------
    table, other : DataFrame
        Tables of `evaluate`.

    Raises
    ------
    ValueError
        If their labels or their files differ.
    """
    same_files = "file" not in table or "file" not in other
    same_files = same_files or table["file"].equals(other["file"])
    if not table.index.equals(other.index) or not same_files:
        raise ValueError(
            "`table` and `other` must contain the same utterances in the same order, "
            f"got {len(table)} and {len(other)} rows that do not match."
        )
