"""Means of scores, their confidence intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.evaluation.intervals import MANY_CLUSTERS, MIN_N, Estimate, estimate_mean
from skvae.evaluation.layout import STYLES, lay_out
from skvae.evaluation.systems import SYSTEM, check_paired, list_pairs, list_systems
from skvae.metrics import METRICS, mean_defined
from skvae.utils.extras import require_pandas
from skvae.utils.parameters import check_option, check_real
from skvae.utils.random import RandomState, draw_seed

if TYPE_CHECKING:
    import pandas

#: Notes on intervals.
TOO_SMALL, TOO_FEW, FEW = "n too small", "too few clusters", "few clusters"


def summarize(
    table: Any,
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
    table : DataFrame, dict of str to DataFrame, or list of DataFrames
        Tables of :func:`evaluate`, one per system. A dict has the names of the systems,
        a list numbers them. A table with several values in a column `system`, as that
        of ``skvae evaluate -o``, counts as several tables.
    by : str or list of str, default=None
        Columns whose values define groups of utterances, in addition to all.
    metrics : str or list of str, default=None
        Columns to average; None means all metrics of the table.
    confidence : float, default=0.95
        Nominal probability that an interval covers the mean over all such utterances.
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
        A row per system, group and metric; in each system the group "all" is the first.
        The columns are `system`, if there are names; those of `by`; and

        - `metric`, `mean`;
        - `low` and `high`: the interval, NaN without one;
        - `n`: number of scores in the mean;
        - `clusters`: number of clusters in the mean, with a `cluster` only;
        - `undefined`: number of scores that are NaN without an error;
        - `errors`: number of scores that are missing after an error;
        - `note`: empty, or the reason why there is no interval: "n too small" for fewer
          than 5 utterances, "too few clusters" for fewer than 5 clusters. "few
          clusters" marks the interval of fewer than 10 clusters.

    See Also
    --------
    compare : Paired differences between systems.
    format_summary : Summary as text, with a line per group.

    Notes
    -----
    The interval lies between two percentiles of the resampled means, which are those
    that Student's t distribution requires, :math:`\Phi(\pm\sqrt{n / (n - 1)}\,
    t_{n-1})` [1]_. For n < 30, percentiles are too narrow. Therefore the interval is
    widened to contain also the t interval with Hall's correction for skewness [2]_. For
    n < 5 there is no interval: that of two scores would be the two scores, and cover
    the mean in half of the cases.

    Simulated data gave these probabilities that an interval of 95 % covers the true
    mean:

    =====================  ======  ======  ======
    Scores                 n = 5   n = 10  n = 30
    =====================  ======  ======  ======
    normal                 0.95    0.95    0.95
    exponential            0.92    0.94    0.93
    normal clusters        0.95    0.95    0.95
    exponential clusters   0.93    0.94    0.93
    =====================  ======  ======  ======

    In the last two rows n is the number of clusters of six scores each, whose means
    differ as much as scores in a cluster do. Misses with exponential scores are mostly
    means above the interval.

    Utterances are treated as independent, so the interval describes other utterances of
    the same kinds. With a `cluster`, it describes other kinds as well, if the kinds are
    a random sample, and n is the number of clusters. Without it, the intervals of such
    data are far too narrow.

    References
    ----------
    .. [1] T. C. Hesterberg, "What teachers should know about the bootstrap:
       resampling in the undergraduate statistics curriculum", The American Statistician
       69(4), 2015.
    .. [2] P. Hall, "On the removal of skewness by transformation", Journal of the Royal
       Statistical Society B 54(1), 1992.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"snr": [0, 0, 5, 5], "si_sdr": [4.0, 6.0, 8.0, 10.0]})
    >>> summarize(table, by="snr")[["snr", "metric", "mean", "n", "note"]]
       snr  metric  mean  n         note
    0  all  si_sdr   7.0  4  n too small
    1    0  si_sdr   5.0  2  n too small
    2    5  si_sdr   9.0  2  n too small
    >>> other = table.assign(si_sdr=table["si_sdr"] + 1)
    >>> summarize({"one": table, "two": other})[["system", "metric", "mean"]]
      system  metric  mean
    0    one  si_sdr   7.0
    1    two  si_sdr   8.0
    """
    require_pandas("summarize")
    import pandas

    estimate = _make_estimator(confidence, n_resamples, random_state)
    records = []
    for system, rows in list_systems(table, is_named=SYSTEM in _columns(by)):
        names = _metric_columns(rows, metrics)
        for group, members in _groups(rows, _keys(by, system)):
            failed = failed_rows(members)
            clusters = _cluster_numbers(members, cluster)
            for name in names:
                scores = scores_of(members, name)
                absent = np.isnan(scores)
                found = estimate(scores[~absent], clusters[~absent])
                records.append(
                    {
                        **system,
                        **group,
                        "metric": name,
                        "mean": found.mean,
                        "low": found.low,
                        "high": found.high,
                        **_counts(found, int((~absent).sum()), cluster),
                        "undefined": int((absent & ~failed).sum()),
                        "errors": int((absent & failed).sum()),
                        "note": _note(found, cluster),
                    }
                )
    return pandas.DataFrame(records)


