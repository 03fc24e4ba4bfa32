"""Spectral subtraction."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvae.classical.base import ClassicalEnhancer
from skvae.classical.gains import spectral_subtraction_gain
from skvae.utils.parameters import (
    MAX_WEIGHT,
    Number,
)


class SpectralSubtraction(ClassicalEnhancer):
    r"""Spectral subtraction with over-subtraction and a spectral floor.

    A multiple of the noise power is subtracted from the power of the noisy speech. A
    spectral floor masks the musical noise in what remains [1]_ [2]_.

    Parameters
    ----------
    over_subtraction : float, default=3.0
        Multiple of the noise power that is subtracted, :math:`\alpha`.
    floor : float, default=0.01
        Minimum of the remaining power, relative to the noise power, :math:`\beta`.
    exponent : float, default=1.0
        Exponent of the power: 1 subtracts powers, 1/2 magnitudes.
    noise_profile : waveform or Spectrogram, default=None
        Recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Estimate of the noise power: "mmse-spp" tracks it, also during speech
        [3]_; "first-frames" is the mean power of the first `n_noise_frames`,
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
    WienerFilter : Smooths the a priori SNR over time, with less musical noise.
    LogMMSE : Minimizes the error of the log-amplitude.

    References
    ----------
    .. [1] S. Boll, "Suppression of acoustic noise in speech using spectral
       subtraction", IEEE Trans. ASSP 27(2), 1979.
    .. [2] M. Berouti, R. Schwartz and J. Makhoul, "Enhancement of speech corrupted by
       acoustic noise", ICASSP 1979.
    .. [3] T. Gerkmann and R. C. Hendriks, "Unbiased MMSE-based noise power estimation
       with low complexity and low tracking delay", IEEE Trans. Audio, Speech and
       Language Processing 20(4), 2012.

    Examples
    --------
    >>> from skvae import SpectralSubtraction
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(2, snr=0, random_state=0)
    >>> enhancer = SpectralSubtraction().fit(noisy)
    >>> enhancer.score(noisy, clean) > mean_si_sdr(clean, noisy)
    True
    """

    _parameter_ranges = {
        "over_subtraction": Number(0, MAX_WEIGHT),
        "floor": Number(low=0, high=1),
        "exponent": Number(low=0.01, high=10),
    }

    # The method costs little more than the transforms, and loses no quality this way.
    _windows_per_update = 1.5

    def __init__(
        self,
        over_subtraction: float = 3.0,
        floor: float = 0.01,
        *,
        exponent: float = 1.0,
        noise_profile: Any = None,
        noise_estimate: str = "auto",
        n_noise_frames: int = 10,
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.over_subtraction = over_subtraction
        self.floor = floor
        self.exponent = exponent
        self.noise_profile = noise_profile
        self.noise_estimate = noise_estimate
        self.n_noise_frames = n_noise_frames
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _gain(
        self, V: np.ndarray, noise: np.ndarray, memory: None
    ) -> tuple[np.ndarray, None]:
        gain = spectral_subtraction_gain(
            V, noise, self.over_subtraction, self.floor, self.exponent
        )
        return gain, None
