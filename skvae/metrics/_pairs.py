"""Input of all metrics, and the warning for undefined values."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from skvae.utils.waveforms import open_waveform


def open_pair(clean: Any, enhanced: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read a clean and an enhanced waveform in float64.

    Parameters
    ----------
    clean, enhanced : array-like, shape (n_samples,)
        Waveforms of the same length.

    Returns
    -------
    clean, enhanced : ndarray of float64, shape (n_samples,)
        Samples of the waveforms.

    Examples
    --------
    >>> open_pair([1, 2], [3, 4])
    (array([1., 2.]), array([3., 4.]))
    """
    # Any level is allowed: metrics scale both waveforms before they compute energies.
    clean = open_waveform(clean, "clean", math.inf).astype(np.float64, copy=False)
    enhanced = open_waveform(enhanced, "enhanced", math.inf).astype(
        np.float64, copy=False
    )
    if clean.size != enhanced.size:
        raise ValueError(
            "clean and enhanced must have the same number of samples, "
            f"got {clean.size} and {enhanced.size}."
        )
    return clean, enhanced


def scale_to_unit(samples: np.ndarray) -> np.ndarray:
    """Scale a waveform to a peak in [0.5, 1), so that energies stay in range.

    The factor is a power of two, so that nothing is rounded and proportional waveforms
    stay exactly proportional.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Waveform. Silence is not changed.

    Returns
    -------
    ndarray of float, shape (n_samples,)
        Scaled waveform.

    Examples
    --------
    >>> import numpy as np
    >>> scale_to_unit(np.array([3e300, -1.5e300])).round(2)
    array([ 0.56, -0.28])
    """
    _, exponent = np.frexp(np.abs(samples).max())
    return np.ldexp(samples, -exponent)


def undefined(metric: str, reason: str, stacklevel: int = 3) -> float:
    """Warn that a metric is undefined for a pair, and return NaN.

    Parameters
    ----------
    metric : str
        Name of the metric.
    reason : str
        Reason, as text for the warning.
    stacklevel : int
        Level of the caller to which the warning points. 3 is the caller of the function
        that calls this one.

    Returns
    -------
    float
        NaN.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True):
    ...     undefined("STOI", "clean is silent")
    nan
    """
    # Importing scikit-learn takes a second, and only this function needs it.
    from sklearn.exceptions import UndefinedMetricWarning

    warnings.warn(
        f"{metric} is undefined and set to NaN: {reason}.",
        UndefinedMetricWarning,
        stacklevel=stacklevel,
    )
    return math.nan