def compare(
    table: Any,
    other: Any,
    metrics: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: RandomState = 0,
    cluster: str | None = None,
) -> pandas.DataFrame:
    """Paired differences between systems on the same utterances.

    A paired difference has a narrower interval than the two means, since the spread
    between easy and hard utterances cancels out.

    Parameters
    ----------
    table : DataFrame, dict of str to DataFrame, or list of DataFrames
        Tables of :func:`evaluate` for the same utterances, as for :func:`summarize`.
    other : DataFrame, or str or int
        Table of the system with which each is compared, or the name of this system in
        `table`.
    metrics : str or list of str, default=None
        Columns to compare; None means all metrics of the table.
    by : str or list of str, default=None
        Columns whose values define groups of utterances, in addition to all.
    confidence : float, default=0.95
        Nominal probability that an interval covers the mean difference.
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
        A row per system, group and metric. The columns are `system`, if there are
        names; those of `by`; and

        - `metric`, `mean` and `other` (the means), `difference` (`mean` minus `other`);
        - `low` and `high`: interval of the difference, as in :func:`summarize`, NaN
          without one;
        - `sign`: 1 or -1 if the interval excludes zero, else 0, and missing without an
          interval;
        - `n`: number of pairs;
        - `clusters`: number of clusters, with a `cluster` only;
        - `dropped`: number of utterances without a score in one of the tables, which
          are excluded;
        - `note`: remark on the interval, as in :func:`summarize`.

    See Also
    --------
    evaluate : Make the tables.
    summarize : Means of each table.
    format_comparison : Comparison as text, with a line per group.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"si_sdr": [5.0, 9.0, 14.0, 3.0, 0.0]})
    >>> other = pandas.DataFrame({"si_sdr": [4.0, 8.5, 13.0, 2.5, -1.0]})
    >>> compare(table, other)[["metric", "difference", "sign", "n"]]
       metric  difference  sign  n
    0  si_sdr         0.8     1  5
    >>> tables = {"noisy": other, "one": table, "two": table + 1}
    >>> compare(tables, "noisy")[["system", "metric", "difference"]]
      system  metric  difference
    0    one  si_sdr         0.8
    1    two  si_sdr         1.8
    """
    require_pandas("compare")
    import pandas

    estimate = _make_estimator(confidence, n_resamples, random_state)
    records = []
    for system, rows, reference in list_pairs(table, other, SYSTEM in _columns(by)):
        names = _metric_columns(rows, metrics)
        _metric_columns(reference, names)
        check_paired(rows, reference)
        # By position: labels may repeat.
        numbered = rows.assign(_row=np.arange(len(rows)))
        for group, members in _groups(numbered, _keys(by, system)):
            clusters = _cluster_numbers(members, cluster)
            for name in names:
                scores = scores_of(members, name)
                others = scores_of(reference.iloc[members["_row"].to_numpy()], name)
                with np.errstate(invalid="ignore"):  # inf - inf has no value
                    differences = scores - others
                paired = ~np.isnan(differences)
                found = estimate(differences[paired], clusters[paired])
                records.append(
                    {
                        **system,
                        **group,
                        "metric": name,
                        "mean": mean_defined(scores[paired]),
                        "other": mean_defined(others[paired]),
                        "difference": found.mean,
                        "low": found.low,
                        "high": found.high,
                        "sign": _sign(found),
                        **_counts(found, int(paired.sum()), cluster),
                        "dropped": int((~paired).sum()),
                        "note": _note(found, cluster),
                    }
                )
    return pandas.DataFrame(records).astype({"sign": "Int64"})


