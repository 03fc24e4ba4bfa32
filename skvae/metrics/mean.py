"""Means over utterances, of which some have no value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from skvae.metrics.distortion import si_sdr


def mean_defined(scores: Iterable[float]) -> float:
    """Mean of the scores that are not NaN; NaN if there is none.

    Parameters
    ----------
    scores : iterable of float
        One score per utterance; NaN where a metric is undefined.

    Returns
    -------
    float
        The mean.

    See Also
    --------
    mean_si_sdr : The mean of one metric.

    Examples
    --------
    >>> mean_defined([1.0, float("nan"), 3.0])
    2.0
    """
    defined = [score for score in scores if not math.isnan(score)]
    return sum(defined) / len(defined) if defined else math.nan


def mean_si_sdr(clean: Iterable[Any], enhanced: Iterable[Any]) -> float:
    """Mean SI-SDR in dB of pairs of waveforms: what estimators score.

    Parameters
    ----------
    clean : iterable of array-like, each of shape (n_samples,)
        Clean utterances; silent ones do not count.
    enhanced : iterable of array-like, each of shape (n_samples,)
        Enhanced utterances.

    Returns
    -------
    float
        The mean over the others.

    See Also
    --------
    si_sdr : Of a single pair.
    skvae.evaluate : Any metrics, an utterance a row.

    Examples
    --------
    >>> round(mean_si_sdr([[1.0, 1.0]], [[1.0, 0.0]]), 6)
    0.0
    """
    pairs = zip(clean, enhanced, strict=True)
    return mean_defined(si_sdr(one, other) for one, other in pairs)
