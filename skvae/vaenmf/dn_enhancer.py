"""DnVAE-NMF: speech from a denoising autoencoder, noise learned from the mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skvae.base import BaseEnhancer
from skvae.enhancement import MaskEstimate
from skvae.signal.bandwidth import band_edge, fill_band
from skvae.signal.framing import at_level
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.base import agreed_stft, fitted_model
from skvae.speech.denoising_vae import DenoisingVAE
from skvae.utils.device import as_tensor, check_device, torch_generator
from skvae.utils.learned import Part
from skvae.utils.parameters import check_option, check_real
from skvae.utils.threads import one_thread
from skvae.vaenmf.enhancer import (
    frames_at_once,
    frames_inside,
    full_bands_together,
    unpadded,
    widened,
)
from skvae.vaenmf.inference import GradientVEM, Inference, make_inference

if TYPE_CHECKING:
    import torch

    from skvae.vaenmf.model import Noise, Posterior

PRIORS = ("encoder", "standard", "fixed")
STARTS = ("mask", "random")
#: Iterations of the inference, few: the more there are, the more of the speech, which
#: no decoder explains entirely, goes to the noise.
_N_ITER = 5
#: Iterations that learn the noise from what the mask leaves of the mixture.
_N_START_ITER = 30


class DnVAENMFEnhancer(BaseEnhancer):
    r"""Speech enhancement by a denoising VAE and noise learned from the mixture.

    `fit` trains a :class:`DenoisingVAE`. For each utterance its encoder says where the
    latent variables of the speech are likely to be; `transform` moves them so that with
    an NMF of the noise they explain the mixture, and multiplies the Wiener gain that
    follows with the encoder's mask [1]_.

    Parameters
    ----------
    dvae : DenoisingVAE, default=None
        None means ``DenoisingVAE()``. An unfitted model is cloned and fitted; a
        ``FrozenEstimator`` of a fitted one is used as it is.
    inference : GradientVEM, default=None
        How latent variables and noise are found; None means few iterations, ::

            GradientVEM(5, learning_rate=0.2, prior_weight=1.0, smoothing=1,
                        with_gain=False)

        and the one of [1]_ is the same with 200 iterations and ``n_samples=10``.
    prior : {"encoder", "standard", "fixed"}, default="encoder"
        Prior of the latent variables: Gaussian with the encoder's means and its
        variances plus `sigma_z` squared, (9) of [1]_, or standard, (2). With "fixed"
        they stay where the encoder saw them, and only the noise is found.
    sigma_z : float, default=0.1
        How far the latent variables may be from where the encoder saw them.
    n_components : int, default=5
        Bases of the noise.
    start : {"mask", "random"}, default="mask"
        Whether the noise starts from what the encoder's mask leaves of the mixture, or
        from random numbers, as in [1]_ and wherever the model has no mask.
    mask_weight : float, default=0.67
        Exponent w of the encoder's mask m in the mask :math:`m^w G^{1 - w}`, where G is
        the Wiener gain; 0 in [1]_. It counts for nothing where the model has no mask.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one. On CUDA utterances go in
        padded batches, as in :class:`VAENMFEnhancer`.
    stft : STFT, default=None
        Analysis of waveforms; None means the model's. Spectrograms bring their own.
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
    dvae_ : DenoisingVAE or FrozenEstimator
        The fitted model.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Every utterance starts its own generator from it.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    VAENMFEnhancer : With a model that was trained on clean speech.
    BiLSTMMask : The mask alone.

    Notes
    -----
    The `mask_std` of a :class:`Separation` is the posterior spread of G alone: the
    encoder's mask has none.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import DenoisingVAE, DnVAENMFEnhancer, Training
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, snr=0, random_state=0)
    >>> training = Training(15, batch_size=2, sequence_length=60, n_combinations=4,
    ...                     learning_rate=1e-2, averaging=0.9)
    >>> dvae = DenoisingVAE(4, 32, training=training)
    >>> enhancer = DnVAENMFEnhancer(dvae, n_components=2, random_state=0)
    >>> _ = enhancer.fit(noisy[2:], clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _block_overlap = 1.0

    _learned = {"dvae_": Part("networks")}

    def __init__(
        self,
        dvae: Any = None,
        inference: Any = None,
        *,
        prior: str = "encoder",
        sigma_z: float = 0.1,
        n_components: int = 5,
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
        self.dvae = dvae
        self.inference = inference
        self.prior = prior
        self.sigma_z = sigma_z
        self.n_components = n_components
        self.start = start
        self.mask_weight = mask_weight
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        check_option("prior", self.prior, PRIORS)
        check_option("start", self.start, STARTS)
        check_real("sigma_z", self.sigma_z, low=0)
        check_real("n_components", self.n_components, low=1, integer=True)
        check_real("mask_weight", self.mask_weight, low=0, high=1)
        check_device(self.device, self.n_jobs)
        inference = None if self.inference is None else make_inference(self.inference)
        if not isinstance(inference, GradientVEM | None):
            raise ValueError(
                "`inference` must be None or a GradientVEM, which alone knows of the "
                f"encoder's prior, got {self.inference!r}."
            )
        if inference is not None:
            inference.check()
            if self.prior == "fixed" and inference.hold is not None:
                raise ValueError(
                    "`inference` must hold nothing where `prior` is 'fixed', "
                    f"got {self.inference!r}."
                )
        if self.dvae is not None and not hasattr(self.dvae, "multitask"):
            raise ValueError(
                f"`dvae` must be None or a DenoisingVAE, got {self.dvae!r}."
            )

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        chosen = super()._choose_stft(spectrogram)
        is_default = spectrogram is None and self.stft is None
        return agreed_stft("dvae", self.dvae, chosen, is_default=is_default)

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        self.dvae_ = fitted_model(
            "dvae",
            DenoisingVAE() if self.dvae is None else self.dvae,
            noisy=noisy,
            clean=clean,
            device=self.device,
            rng=rng,
        )

    def _make_inference(self) -> Inference:
        if self.inference is None:
            inference: Any = GradientVEM(
                _N_ITER,
                learning_rate=0.2,
                prior_weight=1.0,
                smoothing=1,
                with_gain=False,
            )
        else:
            inference = make_inference(self.inference)
        if self.prior == "fixed":
            inference = clone(inference).set_params(hold="latent")
        return inference

    def _batch_frames(self) -> int:
        device = check_device(self.device, self.n_jobs)
        return frames_at_once(self._make_inference(), device)

    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: np.ndarray | None
    ) -> MaskEstimate:
        edge = band_edge(V)
        posterior, mask = self._infer(
            _in_unit(fill_band(V, edge)), rng, W=state, edge=edge
        )
        std = posterior.mask_std
        return MaskEstimate(
            widened(mask, V),
            None if std is None else widened(std, V),
            n_iter=len(posterior.history),
            history=posterior.history,
            state=widened(posterior.noise.W, V),
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

        padded = pad_sequence([_in_unit(V) for V in powers], batch_first=True)
        lengths = torch.tensor([len(V) for V in powers])
        # One generator for all of them: as good as their own, though not the same.
        posterior, masks = self._infer(padded, rngs[0], lengths=lengths)
        found = zip(
            unpadded(masks, lengths),
            unpadded(posterior.mask_std, lengths),
            posterior.history,
            strict=True,
        )
        return [
            MaskEstimate(mask, std, n_iter=len(history), history=history)
            for mask, std, history in found
        ]

    def _infer(
        self,
        V: torch.Tensor,
        rng: np.random.Generator,
        W: np.ndarray | None = None,
        lengths: torch.Tensor | None = None,
        edge: int | None = None,
    ) -> tuple[Posterior, torch.Tensor]:
        """Separate an utterance (N, F), or padded ones (B, N, F) of some lengths (B,).

        The noise starts from W (K, F) if that is given. Beside what was found there is
        the mask that the speech is had by. The likelihood is that of the bins below an
        edge, and so is all that is found.
        """
        import torch

        from skvae.speech.prior import SpeechPrior

        device = check_device(self.device, self.n_jobs)
        generator = torch_generator(rng, device)
        with one_thread(), torch.no_grad():
            V = V.to(device)
            frames = None if lengths is None else frames_inside(V, lengths)
            network = self.dvae_.networks(device)
            mean, log_variance, mask = network.estimate(V, lengths)
            V, mask = V[..., :edge], None if mask is None else mask[..., :edge]
            latent = None
            if self.prior != "standard":  # (9)
                latent = mean, log_variance.exp() + self.sigma_z**2
            prior = SpeechPrior(
                lambda power: (mean, log_variance),
                lambda z: network.decode(z, lengths)[..., :edge],
                latent=latent,
            )
            bases = None if W is None else as_tensor(W[:, :edge]).float().to(device)
            noise = self._initial_noise(V, mask, bases, frames, generator)
            found = self._make_inference().infer(V, prior, noise, generator)
            if mask is None:
                return found, found.mask
            w = self.mask_weight
            return found, mask**w * found.mask ** (1 - w)

    def _initial_noise(
        self,
        V: torch.Tensor,
        mask: torch.Tensor | None,
        W: torch.Tensor | None,
        frames: torch.Tensor | None,
        generator: torch.Generator,
    ) -> Noise:
        from skvae.vaenmf.model import initial_noise, learn_noise

        n_components = self.n_components
        if self.start == "random" or mask is None:
            return initial_noise(V, n_components, generator, W=W, frames=frames)
        power = V * (1 - mask) ** 2
        noise = initial_noise(power, n_components, generator, W=W, frames=frames)
        learn_noise(power, noise, _N_START_ITER)
        return noise


def _in_unit(V: np.ndarray) -> torch.Tensor:
    """Power of mixtures as the model knows them, their mean one; silence stays zero."""
    return as_tensor(at_level(V, 1.0)).float()
