"""Base classes of the gain rules: noise power, blocks, a priori SNR."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from skvae.base import BaseEnhancer
from skvae.classical.gains import decision_directed_gain
from skvae.classical.noise_tracking import (
    NoiseState,
    first_frames_power,
    noise_floor,
    track_noise,
)
from skvae.enhancement import MaskEstimate
from skvae.signal.spectrogram import Spectrogram
from skvae.utils.learned import Array, Scalar
from skvae.utils.parameters import (
    MAX_FRAMES,
    Number,
    Option,
)

#: Frames that are enhanced together: about what fits into the second-level cache.
_BLOCK_FRAMES = 192


class _State(NamedTuple):
    """State between blocks: that of the noise estimate, and the gain rule's own."""

    noise: NoiseState | tuple[np.ndarray, float] | None
    memory: Any


class ClassicalEnhancer(BaseEnhancer):
    """Base of the enhancers that apply a gain rule to an estimate of the noise power.

    Subclasses define ``__init__``, which must include the parameters below, and
    :meth:`_gain`. The noise estimate and the gain rule process the frames in order and
    return all they remember, so the result does not depend on `block_seconds`.

    Parameters
    ----------
    noise_profile : waveform or Spectrogram, default=None
        Recording of the noise alone.
    noise_estimate : {"auto", "mmse-spp", "first-frames", "profile"}, default="auto"
        Estimate of the noise power; see :class:`~skvae.WienerFilter`.
    n_noise_frames : int, default=10
        Number of frames for "first-frames".
    """

    _parameter_ranges = {
        "noise_estimate": Option("auto", "mmse-spp", "first-frames", "profile"),
        "n_noise_frames": Number(1, MAX_FRAMES, integer=True),
    }

    _learned = {
        "noise_power_": Array("n_bins", low=0, optional=True),
        "_frames_per_update": Scalar(low=1, integer=True),
    }

    #: Number of window lengths of overlapping frames that share one update of the noise
    #: tracker. None updates it with every frame.
    _windows_per_update: float | None = None

    noise_profile: Any
    noise_estimate: str
    n_noise_frames: int

    @abstractmethod
    def _gain(
        self, V: np.ndarray, noise: np.ndarray, memory: Any
    ) -> tuple[np.ndarray, Any]:
        """Compute the gain of each bin.

        Parameters
        ----------
        V, noise : ndarray of shape (N, F)
            Power of the noisy speech and of the noise.
        memory : object or None
            What the call for the previous block returned; None for the first block.

        Returns
        -------
        gain : ndarray of shape (N, F)
            Gain in [0, 1].
        memory : object
            What the next block needs.
        """

    def _check_parameters(self) -> None:
        if self.noise_profile is None and self.noise_estimate == "profile":
            raise ValueError(
                '`noise_estimate`="profile" needs a recording of the noise alone in '
                "`noise_profile`, got None."
            )
        if self.noise_profile is not None and self.noise_estimate == "first-frames":
            raise ValueError(
                '`noise_estimate`="first-frames" does not use `noise_profile`: pass '
                "only one of the two."
            )

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        profile = self._noise_profile(self.noise_profile)
        self.noise_power_ = None if profile is None else profile.mean(0)
        self._frames_per_update = 1
        if self._windows_per_update is not None:
            frames_per_window = clean[0].n_fft / clean[0].hop_length
            frames = round(self._windows_per_update * frames_per_window)
            self._frames_per_update = max(1, frames)

    def _block_frames(self, spectrogram: Spectrogram) -> tuple[int, int]:
        size, _ = super()._block_frames(spectrogram)
        # Short blocks: the result is the same, and they fit into the cache.
        size = min(size, max(_BLOCK_FRAMES, self.n_noise_frames))
        # Whole groups, so that each block begins with a group.
        return -(-size // self._frames_per_update) * self._frames_per_update, 0

    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: _State | None
    ) -> MaskEstimate:
        noise, noise_state = self._noise_power(
            V, None if state is None else state.noise
        )
        gain, memory = self._gain(V, noise, None if state is None else state.memory)
        return MaskEstimate(gain, state=_State(noise_state, memory))

    def _noise_power(self, V: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """Noise power of each frame, and the state for the next block."""
        first = None
        if self.noise_power_ is not None:
            first = self.noise_power_.astype(V.dtype)
        estimate = self.noise_estimate
        if estimate == "auto":
            estimate = "mmse-spp" if first is None else "profile"
        if estimate == "mmse-spp":
            return track_noise(
                V, state, first=first, frames_per_update=self._frames_per_update
            )
        if state is None:
            if estimate == "first-frames":
                first = first_frames_power(V, self.n_noise_frames)
            state = first, 0.0
        noise, floor_before = state
        floor = noise_floor(V, floor_before)
        return np.maximum(noise, floor[:, None]), (noise, float(floor[-1]))


class DecisionDirectedEnhancer(ClassicalEnhancer):
    """Base of the gain rules on a decision-directed a priori SNR.

    Subclasses define :meth:`_rule`.
    """

    _parameter_ranges = {
        "smoothing": Number(low=0, high=1),
        "min_prior_snr": Number(low=-300, high=0),
    }

    def __init__(
        self,
        smoothing: float = 0.98,
        *,
        min_prior_snr: float = -20.0,
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
        self.smoothing = smoothing
        self.min_prior_snr = min_prior_snr
        self.noise_profile = noise_profile
        self.noise_estimate = noise_estimate
        self.n_noise_frames = n_noise_frames
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @staticmethod
    @abstractmethod
    def _rule(prior_snr: np.ndarray, posterior_snr: np.ndarray) -> np.ndarray:
        """Compute the gain for an a priori and an a posteriori SNR."""

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
