"""Metrics by name, all called as ``metric(clean, enhanced, sample_rate)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from skvae.metrics.distortion import sdr, si_sdr
from skvae.metrics.intelligibility import estoi, stoi
from skvae.metrics.perceptual import pesq
from skvae.utils.threads import one_thread
from skvae.utils.words import did_you_mean


@dataclass(frozen=True)
class Metric:
    """Named metric that is always called with a sample rate.

    Parameters
    ----------
    name : str
        Name, as in the columns of tables.
    function : callable
        Function that returns a number for ``function(clean, enhanced)``.
    uses_sample_rate : bool, default=False
        Whether the function also needs the keyword `sample_rate`.

    See Also
    --------
    get_metric : Find a metric by its name.

    Examples
    --------
    >>> metric = get_metric("si_sdr")
    >>> metric.name
    'si_sdr'
    >>> metric([1.0, 2.0], [1.0, 2.0], sample_rate=16000)
    inf
    """

    name: str
    function: Callable[..., Any]
    uses_sample_rate: bool = False

    def __call__(self, clean: Any, enhanced: Any, sample_rate: int) -> float:
        """Score one pair of waveforms.

        Parameters
        ----------
        clean, enhanced : array-like, shape (n_samples,)
            Waveforms of the same length.
        sample_rate : int
            Sample rate in Hz.

        Returns
        -------
        float
            Score.
        """
        options = {"sample_rate": sample_rate} if self.uses_sample_rate else {}
        with one_thread():
            return float(self.function(clean, enhanced, **options))


#: Metrics by name. SI-SDR and SDR are in dB, PESQ gives opinion scores.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("si_sdr", si_sdr),
        Metric("sdr", sdr),
        Metric("pesq", pesq, uses_sample_rate=True),
        Metric("pesq_nb", partial(pesq, mode="nb"), uses_sample_rate=True),
        Metric("pesq_nb_raw", partial(pesq, mode="nb-raw"), uses_sample_rate=True),
        Metric("stoi", stoi, uses_sample_rate=True),
        Metric("estoi", estoi, uses_sample_rate=True),
    )
}


def get_metric(metric: str | Callable[..., Any]) -> Metric:
    """Find a metric by its name, or wrap a function as a metric.

    Parameters
    ----------
    metric : str or callable
        Key of `METRICS`, metric function of this package, or function that returns a
        number for ``(clean, enhanced)``.

    Returns
    -------
    Metric
        Metric, called as ``metric(clean, enhanced, sample_rate)``.

    See Also
    --------
    skvae.evaluate : Evaluate an enhancer with several metrics.

    Examples
    --------
    >>> import numpy as np
    >>> def loudest_error(clean, enhanced):
    ...     return np.abs(clean - enhanced).max()
    >>> metric = get_metric(loudest_error)
    >>> metric.name, metric(np.zeros(2), np.ones(2), sample_rate=16000)
    ('loudest_error', 1.0)
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    if not callable(metric):
        raise ValueError(
            f"`metric` must be one of {', '.join(METRICS)}, or a function of "
            f"(clean, enhanced), got {metric!r}"
            + (f": {hint}" if (hint := did_you_mean(metric, METRICS)) else ".")
        )
    # The function `stoi` needs the sample rate, like the name "stoi".
    for known in METRICS.values():
        if metric == known.function:
            return known
    return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
