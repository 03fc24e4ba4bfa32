"""Enhancers that know nothing of speech but that noise changes more slowly."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from skvae.base import BaseEnhancer
from skvae.classical.gains import (
    decision_directed_gain,
    log_mmse_gain,
    spectral_subtraction_gain,
    wiener_gain,
)
from skvae.classical.noise_tracking import (
    NoiseState,
    initial_noise,
    noise_floor,
    track_noise,
)
from skvae.enhancement import MaskEstimate
from skvae.signal.spectrogram import Spectrogram
from skvae.utils.learned import Array, Scalar
from skvae.utils.parameters import check_option, check_real

#: Frames that are enhanced together: about what fits the second-level cache.
_FRAMES_AT_ONCE = 192

_NOISE_ESTIMATES = ("auto", "mmse-spp", "first-frames", "profile")


class _ClassicalState(NamedTuple):
    """What a block hands to the next: noise, and the method's own memory."""

    noise: NoiseState | tuple[np.ndarray, float]
    memory: Any


class ClassicalEnhancer(BaseEnhancer):
    """Base of the enhancers that are a gain rule on an estimate of the noise power.

    A rule writes its constructor, with the parameters below among its own, and
    :meth:`_gain`. Since both the noise and the gain run through the frames in order
    and hand on all that they remember, a recording enhanced in blocks comes out as it
    does in one piece.

    Parameters
    ----------
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Where the noise power comes from: a tracker that follows it through speech
        (Gerkmann and Hendriks, 2012); the mean of the first `n_noise_frames`, as if
        each recording began with silence; or the mean of `noise`. "auto" is "profile"
        with `noise` and "mmse-spp" without; "mmse-spp" with `noise` starts from it.
    n_noise_frames : int, default=10
        Number of frames for "first-frames".
    """

    _learned = {
        "noise_power_": Array("n_bins", low=0, optional=True),
        "_frames_per_update": Scalar(low=1, integer=True),
    }

    #: How many windows' worth of overlapping frames share one update of the noise
    #: tracker; None updates it with every frame.
    _windows_per_update: float | None = None

    noise: Any
    noise_estimate: str
    n_noise_frames: int

    @abstractmethod
    def _gain(
        self, V: np.ndarray, noise: np.ndarray, memory: Any
    ) -> tuple[np.ndarray, Any]:
        """Gain (N, F) for power `V` and noise power, both (N, F), and what to keep."""

    def _check_parameters(self) -> None:
        check_option("noise_estimate", self.noise_estimate, _NOISE_ESTIMATES)
        check_real("n_noise_frames", self.n_noise_frames, low=1, integer=True)
        if self.noise is None and self.noise_estimate == "profile":
            raise ValueError(
                '`noise_estimate`="profile" needs a recording of the noise alone in '
                "`noise`, got None."
            )
        if self.noise is not None and self.noise_estimate == "first-frames":
            raise ValueError(
                '`noise_estimate`="first-frames" makes no use of `noise`: drop one of '
                "the two."
            )

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        profile = self._noise_profile(self.noise)
        self.noise_power_ = None if profile is None else profile.mean(0)
        self._frames_per_update = 1
        if self._windows_per_update is not None:
            frames_per_window = clean[0].n_fft / clean[0].hop_length
            frames = round(self._windows_per_update * frames_per_window)
            self._frames_per_update = max(1, frames)

    def _block_frames(self, spectrogram: Spectrogram) -> tuple[int, int]:
        size, _ = super()._block_frames(spectrogram)
        # Exact in blocks of any length, it may as well run in short ones.
        size = min(size, max(_FRAMES_AT_ONCE, self.n_noise_frames))
        # Whole groups, so that they begin where blocks begin.
        return -(-size // self._frames_per_update) * self._frames_per_update, 0

    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: _ClassicalState | None
    ) -> MaskEstimate:
        noise, kept = self._noise_power(V, None if state is None else state.noise)
        gain, memory = self._gain(V, noise, None if state is None else state.memory)
        return MaskEstimate(gain, state=_ClassicalState(kept, memory))

    def _noise_power(self, V: np.ndarray, kept: Any) -> tuple[np.ndarray, Any]:
        """Noise power of each frame, and what the next block needs to know of it."""
        first = None
        if self.noise_power_ is not None:
            first = self.noise_power_.astype(V.dtype)
        estimate = self.noise_estimate
        if estimate == "auto":
            estimate = "mmse-spp" if first is None else "profile"
        if estimate == "mmse-spp":
            return track_noise(
                V, kept, first=first, frames_per_update=self._frames_per_update
            )
        if kept is None:
            if estimate == "first-frames":
                first = initial_noise(V, self.n_noise_frames)
            kept = first, 0.0
        noise, floor_before = kept
        floor = noise_floor(V, floor_before)
        return np.maximum(noise, floor[:, None]), (noise, float(floor[-1]))


