"""A model of clean speech with a second encoder, which reads noisy speech."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.base import MixtureModel, agreed_stft, fitted_model
from skvae.speech.noise_aware_network import DIRECTIONS
from skvae.speech.vae import SpeechVAE
from skvae.training.parameters import Training
from skvae.utils.device import check_device, torch_generator
from skvae.utils.learned import Part
from skvae.utils.parameters import Number, Option

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skvae.speech.noise_aware_network import NoiseAwareNetwork
    from skvae.speech.vae_network import VAEConfig
    from skvae.training.noisy_batches import Mixtures, Source

SCHEMES = ("two-step", "joint")


class NoiseAwareVAE(MixtureModel):
    r"""Variational autoencoder of speech whose encoder takes noise into account (NAE).

    An encoder of clean speech, fed with noisy speech, takes the noise for speech. Here
    a second one like it reads noisy speech and is trained to say what the first one
    says of the clean speech [1]_. In :class:`VAENMFEnhancer`, as its `vae`, it starts
    the latent variables, and updates them in :class:`VEM`.

    Parameters
    ----------
    vae : SpeechVAE, default=None
        The model of clean speech, whose sizes, features, floor and level are used; None
        means ``SpeechVAE()``. For "two-step" training an unfitted one is cloned and
        fitted, and a ``FrozenEstimator`` of a fitted one is used as it is.
    scheme : {"two-step", "joint"}, default="two-step"
        In two steps, the model of clean speech is trained alone; then the noise-aware
        encoder starts from the other one, and the divergence of the two posteriors is
        minimised, all else held. Jointly, three losses are minimised together from
        the start: the negative evidence lower bound of the clean speech with either
        encoder, and the divergence.
    direction : {"noisy||clean", "clean||noisy"}, default="noisy||clean"
        Which divergence: that of the posterior given noisy speech from the one given
        clean speech, :math:`\mathrm{KL}(q(z|x) \| q(z|s))`, or the reverse. See the
        notes.
    clean_weight : float, default=1.0
        Weight of the bound with the encoder of clean speech, in joint training.
    noisy_weight : float, default=1.0
        Weight of the bound with the noise-aware encoder, in joint training.
    divergence_weight : float, default=1.0
        Weight of the divergence, in joint training.
    dropout : float, default=0.0
        Share of hidden units left out in training on noisy speech.
    mixer : Mixer, default=None
        What `fit` mixes clean speech with where it gets no noisy speech: each time it
        is looked at with another noise. None means ``Mixer()``, synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means that of a frozen `vae`, else ``STFT()``.
        Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    vae_ : SpeechVAE or FrozenEstimator
        The fitted model of clean speech; None after joint training.
    state_ : dict of str to ndarray
        The weights.
    config_ : VAEConfig
        The sizes of the networks.
    level_ : float
        Mean of :math:`|X|^2` that noisy utterances are brought to outside of training,
        that of the model of clean speech; in training it is drawn as there.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch of the training on noisy speech.
    validation_loss_curve_ : list of float
        The same for the validation utterances, after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Epochs of this `fit`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        All random numbers come from it. On a CPU the same seed gives the same weights.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    SpeechVAE : Without the second encoder.
    DenoisingVAE : Its only encoder reads noisy speech.

    Notes
    -----
    Where noise hides the speech, one mixture stands for many posteriors of clean
    speech. :math:`\mathrm{KL}(q(z|s) \| q(z|x))` is the least when q(z|x) has the mean
    and the variance of their mixture: it widens by what the noise hides.
    :math:`\mathrm{KL}(q(z|x) \| q(z|s))` averages their means weighted by how sure each
    is, and leaves the variance about as small as each has it.

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

    _parameter_ranges = {
        "scheme": Option(*SCHEMES),
        "direction": Option(*DIRECTIONS),
        "clean_weight": Number(low=0),
        "noisy_weight": Number(low=0),
        "divergence_weight": Number(low=0),
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

    def _make_part(self, name: str, value: Any) -> Any:
        if name == "vae" and value is None:
            return SpeechVAE()
        return super()._make_part(name, value)

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

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        chosen = super()._choose_stft(spectrogram)
        is_default = spectrogram is None and self.stft is None
        return agreed_stft("vae", self.vae, chosen, is_default=is_default)

    def _make_config(self, n_bins: int) -> VAEConfig:
        model = self._speech_model()
        config = model.config_ if self._is_frozen() else model._make_config(n_bins)
        return replace(config, dropout=float(self.dropout))

    def _choose_level(self) -> float:
        model = self._speech_model()
        return model.level_ if self._is_frozen() else model._choose_level()

    def _reads_sequences(self) -> bool:
        return self.config_.architecture == "bilstm"

    @property
    def _network_class(self) -> type[nn.Module]:
        from skvae.speech.noise_aware_network import NoiseAwareNetwork

        return NoiseAwareNetwork

    def _build(
        self, config: VAEConfig, state: Mapping[str, np.ndarray]
    ) -> NoiseAwareNetwork:
        from skvae.speech.noise_aware_network import noise_aware_network_from

        return noise_aware_network_from(config, state)

    def _train(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        config: VAEConfig,
    ) -> None:
        from skvae.speech.noise_aware_network import (
            at_level,
            draw_levels,
            joint_loss,
            matching_loss,
        )

        rng = np.random.default_rng(self.seed_)
        continued = self._continues()
        is_joint = self.scheme == "joint"
        if is_joint:
            self.vae_ = None
        elif not continued:
            self.vae_ = fitted_model(
                "vae",
                self._speech_model(),
                noisy=noisy,
                clean=clean,
                device=self.device,
                rng=rng,
            )
        training, validation = self._split(self._sources(noisy, clean), rng)
        low, high = self._speech_model().level
        level = float(low), float(high)
        if continued:
            network = self._build(config, self.state_)
        elif is_joint:
            network = self._initial_network(config, level, training, rng)
        else:
            network = self._build(config, self.vae_.state_)
        if not is_joint:
            network.hold_speech_model()
        network.to(check_device(self.device))
        weights = self.clean_weight, self.noisy_weight, self.divergence_weight
        precision = self._training.precision
        options = {"direction": self.direction, "precision": precision}

        def loss(
            batch: Mixtures, generator: torch.Generator, is_training: bool
        ) -> tuple[torch.Tensor, int]:
            drawn = draw_levels(level, batch, generator) if is_training else self.level_
            batch = at_level(batch, drawn)
            if is_joint:
                return joint_loss(
                    network, batch, generator, is_training, weights=weights, **options
                )
            return matching_loss(network, batch, generator, is_training, **options)

        self._train_on_mixtures(
            network,
            loss,
            training,
            validation,
            rng,
            data=clean if noisy is None else [*noisy, *clean],
            continued=continued,
        )

    def _initial_network(
        self,
        config: VAEConfig,
        level: tuple[float, float],
        sources: list[Source],
        rng: np.random.Generator,
    ) -> NoiseAwareNetwork:
        """Network on the CPU, what its encoders read standardised, for joint training.

        The decoder starts at the mean of the speech.
        """
        from skvae.speech.noise_aware_network import (
            at_level,
            draw_levels,
            initial_noise_aware_network,
        )
        from skvae.speech.vae_network import standardise, start_at_mean
        from skvae.training.clean_batches import Batch, measure

        draws = torch_generator(rng)
        network = initial_noise_aware_network(config, draws)

        def batches(part: str) -> Iterator[Batch]:
            for batch in self._measured_mixtures(sources, rng):
                leveled = at_level(batch, draw_levels(level, batch, draws))
                yield Batch(getattr(leveled, part), batch.lengths)

        standardise(network, measure(batches("noisy"), config.floor))
        of_clean = measure(batches("clean"), config.floor)
        standardise(network.clean, of_clean)
        start_at_mean(network.log_variance, of_clean)
        return network
