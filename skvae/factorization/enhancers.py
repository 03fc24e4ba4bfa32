"""Enhancers that factorize the spectrogram: sources of few spectra, or of low rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.base import BaseEnhancer
from skvae.enhancement import MaskEstimate
from skvae.factorization.rpca_splitting import rpca, rpca_mask
from skvae.signal.bandwidth import Band
from skvae.signal.framing import power
from skvae.signal.spectrogram import Spectrogram
from skvae.utils.device import as_tensor, check_device, torch_generator
from skvae.utils.learned import Array, Scalar, Scalars
from skvae.utils.parameters import check_option, check_real
from skvae.utils.threads import one_thread

if TYPE_CHECKING:
    import torch

    from skvae.factorization.nmf_updates import Factorization

#: Frames this far below the loudest of their utterance say more of the room than of
#: the speech: no dictionary is learned from them.
_QUIETEST_FRAME_DB = -40.0


class ISNMF(BaseEnhancer):
    r"""Itakura-Saito NMF: a dictionary of speech, and noise learned from the mixture.

    The power of noisy speech is modelled as :math:`H_s W_s + H_n W_n`. `fit` learns the
    speech bases :math:`W_s` from clean speech [1]_; `transform` holds them, learns
    everything else from each utterance, and applies the Wiener filter. No noise is seen
    in training.

    Parameters
    ----------
    n_components : int, default=16
        Bases of speech.
    n_noise_components : int, default=4
        Bases of noise.
    max_iter : int, default=100
        Iterations of `fit`.
    n_adapt_iter : int, default=50
        Iterations on each utterance.
    exponent : float, default=0.5
        Of the multiplicative updates: with 1/2 the divergence provably never increases
        [2]_; 1 is the usual rule.
    max_frames : int, default=50000
        At most so many frames, drawn from all, learn the dictionary.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone, from which the noise bases start.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_bins)
        Speech bases; each sums to one.
    noise_components_ : ndarray of shape (n_noise_components, n_bins), or None
        Where the noise bases start, learned from `noise`.
    loss_curve_ : list of float
        Mean divergence before the first and after each iteration of `fit`.
    n_iter_ : int
        Iterations of `fit`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Every utterance starts its own generator from it.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

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
        noise: Any = None,
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
        self.noise = noise
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        for name in (
            "n_components",
            "n_noise_components",
            "max_iter",
            "n_adapt_iter",
            "max_frames",
        ):
            check_real(name, getattr(self, name), low=1, integer=True)
        check_real("exponent", self.exponent, low=0, high=1, open_low=True)
        check_device(self.device, self.n_jobs)

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
        profile = self._noise_profile(self.noise)
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
        from skvae.factorization.nmf_updates import fit_isnmf

        device = self._device()
        return fit_isnmf(
            as_tensor(frames, device),
            n_components,
            n_iter=self.max_iter,
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
        from skvae.factorization.nmf_updates import separate_isnmf, wiener_mask

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
                n_iter=self.n_adapt_iter,
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


class RPCA(BaseEnhancer):
    """Robust principal component analysis: sparse speech on noise of low rank.

    The magnitude spectrogram is split into a matrix of low rank, which repeating noise
    is, and a sparse one, which speech is [1]_ [2]_. Nothing is learned from any other
    recording.

    Parameters
    ----------
    mask : {"binary", "soft"}, default="soft"
        1 where the sparse part is larger and 0 elsewhere, or its share.
    gain : float, default=1.0
        Weight of the low-rank part in the mask; larger suppresses more.
    sparsity : float, default=1.0
        Weight of the sparse part's norm, in units of ``1 / sqrt(max(n_frames,
        n_bins))``; larger leaves more in the low-rank part.
    tol : float, default=1e-5
        Iterations end when the two parts sum to the spectrogram up to this share.
    n_iter : int, default=100
        They end after this many in any case.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone, which is decomposed with each utterance.
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
    noise_magnitude_ : ndarray of shape (n_frames, n_bins), or None
        Magnitude of `noise`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Drawn in `fit`.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    ISNMF : Knows what speech looks like.

    References
    ----------
    .. [1] E. J. Candès, X. Li, Y. Ma and J. Wright, "Robust principal component
       analysis?", Journal of the ACM 58(3), 2011.
    .. [2] P.-S. Huang, S. D. Chen, P. Smaragdis and M. Hasegawa-Johnson, "Singing-voice
       separation from monaural recordings using robust principal component analysis",
       ICASSP 2012.

    Examples
    --------
    >>> from skvae import RPCA
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(2, snr=0, random_state=0)
    >>> RPCA().fit(noisy).score(noisy, clean) > mean_si_sdr(clean, noisy)
    True
    """

    _block_overlap = 1.0

    _learned = {"noise_magnitude_": Array("any", "n_bins", low=0, optional=True)}

    def __init__(
        self,
        mask: str = "soft",
        gain: float = 1.0,
        *,
        sparsity: float = 1.0,
        tol: float = 1e-5,
        n_iter: int = 100,
        noise: Any = None,
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.mask = mask
        self.gain = gain
        self.sparsity = sparsity
        self.tol = tol
        self.n_iter = n_iter
        self.noise = noise
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        check_option("mask", self.mask, ["binary", "soft"])
        check_real("gain", self.gain, low=0)
        check_real("sparsity", self.sparsity, low=0, open_low=True)
        check_real("tol", self.tol, low=0)
        check_real("n_iter", self.n_iter, low=1, integer=True)

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        profile = self._noise_profile(self.noise)
        self.noise_magnitude_ = None if profile is None else np.sqrt(profile)

    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: None
    ) -> MaskEstimate:
        M = np.sqrt(V)
        n_noise = 0
        if self.noise_magnitude_ is not None:
            n_noise = len(self.noise_magnitude_)
            M = np.concatenate([self.noise_magnitude_.astype(M.dtype), M])
        lam = self.sparsity / np.sqrt(max(M.shape))
        with one_thread():
            result = rpca(M, lam, tol=self.tol, max_iter=self.n_iter)
            mask = rpca_mask(
                result.L[n_noise:], result.S[n_noise:], self.mask, self.gain
            )
        return MaskEstimate(mask, n_iter=result.n_iter, history=result.history)


def _draw_frames(
    spectrograms: list[Spectrogram], max_frames: int, rng: np.random.Generator
) -> np.ndarray:
    """Power of frames drawn from all that hold sound, float32, shape (n_drawn, F)."""
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
    # Silence only: a dictionary of nothing is learned from it, as from anything else.
    return frames if len(frames) else V[:1]
