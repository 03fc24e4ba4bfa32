"""DnVAE-NMF: speech from a denoising autoencoder, noise learned from the mixture."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import clone
from torch import Tensor

from skvae.speech.denoising_vae import DenoisingVAE
from skvae.speech.prior import STANDARD, SpeechPrior
from skvae.utils.parameters import (
    MAX_WEIGHT,
    Number,
    Option,
)
from skvae.vaenmf.base import GenerativeEnhancer, unfrozen
from skvae.vaenmf.gradient_vem import GradientVEM
from skvae.vaenmf.inference import Inference
from skvae.vaenmf.nmf_noise import NMFNoise
from skvae.vaenmf.noise import Noise

#: Few iterations: with more, the noise model absorbs the speech that the decoder cannot
#: explain.
_MAX_ITER = 5
#: Iterations that fit the noise to what the mask leaves of the mixture.
_N_START_ITER = 30


class DnVAENMFEnhancer(GenerativeEnhancer):
    r"""Speech enhancement with a denoising VAE and noise learned from the mixture.

    `fit` trains a :class:`DenoisingVAE`, whose encoder gives a prior of the latent
    variables of each utterance. `transform` finds latent variables and a noise power
    that together explain the mixture, and multiplies the Wiener gain by the encoder's
    mask [1]_.

    Parameters
    ----------
    vae : DenoisingVAE, default=None
        Speech model; None means ``DenoisingVAE()``. An unfitted model is cloned and
        fitted; a ``FrozenEstimator`` of a fitted one is used as it is.
    inference : Inference, default=None
        Algorithm that finds latent variables and noise: ``GradientVEM``, ``MCEM`` or
        ``MCMC``, which follow the encoder's prior. None means few iterations,
        ``GradientVEM(5, learning_rate=0.2, prior_weight=1.0, gain=None)``.
    prior : {"encoder", "standard", "fixed"}, default="encoder"
        Prior of the latent variables: normal with the encoder's means and its variances
        plus `sigma_z` squared, (9) of [1]_, or standard normal, (2). "fixed" keeps the
        latent variables at the encoder's means, and only the noise is learned.
    sigma_z : float, default=0.1
        Standard deviation of the latent variables around the encoder's estimate.
    noise : noise model, default=None
        Model of the noise; None means ``NMFNoise(5, smoothing=1)``.
    start : {"mask", "random"}, default="mask"
        First value of the noise: what the encoder's mask leaves of the mixture, or
        random numbers, as in [1]_ and for models without a mask.
    mask_weight : float, default=0.67
        Exponent w of the encoder's mask m in the mask :math:`m^w G^{1 - w}`, where G is
        the Wiener gain; 0 in [1]_. It has no effect for models without a mask.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one. On CUDA, utterances are
        processed in padded batches, as in :class:`VAENMFEnhancer`.
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
    vae_ : DenoisingVAE or FrozenEstimator
        Fitted speech model.
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
    VAENMFEnhancer : With a model that was trained on clean speech.
    BiLSTMMask : The mask alone.

    Notes
    -----
    The `mask_std` of a :class:`Separation` is the spread of G alone: the encoder's mask
    has none.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import DenoisingVAE, DnVAENMFEnhancer, NMFNoise, Training
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, (0.5, 1.0), snr=0, random_state=0)
    >>> training = Training(
    ...     max_iter=15,
    ...     batch_size=2,
    ...     sequence_length=60,
    ...     n_combinations=4,
    ...     learning_rate=1e-2,
    ...     averaging=0.9,
    ... )
    >>> vae = DenoisingVAE(4, 32, training=training)
    >>> enhancer = DnVAENMFEnhancer(vae, noise=NMFNoise(2, smoothing=1), random_state=0)
    >>> _ = enhancer.fit(noisy[2:], clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _parameter_ranges = {
        "prior": Option("encoder", "standard", "fixed"),
        "sigma_z": Number(0, MAX_WEIGHT),
        "start": Option("mask", "random"),
        "mask_weight": Number(low=0, high=1),
    }

    def __init__(
        self,
        vae: Any = None,
        inference: Any = None,
        *,
        prior: str = "encoder",
        sigma_z: float = 0.1,
        noise: Any = None,
        start: str = "mask",
        mask_weight: float = 0.67,
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
        self.prior = prior
        self.sigma_z = sigma_z
        self.noise = noise
        self.start = start
        self.mask_weight = mask_weight
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def as_published(cls, vae: Any = None, **parameters: Any) -> DnVAENMFEnhancer:
        """Return the enhancer with the settings of the paper.

        Parameters
        ----------
        vae : DenoisingVAE, default=None
            As in the constructor. The paper's networks differ from the defaults.
        **parameters : dict
            Parameters that replace those of the paper.

        Returns
        -------
        DnVAENMFEnhancer

        Examples
        --------
        >>> from skvae import DnVAENMFEnhancer
        >>> DnVAENMFEnhancer.as_published().start
        'random'
        """
        settings: dict[str, Any] = {
            "noise": GradientVEM.published_noise(),
            "start": "random",
            "mask_weight": 0.0,
        }
        return cls(vae, GradientVEM.as_published(), **(settings | parameters))

    def _default_part(self, name: str) -> Any:
        if name == "vae":
            return DenoisingVAE()
        if name == "noise":
            return NMFNoise(5, smoothing=1)
        return GradientVEM(_MAX_ITER, learning_rate=0.2, prior_weight=1.0, gain=None)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(unfrozen(self._make_part("vae", self.vae)), DenoisingVAE):
            raise ValueError(f"`vae` must be None or a DenoisingVAE, got {self.vae!r}.")
        inference = self._make_part("inference", self.inference)
        if self.prior != "fixed":
            return
        if not isinstance(inference, GradientVEM):
            raise ValueError(
                "`inference` must be None or a GradientVEM where `prior` is 'fixed', "
                f"got {self.inference!r}."
            )
        if inference.hold is not None:
            raise ValueError(
                "`inference` must hold nothing where `prior` is 'fixed', "
                f"got {self.inference!r}."
            )

    def _make_inference(self) -> Inference:
        inference = super()._make_inference()
        if self.prior == "fixed":
            inference = clone(inference).set_params(hold="latent")
        return inference

    def _speech_prior(
        self, V: Tensor, lengths: Tensor | None, edge: int, device: str
    ) -> SpeechPrior:
        prior = self.vae_.speech_prior(
            V, lengths=lengths, edge=edge, device=device, sigma_z=self.sigma_z
        )
        return prior.replace(latent=STANDARD) if self.prior == "standard" else prior

    def _start_noise(
        self,
        V: Tensor,
        prior: SpeechPrior,
        generator: torch.Generator,
        frames: Tensor | None,
        state: Any,
    ) -> Noise:
        if self.start == "random" or prior.mask is None:
            return super()._start_noise(V, prior, generator, frames, state)
        power = V * (1 - prior.mask) ** 2
        noise = self._noise_model().start(power, generator, frames=frames, state=state)
        noise.learn(power, _N_START_ITER)
        return noise

    def _final_mask(self, gain: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return gain
        w = self.mask_weight
        return mask**w * gain ** (1 - w)
