"""The metrics by name, all called as ``metric(clean, enhanced, sample_rate)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from skvae.metrics.distortion import sdr, si_sdr
from skvae.metrics.intelligibility import estoi, stoi
from skvae.metrics.perceptual import pesq


@dataclass(frozen=True)
class Metric:
    """A named metric, called with a sample rate whether it depends on it or not.

    Parameters
    ----------
    name : str
        What a table calls it.
    function : callable
        ``function(clean, enhanced)`` returns a number.
    uses_sample_rate : bool, default=False
        Whether the function also takes the keyword `sample_rate`.

    See Also
    --------
    get_metric : Finds one.

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
            A pair of one length.
        sample_rate : int
            Samples per second.

        Returns
        -------
        float
            The score.
        """
        if self.uses_sample_rate:
            return float(self.function(clean, enhanced, sample_rate=sample_rate))
        return float(self.function(clean, enhanced))


#: Name -> metric. The numbers are dB for the distortions, opinion scores for PESQ.
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
    """Find a metric by its name, or take a function of your own for one.

    Parameters
    ----------
    metric : str or callable
        A key of `METRICS`, one of this package's own metric functions, or a callable
        that takes ``(clean, enhanced)`` and returns a number.

    Returns
    -------
    Metric
        Called as ``metric(clean, enhanced, sample_rate)``.

    See Also
    --------
    skvae.evaluate : Scores an enhancer by several of them.

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
            f"(clean, enhanced), got {metric!r}."
        )
    # `stoi` itself must be told the sample rate, as "stoi" is.
    for known in METRICS.values():
        if metric == known.function:
            return known
    return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