class SpectralSubtraction(ClassicalEnhancer):
    """Spectral subtraction with over-subtraction and a spectral floor.

    The noise power, more than once, is taken from the power of the noisy speech; a
    floor below keeps the rest from ringing as musical noise [1]_ [2]_.

    Parameters
    ----------
    over_subtraction : float, default=3.0
        How often the noise is subtracted, alpha > 1.
    floor : float, default=0.01
        What stays at least, relative to the noise, 0 < beta << 1.
    exponent : float, default=1.0
        1 subtracts powers, 1/2 magnitudes.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Where the noise power comes from: a tracker that follows it through speech
        [3]_; the mean of the first `n_noise_frames`, as if each recording began with
        silence; or the mean of `noise`. "auto" is "profile" with `noise` and
        "mmse-spp" without; "mmse-spp" with `noise` starts from it.
    n_noise_frames : int, default=10
        Number of frames for "first-frames".
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from; the method itself is deterministic.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    noise_power_ : ndarray of shape (n_bins,), or None
        Mean power of `noise`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Drawn in `fit`.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    WienerFilter : Smooths over time, and so leaves less musical noise.
    LogMMSE : The same with the gain that suits the ear's logarithm.

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

    # Enough: the method costs little more than the transforms, and no quality is lost.
    _windows_per_update = 1.5

    def __init__(
        self,
        over_subtraction: float = 3.0,
        floor: float = 0.01,
        *,
        exponent: float = 1.0,
        noise: Any = None,
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
        self.noise = noise
        self.noise_estimate = noise_estimate
        self.n_noise_frames = n_noise_frames
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_real("over_subtraction", self.over_subtraction, low=0)
        check_real("floor", self.floor, low=0, high=1)
        check_real("exponent", self.exponent, low=0, open_low=True)

    def _gain(
        self, V: np.ndarray, noise: np.ndarray, memory: None
    ) -> tuple[np.ndarray, None]:
        gain = spectral_subtraction_gain(
            V, noise, self.over_subtraction, self.floor, self.exponent
        )
        return gain, None


class _DecisionDirected(ClassicalEnhancer):
    """Base of the rules on an a priori SNR that the last decision smooths."""

    def __init__(
        self,
        smoothing: float = 0.98,
        *,
        min_prior_snr: float = -20.0,
        noise: Any = None,
        noise_estimate: str = "auto",
        n_noise_frames: int = 10,
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.smoothing = smoothing
        self.min_prior_snr = min_prior_snr
        self.noise = noise
        self.noise_estimate = noise_estimate
        self.n_noise_frames = n_noise_frames
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_real("smoothing", self.smoothing, low=0, high=1)
        check_real("min_prior_snr", self.min_prior_snr, high=0)

    @staticmethod
    @abstractmethod
    def _rule(prior_snr: np.ndarray, posterior_snr: np.ndarray) -> np.ndarray:
        """Gain for an a priori and an a posteriori SNR."""

    def _gain(
        self, V: np.ndarray, noise: np.ndarray, memory: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return decision_directed_gain(
            V,
            noise,
            self._rule,
            smoothing=self.smoothing,
            min_prior_snr=10 ** (self.min_prior_snr / 10),
            previous=memory,
        )


class WienerFilter(_DecisionDirected):
    r"""Wiener filter with a decision-directed a priori SNR.

    With noise that is independent of the speech, the filter that minimises the squared
    error is :math:`h = S_{yx} / S_{xx} = \xi / (1 + \xi)`, where the a priori SNR
    :math:`\xi` of each bin is smoothed over time by what was decided for the frame
    before [1]_.

    Parameters
    ----------
    smoothing : float, default=0.98
        Weight of the last decision in the a priori SNR.
    min_prior_snr : float, default=-20.0
        Least a priori SNR in dB: the residual noise.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Where the noise power comes from: a tracker that follows it through speech
        [2]_; the mean of the first `n_noise_frames`, as if each recording began with
        silence; or the mean of `noise`. "auto" is "profile" with `noise` and
        "mmse-spp" without; "mmse-spp" with `noise` starts from it.
    n_noise_frames : int, default=10
        Number of frames for "first-frames".
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from; the method itself is deterministic.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    noise_power_ : ndarray of shape (n_bins,), or None
        Mean power of `noise`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Drawn in `fit`.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    LogMMSE : The same with the gain that suits the ear's logarithm.

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


class LogMMSE(_DecisionDirected):
    r"""Log-spectral amplitude estimator of Ephraim and Malah.

    Its gain minimises the squared error of the logarithm of the amplitude, which is
    nearer to what the ear hears than the squared error itself [1]_: of the classical
    rules the one with the best PESQ, and little musical noise.

    Parameters
    ----------
    smoothing : float, default=0.98
        Weight of the last decision in the a priori SNR.
    min_prior_snr : float, default=-20.0
        Least a priori SNR in dB: the residual noise.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Where the noise power comes from: a tracker that follows it through speech
        [2]_; the mean of the first `n_noise_frames`, as if each recording began with
        silence; or the mean of `noise`. "auto" is "profile" with `noise` and
        "mmse-spp" without; "mmse-spp" with `noise` starts from it.
    n_noise_frames : int, default=10
        Number of frames for "first-frames".
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from; the method itself is deterministic.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    noise_power_ : ndarray of shape (n_bins,), or None
        Mean power of `noise`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Drawn in `fit`.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    WienerFilter : Minimises the squared error.

    References
    ----------
    .. [1] Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square
       error log-spectral amplitude estimator", IEEE Trans. ASSP 33(2), 1985.
    .. [2] T. Gerkmann and R. C. Hendriks, "Unbiased MMSE-based noise power estimation
       with low complexity and low tracking delay", IEEE Trans. Audio, Speech and
       Language Processing 20(4), 2012.

    Examples
    --------
    >>> from skvae import LogMMSE
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(2, snr=0, random_state=0)
    >>> enhancer = LogMMSE().fit(noisy)
    >>> enhancer.score(noisy, clean) > mean_si_sdr(clean, noisy)
    True
    """

    _rule = staticmethod(log_mmse_gain)
