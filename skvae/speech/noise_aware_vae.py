"""Speech model with a second encoder, which reads noisy speech: the noise-aware VAE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from skvae.signal.stft import STFT
from skvae.speech.base import MixtureModel
from skvae.speech.noise_aware_network import (
    DIRECTIONS,
    NoiseAwareNetwork,
    draw_levels,
    joint_loss,
    matching_loss,
    with_clean_encoder,
)
from skvae.speech.vae import SpeechVAE
from skvae.speech.vae_network import VAEConfig, standardize, start_at_mean
from skvae.training.clean_batches import Batch
from skvae.training.moments import measure
from skvae.training.networks import new_network, restored_network
from skvae.training.noisy_batches import Mixtures
from skvae.training.on_mixtures import MixtureTrainer
from skvae.training.parameters import Training
from skvae.training.parts import Data, fitted_part
from skvae.utils.device import torch_generator
from skvae.utils.learned import Part
from skvae.utils.parameters import (
    MAX_WEIGHT,
    Number,
    Option,
)

SCHEMES = ("two-step", "joint")


class NoiseAwareVAE(MixtureModel):
    r"""Variational autoencoder of speech with a noise-aware encoder (NAE).

    An encoder of clean speech treats the noise of noisy speech as speech. Here a second
    encoder reads noisy speech; its posterior is trained to match that of the first
    encoder for the clean speech [1]_. As the `vae` of :class:`VAENMFEnhancer` it
    initializes the latent variables, and in :class:`VEM` it updates them.

    Parameters
    ----------
    vae : SpeechVAE, default=None
        Model of clean speech, whose sizes, features, floor and level are used. None
        means ``SpeechVAE()``. In two steps, an unfitted one is cloned and fitted, and a
        ``FrozenEstimator`` of a fitted one is used as it is.
    scheme : {"two-step", "joint"}, default="two-step"
        Training scheme. "two-step" trains the model of clean speech first. Then the
        noise-aware encoder starts from the other encoder and minimizes the divergence
        of the two posteriors, while all other weights are constant. "joint" minimizes
        three losses together: the negative evidence lower bound of the clean speech
        with each encoder, and the divergence.
    direction : {"noisy||clean", "clean||noisy"}, default="noisy||clean"
        Direction of the divergence: :math:`\mathrm{KL}(q(z|x) \| q(z|s))` of the
        posterior for noisy speech from that for clean speech, or the reverse. See the
        notes.
    clean_weight : float, default=1.0
        Weight of the bound with the encoder of clean speech, in joint training.
    noisy_weight : float, default=1.0
        Weight of the bound with the noise-aware encoder, in joint training.
    divergence_weight : float, default=1.0
        Weight of the divergence, in joint training.
    dropout : float, default=0.0
        Fraction of the hidden units dropped in training on noisy speech.
    mixer : Mixer, default=None
        Adds noise to clean speech when `fit` gets no noisy speech; every epoch uses new
        mixtures. None means ``Mixer()``, which adds synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU if there is one.
    stft : STFT, default=None
        Analysis of waveforms. None means that of a frozen `vae`, or ``STFT()``.
        Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Seed or generator from which `seed_` is drawn.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    vae_ : SpeechVAE or FrozenEstimator
        Fitted model of clean speech; None after joint training.
    state_ : dict of str to ndarray
        Weights of the networks.
    config_ : VAEConfig
        Sizes of the networks.
    level_ : float
        Mean of :math:`|X|^2` that noisy utterances are scaled to outside of training,
        which is that of the model of clean speech. In training it is drawn like there.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch of the training on noisy speech.
    validation_loss_curve_ : list of float
        The same for the validation utterances after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Number of epochs of the last `fit`.
    stft_ : STFT
        Analysis that is used.
    seed_ : int
        Seed of all random numbers. On a CPU the same seed gives the same weights.
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    SpeechVAE : Model without the second encoder.
    DenoisingVAE : Model whose only encoder reads noisy speech.

    Notes
    -----
    Where noise masks the speech, one mixture corresponds to many posteriors of clean
    speech. :math:`\mathrm{KL}(q(z|s) \| q(z|x))` is minimal if q(z|x) has the mean and
    the variance of all of them together, so the variance includes the uncertainty due
    to the noise. With :math:`\mathrm{KL}(q(z|x) \| q(z|s))` the mean is the average of
    their means weighted by precision, and the variance is about as small as that of
    each.

    References
    ----------
    .. [1] H. Fang, G. Carbajal, S. Wermter and T. Gerkmann, "Variational autoencoder
       for speech enhancement with a noise-aware encoder", ICASSP 2021.

    Examples
    --------
    >>> from skvae import NoiseAwareVAE, SpeechVAE, Training
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(6, snr=0, random_state=0)
    >>> speech = SpeechVAE(4, 32, training=Training(5, batch_size=32))
    >>> nae = NoiseAwareVAE(speech, training=Training(5), random_state=0)
    >>> nae = nae.fit(clean[1:])
    >>> [z.shape[1] for z in nae.transform(noisy[:1])]
    [4]
    """

    _learned = {"vae_": Part("networks", optional=True)}

    vae_: Any

    _network_class = NoiseAwareNetwork
    _parts = ("vae",)
    _default_parts = {**MixtureModel._default_parts, "vae": SpeechVAE}
    _parameter_ranges = {
        "scheme": Option(*SCHEMES),
        "direction": Option(*DIRECTIONS),
        "clean_weight": Number(0, MAX_WEIGHT),
        "noisy_weight": Number(0, MAX_WEIGHT),
        "divergence_weight": Number(0, MAX_WEIGHT),
    }

    def __init__(
        self,
        vae: Any = None,
        scheme: str = "two-step",
        *,
        direction: str = "noisy||clean",
        clean_weight: float = 1.0,
        noisy_weight: float = 1.0,
        divergence_weight: float = 1.0,
        dropout: float = 0.0,
        mixer: Any = None,
        training: Training | None = None,
        device: str = "cpu",
        stft: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.vae = vae
        self.scheme = scheme
        self.direction = direction
        self.clean_weight = clean_weight
        self.noisy_weight = noisy_weight
        self.divergence_weight = divergence_weight
        self.dropout = dropout
        self.mixer = mixer
        self.training = training
        self.device = device
        self.stft = stft
        self.random_state = random_state
        self.verbose = verbose

    def _speech_model(self) -> Any:
        return SpeechVAE() if self.vae is None else self.vae

    def _is_frozen(self) -> bool:
        return isinstance(self.vae, FrozenEstimator)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        model = self._speech_model()
        if not isinstance(model.estimator if self._is_frozen() else model, SpeechVAE):
            raise ValueError(f"`vae` must be None or a SpeechVAE, got {self.vae!r}.")
        if not self._is_frozen():
            model._check()
        elif self.scheme == "joint":
            raise ValueError(
                "`vae` must not be frozen for joint training, which changes all "
                "weights: pass one that is not, or scheme='two-step'."
            )

    def _make_config(self, stft: STFT) -> VAEConfig:
        model = self._speech_model()
        config = model.config_ if self._is_frozen() else model._make_config(stft)
        return replace(config, dropout=float(self.dropout))

    def _choose_level(self) -> float:
        model = self._speech_model()
        return model.level_ if self._is_frozen() else model._choose_level()

    def _reads_sequences(self) -> bool:
        return self.config_.architecture == "bilstm"

    def _level(self) -> tuple[float, float]:
        """Range of the level of mixtures in training."""
        low, high = self._speech_model().level
        return float(low), float(high)

    def _fit_part(self, data: Data, rng: np.random.Generator) -> Any:
        if self.scheme == "joint":
            self.vae_ = None
        elif not self._continues():
            model = self._speech_model()
            self.vae_ = fitted_part("vae", model, data, device=self.device, rng=rng)
        return self.vae_

    def _restored_network(
        self, config: VAEConfig, state: Mapping[str, np.ndarray]
    ) -> NoiseAwareNetwork:
        network = restored_network(NoiseAwareNetwork, config, state)
        if self.scheme == "two-step":
            network.hold_speech_model()
        return network

    def _first_network(
        self, config: VAEConfig, trainer: MixtureTrainer, part: Any
    ) -> NoiseAwareNetwork:
        if part is not None:
            return self._restored_network(config, with_clean_encoder(part.state_))
        draws = torch_generator(trainer.rng)
        network = new_network(self._network_class, config, draws)

        def batches(name: str) -> Iterator[Batch]:
            for batch in trainer.measured():
                scaled = batch.scaled(draw_levels(self._level(), batch, draws))
                yield Batch(getattr(scaled, name), batch.lengths)

        standardize(network, measure(batches("noisy"), config.floor))
        of_clean = measure(batches("clean"), config.floor)
        standardize(network.clean, of_clean)
        start_at_mean(network.log_variance, of_clean)
        return network

    def _loss(
        self,
        network: NoiseAwareNetwork,
        batch: Mixtures,
        generator: torch.Generator,
        is_training: bool,
    ) -> tuple[Tensor, int]:
        level: float | Tensor = self.level_
        if is_training:
            level = draw_levels(self._level(), batch, generator)
        batch = batch.scaled(level)
        precision = self._training.precision
        options = {"direction": self.direction, "precision": precision}
        if self.scheme == "two-step":
            return matching_loss(network, batch, generator, is_training, **options)
        weights = self.clean_weight, self.noisy_weight, self.divergence_weight
        return joint_loss(
            network, batch, generator, is_training, weights=weights, **options
        )
