"""Means over utterances, without undefined scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from skvae.metrics.distortion import si_sdr


def mean_defined(scores: Iterable[float]) -> float:
    """Average the scores that are not NaN.

    Parameters
    ----------
    scores : iterable of float
        Score of each utterance. NaN means undefined.

    Returns
    -------
    float
        Mean, or NaN if no score is defined.

    See Also
    --------
    mean_si_sdr : Mean SI-SDR of pairs.

    Examples
    --------
    >>> mean_defined([1.0, float("nan"), 3.0])
    2.0
    """
    defined = [score for score in scores if not math.isnan(score)]
    return sum(defined) / len(defined) if defined else math.nan


def mean_si_sdr(clean: Iterable[Any], enhanced: Iterable[Any]) -> float:
    """Average the SI-SDR of pairs of waveforms in dB, as `score` of estimators does.

    Parameters
    ----------
    clean : iterable of array-like, each of shape (n_samples,)
        Clean utterances. Silent ones are ignored.
    enhanced : iterable of array-like, each of shape (n_samples,)
        Enhanced utterances.

    Returns
    -------
    float
        Mean SI-SDR in dB.

    See Also
    --------
    si_sdr : SI-SDR of one pair.
    skvae.evaluate : Table of any metrics, with one row per utterance.

    Examples
    --------
    >>> round(mean_si_sdr([[1.0, 1.0]], [[1.0, 0.0]]), 6)
    0.0
    """
    pairs = zip(clean, enhanced, strict=True)
    return mean_defined(si_sdr(one, other) for one, other in pairs)
