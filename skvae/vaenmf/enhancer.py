"""VAE-NMF: speech from a variational autoencoder, noise learned from the mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.frozen import FrozenEstimator

from skvae.base import BaseEnhancer
from skvae.classical.enhancers import LogMMSE
from skvae.enhancement import MaskEstimate
from skvae.signal.bandwidth import band_edge, fill_band, widen_band
from skvae.signal.framing import at_level
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.base import agreed_stft, fitted_model
from skvae.utils.device import as_tensor, check_device, torch_generator
from skvae.utils.learned import Array, Part
from skvae.utils.parameters import check_option, check_real
from skvae.utils.threads import one_thread
from skvae.vaenmf.inference import Inference, make_inference

if TYPE_CHECKING:
    import torch

    from skvae.vaenmf.model import Posterior

#: Iterations that learn the bases of a noise-only recording.
_N_PROFILE_ITER = 100
#: Frames that a GPU is given at once, four minutes at 16 kHz. A pass over them takes it
#: longer than being told of it, and the inferences' thirty arrays of them 1 GB.
BATCH_FRAMES = 16384


class VAENMFEnhancer(BaseEnhancer):
    """Speech enhancement by a speech model and noise that is learned from the mixture.

    `fit` trains a variational autoencoder on clean speech; it never sees noise.
    `transform` finds, for each utterance, latent variables of speech and an NMF of the
    noise that together explain the mixture, and applies the Wiener filter.

    Parameters
    ----------
    vae : speech model, default=None
        A ``SpeechVAE`` or a ``NoiseAwareVAE``; None means ``SpeechVAE()``. An unfitted
        model is cloned and fitted, on noisy speech too if there is any and it learns
        from that; a ``FrozenEstimator`` of a fitted one is used as it is.
    inference : {"vem", "gradient", "mcem", "mcmc"} or Inference, default="vem"
        How the unknowns are found: by name, or by an object with parameters,
        ``MCEM(n_samples=5)``.
    n_components : int, default=20
        Bases of the noise; 5 or 10 in the papers.
    guide : "log-mmse", enhancer or None, default="log-mmse"
        Who looks at the mixture first: the latent variables start from what it takes
        for speech (but not those of a ``NoiseAwareVAE``, whose encoder reads the
        mixture itself). "log-mmse" is ``LogMMSE()``, which learns from nothing else
        than the mixture either. An enhancer is cloned and fitted, a ``FrozenEstimator``
        of a fitted one is used as it is. None, as in the papers, is nobody.
    guide_weight : float, default=0.2
        Exponent w of the guide's mask m in the mask :math:`G^{1 - w} m^w`, where G is
        the Wiener gain of the inference.
    mask_smoothing : int, default=3
        Frames over which the mask is averaged, an odd number; 1, as in the papers, is
        not at all.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone, from which the bases start.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one. On CUDA utterances go in
        padded batches (but not if the inference has a `tol`, which each utterance
        reaches at its own time, nor recordings of several blocks): results are the
        CPU's in distribution.
    stft : STFT, default=None
        Analysis of waveforms; None means the speech model's. Spectrograms bring their
        own.
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
    vae_ : speech model
        The fitted one.
    guide_ : enhancer or None
        The fitted one.
    noise_components_ : ndarray of shape (n_components, n_bins), or None
        Where the bases of the noise start, learned from `noise`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Every utterance starts its own generator from it.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    SpeechVAE : The speech model.
    VEM, GradientVEM, MCEM, MCMC : The inferences.

    Notes
    -----
    The `mask_std` of a :class:`Separation` is the posterior spread of G alone: the
    guide has none.

    With ``guide=None`` and ``mask_smoothing=1`` this is the method of the papers; what
    each inference adds to its paper stands in its own docstring.

    Examples
    --------
    >>> from skvae import MCEM, SpeechVAE, Training, VAENMFEnhancer
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, snr=0, random_state=0)
    >>> speech = SpeechVAE(4, 64, training=Training(30, batch_size=32))
    >>> inference = MCEM(20, n_burn_in=5, n_samples=5)
    >>> enhancer = VAENMFEnhancer(speech, inference, n_components=2, random_state=0)
    >>> _ = enhancer.fit(clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _block_overlap = 1.0

    _learned = {
        "vae_": Part("networks"),
        "guide_": Part("separate", optional=True),
        "noise_components_": Array("n_components", "n_bins", low=0, optional=True),
    }

    def __init__(
        self,
        vae: Any = None,
        inference: Any = "vem",
        *,
        n_components: int = 20,
        guide: Any = "log-mmse",
        guide_weight: float = 0.2,
        mask_smoothing: int = 3,
        noise: Any = None,
        device: str = "cpu",
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.vae = vae
        self.inference = inference
        self.n_components = n_components
        self.guide = guide
        self.guide_weight = guide_weight
        self.mask_smoothing = mask_smoothing
        self.noise = noise
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        check_real("n_components", self.n_components, low=1, integer=True)
        check_device(self.device, self.n_jobs)
        make_inference(self.inference).check()
        if isinstance(self.guide, str):
            check_option("guide", self.guide, ["log-mmse"])
        elif self.guide is not None and not hasattr(self.guide, "separate"):
            raise ValueError(
                '`guide` must be "log-mmse", an enhancer such as BiLSTMMask(), or '
                f"None, got {self.guide!r}."
            )
        check_real("guide_weight", self.guide_weight, low=0, high=1)
        check_real("mask_smoothing", self.mask_smoothing, low=1, integer=True)
        if self.mask_smoothing % 2 == 0:
            raise ValueError(
                f"`mask_smoothing` must be an odd number, got {self.mask_smoothing}."
            )
        missing = [
            name
            for name in ("fit", "networks")
            if self.vae is not None and not hasattr(self.vae, name)
        ]
        if missing:
            raise ValueError(
                f"`vae` must be a speech model such as SpeechVAE(), got {self.vae!r}."
            )

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        chosen = super()._choose_stft(spectrogram)
        is_default = spectrogram is None and self.stft is None
        chosen = agreed_stft("vae", self.vae, chosen, is_default=is_default)
        return agreed_stft("guide", self.guide, chosen, is_default=False)

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        data: Any = {"noisy": noisy, "clean": clean, "device": self.device, "rng": rng}
        self.vae_ = fitted_model("vae", self._speech_model(), **data)
        guide = LogMMSE() if isinstance(self.guide, str) else self.guide
        self.guide_ = None if guide is None else fitted_model("guide", guide, **data)
        self.noise_components_ = None
        profile = self._noise_profile(self.noise)
        if profile is not None:
            from skvae.factorization.nmf_updates import fit_isnmf

            device = check_device(self.device, self.n_jobs)
            learned = fit_isnmf(
                as_tensor(fill_band(profile), device),
                self.n_components,
                n_iter=_N_PROFILE_ITER,
                generator=torch_generator(rng),
            )
            self.noise_components_ = learned.W.cpu().numpy()

    def _speech_model(self) -> Any:
        from skvae.speech.vae import SpeechVAE

        return SpeechVAE() if self.vae is None else self.vae

    def _batch_frames(self) -> int:
        device = check_device(self.device, self.n_jobs)
        return frames_at_once(make_inference(self.inference), device)

    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: Any
    ) -> MaskEstimate:
        W, guide_state = (None, None) if state is None else state
        guide = self._ask_guide(V, rng, guide_state)
        edge = band_edge(V)
        V = fill_band(V, edge)
        guided = None if guide is None else self._in_unit(V * guide.mask**2, V, edge)
        posterior = self._infer(self._in_unit(V, edge=edge), rng, W, guided=guided)
        gain_std = posterior.mask_std
        return self._make_estimate(
            widened(posterior.mask, V),
            None if gain_std is None else widened(gain_std, V),
            posterior.history,
            guide,
            state=(
                widened(posterior.noise.W, V),
                None if guide is None else guide.state,
            ),
        )

    def _estimate_masks(
        self, powers: list[np.ndarray], rngs: list[np.random.Generator]
    ) -> list[MaskEstimate]:
        return full_bands_together(
            self._estimate_full_bands, self._estimate_mask, powers, rngs
        )

    def _estimate_full_bands(
        self, powers: Sequence[np.ndarray], rngs: Sequence[np.random.Generator]
    ) -> list[MaskEstimate]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        guides = [
            self._ask_guide(V, rng, None) for V, rng in zip(powers, rngs, strict=True)
        ]
        padded = pad_sequence([self._in_unit(V) for V in powers], batch_first=True)
        heard = [
            self._in_unit(V * guide.mask**2, V)
            for V, guide in zip(powers, guides, strict=True)
            if guide is not None
        ]
        guided = pad_sequence(heard, batch_first=True) if heard else None
        lengths = torch.tensor([len(V) for V in powers])
        # One generator for all of them: as good as their own, though not the same.
        posterior = self._infer(padded, rngs[0], lengths=lengths, guided=guided)
        found = zip(
            unpadded(posterior.mask, lengths),
            unpadded(posterior.mask_std, lengths),
            posterior.history,
            guides,
            strict=True,
        )
        return [self._make_estimate(*parts) for parts in found]

    def _ask_guide(
        self, V: np.ndarray, rng: np.random.Generator, state: Any
    ) -> MaskEstimate | None:
        if self.guide_ is None:
            return None
        guide = self.guide_
        if isinstance(guide, FrozenEstimator):
            guide = guide.estimator
        with computing_on(guide, self.device):
            return guide._estimate_mask(guide._heard(V), rng, state)

    def _make_estimate(
        self,
        gain: np.ndarray,
        gain_std: np.ndarray | None,
        history: Sequence[float],
        guide: MaskEstimate | None,
        state: Any = None,
    ) -> MaskEstimate:
        """Mask of the Wiener gain and of what the guide has found."""
        mask = gain
        if guide is not None and self.guide_weight > 0:
            mask = gain ** (1 - self.guide_weight) * guide.mask**self.guide_weight
        if self.mask_smoothing > 1:
            mask = uniform_filter1d(mask, self.mask_smoothing, axis=0, mode="nearest")
        return MaskEstimate(
            mask, gain_std, n_iter=len(history), history=history, state=state
        )

    def _in_unit(
        self, V: np.ndarray, of: np.ndarray | None = None, edge: int | None = None
    ) -> torch.Tensor:
        """Power in the unit of the model, in which masks do not depend on the level.

        Of another recording if that is given, and of the bins below an edge.
        """
        return as_tensor(at_level(V, self.vae_.level_, of)[:, :edge]).float()

    def _infer(
        self,
        V: torch.Tensor,
        rng: np.random.Generator,
        start: np.ndarray | None = None,
        lengths: torch.Tensor | None = None,
        guided: torch.Tensor | None = None,
    ) -> Posterior:
        """Separate an utterance (N, F), or padded ones (B, N, F) of some lengths (B,).

        The noise starts from bases (K, F or more), the latent variables from the power
        `guided`, of the same shape as V, where these are given. F is how many there are
        of the model's bins.
        """
        import torch

        from skvae.speech.fast_prior import speech_prior
        from skvae.vaenmf.model import initial_noise

        device = check_device(self.device, self.n_jobs)
        generator = torch_generator(rng, device)
        edge = V.shape[-1]
        start = self.noise_components_ if start is None else start
        with one_thread(), torch.no_grad():
            V = V.to(device)
            frames = None if lengths is None else frames_inside(V, lengths)
            W = None if start is None else as_tensor(start[:, :edge]).float().to(device)
            noise = initial_noise(V, self.n_components, generator, W=W, frames=frames)
            prior = speech_prior(self.vae_.networks(device), lengths, edge)
            # An encoder of noisy speech knows what to make of the mixture itself.
            if guided is not None and not hasattr(self.vae_, "mixer"):
                prior = prior._replace(guided=guided.to(device))
            return make_inference(self.inference).infer(V, prior, noise, generator)


@contextmanager
def computing_on(estimator: Any, device: str) -> Iterator[None]:
    """Context in which a part of another estimator computes where its owner does."""
    before = getattr(estimator, "device", device)
    if before == device:
        yield
        return
    estimator.device = device
    try:
        yield
    finally:
        estimator.device = before


def full_bands_together(
    together: Callable[..., list[MaskEstimate]],
    alone: Callable[..., MaskEstimate],
    powers: Sequence[np.ndarray],
    rngs: Sequence[np.random.Generator],
) -> list[MaskEstimate]:
    """Masks of recordings; each of a narrower band, which ends where it does, alone."""
    are_full = [band_edge(V) == V.shape[1] for V in powers]
    full = [k for k, is_full in enumerate(are_full) if is_full]
    found = together([powers[k] for k in full], [rngs[k] for k in full]) if full else []
    left = iter(found)
    return [
        next(left) if is_full else alone(V, rng, None)
        for is_full, V, rng in zip(are_full, powers, rngs, strict=True)
    ]


def frames_at_once(inference: Inference, device: str) -> int:
    """Frames that :meth:`_estimate_masks` is given at once; 0 where it does not pay.

    With a tolerance each utterance ends where it does alone.
    """
    stops = getattr(inference, "tol", 0) > 0
    return BATCH_FRAMES if device.startswith("cuda") and not stops else 0


def frames_inside(V: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """One for the frames of padded utterances V (B, N, F), else zero, (B, N, 1)."""
    import torch

    inside = torch.arange(V.shape[1]) < lengths[:, None]
    return inside[..., None].to(V)


def widened(found: torch.Tensor, V: np.ndarray) -> np.ndarray:
    """What was found below an edge, for all bins of a recording."""
    return widen_band(found.cpu().numpy(), V.shape[1])


def unpadded(padded: torch.Tensor | None, lengths: torch.Tensor) -> list[Any]:
    """Array of each utterance, or None where there is nothing."""
    if padded is None:
        return [None] * len(lengths)
    pairs = zip(padded.cpu().numpy(), lengths.tolist(), strict=True)
    return [array[:n] for array, n in pairs]
