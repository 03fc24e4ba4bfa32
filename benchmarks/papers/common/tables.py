"""Means compared with those of the paper, and tests of its findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas

from common.scores import Tables
from skvae.evaluation.summary import compare, summarize

#: Name of the group of all pairs.
ALL = "all"

#: Number of decimals for metrics in dB, and for others.
DECIBELS, OTHERS = 2, 3


class Claim(NamedTuple):
    """A finding of a paper: a system is better than another, or equally good.

    Attributes
    ----------
    set : str
        Test set.
    first, second : str
        The two systems.
    metric : str
        Metric of the comparison.
    paper : float or None
        Difference of the means in the paper, first - second, if it is known.
    expected : {1, 0, -1} or None
        Statement of the paper: the first system is better, equally good, or worse. None
        means the sign of `paper`. If both are None, the question is not in the paper.
    """

    set: str
    first: str
    second: str
    metric: str
    paper: float | None = None
    expected: int | None = None

    @property
    def sign(self) -> int | None:
        """Statement of the paper: 1, 0, -1, or None."""
        if self.expected is None and self.paper is not None:
            return int(np.sign(self.paper))
        return self.expected


#: Columns of the result of :func:`judge`.
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
    """Compute means with their intervals, and add those of the paper.

    Parameters
    ----------
    tables : dict of (str, str) to DataFrame
        Scores by test set and system.
    metrics : sequence of str
        Names of the metrics.
    by : str or None
        Column whose values define groups, in addition to the group of all pairs.
    paper : mapping of (set, system, group, metric) to float
        Means in the paper.

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
    """Return the name of a group."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def judge(claims: Iterable[Claim], tables: Tables) -> pandas.DataFrame:
    """Compare each claim with the paired difference and its 95 % interval.

    Returns
    -------
    DataFrame
        The columns are those of :class:`Claim`; `difference`, `low`, `high` and `n`;
        `noises_low` and `noises_high`, the interval with the kinds of noise as clusters
        (NaN for fewer than five); `finding`; and `verdict`. The finding is "a > b" or
        "a < b" if the first interval does not contain zero, and "a ? b" otherwise. The
        verdict ends with "in these noises" if only the second interval contains zero.
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
        # Without an interval, nothing is decided.
        sign = 0 if pandas.isna(row["sign"]) else int(row["sign"])
        is_general = sign == 0 or pandas.isna(elsewhere["sign"])
        is_general = is_general or sign == elsewhere["sign"]
        finding, verdict = _read(claim, sign)
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
    """Return the finding and the verdict on the claim of the paper."""
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
    """Format the result of :func:`judge`."""
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
    """Format the statement of the paper on a difference."""
    if not pandas.isna(row["paper"]):
        return f"{row['paper']:+.{digits}f}"
    if pandas.isna(row["expected"]):
        return ""
    return {1: "better", 0: "as good", -1: "worse"}[int(row["expected"])]


def grid(found: pandas.DataFrame, metric: str | None, rows: str, columns: str) -> str:
    """Format means as a table with rows and columns from two columns of `found`.

    A cell is "mean [low, high]", followed by "/ mean of the paper" if it is known.
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
    """Format a mean, its interval, and the mean of the paper."""
    digits = decimals(row["metric"])
    text = interval(row["mean"], row["low"], row["high"], digits)
    paper = row["paper"]
    return text if pandas.isna(paper) else f"{text} / {paper:.{digits}f}"


def interval(value: float, low: float, high: float, digits: int, sign: str = "") -> str:
    """Format a number and its interval. A single utterance has no interval."""
    return f"{value:{sign}.{digits}f} {bounds(low, high, digits, sign)}".rstrip()


def bounds(low: float, high: float, digits: int, sign: str = "") -> str:
    """Format an interval; NaN gives an empty string."""
    if np.isnan(low):
        return ""
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def decimals(metric: str) -> int:
    """Return the number of decimals for a metric."""
    return DECIBELS if metric in ("si_sdr", "sdr") else OTHERS


def align(rows: Sequence[Sequence[str]]) -> str:
    """Align columns of text: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(w) for text, w in others)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def title(text: str) -> str:
    """Underline a title."""
    return f"{text}\n{'-' * len(text)}"
