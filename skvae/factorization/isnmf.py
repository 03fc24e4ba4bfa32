"""Itakura-Saito NMF with a dictionary of speech."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from skvae.base import BaseEnhancer
from skvae.enhancement import MaskEstimate
from skvae.factorization.nmf_separation import separate_isnmf, wiener_mask
from skvae.factorization.nmf_updates import Factorization, fit_isnmf
from skvae.signal.bandwidth import Band
from skvae.signal.framing import power
from skvae.signal.spectrogram import Spectrogram
from skvae.utils.device import as_tensor, torch_generator
from skvae.utils.learned import Array, Scalar, Scalars
from skvae.utils.parameters import (
    MAX_FRAMES,
    MAX_ITERATIONS,
    MAX_UNITS,
    Number,
)
from skvae.utils.threads import one_thread

#: Level below that of the utterance's loudest frame at which a frame is left out of the
#: dictionary, in dB: it contains more of the room than of the speech.
_QUIETEST_FRAME_DB = -40.0


class ISNMF(BaseEnhancer):
    r"""Itakura-Saito NMF: a dictionary of speech, and noise learned from the mixture.

    The power of noisy speech is modeled as :math:`H_s W_s + H_n W_n`. `fit` learns the
    speech bases :math:`W_s` from clean speech [1]_; no noise is seen in training.
    `transform` holds them, learns everything else from each utterance, and applies the
    Wiener filter.

    Parameters
    ----------
    n_components : int, default=16
        Number of speech bases.
    n_noise_components : int, default=4
        Number of noise bases.
    max_iter : int, default=100
        Number of iterations of `fit`.
    n_adapt_iter : int, default=50
        Number of iterations on each utterance.
    exponent : float, default=0.5
        Exponent of the multiplicative updates. With 1/2 the divergence provably never
        increases [2]_; 1 is the usual rule.
    max_frames : int, default=50000
        Maximum number of frames that the dictionary is learned from. They are drawn at
        random.
    noise_profile : waveform or Spectrogram, default=None
        Recording of the noise alone, from which the noise bases start.
    device : str, default="cpu"
        PyTorch device. "auto" is a GPU if there is one.
    stft : STFT, default=None
        Analysis of waveforms. None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        Maximum attenuation in dB. None means no limit.
    block_seconds : float, default=60.0
        Length of the blocks in which longer recordings are enhanced. None disables
        blocks.
    random_state : int, Generator or None, default=None
        Seed or generator from which `seed_` is drawn.
    n_jobs : int, default=None
        Number of utterances that are enhanced in parallel.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_bins)
        Speech bases; each sums to one.
    noise_components_ : ndarray of shape (n_noise_components, n_bins), or None
        First noise bases, learned from `noise_profile`.
    loss_curve_ : list of float
        Mean divergence before the first and after each iteration of `fit`.
    n_iter_ : int
        Number of iterations of `fit`.
    stft_ : STFT
        Analysis that is used.
    seed_ : int
        Seed of each utterance's own generator.
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    RPCA : Needs no training.

    References
    ----------
    .. [1] C. Févotte, N. Bertin and J.-L. Durrieu, "Nonnegative matrix factorization
       with the Itakura-Saito divergence", Neural Computation 21(3), 2009.
    .. [2] C. Févotte and J. Idier, "Algorithms for nonnegative matrix factorization
       with the beta-divergence", Neural Computation 23(9), 2011.

    Examples
    --------
    >>> from skvae import ISNMF
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(4, snr=0, random_state=0)
    >>> enhancer = ISNMF(n_components=8, random_state=0).fit(clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _block_overlap = 1.0
    _takes_device = True

    _parameter_ranges = {
        "n_components": Number(1, MAX_UNITS, integer=True),
        "n_noise_components": Number(1, MAX_UNITS, integer=True),
        "max_iter": Number(1, MAX_ITERATIONS, integer=True),
        "n_adapt_iter": Number(1, MAX_ITERATIONS, integer=True),
        "exponent": Number(low=0, high=1, open_low=True),
        "max_frames": Number(1, MAX_FRAMES, integer=True),
    }

    _learned = {
        "components_": Array("n_components", "n_bins", low=0),
        "noise_components_": Array(
            "n_noise_components", "n_bins", low=0, optional=True
        ),
        "loss_curve_": Scalars(),
        "n_iter_": Scalar(low=0, integer=True),
    }

    def __init__(
        self,
        n_components: int = 16,
        n_noise_components: int = 4,
        *,
        max_iter: int = 100,
        n_adapt_iter: int = 50,
        exponent: float = 0.5,
        max_frames: int = 50_000,
        noise_profile: Any = None,
        device: str = "cpu",
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.n_noise_components = n_noise_components
        self.max_iter = max_iter
        self.n_adapt_iter = n_adapt_iter
        self.exponent = exponent
        self.max_frames = max_frames
        self.noise_profile = noise_profile
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        self._device()

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        frames = _draw_frames(clean, self.max_frames, rng)
        generator = torch_generator(rng)
        with one_thread(), self._iterations(self.max_iter) as advance:
            learned = self._learn(
                frames, self.n_components, generator, lambda divergence: advance()
            )
        self.components_ = learned.W.cpu().numpy()
        self.loss_curve_ = learned.history
        self.n_iter_ = len(learned.history) - 1
        self.noise_components_ = None
        profile = self._noise_profile(self.noise_profile)
        if profile is not None:
            learned = self._learn(profile, self.n_noise_components, generator)
            self.noise_components_ = learned.W.cpu().numpy()

    def _learn(
        self,
        frames: np.ndarray,
        n_components: int,
        generator: torch.Generator,
        on_iteration: Callable[[float], bool] | None = None,
    ) -> Factorization:
        """Factorize the power of frames."""
        return fit_isnmf(
            as_tensor(frames, self._device()),
            n_components,
            max_iter=self.max_iter,
            exponent=self.exponent,
            generator=generator,
            on_iteration=on_iteration,
        )

    def _estimate_mask(
        self,
        V: np.ndarray,
        rng: np.random.Generator,
        state: np.ndarray | None,
        device: str | None = None,
    ) -> MaskEstimate:
        device = self._device(device)
        start = self.noise_components_ if state is None else state
        # The empty bins of a narrow band would outweigh the others.
        band = Band(V)
        with one_thread():
            result = separate_isnmf(
                as_tensor(band.cut(V), device),
                as_tensor(band.cut(self.components_), device),
                None if start is None else as_tensor(band.cut(start), device),
                n_noise=self.n_noise_components,
                max_iter=self.n_adapt_iter,
                exponent=self.exponent,
                generator=torch_generator(rng),
            )
            mask = wiener_mask(result.speech, result.noise)
        noise_components = result.W[self.n_components :].cpu().numpy()
        return MaskEstimate(
            band.widen(mask.cpu().numpy()),
            n_iter=len(result.history) - 1,
            history=result.history,
            state=band.widen(noise_components),
        )


def _draw_frames(
    spectrograms: list[Spectrogram], max_frames: int, rng: np.random.Generator
) -> np.ndarray:
    """Power of frames drawn from all audible ones, float32, shape (n_drawn, F)."""
    n_total = sum(spectrogram.n_frames for spectrogram in spectrograms)
    share = min(1.0, max_frames / n_total)
    drawn = []
    for spectrogram in spectrograms:
        V = power(spectrogram.frames()).astype(np.float32, copy=False)
        level = V.sum(1)
        audible = np.flatnonzero(level > level.max() * 10 ** (_QUIETEST_FRAME_DB / 10))
        if share < 1:
            audible = audible[rng.random(len(audible)) < share]
        drawn.append(V[audible])
    frames = np.concatenate(drawn)
    # Silence gives a dictionary, too.
    return frames if len(frames) else V[:1]
