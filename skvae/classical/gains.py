"""Gain rules of the classical enhancers.

All functions take power spectrograms ``V = |X|^2`` and noise power of shape (N, F),
frames first, and return gains in [0, 1] of the same shape.

References
----------
S. Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE
Trans. ASSP 27(2), 1979. M. Berouti, R. Schwartz and J. Makhoul, "Enhancement of speech
corrupted by acoustic noise", ICASSP 1979 [over-subtraction and floor]. Y. Ephraim and
D. Malah, "Speech enhancement using a minimum mean-square error short-time spectral
amplitude estimator", IEEE Trans. ASSP 32(6), 1984 [decision-directed], and "... log-
spectral amplitude estimator", IEEE Trans. ASSP 33(2), 1985 [log-MMSE].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Maximum a posteriori SNR. It keeps products finite; larger values change no gain.
_MAX_POSTERIOR_SNR = 1e4
#: Least argument of the exponential integral, which is infinite at 0.
_MIN_EXP1_ARGUMENT = 1e-20


def spectral_subtraction_gain(
    V: np.ndarray,
    noise: np.ndarray,
    over_subtraction: float = 3.0,
    floor: float = 0.01,
    exponent: float = 1.0,
) -> np.ndarray:
    r"""Compute the gain of spectral subtraction with a spectral floor.

    .. math:: |S|^{2p} = \max(|X|^{2p} - \alpha |N|^{2p},\ \beta |N|^{2p}),
        \qquad G = \min(|S| / |X|, 1)

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power of the noisy speech, :math:`|X|^2`.
    noise : ndarray of shape (N, F) or (F,)
        Power of the noise, :math:`|N|^2`, positive.
    over_subtraction : float
        :math:`\alpha`.
    floor : float
        :math:`\beta`.
    exponent : float
        :math:`p`: 1 subtracts powers, 1/2 magnitudes.

    Returns
    -------
    ndarray of shape (N, F)
        Gain in [0, 1]; 1 where all is silent, unless `floor` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> V, noise = np.array([[4.0, 2.0]]), np.array([1.0, 1.0])
    >>> spectral_subtraction_gain(V, noise, over_subtraction=2, floor=0.02)
    array([[0.70710678, 0.1       ]])
    """
    if over_subtraction == 0:
        return np.ones_like(V)
    # Relative to the noisy power: max(1 - alpha r, beta r) with r = |N|^2p / |X|^2p, at
    # most 1, since bins below the floor stay as they are. Infinite ratios give 1, too.
    with np.errstate(divide="ignore", over="ignore"):
        ratio = noise / V
        if exponent != 1:
            ratio **= exponent
        share = ratio * -over_subtraction
        share += 1
        if floor > 0:
            ratio *= floor
            np.maximum(share, ratio, out=share)
            np.minimum(share, 1, out=share)
        else:
            np.maximum(share, 0, out=share)
    return np.sqrt(share, out=share) if exponent == 1 else share ** (0.5 / exponent)


def wiener_gain(prior_snr: np.ndarray, posterior_snr: np.ndarray) -> np.ndarray:
    r"""Compute the Wiener gain :math:`h = S_{yx} / S_{xx} = \xi / (1 + \xi)`.

    With noise that is independent of the speech, :math:`S_{yx} = S_{ss}` and
    :math:`S_{xx} = S_{ss} + S_{nn}`.

    Parameters
    ----------
    prior_snr : ndarray
        :math:`\xi = S_{ss} / S_{nn}`.
    posterior_snr : ndarray
        Not used; all gain rules have the same arguments.

    Returns
    -------
    ndarray
        Gain in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> wiener_gain(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    array([0.5 , 0.75])
    """
    return prior_snr / (1 + prior_snr)


def log_mmse_gain(prior_snr: np.ndarray, posterior_snr: np.ndarray) -> np.ndarray:
    r"""Compute the gain that minimizes the squared error of the log-amplitude.

    .. math:: G = \frac{\xi}{1 + \xi} \exp\Big(\frac12 \int_v^\infty
        \frac{e^{-t}}{t} dt\Big), \qquad v = \frac{\xi}{1 + \xi} \gamma

    (Ephraim and Malah 1985, Eq. 20), at most 1.

    Parameters
    ----------
    prior_snr : ndarray
        A priori SNR :math:`\xi`.
    posterior_snr : ndarray
        A posteriori SNR :math:`\gamma = |X|^2 / S_{nn}`.

    Returns
    -------
    ndarray
        Gain in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> log_mmse_gain(np.array([1.0]), np.array([2.0])).round(4)
    array([0.558])
    """
    from scipy.special import exp1

    wiener = prior_snr / (1 + prior_snr)
    v = np.maximum(wiener * posterior_snr, _MIN_EXP1_ARGUMENT)
    return np.minimum(wiener * np.exp(0.5 * exp1(v)), 1.0)


def decision_directed_gain(
    V: np.ndarray,
    noise: np.ndarray,
    rule: Callable[[np.ndarray, np.ndarray], np.ndarray],
    smoothing: float = 0.98,
    min_prior_snr: float = 0.01,
    previous: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Compute gains frame by frame from a decision-directed a priori SNR.

    .. math:: \xi_t = a\, G_{t-1}^2 \gamma_{t-1} + (1 - a) \max(\gamma_t - 1, 0)

    (Ephraim and Malah 1984, Eq. 51), at least `min_prior_snr`. The smoothing prevents
    musical noise.

    Parameters
    ----------
    V : ndarray of shape (N, F)
        Power of the noisy speech.
    noise : ndarray of shape (N, F)
        Power of the noise, positive.
    rule : callable
        Gain rule of (prior_snr, posterior_snr), e.g. :func:`wiener_gain`.
    smoothing : float
        :math:`a`.
    min_prior_snr : float
        Minimum of :math:`\xi`, which determines the residual noise.
    previous : ndarray of shape (F,), default=None
        :math:`G^2 \gamma` of the frame before the first. None if there is none.

    Returns
    -------
    gain : ndarray of shape (N, F)
        Gain in [0, 1].
    decided : ndarray of shape (F,)
        :math:`G^2 \gamma` of the last frame: `previous` of the next block.

    Examples
    --------
    >>> import numpy as np
    >>> V = np.array([[100.0], [1.0]])
    >>> gain, _ = decision_directed_gain(V, np.ones((2, 1)), wiener_gain)
    >>> gain.round(2)
    array([[0.99],
           [0.99]])
    """
    gain = np.empty_like(V)
    posterior = np.minimum(V / noise, V.dtype.type(_MAX_POSTERIOR_SNR))
    instantaneous = np.maximum(posterior - 1, 0)
    decided = instantaneous[0] if previous is None else previous
    for t in range(len(V)):
        prior = smoothing * decided + (1 - smoothing) * instantaneous[t]
        prior = np.maximum(prior, min_prior_snr)
        gain[t] = rule(prior, posterior[t])
        decided = gain[t] ** 2 * posterior[t]
    return gain, decided
