"""Means beside the paper's, and which of its findings the data bear out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas

from common.scores import Tables
from skvae.evaluation.summary import compare, summarize

#: The group of all pairs.
ALL = "all"

#: Decimals of metrics that are in dB, and of the others.
DECIBELS, OTHERS = 2, 3


class Claim(NamedTuple):
    """A finding of a paper: that one system is better than another, or as good.

    Attributes
    ----------
    set : str
        The test set.
    first, second : str
        The two systems.
    metric : str
        What they are compared by.
    paper : float or None
        The paper's difference of means, first less second, where it tells one.
    expected : {1, 0, -1} or None
        What the paper says: that the first is better, as good, or worse. None means as
        its difference has it; without one, the question is not the paper's.
    """

    set: str
    first: str
    second: str
    metric: str
    paper: float | None = None
    expected: int | None = None

    @property
    def sign(self) -> int | None:
        """What the paper says."""
        if self.expected is None and self.paper is not None:
            return int(np.sign(self.paper))
        return self.expected


#: Columns of what :func:`judge` finds.
FINDINGS = [
    *Claim._fields,
    *("difference", "low", "high", "n", "noises_low", "noises_high"),
    *("finding", "verdict"),
]


def means(
    tables: Tables,
    metrics: Sequence[str],
    by: str | None = None,
    paper: Mapping[tuple[str, str, str, str], float] | None = None,
) -> pandas.DataFrame:
    """Means with their intervals, and the paper's.

    Parameters
    ----------
    tables : dict of (str, str) to DataFrame
        Scores by test set and system.
    metrics : sequence of str
        Columns.
    by : str or None
        Column whose values are groups, beside all pairs.
    paper : mapping of (set, system, group, metric) to float
        What the paper reports.

    Returns
    -------
    DataFrame
        A row for each set, system, group and metric.
    """
    parts = []
    for (name, system), table in tables.items():
        summary = summarize(table, by=by, metrics=list(metrics))
        group = summary.pop(by).map(label) if by else ALL
        parts.append(summary.assign(set=name, system=system, group=group))
    found = pandas.concat(parts, ignore_index=True)
    keys = ["set", "system", "group", "metric"]
    found = found[[*keys, *(column for column in found if column not in keys)]]
    known = paper or {}
    found["paper"] = [
        known.get(key, np.nan) for key in found[keys].itertuples(index=False, name=None)
    ]
    return found


def label(value: object) -> str:
    """Name of a group."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def judge(claims: Iterable[Claim], tables: Tables) -> pandas.DataFrame:
    """Hold each claim against paired differences and their 95 % intervals.

    Returns
    -------
    DataFrame
        The columns of :class:`Claim`, `difference`, `low`, `high`, `n`, `finding`
        ("a > b" and "a < b" only where the interval leaves out zero, else "a ? b"),
        `noises_low` and `noises_high`, the interval over other kinds of noise (NaN
        where there is one kind), and `verdict`, which ends in "in these noises" where
        only that interval holds zero.
    """
    records = []
    for claim in claims:
        keys = [(claim.set, claim.first), (claim.set, claim.second)]
        if not all(key in tables for key in keys):
            continue
        first, second = (tables[key] for key in keys)
        row, elsewhere = (
            compare(first, second, claim.metric, cluster=cluster).iloc[0]
            for cluster in (None, "noise")
        )
        is_general = row["sign"] in (0, elsewhere["sign"]) or np.isnan(elsewhere["low"])
        finding, verdict = _read(claim, row["sign"])
        records.append(
            {
                **claim._asdict(),
                **row[["difference", "low", "high", "n"]],
                "noises_low": elsewhere["low"],
                "noises_high": elsewhere["high"],
                "finding": finding,
                "verdict": verdict if is_general else f"{verdict}, in these noises",
            }
        )
    return pandas.DataFrame(records, columns=FINDINGS)


def _read(claim: Claim, sign: int) -> tuple[str, str]:
    """What is found, and what that says of the paper's claim."""
    relation = {1: ">", -1: "<", 0: "?"}[sign]
    finding = f"{claim.first} {relation} {claim.second}"
    if claim.sign is None:
        return finding, "not in the paper"
    if claim.sign == 0:
        return finding, "against the paper" if sign else "nothing against the paper"
    if sign == 0:
        return finding, "open"
    return finding, "as in the paper" if sign == claim.sign else "against the paper"


def format_claims(judged: pandas.DataFrame) -> str:
    """Lay out what :func:`judge` found."""
    rows = [["", "set", "metric", "paper", "here", "n", "other noises", ""]]
    for row in judged.to_dict("records"):
        digits = decimals(row["metric"])
        rows.append(
            [
                row["finding"],
                row["set"],
                row["metric"],
                _told(row, digits),
                interval(row["difference"], row["low"], row["high"], digits, "+"),
                str(row["n"]),
                bounds(row["noises_low"], row["noises_high"], digits, "+"),
                row["verdict"],
            ]
        )
    return align(rows)


def _told(row: Mapping, digits: int) -> str:
    """What the paper says of a difference."""
    if not pandas.isna(row["paper"]):
        return f"{row['paper']:+.{digits}f}"
    if pandas.isna(row["expected"]):
        return ""
    return {1: "better", 0: "as good", -1: "worse"}[int(row["expected"])]


def grid(found: pandas.DataFrame, metric: str | None, rows: str, columns: str) -> str:
    """Lay out means: a line for each value of one column, a place for each of another.

    A place is "mean [low, high]", and then "/ paper's" where there is one.
    """
    if metric is not None:
        found = found[found["metric"] == metric]
    names = [list(dict.fromkeys(found[key])) for key in (rows, columns)]
    cells = {(row[rows], row[columns]): cell(row) for row in found.to_dict("records")}
    lines = [["", *names[1]]]
    lines += [
        [first, *(cells.get((first, second), "") for second in names[1])]
        for first in names[0]
    ]
    return align(lines)


def cell(row: Mapping) -> str:
    """A mean, its interval, and the paper's."""
    digits = decimals(row["metric"])
    text = interval(row["mean"], row["low"], row["high"], digits)
    paper = row["paper"]
    return text if pandas.isna(paper) else f"{text} / {paper:.{digits}f}"


def interval(value: float, low: float, high: float, digits: int, sign: str = "") -> str:
    """A number and its interval; one utterance has none."""
    return f"{value:{sign}.{digits}f} {bounds(low, high, digits, sign)}".rstrip()


def bounds(low: float, high: float, digits: int, sign: str = "") -> str:
    """An interval, where there is one."""
    if np.isnan(low):
        return ""
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def decimals(metric: str) -> int:
    """How many decimals of a metric are told."""
    return DECIBELS if metric in ("si_sdr", "sdr") else OTHERS


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first one to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(w) for text, w in others)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def title(text: str) -> str:
    """A line and what underlines it."""
    return f"{text}\n{'-' * len(text)}"
