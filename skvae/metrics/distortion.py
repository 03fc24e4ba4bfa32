"""Signal-to-distortion ratios.

Both ratios split the enhanced waveform into a target, which the clean waveform
explains, and a residual. The target is a scaled copy of the clean waveform (`si_sdr`)
or a filtered copy (`sdr`).
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from skvae.metrics._pairs import open_pair, scale_to_unit, undefined
from skvae.utils.threads import one_thread


def si_sdr(clean: Any, enhanced: Any) -> float:
    r"""Scale-invariant signal-to-distortion ratio (SI-SDR) in dB.

    .. math:: 10 \log_{10} \frac{\|\alpha s\|^2}{\|\hat s - \alpha s\|^2},
        \qquad \alpha = \frac{\hat s^T s}{\|s\|^2}

    with the clean waveform :math:`s` and the enhanced waveform :math:`\hat s` [1]_.
    Means are not removed, as in the paper.

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        Clean speech.
    enhanced : array-like, shape (n_samples,)
        Enhanced speech at any level.

    Returns
    -------
    float
        SI-SDR in dB. Higher is better. inf if `enhanced` is a scaled copy of `clean`,
        -inf if it is silent or orthogonal to `clean`. NaN, with a warning, if `clean`
        is silent.

    See Also
    --------
    sdr : SDR that ignores any short filter, not only a factor.

    References
    ----------
    .. [1] J. Le Roux, S. Wisdom, H. Erdogan and J. R. Hershey, "SDR - half-baked or
       well done?", ICASSP 2019.

    Examples
    --------
    >>> si_sdr([1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 0.0])
    4.77...
    >>> si_sdr([1.0, 2.0], [0.5, 1.0])
    inf
    >>> si_sdr([1.0, 2.0], [0.0, 0.0])
    -inf
    >>> si_sdr([1.0, 0.0], [0.0, 1.0])
    -inf
    """
    clean, enhanced = open_pair(clean, enhanced)
    if not clean.any():
        return undefined("SI-SDR", "clean is silent")
    with one_thread():
        return _scaling_ratio(scale_to_unit(clean), scale_to_unit(enhanced))


def sdr(clean: Any, enhanced: Any, filter_length: int = 512) -> float:
    r"""Signal-to-distortion ratio (SDR) of BSS Eval version 3 in dB.

    .. math:: 10 \log_{10} \frac{\|h * s\|^2}{\|\hat s - h * s\|^2}

    The filter :math:`h` brings the clean waveform :math:`s` closest to the enhanced
    waveform :math:`\hat s` in the least-squares sense [1]_. For one source this is the
    SDR of ``mir_eval.separation.bss_eval_sources``.

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        Clean speech.
    enhanced : array-like, shape (n_samples,)
        Enhanced speech at any level.
    filter_length : int, default=512
        Length of the filter in samples. 1 gives `si_sdr`.

    Returns
    -------
    float
        SDR in dB. Higher is better, and it is never below `si_sdr`. -inf if `enhanced`
        is silent. NaN, with a warning, if `clean` is silent. For a filtered copy of
        `clean`, rounding determines the value, which exceeds 100 dB.

    See Also
    --------
    si_sdr : SI-SDR, which counts every change of the spectrum as distortion.

    References
    ----------
    .. [1] E. Vincent, R. Gribonval and C. Fevotte, "Performance measurement in blind
       audio source separation", IEEE Trans. Audio, Speech and Language Processing
       14(4), 2006.

    Examples
    --------
    An echo of one sample is distortion for `si_sdr` and a filter for `sdr`:

    >>> clean, echoed = [1.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0]
    >>> round(si_sdr(clean, echoed), 2)
    6.02
    >>> sdr(clean, echoed) > 100
    True
    >>> sdr(clean, clean)
    inf
    """
    if (
        not isinstance(filter_length, Integral)
        or isinstance(filter_length, bool)
        or filter_length < 1
    ):
        raise ValueError(
            f"`filter_length` must be a positive integer, got {filter_length!r}."
        )
    clean, enhanced = open_pair(clean, enhanced)
    if not clean.any():
        return undefined("SDR", "clean is silent")
    clean, enhanced = scale_to_unit(clean), scale_to_unit(enhanced)
    # A factor is also a filter. It is better than the solution of the equations if
    # rounding spoils them, because `clean` is a tone or `enhanced` is a copy of it.
    with one_thread():
        return max(
            _filtering_ratio(clean, enhanced, int(filter_length)),
            _scaling_ratio(clean, enhanced),
        )


def _scaling_ratio(clean: np.ndarray, enhanced: np.ndarray) -> float:
    """Return the ratio in dB with the best factor; `clean` is not silent."""
    target = (enhanced @ clean) / (clean @ clean) * clean
    return _decibels(target, enhanced - target)


def _filtering_ratio(clean: np.ndarray, enhanced: np.ndarray, length: int) -> float:
    """Return the ratio in dB with the best filter; `clean` is not silent."""
    # Imported here to keep the import of metrics fast.
    from scipy.fft import irfft, next_fast_len, rfft
    from scipy.linalg import toeplitz

    # Leave space for the tail of the filter, so that it does not wrap around.
    n_fft = next_fast_len(clean.size + length - 1, real=True)
    clean_spectrum, enhanced_spectrum = rfft(clean, n_fft), rfft(enhanced, n_fft)
    autocorrelation = irfft(np.abs(clean_spectrum) ** 2, n_fft)[:length]
    correlation = irfft(clean_spectrum.conj() * enhanced_spectrum, n_fft)[:length]

    # Normal equations. Raising the diagonal by their rounding error keeps the solution
    # for a band-limited `clean` from diverging.
    autocorrelation[0] *= 1.0 + length * np.finfo(np.float64).eps
    taps = np.linalg.solve(toeplitz(autocorrelation), correlation)

    target = irfft(clean_spectrum * rfft(taps, n_fft), n_fft)
    residual = -target
    residual[: enhanced.size] += enhanced
    return _decibels(target, residual)


def _decibels(target: np.ndarray, residual: np.ndarray) -> float:
    """Return the ratio of two energies in dB, -inf for a silent target."""
    target_energy, residual_energy = float(target @ target), float(residual @ residual)
    if target_energy == 0.0:
        return -math.inf
    if residual_energy == 0.0:
        return math.inf
    return 10.0 * math.log10(target_energy / residual_energy)
