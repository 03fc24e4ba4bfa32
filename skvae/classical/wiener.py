"""Wiener filter with a decision-directed a priori SNR."""

from __future__ import annotations

from skvae.classical.base import DecisionDirectedEnhancer
from skvae.classical.gains import wiener_gain


class WienerFilter(DecisionDirectedEnhancer):
    r"""Wiener filter with a decision-directed a priori SNR.

    If the noise is independent of the speech, the filter that minimizes the squared
    error is :math:`h = S_{yx} / S_{xx} = \xi / (1 + \xi)`. The a priori SNR :math:`\xi`
    of each bin is smoothed with the result for the previous frame [1]_.

    Parameters
    ----------
    smoothing : float, default=0.98
        Weight of the previous frame in the a priori SNR.
    min_prior_snr : float, default=-20.0
        Minimum a priori SNR in dB, which determines the residual noise.
    noise_profile : waveform or Spectrogram, default=None
        Recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Estimate of the noise power: "mmse-spp" tracks it, also during speech
        [2]_; "first-frames" is the mean power of the first `n_noise_frames`,
        for recordings that begin with noise alone; "profile" is the mean power of
        `noise_profile`. "auto" means "profile" if there is a `noise_profile`, else
        "mmse-spp". With a `noise_profile`, "mmse-spp" starts from its mean power.
    n_noise_frames : int, default=10
        Number of frames for "first-frames".
    stft : STFT, default=None
        Analysis of waveforms. None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        Maximum attenuation in dB. None means no limit.
    block_seconds : float, default=60.0
        Length of the blocks in which longer recordings are enhanced. None disables
        blocks. The result does not depend on it.
    random_state : int, Generator or None, default=None
        Seed or generator from which `seed_` is drawn. The method itself is
        deterministic.
    n_jobs : int, default=None
        Number of utterances that are enhanced in parallel.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    noise_power_ : ndarray of shape (n_bins,), or None
        Mean power of `noise_profile`.
    stft_ : STFT
        Analysis that is used.
    seed_ : int
        Seed of each utterance's own generator.
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    LogMMSE : Minimizes the error of the log-amplitude.

    References
    ----------
    .. [1] Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square
       error short-time spectral amplitude estimator", IEEE Trans. ASSP 32(6), 1984.
    .. [2] T. Gerkmann and R. C. Hendriks, "Unbiased MMSE-based noise power estimation
       with low complexity and low tracking delay", IEEE Trans. Audio, Speech and
       Language Processing 20(4), 2012.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(2, snr=0, random_state=0)
    >>> enhancer = WienerFilter().fit(noisy)
    >>> enhancer.score(noisy, clean) > mean_si_sdr(clean, noisy)
    True
    """

    _rule = staticmethod(wiener_gain)
