"""STOI and ESTOI: how much of the speech is understood, from band envelopes.

Both cut the envelopes of 15 third-octave bands into segments of 384 ms, correlate
those of the clean waveform with those of the enhanced one, and average. STOI
correlates each band by itself over time; ESTOI normalises bands and frames together,
which is fairer to noise that fluctuates.

Resampling, removal of silent frames, transform and bands are `pystoi`'s, so that the
scores equal its own. The correlations are ours: `pystoi`'s draw from NumPy's global
generator, and warn and return 0.00001 where there is no score.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from skvae.metrics._pairs import check_sample_rate, open_pair, scale_to_unit, undefined

#: Keeps a band or a frame without sound from 0 / 0; the reference programs' value.
EPS = np.finfo(np.float64).eps


def stoi(clean: Any, enhanced: Any, sample_rate: int = 16000) -> float:
    """Short-time objective intelligibility.

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        The clean speech.
    enhanced : array-like, shape (n_samples,)
        What an enhancer made of the noisy speech, at any level.
    sample_rate : int, default=16000
        Samples per second.

    Returns
    -------
    float
        At most 1, and higher is better. NaN, with a warning, where one of the
        waveforms is silent or `clean` holds less than 0.41 s of speech.

    See Also
    --------
    estoi : The extended measure.

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
    """Short-time objective intelligibility, extended to fluctuating noise.

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        The clean speech.
    enhanced : array-like, shape (n_samples,)
        What an enhancer made of the noisy speech, at any level.
    sample_rate : int, default=16000
        Samples per second.

    Returns
    -------
    float
        At most 1, and higher is better. NaN, with a warning, where one of the
        waveforms is silent or `clean` holds less than 0.41 s of speech.

    See Also
    --------
    stoi : The measure that it extends.

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
    """Validate a pair, cut it into segments and correlate them."""
    sample_rate = check_sample_rate(sample_rate)
    clean, enhanced = open_pair(clean, enhanced)
    # The caller of the caller of this, `stoi` or `estoi`, is who should be warned.
    for name, waveform in (("clean", clean), ("enhanced", enhanced)):
        if not waveform.any():
            return undefined(metric, f"{name} is silent", stacklevel=4)
    segments = _segments(scale_to_unit(clean), scale_to_unit(enhanced), sample_rate)
    if segments is None:
        reason = "clean holds less than 0.41 s of speech"
        return undefined(metric, reason, stacklevel=4)
    return float(correlate(*segments))


def _segments(
    clean: np.ndarray, enhanced: np.ndarray, sample_rate: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Band envelopes of every segment, shape (n_segments, n_bands, n_frames)."""
    # By its name, because `pystoi.stoi` is the function of that name.
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
    # Bring each band to the clean one's energy, then bound how far one frame can fall
    # below -15 dB of signal to distortion: more noise there is no less intelligible.
    level = _norm(clean, axis=2) / (_norm(enhanced, axis=2) + EPS)
    bounded = np.minimum(level * enhanced, clean * (1.0 + 10.0 ** (15.0 / 20.0)))
    clean, bounded = _center(clean, axis=2), _center(bounded, axis=2)
    norms = (_norm(clean, axis=2) + EPS) * (_norm(bounded, axis=2) + EPS)
    return np.mean(np.sum(clean * bounded / norms, axis=2))


def _estoi(clean: np.ndarray, enhanced: np.ndarray) -> np.floating:
    """Correlate every frame of every segment over the bands."""
    # A generator of our own: the same score every time, and in every thread.
    rng = np.random.default_rng(0)
    normalized = []
    for segments in (clean, enhanced):
        # First each band over time, then each frame over the bands. The noise, of the
        # size of a rounding error, stands in for what holds no sound.
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
