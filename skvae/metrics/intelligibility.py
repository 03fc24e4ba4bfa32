"""STOI and ESTOI: predicted intelligibility from envelopes in frequency bands.

Both divide the envelopes of 15 third-octave bands into segments of 384 ms, correlate
the segments of the clean and the enhanced waveform, and average. STOI correlates each
band over time. ESTOI normalizes bands and frames jointly, which is more accurate for
fluctuating noise.

Resampling, removal of silent frames, transform and bands come from `pystoi`, so that
the scores equal those of `pystoi`. The correlations are implemented here: those of
`pystoi` use NumPy's global generator, and warn and return 0.00001 for undefined scores.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from skvae.metrics._pairs import open_pair, scale_to_unit, undefined
from skvae.utils.threads import one_thread
from skvae.utils.waveforms import check_sample_rate

#: Constant of the reference programs that prevents 0 / 0 in silent bands and frames.
EPS = np.finfo(np.float64).eps


def stoi(clean: Any, enhanced: Any, sample_rate: int = 16000) -> float:
    """Short-time objective intelligibility (STOI).

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        Clean speech.
    enhanced : array-like, shape (n_samples,)
        Enhanced speech at any level.
    sample_rate : int, default=16000
        Sample rate in Hz.

    Returns
    -------
    float
        Score of at most 1. Higher is better. NaN, with a warning, if a waveform is
        silent or if `clean` contains less than 0.41 s of speech.

    See Also
    --------
    estoi : Extended version for fluctuating noise.

    References
    ----------
    .. [1] C. H. Taal, R. C. Hendriks, R. Heusdens and J. Jensen, "An algorithm for
       intelligibility prediction of time-frequency weighted noisy speech", IEEE
       Trans. Audio, Speech and Language Processing 19(7), 2011.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> clean = np.sin(np.arange(32000) / 1500) ** 2 * rng.standard_normal(32000)
    >>> round(stoi(clean, clean), 6)
    1.0
    >>> stoi(clean, clean + rng.standard_normal(32000)) < 0.9
    True
    """
    return _intelligibility("STOI", _stoi, clean, enhanced, sample_rate)


def estoi(clean: Any, enhanced: Any, sample_rate: int = 16000) -> float:
    """Extended short-time objective intelligibility (ESTOI) for fluctuating noise.

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        Clean speech.
    enhanced : array-like, shape (n_samples,)
        Enhanced speech at any level.
    sample_rate : int, default=16000
        Sample rate in Hz.

    Returns
    -------
    float
        Score of at most 1. Higher is better. NaN, with a warning, if a waveform is
        silent or if `clean` contains less than 0.41 s of speech.

    See Also
    --------
    stoi : Original version.

    References
    ----------
    .. [1] J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility
       of speech masked by modulated noise maskers", IEEE/ACM Trans. Audio, Speech,
       and Language Processing 24(11), 2016.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> clean = np.sin(np.arange(32000) / 1500) ** 2 * rng.standard_normal(32000)
    >>> round(estoi(clean, clean), 6)
    1.0
    >>> estoi(clean, clean + rng.standard_normal(32000)) < 0.8
    True
    """
    return _intelligibility("ESTOI", _estoi, clean, enhanced, sample_rate)


def _intelligibility(
    metric: str,
    correlate: Callable[[np.ndarray, np.ndarray], np.floating],
    clean: Any,
    enhanced: Any,
    sample_rate: int,
) -> float:
    """Validate a pair, divide it into segments and correlate them."""
    sample_rate = check_sample_rate(sample_rate)
    clean, enhanced = open_pair(clean, enhanced)
    # Stack level 4 points the warning at the caller of `stoi` or `estoi`.
    for name, waveform in (("clean", clean), ("enhanced", enhanced)):
        if not waveform.any():
            return undefined(metric, f"{name} is silent", stacklevel=4)
    with one_thread():
        segments = _segments(scale_to_unit(clean), scale_to_unit(enhanced), sample_rate)
        if segments is not None:
            return float(correlate(*segments))
    reason = "clean holds less than 0.41 s of speech"
    return undefined(metric, reason, stacklevel=4)


def _segments(
    clean: np.ndarray, enhanced: np.ndarray, sample_rate: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the envelopes of segments, shape (n_segments, n_bands, n_frames)."""
    # Import by name: the attribute `pystoi.stoi` is a function.
    reference = import_module("pystoi.stoi")
    utils, frame, hop = reference.utils, reference.N_FRAME, reference.N_FRAME // 2
    if sample_rate != reference.FS:
        clean = utils.resample_oct(clean, reference.FS, sample_rate)
        enhanced = utils.resample_oct(enhanced, reference.FS, sample_rate)
    if clean.size <= frame:
        return None
    clean, enhanced = utils.remove_silent_frames(
        clean, enhanced, reference.DYN_RANGE, frame, hop
    )
    if len(range(0, clean.size - frame, hop)) < reference.N:
        return None

    def envelopes(waveform: np.ndarray) -> np.ndarray:
        spectrum = utils.stft(waveform, frame, reference.NFFT, overlap=frame // hop)
        bands = np.sqrt(np.abs(spectrum) ** 2 @ reference.OBM.T)
        return np.lib.stride_tricks.sliding_window_view(bands, reference.N, axis=0)

    return envelopes(clean), envelopes(enhanced)


def _stoi(clean: np.ndarray, enhanced: np.ndarray) -> np.floating:
    """Correlate every band of every segment over time."""
    # Scale each band to the energy of the clean one. Then limit its distortion to a
    # ratio of -15 dB: more noise does not reduce intelligibility further.
    level = _norm(clean, axis=2) / (_norm(enhanced, axis=2) + EPS)
    bounded = np.minimum(level * enhanced, clean * (1.0 + 10.0 ** (15.0 / 20.0)))
    clean, bounded = _center(clean, axis=2), _center(bounded, axis=2)
    norms = (_norm(clean, axis=2) + EPS) * (_norm(bounded, axis=2) + EPS)
    return np.mean(np.sum(clean * bounded / norms, axis=2))


def _estoi(clean: np.ndarray, enhanced: np.ndarray) -> np.floating:
    """Correlate every frame of every segment over the bands."""
    # A local generator gives the same score on each call and in each thread.
    rng = np.random.default_rng(0)
    normalized = []
    for segments in (clean, enhanced):
        # Normalize each band over time, then each frame over the bands. Noise of the
        # size of rounding errors avoids 0 / 0 in silence.
        for axis in (2, 1):
            noise = EPS * rng.standard_normal(segments.shape)
            segments = _center(segments + noise, axis)
            segments /= _norm(segments, axis)
        normalized.append(segments)
    return np.mean(np.sum(normalized[0] * normalized[1], axis=1))


def _norm(segments: np.ndarray, axis: int) -> np.ndarray:
    return np.linalg.norm(segments, axis=axis, keepdims=True)


def _center(segments: np.ndarray, axis: int) -> np.ndarray:
    return segments - segments.mean(axis=axis, keepdims=True)
