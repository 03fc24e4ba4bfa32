r"""Noise power of noisy speech: MMSE estimation by the speech presence probability.

T. Gerkmann and R. C. Hendriks, "Unbiased MMSE-based noise power estimation with low
complexity and low tracking delay", IEEE Trans. Audio, Speech and Language Processing
20(4), 2012. Equation numbers refer to this paper. The recording need not begin with
silence.

Different from the paper: frames overlap by three quarters instead of one half, and the
smoothing factor of the noise power is 0.9 per frame instead of 0.8 (chosen on
validation data). Optionally, neighboring frames, whose noise is nearly the same, are
averaged and share one update, which takes less time. On noise alone the estimate is
about 1 dB low for single frames and 0.2 dB low for groups of four, since peaks of the
noise count as speech.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: A priori SNR of a bin where speech is present (15 dB), Section IV.
_SPEECH_SNR = 10**1.5
#: Smoothing factor of the presence probability, Eq. (23), and the probability above
#: which the tracker counts as stuck, Eq. (24).
_PRESENCE_SMOOTHING = 0.9
_STUCK = 0.99
#: Frames whose mean power is the first estimate if no other is given.
_N_FIRST_FRAMES = 5
#: Minimum noise power, relative to the mean power of the loudest frame so far.
_RELATIVE_FLOOR = 1e-10


class NoiseState(NamedTuple):
    """State of the tracker after a block of frames.

    Attributes
    ----------
    noise : ndarray of shape (F,)
        Noise power.
    absence : ndarray of shape (F,)
        Probability that speech is absent, summed over time with decaying weights.
    floor : float
        Minimum noise power of the last frame.
    """

    noise: np.ndarray
    absence: np.ndarray
    floor: float


def noise_floor(V: np.ndarray, before: float = 0.0) -> np.ndarray:
    """Compute the minimum noise power of each frame from the loudest frame so far.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power of the noisy speech.
    before : float
        Minimum noise power of the frame before the first.

    Returns
    -------
    ndarray of shape (N,)
        Positive, also for silence, and never decreasing.

    Examples
    --------
    >>> import numpy as np
    >>> noise_floor(np.array([[1.0, 3.0], [0.0, 0.0], [6.0, 0.0]]))
    array([2.e-10, 2.e-10, 3.e-10])
    """
    # Ratios to the root of the smallest normal number are finite.
    least = max(before, np.sqrt(np.finfo(V.dtype).tiny))
    floor = np.maximum(V.mean(1) * V.dtype.type(_RELATIVE_FLOOR), V.dtype.type(least))
    return np.maximum.accumulate(floor)


def first_frames_power(V: np.ndarray, n_frames: int = _N_FIRST_FRAMES) -> np.ndarray:
    """Compute the mean power of the first frames, an estimate before speech begins.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power of the noisy speech.
    n_frames : int
        Number of frames.

    Returns
    -------
    ndarray of shape (F,)

    Examples
    --------
    >>> import numpy as np
    >>> first_frames_power(np.array([[1.0], [3.0], [100.0]]), n_frames=2)
    array([2.])
    """
    return V[:n_frames].mean(0)


# A ratio beyond single precision is infinite, and its negative exponential zero.
@np.errstate(over="ignore")
def track_noise(
    V: np.ndarray,
    state: NoiseState | None = None,
    *,
    smoothing: float = 0.9,
    frames_per_update: int = 1,
    first: np.ndarray | None = None,
) -> tuple[np.ndarray, NoiseState]:
    """Estimate the noise power of each frame from this and earlier frames.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power of the noisy speech.
    state : NoiseState, default=None
        State after the previous block. None for the first block.
    smoothing : float
        Weight of the previous noise power, per frame.
    frames_per_update : int
        Number of frames that are averaged for one update and share its estimate.
    first : ndarray of shape (F,), default=None
        First estimate, e.g. the mean power of a recording of noise alone.

    Returns
    -------
    noise : ndarray of shape (N, F)
        Noise power, positive.
    state : NoiseState
        State for the next block.

    Examples
    --------
    >>> import numpy as np
    >>> V = np.random.default_rng(0).exponential(2.0, (500, 100))
    >>> noise, _ = track_noise(V)
    >>> float(np.round(10 * np.log10(noise[100:].mean() / 2.0)))
    -1.0
    """
    kept = _PRESENCE_SMOOTHING**frames_per_update
    if state is None:
        noise = first_frames_power(V) if first is None else first
        absence = np.full_like(V[0], 0.5 / (1 - kept))
        state = NoiseState(noise.astype(V.dtype), absence, 0.0)
    periodograms = V if frames_per_update == 1 else _group_means(V, frames_per_update)
    floors = noise_floor(periodograms, state.floor)
    # This loop takes most of the time of a classical method. So it works in place, and
    # constants are arrays, which NumPy processes in half the time of floats.
    one = np.array(1.0, V.dtype)
    odds = np.array(1 + _SPEECH_SNR, V.dtype)
    kept_absence = np.array(kept, V.dtype)
    adapted = np.array(1 - smoothing**frames_per_update, V.dtype)
    least_probability = np.array(1 - _STUCK, V.dtype)
    least_absence = (1 - _STUCK) / (1 - kept)
    estimates = np.empty_like(periodograms)
    log_odds = periodograms * V.dtype.type(-_SPEECH_SNR / (1 + _SPEECH_SNR))
    noise, absence = np.maximum(state.noise, floors[0]), state.absence.copy()
    probability, change = np.empty_like(noise), np.empty_like(noise)
    for t in range(len(periodograms)):
        # (18) with equal priors: the probability that speech is absent is w / (1 + w)
        # with w = (1 + xi) exp(-gamma xi / (1 + xi)).
        np.divide(log_odds[t], noise, out=probability)
        np.exp(probability, out=probability)
        probability *= odds
        np.add(probability, one, out=change)
        probability /= change
        # (23), (24): where speech seems present for a long time, the tracker is stuck.
        absence *= kept_absence
        absence += probability
        if absence[absence.argmin()] < least_absence:
            stuck = absence < least_absence
            np.maximum(probability, least_probability, out=probability, where=stuck)
        # (22), (8): E[|N|^2 | x] = P(H1|x) noise + P(H0|x) |x|^2, smoothed.
        np.subtract(periodograms[t], noise, out=change)
        probability *= adapted
        change *= probability
        change += noise
        noise = np.maximum(change, floors[t], out=estimates[t])
    result = NoiseState(noise.copy(), absence, float(floors[-1]))
    if frames_per_update > 1:
        estimates = np.repeat(estimates, frames_per_update, axis=0)[: len(V)]
    return estimates, result


def _group_means(V: np.ndarray, size: int) -> np.ndarray:
    """Means of groups of frames; the last group may be shorter."""
    n_whole = len(V) // size
    # A matrix product with equal weights is three times as fast as mean().
    weights = np.full((1, size), 1 / size, V.dtype)
    whole = V[: n_whole * size].reshape(n_whole, size, V.shape[1])
    means = np.matmul(weights, whole)[:, 0]
    if n_whole * size == len(V):
        return means
    return np.concatenate([means, V[n_whole * size :].mean(0, keepdims=True)])