def format_summary(summary: pandas.DataFrame, style: str = "text") -> str:
    r"""Format a summary: a line per group, a column per metric.

    Parameters
    ----------
    summary : DataFrame
        Result of :func:`summarize`. It may have more columns before `metric`, which
        label the lines as well. The order of the lines is kept.
    style : {"text", "markdown", "latex"}, default="text"
        Plain text, a Markdown table, or a LaTeX tabular for the package booktabs.

    Returns
    -------
    str
        Each score is "mean [low, high]", or "mean [n too small]" without an interval.
        The last lines count missing scores.

    Examples
    --------
    >>> import pandas
    >>> scores = pandas.DataFrame(
    ...     {"snr": [0, 5] * 5, "si_sdr": [4.0, 6, 8, 10, 5, 7, 9, 11, 4, 6]}
    ... )
    >>> print(format_summary(summarize(scores[:8], by="snr")))
    snr  n              si_sdr
    all  8   7.50 [5.45, 9.55]
      0  4  6.50 [n too small]
      5  4  8.50 [n too small]
    >>> print(format_summary(summarize(scores), style="markdown"))
    | n | SI-SDR (dB) |
    |---:|---:|
    | 10 | 7.00 [5.30, 8.90] |
    """

    def note(record: dict[str, Any]) -> str:
        if not record["undefined"] and not record["errors"]:
            return ""
        return f"{record['undefined']} undefined, {record['errors']} errors"

    check_option("style", style, STYLES)
    return lay_out(summary, "mean", "", note, style)


def format_comparison(comparison: pandas.DataFrame, style: str = "text") -> str:
    """Format a comparison: a line per group, a column per metric.

    Parameters
    ----------
    comparison : DataFrame
        Result of :func:`compare`. It may have more columns before `metric`, which label
        the lines as well. The order of the lines is kept.
    style : {"text", "markdown", "latex"}, default="text"
        Plain text, a Markdown table, or a LaTeX tabular for the package booktabs.

    Returns
    -------
    str
        Each difference is "difference [low, high]", or "difference [n too small]"
        without an interval. The last lines count excluded utterances.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"si_sdr": [5.0, 9.0, 14.0, 3.0, 0.0]})
    >>> other = pandas.DataFrame({"si_sdr": [4.0, 8.5, 13.0, 2.5, -1.0]})
    >>> print(format_comparison(compare(table, other)))
    n                si_sdr
    5  +0.80 [+0.37, +1.09]
    """

    def note(record: dict[str, Any]) -> str:
        return f"{record['dropped']} without a pair" if record["dropped"] else ""

    check_option("style", style, STYLES)
    return lay_out(comparison, "difference", "+", note, style)


def _counts(found: Estimate, n: int, cluster: str | None) -> dict[str, int]:
    return {"n": n} if cluster is None else {"n": n, "clusters": found.n_clusters}


def _note(found: Estimate, cluster: str | None) -> str:
    """Remark on an interval, or the reason why there is none."""
    if found.n_clusters < MIN_N:
        return TOO_SMALL if cluster is None else TOO_FEW
    return FEW if cluster is not None and found.n_clusters < MANY_CLUSTERS else ""


def _sign(found: Estimate) -> int | None:
    if np.isnan(found.low) or np.isnan(found.high):
        return None
    return int(found.low > 0) - int(found.high < 0)


def _columns(names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _keys(by: str | Sequence[str] | None, system: dict[str, Any]) -> list[str]:
    """Columns that define groups, without that of the systems, which are apart."""
    return [key for key in _columns(by) if key not in system]


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


def _cluster_numbers(rows: pandas.DataFrame, cluster: str | None) -> np.ndarray:
    """Number of the cluster of each utterance, int, shape (n_rows,)."""
    if cluster is None:
        return np.arange(len(rows))
    if cluster not in rows:
        raise ValueError(
            f"`cluster` must be a column of the table, {list(rows.columns)}, got "
            f"{cluster!r}."
        )
    return rows[cluster].factorize(use_na_sentinel=False)[0]


def _make_estimator(
    confidence: float, n_resamples: int, random_state: RandomState
) -> Callable[[np.ndarray, np.ndarray], Estimate]:
    check_real("confidence", confidence, low=0, high=1, open_low=True)
    check_real("n_resamples", n_resamples, low=1, integer=True)
    seed = draw_seed(random_state)
    # Each call has a new generator, so that groups do not depend on each other.
    return lambda scores, clusters: estimate_mean(
        scores, clusters, confidence, n_resamples, np.random.default_rng(seed)
    )
