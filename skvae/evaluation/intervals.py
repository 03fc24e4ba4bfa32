"""Confidence intervals of means."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

#: Fewer utterances or clusters have no interval.
MIN_N = 5
#: A summary has a note if an interval is that of fewer clusters.
MANY_CLUSTERS = 10
#: For fewer utterances or clusters, percentiles alone are too narrow.
_SMALL = 30
#: Maximum number of random indices in memory while resampling: 32 MB.
_INDICES_AT_ONCE = 2**22


class Estimate(NamedTuple):
    """A mean and its interval.

    Attributes
    ----------
    mean, low, high : float
        Mean and bounds of its interval; NaN without any.
    n_clusters : int
        Number of independent units: clusters, or utterances.
    """

    mean: float
    low: float
    high: float
    n_clusters: int


def estimate_mean(
    scores: np.ndarray,
    clusters: np.ndarray,
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Estimate:
    """Estimate a mean, and an interval that contains the expectation.

    The interval is the expanded percentile interval of the bootstrap [1]_. For fewer
    than 30 clusters, it is widened to contain also the t interval that is corrected
    for skewness [2]_. Fewer than five clusters have no interval.

    Parameters
    ----------
    scores : ndarray of shape (n_scores,)
        Scores without NaN.
    clusters : ndarray of int, shape (n_scores,)
        Number of the cluster of each score. Clusters are independent, scores in one
        cluster are not.
    confidence : float
        Nominal probability that the interval contains the expectation.
    n_resamples : int
        Number of bootstrap resamples.
    rng : Generator
        Generator of the resamples.

    Returns
    -------
    Estimate

    References
    ----------
    .. [1] T. C. Hesterberg, "What teachers should know about the bootstrap:
       resampling in the undergraduate statistics curriculum", The American Statistician
       69(4), 2015.
    .. [2] P. Hall, "On the removal of skewness by transformation", Journal of the Royal
       Statistical Society B 54(1), 1992.

    Examples
    --------
    >>> estimate = estimate_mean(
    ...     np.arange(9.0), np.arange(9), 0.95, 1000, np.random.default_rng(0)
    ... )
    >>> estimate.mean, bool(estimate.low < 4 < estimate.high)
    (4.0, True)
    """
    from scipy.special import stdtrit

    _, labels, counts = np.unique(clusters, return_inverse=True, return_counts=True)
    n = len(counts)
    with np.errstate(invalid="ignore"):  # the mean of inf and -inf has no value
        mean = float(scores.mean()) if len(scores) else math.nan
        if n < MIN_N:
            return Estimate(mean, math.nan, math.nan, n)
        sums = np.zeros(n)
        np.add.at(sums, labels, scores)
        t = float(stdtrit(n - 1, (1 + confidence) / 2))
        low, high = _percentiles(sums, counts, t, n_resamples, rng)
    if n < _SMALL and math.isfinite(mean):
        left, right = _corrected_for_skewness(mean, sums, counts, t)
        low, high = min(low, left), max(high, right)
    return Estimate(mean, low, high, n)


def _percentiles(
    sums: np.ndarray,
    counts: np.ndarray,
    t: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Percentiles of resampled means, expanded as Student's t distribution requires."""
    from scipy.special import ndtr

    n = len(sums)
    tail = ndtr(-math.sqrt(n / (n - 1)) * t)
    rows = max(1, _INDICES_AT_ONCE // n)
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, rows):
        part = means[start : start + rows]
        drawn = rng.integers(n, size=(len(part), n))
        part[:] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    # No interpolation, since a value may be infinite.
    low = np.quantile(means, tail, method="lower")
    high = np.quantile(means, 1 - tail, method="higher")
    return float(low), float(high)


def _corrected_for_skewness(
    mean: float, sums: np.ndarray, counts: np.ndarray, t: float
) -> tuple[float, float]:
    """Interval from Hall's cubic transformation of the t statistic."""
    n = len(sums)
    # Of a ratio of two sums, to first order.
    residuals = sums - mean * counts
    variance = float(np.mean(residuals**2))
    if variance == 0:
        return mean, mean
    error = math.sqrt(n * n / (n - 1) * variance) / counts.sum()
    a = float(np.mean(residuals**3)) / variance**1.5 / math.sqrt(n)

    def quantile(y: float) -> float:
        """Quantile of (mean - expectation) / error, where `y` is that of Student's t.

        It solves x + a x^2 / 3 + a^2 x^3 / 27 + a / 6 = y.
        """
        if abs(a) < 1e-6:
            return y - a / 6
        return float(3 / a * (np.cbrt(1 + a * (y - a / 6)) - 1))

    return mean - error * quantile(t), mean - error * quantile(-t)
