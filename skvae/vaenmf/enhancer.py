"""VAE-NMF: speech from a variational autoencoder, noise learned from the mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d

from skvae.base import BaseEnhancer
from skvae.classical.log_mmse import LogMMSE
from skvae.enhancement import MaskEstimate
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.vae import SpeechVAE
from skvae.training.parts import agreed_stft
from skvae.utils.learned import Part
from skvae.utils.parameters import Number, check_option
from skvae.vaenmf.base import GenerativeEnhancer, unfrozen
from skvae.vaenmf.inferences import INFERENCES, make_inference
from skvae.vaenmf.nmf_noise import NMFNoise


class VAENMFEnhancer(GenerativeEnhancer):
    """Speech enhancement with a speech model and noise learned from the mixture.

    `fit` trains a variational autoencoder on clean speech; it never sees noise.
    `transform` finds, for each utterance, latent variables of the speech and a noise
    power that together explain the mixture, and applies the Wiener filter.

    Parameters
    ----------
    vae : speech model, default=None
        ``SpeechVAE``, ``NoiseAwareVAE`` or ``DenoisingVAE``; None means
        ``SpeechVAE()``. An unfitted model is cloned and fitted, on noisy speech too if
        there is any and the model learns from it. A ``FrozenEstimator`` of a fitted
        model is used as it is.
    inference : {"vem", "gradient", "mcem", "mcmc"} or Inference, default="vem"
        Algorithm that finds the unknowns, by name or as an object with parameters such
        as ``MCEM(n_samples=5)``.
    noise : noise model, default=None
        Model of the noise; None means ``NMFNoise()``, with 20 bases.
    guide : "log-mmse", enhancer or None, default="log-mmse"
        Enhancer whose mask initializes the latent variables, except those of a speech
        model whose encoder reads mixtures. "log-mmse" is ``LogMMSE()``, which needs no
        training. An enhancer is cloned and fitted; a ``FrozenEstimator`` of a fitted
        one is used as it is. None disables the guide, as in the papers.
    guide_weight : float, default=0.2
        Exponent w of the guide's mask m in the mask :math:`G^{1 - w} m^w`, where G is
        the Wiener gain of the inference.
    mask_smoothing : int, default=3
        Number of frames, odd, over which the mask is averaged; 1 disables it, as in the
        papers.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one. On CUDA, utterances are
        processed in padded batches, unless the inference has a `tol` or a recording has
        several blocks; results equal those of a CPU in distribution.
    stft : STFT, default=None
        Analysis of waveforms; None means the speech model's. Spectrograms bring their
        own.
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
    vae_ : speech model
        Fitted speech model.
    guide_ : enhancer or None
        Fitted guide.
    noise_ : noise model
        Noise model, with what it learned from its `noise_profile`.
    stft_ : STFT
        Analysis that is used.
    seed_ : int
        Seed of each utterance's own generator.
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    SpeechVAE : Speech model.
    NMFNoise : Noise model.
    VEM, GradientVEM, PointEM, Langevin, MCEM, MCMC : Inferences.

    Notes
    -----
    The `mask_std` of a :class:`Separation` is the spread of G alone: the guide has
    none.

    Examples
    --------
    >>> from skvae import MCEM, NMFNoise, SpeechVAE, Training, VAENMFEnhancer
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, (0.5, 1.0), snr=0, random_state=0)
    >>> training = Training(batch_size=16, learning_rate=3e-3, max_iter=30)
    >>> speech = SpeechVAE(4, 64, training=training)
    >>> inference = MCEM(20, n_burn_in=5, n_samples=5)
    >>> enhancer = VAENMFEnhancer(speech, inference, noise=NMFNoise(2), random_state=0)
    >>> _ = enhancer.fit(clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _parameter_ranges = {
        "guide_weight": Number(low=0, high=1),
        "mask_smoothing": Number(low=1, high=9999, integer=True),
    }

    _learned = {"guide_": Part("estimate_mask", optional=True)}

    def __init__(
        self,
        vae: Any = None,
        inference: Any = "vem",
        *,
        noise: Any = None,
        guide: Any = "log-mmse",
        guide_weight: float = 0.2,
        mask_smoothing: int = 3,
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
        self.noise = noise
        self.guide = guide
        self.guide_weight = guide_weight
        self.mask_smoothing = mask_smoothing
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def as_published(
        cls, inference: str = "vem", vae: Any = None, **parameters: Any
    ) -> VAENMFEnhancer:
        """Return the enhancer with the settings of an inference's paper.

        Parameters
        ----------
        inference : {"vem", "gradient", "mcem", "mcmc"}, default="vem"
            Name of the inference.
        vae : speech model, default=None
            As in the constructor. The papers' networks differ from the defaults.
        **parameters : dict
            Parameters that replace those of the paper.

        Returns
        -------
        VAENMFEnhancer

        Examples
        --------
        >>> from skvae import VAENMFEnhancer
        >>> VAENMFEnhancer.as_published("mcem").noise
        NMFNoise(n_components=10, smoothing=1)
        """
        check_option("inference", inference, list(INFERENCES))
        published = INFERENCES[inference]
        settings: dict[str, Any] = {
            "noise": published.published_noise(),
            "guide": None,
            "mask_smoothing": 1,
        }
        return cls(vae, published.as_published(), **(settings | parameters))

    def _default_part(self, name: str) -> Any:
        if name == "vae":
            return SpeechVAE()
        return NMFNoise() if name == "noise" else make_inference("vem")

    def _make_part(self, name: str, value: Any) -> Any:
        if name == "guide" and isinstance(value, str):
            check_option("guide", value, ["log-mmse"])
            return LogMMSE()
        return super()._make_part(name, value)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        guide = unfrozen(self._make_part("guide", self.guide))
        if guide is not None and not isinstance(guide, BaseEnhancer):
            raise ValueError(
                '`guide` must be "log-mmse", an enhancer such as BiLSTMMask(), or '
                f"None, got {self.guide!r}."
            )
        if self.mask_smoothing % 2 == 0:
            raise ValueError(
                f"`mask_smoothing` must be an odd number, got {self.mask_smoothing}."
            )

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        chosen = super()._choose_stft(spectrogram)
        return agreed_stft("guide", self.guide, chosen, is_default=False)

    def _fit_guide(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        self.guide_ = None
        if self.guide is not None:
            self.guide_ = self._fitted_part("guide", noisy, clean, rng)

    def _ask_guide(
        self, V: np.ndarray, rng: np.random.Generator, state: Any, device: str
    ) -> MaskEstimate | None:
        if self.guide_ is None:
            return None
        guide: BaseEnhancer = unfrozen(self.guide_)
        return guide.estimate_mask(V, rng, state, device)

    def _follow_guide(self, mask: np.ndarray, guide: MaskEstimate | None) -> np.ndarray:
        if guide is not None and self.guide_weight > 0:
            w = self.guide_weight
            mask = mask ** (1 - w) * guide.mask**w
        if self.mask_smoothing > 1:
            mask = uniform_filter1d(mask, self.mask_smoothing, axis=0, mode="nearest")
        return mask
