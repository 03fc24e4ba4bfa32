"""Means of scores, their confidence intervals, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.metrics import METRICS, mean_defined
from skvae.utils.parameters import check_real
from skvae.utils.random import RandomState, draw_seed

if TYPE_CHECKING:
    import pandas

#: Maximum number of random indices in memory while resampling: 32 MB.
_INDICES_AT_ONCE = 2**22

#: Number of decimals that :func:`format_summary` prints of decibels, and of others.
_DECIBEL_METRICS, _DECIBEL_DIGITS, _DIGITS = ("si_sdr", "sdr"), 2, 3


def summarize(
    table: pandas.DataFrame,
    by: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: RandomState = 0,
    cluster: str | None = None,
) -> pandas.DataFrame:
    r"""Mean scores with bootstrap confidence intervals.

    Parameters
    ----------
    table : DataFrame
        Table of :func:`evaluate`, or several of these, concatenated.
    by : str or list of str, default=None
        Columns whose values define groups of utterances, in addition to all.
    metrics : str or list of str, default=None
        Columns to average; None means all metrics of the table.
    confidence : float, default=0.95
        Probability that an interval covers the mean over all such utterances.
    n_resamples : int, default=2000
        Number of bootstrap resamples.
    random_state : int, Generator, RandomState or None, default=0
        Seed or generator of the resamples.
    cluster : str, default=None
        Column whose values define clusters of utterances that are drawn together, such
        as those of one kind of noise or one speaker.

    Returns
    -------
    DataFrame
        A row per group and metric, the group "all" first. Its columns are those of
        `by`, then `metric`, `mean`, `low` and `high` (the interval), `n` (number of
        scores in the mean), `undefined` (scores that are NaN without an error) and
        `errors`: the last three sum to the number of utterances.

    See Also
    --------
    format_summary : Summary as text, with a line per group.

    Notes
    -----
    The interval lies between two percentiles of the resampled means. Plain percentiles
    are too narrow for few utterances (with 10, they cover the mean 9 times in 10).
    Therefore the percentiles are those that Student's t distribution requires,
    :math:`\Phi(\pm\sqrt{n / (n - 1)}\, t_{n-1})` [1]_. A single utterance has no
    interval.

    Utterances are treated as independent, so the interval describes other utterances of
    the same kinds. With a `cluster`, it describes other kinds as well, if the kinds are
    a random sample, and n is the number of clusters.

    References
    ----------
    .. [1] T. C. Hesterberg, "What teachers should know about the bootstrap:
       resampling in the undergraduate statistics curriculum", The American Statistician
       69(4), 2015.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"snr": [0, 0, 5, 5], "si_sdr": [4.0, 6.0, 8.0, 10.0]})
    >>> summarize(table, by="snr")[["snr", "metric", "mean", "n"]]
       snr  metric  mean  n
    0  all  si_sdr   7.0  4
    1    0  si_sdr   5.0  2
    2    5  si_sdr   9.0  2
    """
    import pandas

    keys, names = _columns(by), _metric_columns(table, metrics)
    bootstrap = _make_bootstrap(confidence, n_resamples, random_state)
    records = []
    for group, rows in _groups(table, keys):
        failed = failed_rows(rows)
        for name in names:
            scores = scores_of(rows, name)
            absent = np.isnan(scores)
            together = _together(rows, cluster)
            mean, low, high = bootstrap(scores[~absent], together[~absent])
            records.append(
                {
                    **group,
                    "metric": name,
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "n": int((~absent).sum()),
                    "undefined": int((absent & ~failed).sum()),
                    "errors": int((absent & failed).sum()),
                }
            )
    return pandas.DataFrame(records)


def compare(
    table: pandas.DataFrame,
    other: pandas.DataFrame,
    metrics: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: RandomState = 0,
    cluster: str | None = None,
) -> pandas.DataFrame:
    """Paired differences between two enhancers on the same utterances.

    A paired difference has a narrower interval than the two means, since the spread
    between easy and hard utterances cancels out.

    Parameters
    ----------
    table, other : DataFrame
        Tables of :func:`evaluate` for two enhancers and the same utterances.
    metrics : str or list of str, default=None
        Columns to compare; None means all metrics of the table.
    by : str or list of str, default=None
        Columns whose values define groups of utterances, in addition to all.
    confidence : float, default=0.95
        Probability that an interval covers the mean difference.
    n_resamples : int, default=2000
        Number of bootstrap resamples.
    random_state : int, Generator, RandomState or None, default=0
        Seed or generator of the resamples.
    cluster : str, default=None
        Column whose values define clusters of utterances that are drawn together, such
        as those of one kind of noise or one speaker.

    Returns
    -------
    DataFrame
        A row per group and metric: the columns of `by`, then `metric`, `mean` and
        `other` (the means), `difference` (`mean` minus `other`), `low` and `high` (its
        interval, as in :func:`summarize`), `sign` (1 or -1 if the interval excludes
        zero, else 0), `n` (number of pairs) and `dropped` (number of utterances without
        a score in one of the tables, which are excluded).

    See Also
    --------
    evaluate : Make the tables.
    summarize : Means of one table.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"si_sdr": [5.0, 9.0, 14.0, 3.0, 0.0]})
    >>> other = pandas.DataFrame({"si_sdr": [4.0, 8.5, 13.0, 2.5, -1.0]})
    >>> compare(table, other)[["metric", "difference", "sign", "n"]]
       metric  difference  sign  n
    0  si_sdr         0.8     1  5
    """
    import pandas

    keys, names = _columns(by), _metric_columns(table, metrics)
    _metric_columns(other, names)
    same_files = "file" not in table or "file" not in other
    same_files = same_files or table["file"].equals(other["file"])
    if not table.index.equals(other.index) or not same_files:
        raise ValueError(
            "`table` and `other` must contain the same utterances in the same order, "
            f"got {len(table)} and {len(other)} rows that do not match."
        )
    bootstrap = _make_bootstrap(confidence, n_resamples, random_state)
    # By position: labels may repeat.
    numbered = table.assign(_row=np.arange(len(table)))
    records = []
    for group, rows in _groups(numbered, keys):
        for name in names:
            scores = scores_of(rows, name)
            others = scores_of(other.iloc[rows["_row"].to_numpy()], name)
            with np.errstate(invalid="ignore"):  # inf - inf has no value
                differences = scores - others
            paired = ~np.isnan(differences)
            together = _together(rows, cluster)
            difference, low, high = bootstrap(differences[paired], together[paired])
            records.append(
                {
                    **group,
                    "metric": name,
                    "mean": mean_defined(scores[paired]),
                    "other": mean_defined(others[paired]),
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "sign": int(low > 0) - int(high < 0),
                    "n": int(paired.sum()),
                    "dropped": int((~paired).sum()),
                }
            )
    return pandas.DataFrame(records)


def format_summary(summary: pandas.DataFrame) -> str:
    """Format a summary as text: a line per group, a column per metric.

    Parameters
    ----------
    summary : DataFrame
        Result of :func:`summarize`. It may have more columns before `metric`, which
        label the lines as well. The order of the lines is kept.

    Returns
    -------
    str
        Each score is "mean [low, high]". The last lines count missing scores.

    Examples
    --------
    >>> import pandas
    >>> scores = pandas.DataFrame({"snr": [0, 0, 5, 5], "si_sdr": [4.0, 6, 8, 10]})
    >>> print(format_summary(summarize(scores, by="snr")))
    snr  n            si_sdr
    all  4  7.00 [4.00, 10.00]
      0  2   5.00 [4.00, 6.00]
      5  2  9.00 [8.00, 10.00]
    """

    def note(record: dict[str, Any]) -> str:
        if not record["undefined"] and not record["errors"]:
            return ""
        return f"{record['undefined']} undefined, {record['errors']} errors"

    return _lay_out(summary, "mean", "", note)


def format_comparison(comparison: pandas.DataFrame) -> str:
    """Format a comparison as text: a line per group, a column per metric.

    Parameters
    ----------
    comparison : DataFrame
        Result of :func:`compare`. It may have more columns before `metric`, which label
        the lines as well. The order of the lines is kept.

    Returns
    -------
    str
        Each difference is "difference [low, high]". The last lines count excluded
        utterances.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"si_sdr": [5.0, 9.0, 14.0, 3.0, 0.0]})
    >>> other = pandas.DataFrame({"si_sdr": [4.0, 8.5, 13.0, 2.5, -1.0]})
    >>> print(format_comparison(compare(table, other)))
    n                si_sdr
    5  +0.80 [+0.50, +1.00]
    """

    def note(record: dict[str, Any]) -> str:
        return f"{record['dropped']} without a pair" if record["dropped"] else ""

    return _lay_out(comparison, "difference", "+", note)


def _lay_out(
    table: pandas.DataFrame,
    value: str,
    sign: str,
    note: Callable[[dict[str, Any]], str],
) -> str:
    keys = list(table.columns[: table.columns.get_loc("metric")])
    lines: dict[tuple, dict[str, str]] = {}
    notes = []
    for record in table.to_dict("records"):
        group, metric = tuple(record[key] for key in keys), record["metric"]
        line = lines.setdefault(group, {key: str(record[key]) for key in keys})
        line["n"] = str(max(record["n"], int(line.get("n", 0))))
        digits = _DECIBEL_DIGITS if metric in _DECIBEL_METRICS else _DIGITS
        mean, low, high = (
            f"{record[column]:{sign}.{digits}f}" for column in (value, "low", "high")
        )
        # A single utterance has a score, but no interval.
        line[metric] = mean if np.isnan(record["low"]) else f"{mean} [{low}, {high}]"
        if told := note(record):
            notes.append(f"{' '.join([*map(str, group), metric])}: {told}")
    columns = list(dict.fromkeys(name for line in lines.values() for name in line))
    cells = [columns, *([line.get(c, "") for c in columns] for line in lines.values())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    return "\n".join([*text, *notes])


def _columns(names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _metric_columns(
    table: pandas.DataFrame, metrics: str | Sequence[str] | None
) -> list[str]:
    wanted = _columns(metrics)
    if metrics is None:
        # `evaluate` stores its metrics; a table from a file has only the columns.
        known = {*METRICS, *table.attrs.get("metrics", [])}
        wanted = [name for name in table.columns if name in known]
    missing = [name for name in wanted if name not in table]
    if missing or not wanted:
        raise ValueError(
            f"`metrics` must be columns of the table, {list(table.columns)}, got "
            f"{missing or metrics}."
        )
    return wanted


def _groups(
    table: pandas.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], pandas.DataFrame]]:
    """Yield all rows, then those of each combination of values of the keys."""
    missing = [key for key in keys if key not in table]
    if missing:
        raise ValueError(
            f"`by` must be columns of the table, {list(table.columns)}, got {missing}."
        )
    yield dict.fromkeys(keys, "all"), table
    if keys:
        for values, rows in table.groupby(keys, dropna=False, observed=True):
            yield dict(zip(keys, values, strict=True)), rows


def scores_of(rows: pandas.DataFrame, name: str) -> np.ndarray:
    """Scores of one metric as floats, shape (n_rows,); NaN for a missing score."""
    return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def failed_rows(rows: pandas.DataFrame) -> np.ndarray:
    """Whether each row has an error, bool, shape (n_rows,)."""
    if "error" not in rows:
        return np.zeros(len(rows), dtype=bool)
    return rows["error"].notna().to_numpy()


def _together(rows: pandas.DataFrame, cluster: str | None) -> np.ndarray:
    """Number of the cluster of each utterance, int, shape (n_rows,)."""
    if cluster is None:
        return np.arange(len(rows))
    if cluster not in rows:
        raise ValueError(
            f"`cluster` must be a column of the table, {list(rows.columns)}, got "
            f"{cluster!r}."
        )
    return rows[cluster].factorize(use_na_sentinel=False)[0]


def _make_bootstrap(
    confidence: float, n_resamples: int, random_state: RandomState
) -> Callable[[np.ndarray, np.ndarray], tuple[float, float, float]]:
    check_real("confidence", confidence, low=0, high=1, open_low=True)
    check_real("n_resamples", n_resamples, low=1, integer=True)
    seed = draw_seed(random_state)
    # Each call has a new generator, so that groups do not depend on each other.
    return lambda scores, together: _mean_interval(
        scores, together, confidence, n_resamples, np.random.default_rng(seed)
    )


def _mean_interval(
    scores: np.ndarray,
    together: np.ndarray,
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Mean of scores without NaN, and its expanded percentile interval."""
    from scipy.special import ndtr, stdtrit

    _, labels, counts = np.unique(together, return_inverse=True, return_counts=True)
    n = len(counts)
    if n < 2:
        return mean_defined(scores), math.nan, math.nan
    sums = np.zeros(n)
    t = stdtrit(n - 1, (1 + confidence) / 2)
    tail = ndtr(-math.sqrt(n / (n - 1)) * t)
    rows = max(1, _INDICES_AT_ONCE // n)
    means = np.empty(n_resamples)
    with np.errstate(invalid="ignore"):  # the mean of inf and -inf has no value
        np.add.at(sums, labels, scores)
        for start in range(0, n_resamples, rows):
            part = means[start : start + rows]
            drawn = rng.integers(n, size=(len(part), n))
            part[:] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        mean = float(scores.mean())
    # No interpolation, since a value may be infinite.
    low = np.quantile(means, tail, method="lower")
    high = np.quantile(means, 1 - tail, method="higher")
    return mean, float(low), float(high)
