"""Short cuts of a noise at random times."""

from __future__ import annotations

import math

import numpy as np

#: Cuts of a noise: range of their lengths in seconds, mean number in a second, range of
#: their gains in dB, fades in seconds, and seconds over which loudness is measured.
CUT_SECONDS, CUTS_PER_SECOND, CUT_GAINS = (0.04, 0.8), 1.5, (-12.0, 0.0)
CUT_FADES, CUT_BLOCK = (0.003, 0.03), 0.01


def scatter_cuts(
    noise: np.ndarray, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Place short cuts of a noise at random times.

    Parameters
    ----------
    noise : ndarray of shape (n_samples,)
        Noise. A cut begins where it is loud with a higher probability, in proportion to
        the amplitude.
    sample_rate : int
        Sample rate in Hz.
    rng : Generator
        Generator of the cuts.

    Returns
    -------
    ndarray of shape (n_samples,)
        At least one cut in silence, in the dtype of `noise`.

    Examples
    --------
    >>> import numpy as np
    >>> hiss = np.random.default_rng(0).standard_normal(32000)
    >>> cuts = scatter_cuts(hiss, 16000, np.random.default_rng(0))
    >>> 0.1 < float(np.mean(cuts == 0)) < 1
    True
    """
    n_samples, size = len(noise), max(1, round(CUT_BLOCK * sample_rate))
    blocks = np.add.reduceat(noise.astype(np.float64) ** 2, range(0, n_samples, size))
    loudness = np.sqrt(blocks)
    total = loudness.sum()
    if not total > 0.0:
        return noise
    scattered = np.zeros_like(noise)
    shortest, longest = (math.log(seconds) for seconds in CUT_SECONDS)
    for _ in range(1 + rng.poisson(CUTS_PER_SECOND * n_samples / sample_rate)):
        length = round(math.exp(rng.uniform(shortest, longest)) * sample_rate)
        length = min(max(length, 1), n_samples)
        block = int(rng.choice(len(loudness), p=loudness / total))
        # A little before the loud block, so that the onset is in the cut.
        first = min(max(block * size - length // 4, 0), n_samples - length)
        cut = noise[first : first + length] * _fades(length, sample_rate)
        start = int(rng.integers(n_samples - length + 1))
        gain = noise.dtype.type(10 ** (rng.uniform(*CUT_GAINS) / 20))
        scattered[start : start + length] += gain * cut.astype(noise.dtype)
    return scattered if scattered.any() else noise


def _fades(n_samples: int, sample_rate: int) -> np.ndarray:
    """Fade in at the beginning of a cut and out at its end, each at most a third."""
    gain = np.ones(n_samples)
    n_in, n_out = (min(round(s * sample_rate), n_samples // 3) for s in CUT_FADES)
    gain[:n_in] = np.linspace(0.0, 1.0, n_in, endpoint=False)
    gain[n_samples - n_out :] *= np.linspace(1.0, 0.0, n_out)
    return gain
