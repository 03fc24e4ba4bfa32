"""Layout of tables of scores: plain text, Markdown, LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

#: Styles of a table.
STYLES = ("text", "markdown", "latex")

#: Names of metrics and other columns, as people write them.
LABELS = {
    "si_sdr": "SI-SDR (dB)",
    "sdr": "SDR (dB)",
    "pesq": "PESQ",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "snr": "SNR (dB)",
}

#: Number of decimals of decibels, and of others.
_DECIBEL_METRICS, _DECIBEL_DIGITS, _DIGITS = ("si_sdr", "sdr"), 2, 3

#: Mark of an interval from few clusters, and its explanation.
_MARK, _MARKED = "*", "* fewer than 10 clusters: the interval is approximate"

#: Counts in a summary, which are columns of the layout.
_COUNTS = ("n", "clusters")


def lay_out(
    table: pandas.DataFrame,
    value: str,
    sign: str,
    note: Callable[[dict[str, Any]], str],
    style: str,
) -> str:
    r"""Lay out a table: a line per group, a column per metric.

    Parameters
    ----------
    table : DataFrame
        Result of `summarize` or `compare`.
    value : str
        Column with the value of each cell.
    sign : {"", "+"}
        Whether positive values have a sign.
    note : callable
        Returns a remark on a row, which goes below the table, or "".
    style : {"text", "markdown", "latex"}
        Style of the table.

    Returns
    -------
    str

    Examples
    --------
    >>> import pandas
    >>> columns = ["metric", "mean", "low", "high", "n", "note"]
    >>> table = pandas.DataFrame([["stoi", 0.9, 0.8, 0.95, 12, ""]], columns=columns)
    >>> print(lay_out(table, "mean", "", lambda row: "", "latex"))
    \begin{tabular}{rr}
    \toprule
    n & STOI \\
    \midrule
    12 & 0.900 [0.800, 0.950] \\
    \bottomrule
    \end{tabular}
    """
    keys = list(table.columns[: table.columns.get_loc("metric")])
    counts = [name for name in _COUNTS if name in table]
    lines: dict[tuple, dict[str, str]] = {}
    notes = []
    for record in table.to_dict("records"):
        group, metric = tuple(record[key] for key in keys), record["metric"]
        line = lines.setdefault(group, {key: str(record[key]) for key in keys})
        for count in counts:
            line[count] = str(max(record[count], int(line.get(count, 0))))
        line[metric] = _cell(record, value, sign)
        if line[metric].endswith(_MARK):
            notes.append(_MARKED)
        if told := note(record):
            notes.append(f"{' '.join([*map(str, group), metric])}: {told}")
    # The explanation of the mark is told once, and first.
    notes.sort(key=_MARKED.__ne__)
    notes = list(dict.fromkeys(notes))
    columns = list(dict.fromkeys(name for line in lines.values() for name in line))
    rows = [[line.get(column, "") for column in columns] for line in lines.values()]
    if style == "text":
        return "\n".join([*_align([columns, *rows]), *notes])
    head = [LABELS.get(column, column) for column in columns]
    if style == "markdown":
        return _markdown(head, rows, len(keys), notes)
    return _latex(head, rows, len(keys), notes)


def _cell(record: dict[str, Any], value: str, sign: str) -> str:
    """Format a value with its interval, or with the reason why there is none."""
    is_decibel = record["metric"] in _DECIBEL_METRICS
    digits = _DECIBEL_DIGITS if is_decibel else _DIGITS
    mean, low, high = (
        f"{record[column]:{sign}.{digits}f}" for column in (value, "low", "high")
    )
    note = record.get("note", "")
    if np.isnan(record[value]):
        return "-"
    if np.isnan(record["low"]):
        return f"{mean} [{note}]" if note else mean
    return f"{mean} [{low}, {high}]{_MARK if note else ''}"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _markdown(
    head: Sequence[str], rows: Sequence[Sequence[str]], n_keys: int, notes: list[str]
) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_escape_markdown(cell) for cell in cells)} |"

    sides = [":---" if k < n_keys else "---:" for k in range(len(head))]
    below = [_escape_markdown(note) for note in notes]
    parts = [line(head), f"|{'|'.join(sides)}|", *map(line, rows)]
    return "\n".join([*parts, *([""] if below else []), *(f"- {x}" for x in below)])


def _latex(
    head: Sequence[str], rows: Sequence[Sequence[str]], n_keys: int, notes: list[str]
) -> str:
    def line(cells: Sequence[str]) -> str:
        return rf"{' & '.join(_escape_latex(cell) for cell in cells)} \\"

    sides = "l" * n_keys + "r" * (len(head) - n_keys)
    below = [rf"\par {{\footnotesize {_escape_latex(note)}\par}}" for note in notes]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{sides}}}",
            r"\toprule",
            line(head),
            r"\midrule",
            *map(line, rows),
            r"\bottomrule",
            r"\end{tabular}",
            *below,
        ]
    )


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>])", r"\\\1", text)


def _escape_latex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
    escaped = re.sub(r"[\\~^<>&%$#_{}]", lambda m: special.get(m[0], f"\\{m[0]}"), text)
    # A minus sign, not a hyphen.
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
