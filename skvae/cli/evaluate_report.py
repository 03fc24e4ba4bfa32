"""Report of ``skvae evaluate``: means and paired differences, in several formats."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas

from skvae.evaluation.intervals import MIN_N
from skvae.evaluation.summary import (
    compare,
    format_comparison,
    format_summary,
    summarize,
)

#: Name of the system that is the noisy input.
NOISY = "noisy"

#: Ratios are rounded to half a decibel; with more groups than these, to ranges.
_SNR_DIGIT, _MAX_GROUPS, _SNR_RANGE = 0.5, 8, 5.0

_INTERVALS = (
    f"Means with 95 % bootstrap intervals, for groups of at least {MIN_N} files."
)


class Section(NamedTuple):
    """One table of a report.

    Attributes
    ----------
    system : str
        Name of a system.
    reference : str or None
        System to which the differences are; None for means.
    rows : DataFrame
        Result of `summarize` or `compare`, with a first column `group`.
    """

    system: str
    reference: str | None
    rows: pandas.DataFrame

    @property
    def title(self) -> str:
        """Title of the table."""
        if self.reference is None:
            return self.system
        return f"{self.system} minus {self.reference}"


def make_sections(
    tables: Mapping[str, pandas.DataFrame],
    metrics: Sequence[str],
    reference: str | None = None,
) -> list[Section]:
    """Average the scores of each system, and its differences to others.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Scores by system, of the same utterances.
    metrics : sequence of str
        Columns with scores.
    reference : str, default=None
        System with which the others are compared, in addition to the noisy input.

    Returns
    -------
    list of Section

    Examples
    --------
    >>> tables = {name: pandas.DataFrame({"stoi": [0.5, 0.7]}) for name in "ab"}
    >>> [section.title for section in make_sections(tables, ["stoi"], "b")]
    ['a', 'a minus b', 'b']
    """
    references = [
        name
        for name in dict.fromkeys([NOISY, reference])
        if name is not None and name in tables
    ]
    sections = []
    for system, table in tables.items():
        groups = _groups(table)
        means = _by_groups(groups, lambda rows: summarize(rows, metrics=metrics))
        sections.append(Section(system, None, means))
        for name in references:
            if system in (NOISY, name):
                continue
            # The files of one utterance differ, its label does not.
            other = tables[name].drop(columns="file", errors="ignore")

            def gain(
                rows: pandas.DataFrame, other: pandas.DataFrame = other
            ) -> pandas.DataFrame:
                rows = rows.drop(columns="file", errors="ignore")
                return compare(rows, other.loc[rows.index], metrics)

            sections.append(Section(system, name, _by_groups(groups, gain)))
    return sections


def format_report(
    sections: Sequence[Section], style: str, settings: Mapping[str, Any]
) -> str:
    """Format a report.

    Parameters
    ----------
    sections : sequence of Section
        Tables of the report.
    style : {"text", "markdown", "latex", "csv", "json"}
        Format. "csv" is one table with a row for each value. "json" has the lists
        "means" and "differences" of such rows, and the settings.
    settings : mapping
        Settings of the evaluation, which JSON contains.

    Returns
    -------
    str

    Examples
    --------
    >>> tables = {"a": pandas.DataFrame({"stoi": [0.5, 0.7]})}
    >>> print(format_report(make_sections(tables, ["stoi"]), "csv", {}))
    system,reference,group,metric,value,low,high,n,note
    a,,all,stoi,0.6,,,2,n too small
    """
    if style == "csv":
        return _values(sections).to_csv(index=False).rstrip("\n")
    if style == "json":
        return to_json(
            {
                "settings": settings,
                "means": _records(sections, differences=False),
                "differences": _records(sections, differences=True),
            }
        )
    parts = []
    for section in sections:
        layout = format_summary if section.reference is None else format_comparison
        # In plain text, the first column needs no head.
        rows = section.rows.rename(columns={"group": ""} if style == "text" else {})
        parts += [_title(section.title, style), layout(rows, style), ""]
    end = f"% {_INTERVALS}" if style == "latex" else _INTERVALS
    return "\n".join([*parts, end])


def to_json(value: Any) -> str:
    """Format as JSON: NaN is null, and infinite numbers are the texts "inf", "-inf".

    Parameters
    ----------
    value : object
        Dicts, lists, numbers and texts; anything else is written as its `repr`.

    Returns
    -------
    str

    Examples
    --------
    >>> print(to_json({"low": float("nan"), "n": np.int64(3)}))
    {
      "low": null,
      "n": 3
    }
    """
    return json.dumps(_plain(value), indent=2, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is pandas.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    known = value is None or isinstance(value, bool | int | float | str)
    return value if known else repr(value)


def _title(title: str, style: str) -> str:
    if style == "markdown":
        return f"### {title}\n"
    return f"% {title}" if style == "latex" else title


def _records(sections: Sequence[Section], *, differences: bool) -> list[dict[str, Any]]:
    records = []
    for section in sections:
        if (section.reference is not None) == differences:
            names = {"system": section.system}
            if differences:
                names["reference"] = str(section.reference)
            records += [names | row for row in section.rows.to_dict("records")]
    return records


def _values(sections: Sequence[Section]) -> pandas.DataFrame:
    columns = ["group", "metric", "value", "low", "high", "n", "note"]
    parts = []
    for section in sections:
        value = "mean" if section.reference is None else "difference"
        # The column "mean" of a comparison is that of the system.
        rows = section.rows.assign(value=section.rows[value])[columns]
        rows.insert(0, "reference", section.reference)
        rows.insert(0, "system", section.system)
        parts.append(rows)
    return pandas.concat(parts, ignore_index=True)


def _groups(table: pandas.DataFrame) -> list[tuple[str, pandas.DataFrame]]:
    """Group the rows: all, by ratio, and by kind of noise."""
    groups = [("all", table)]
    for labels in (
        _snr_labels(table["snr"].to_numpy()) if "snr" in table else [],
        [(noise, noise) for noise in table["noise"]] if "noise" in table else [],
    ):
        groups += [
            (name, table[[own == name for _, own in labels]])
            for _, name in sorted(set(labels))
        ]
    return groups


def _snr_labels(ratios: np.ndarray) -> list[tuple[float, str]]:
    """Label each ratio with the sort key and the name of its group."""
    rounded = np.round(ratios / _SNR_DIGIT) * _SNR_DIGIT + 0.0  # no -0
    if len(set(rounded[np.isfinite(ratios)].tolist())) <= _MAX_GROUPS:
        known = [(x, f"{x:g} dB") for x in rounded.tolist()]
    else:
        low = np.floor(ratios / _SNR_RANGE) * _SNR_RANGE + 0.0
        known = [(x, f"{x:g} to {x + _SNR_RANGE:g} dB") for x in low.tolist()]
    return [
        pair if np.isfinite(pair[0]) else (np.inf, "no ratio known") for pair in known
    ]


def _by_groups(
    groups: list[tuple[str, pandas.DataFrame]],
    summarized: Callable[[pandas.DataFrame], pandas.DataFrame],
) -> pandas.DataFrame:
    parts = []
    for name, rows in groups:
        part = summarized(rows)
        part.insert(0, "group", name)
        parts.append(part)
    return pandas.concat(parts, ignore_index=True)
