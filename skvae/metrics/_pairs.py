"""What every metric does first: open a pair, and say when it has no value."""

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
        Waveforms of one length.

    Returns
    -------
    clean, enhanced : ndarray of float64, shape (n_samples,)
        The same samples.

    Examples
    --------
    >>> open_pair([1, 2], [3, 4])
    (array([1., 2.]), array([3., 4.]))
    """
    # Any level: metrics scale both before they square anything.
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
    """Bring the peak into [0.5, 1), so that no energy overflows or underflows.

    The factor is a power of two: nothing is rounded, and what was proportional
    stays so to the last bit.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        A waveform. Silence stays as it is.

    Returns
    -------
    ndarray of float, shape (n_samples,)
        The scaled waveform.

    Examples
    --------
    >>> import numpy as np
    >>> scale_to_unit(np.array([3e300, -1.5e300])).round(2)
    array([ 0.56, -0.28])
    """
    _, exponent = np.frexp(np.abs(samples).max())
    return np.ldexp(samples, -exponent)


def check_sample_rate(sample_rate: Any) -> int:
    """Validate a sample rate in Hz.

    Examples
    --------
    >>> check_sample_rate(16000.0)
    16000
    """
    try:
        rate = int(sample_rate)
    except (TypeError, ValueError, OverflowError):
        rate = 0
    if rate < 1 or rate != sample_rate or isinstance(sample_rate, bool):
        raise ValueError(
            f"`sample_rate` must be a positive whole number of Hz, got {sample_rate!r}."
        )
    return rate


def undefined(metric: str, reason: str, stacklevel: int = 3) -> float:
    """Warn once that a metric has no value for this pair, and return NaN.

    Parameters
    ----------
    metric : str
        Its name.
    reason : str
        Why there is no value.
    stacklevel : int
        Which caller the warning points at: 3 is who called the caller of this.

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
    # scikit-learn takes a second to import, and this is the only need of it.
    from sklearn.exceptions import UndefinedMetricWarning

    warnings.warn(
        f"{metric} is undefined and set to NaN: {reason}.",
        UndefinedMetricWarning,
        stacklevel=stacklevel,
    )
    return math.nan
