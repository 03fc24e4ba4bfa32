"""VAE-NMF: speech from a variational autoencoder, noise learned from the mixture."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skvae.base import BaseEnhancer, MaskEstimate
from skvae.inference import make_inference
from skvae.spectrogram import Spectrogram
from skvae.stft import STFT
from skvae.utils.device import as_tensor, check_device, torch_generator
from skvae.utils.parameters import check_real
from skvae.utils.threads import one_thread

#: Iterations that learn the bases of a noise-only recording.
_N_PROFILE_ITER = 100


class VAENMFEnhancer(BaseEnhancer):
    """Speech enhancement by a speech model and noise that is learned from the mixture.

    `fit` trains a variational autoencoder on clean speech; it never sees noise.
    `transform` finds, for each utterance, latent variables of speech and an NMF of the
    noise that together explain the mixture, and applies the Wiener filter.

    Parameters
    ----------
    vae : speech model, default=None
        None means ``SpeechVAE()``. An unfitted model is cloned and fitted; a
        ``FrozenEstimator`` of a fitted one is used as it is.
    inference : {"vem", "gradient", "mcem", "mcmc"} or Inference, default="vem"
        How the unknowns are found: by name, or by an object with parameters,
        ``MCEM(n_samples=5)``.
    n_components : int, default=10
        Bases of the noise; 5 or 10 in the papers.
    noise : waveform or Spectrogram, default=None
        A recording of the noise alone, from which the bases start.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
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

    Examples
    --------
    >>> from skvae import MCEM, SpeechVAE, VAENMFEnhancer
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, snr=0, random_state=0)
    >>> speech = SpeechVAE(n_latent=4, hidden=64, batch_size=32, max_iter=30)
    >>> inference = MCEM(20, n_burn_in=5, n_samples=5)
    >>> enhancer = VAENMFEnhancer(speech, inference, n_components=2, random_state=0)
    >>> _ = enhancer.fit(clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _block_overlap = 1.0

    def __init__(
        self,
        vae: Any = None,
        inference: Any = "vem",
        *,
        n_components: int = 10,
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
        make_inference(self.inference)
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
        if not isinstance(self.vae, FrozenEstimator):
            return chosen
        check_is_fitted(self.vae)
        of_model = self.vae.stft_
        if spectrogram is None and self.stft is None:
            return clone(of_model)
        same = chosen.framing() == of_model.framing()
        if not same or chosen.sample_rate != of_model.sample_rate:
            raise ValueError(
                f"`vae` was fitted with {of_model}, which differs from {chosen}: "
                "analyse with the model's parameters, or fit it anew."
            )
        return chosen

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        self.vae_ = self._fit_speech_model(clean, rng)
        self.noise_components_ = None
        profile = self._noise_profile(self.noise)
        if profile is not None:
            from skvae.algorithms.isnmf import fit_isnmf

            device = check_device(self.device, self.n_jobs)
            learned = fit_isnmf(
                as_tensor(profile, device),
                self.n_components,
                n_iter=_N_PROFILE_ITER,
                generator=torch_generator(rng),
            )
            self.noise_components_ = learned.W.cpu().numpy()

    def _fit_speech_model(
        self, clean: list[Spectrogram], rng: np.random.Generator
    ) -> Any:
        if isinstance(self.vae, FrozenEstimator):
            return self.vae
        from skvae.vae import SpeechVAE

        model = SpeechVAE() if self.vae is None else clone(self.vae)
        if self.vae is not None and hasattr(self.vae, "stft_"):
            warnings.warn(
                "`vae` is fitted already and is fitted again: wrap it in "
                "sklearn.frozen.FrozenEstimator to use it as it is.",
                UserWarning,
                stacklevel=5,
            )
        model.set_params(device=self.device)
        if model.random_state is None:
            model.set_params(random_state=int(rng.integers(2**31)))
        return model.fit(clean)

    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: np.ndarray | None
    ) -> MaskEstimate:
        import torch

        from skvae.algorithms.vaenmf.model import initial_noise
        from skvae.networks.prior import speech_prior

        device = check_device(self.device, self.n_jobs)
        generator = torch_generator(rng)
        start = self.noise_components_ if state is None else state
        mean = float(V.mean())
        # In the unit of the model, in which masks do not depend on the level.
        scale = self.vae_.level_ / mean if mean > 0 else 1.0
        with one_thread(), torch.no_grad():
            power = as_tensor(V * V.dtype.type(scale), device).float()
            noise = initial_noise(
                power,
                self.n_components,
                generator,
                W=None if start is None else as_tensor(start, device).float(),
            )
            prior = speech_prior(self.vae_.networks(device))
            posterior = make_inference(self.inference).infer(
                power, prior, noise, generator
            )
        std = posterior.mask_std
        return MaskEstimate(
            posterior.mask.cpu().numpy(),
            None if std is None else std.cpu().numpy(),
            n_iter=len(posterior.history),
            history=posterior.history,
            state=posterior.noise.W.cpu().numpy(),
        )
