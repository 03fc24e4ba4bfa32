"""A model of clean speech whose encoder reads noisy speech: the denoising VAE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skvae.masks.enhancers import BiLSTMMask
from skvae.masks.losses import TARGETS
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.base import MixtureModel, agreed_stft, fitted_model
from skvae.training.parameters import LayerSizes, Training, layer_sizes
from skvae.utils.device import check_device, torch_generator
from skvae.utils.parameters import Number, Option

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skvae.speech.denoising_network import DenoisingConfig, DenoisingNetwork
    from skvae.speech.prior import SpeechPrior
    from skvae.training.noisy_batches import Mixtures, Source

#: Least floor: near the least variance that the decoder gives, exp(-25).
_LEAST_FLOOR = 1e-10


class DenoisingVAE(MixtureModel):
    r"""Variational autoencoder of clean speech that listens to noisy speech (DnVAE).

    From noisy speech an encoder of bidirectional LSTMs gives the posterior of the
    latent variables of the clean speech in it, and, as a second task, a mask; a decoder
    gives the variance of the clean speech [1]_. Both look at whole utterances.

    Parameters
    ----------
    n_latent : int, default=20
        Latent variables in a frame.
    hidden_layer_sizes : int or tuple of int, default=(128, 128, 128)
        Number of units of each layer of the encoder in each direction; (512, 512, 512)
        in [1]_. The decoder has a single layer, like the last one of the encoder.
    n_mels : int, default=96
        Bands, of which the encoder reads the logarithms.
    multitask : bool, default=True
        Whether the encoder learns a mask too. Its gradient does not have to come
        through the decoder.
    target : {"perceptual", "psa", "msa"}, default="perceptual"
        What the masked spectrum is to approximate, as in :class:`BiLSTMMask`; "psa" in
        [1]_.
    alpha : float, default=None
        Weight of the mask's error, summed over the bins. None means 5 for "perceptual"
        and 30 for the others; 1 in [1]_. See the notes.
    floor : float, default=1e-5
        Added to the power of the clean speech that the decoder explains, in the unit of
        mixtures with a mean power of one.
    encoder : BiLSTMMask, default=None
        Enhancer of the same sizes, from whose layers the encoder starts: much of what
        it has to learn is the same. An unfitted one is cloned and fitted first, a
        ``FrozenEstimator`` of a fitted one is used as it is.
    dropout : float, default=0.0
        Share of hidden units left out in training; 0.2 in [1]_.
    mixer : Mixer, default=None
        What `fit` mixes clean speech with where it gets no noisy speech: each time it
        is looked at with another noise. None means ``Mixer()``, synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means that of a frozen `encoder`, else ``STFT()``.
        Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The weights.
    config_ : DenoisingConfig
        The sizes of the networks.
    level_ : float
        Mean of :math:`|X|^2` that noisy utterances are brought to: one.
    loss_curve_ : list of float
        Mean loss of a bin in each epoch.
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
    SpeechVAE : Reads clean speech, and is trained on nothing else.
    NoiseAwareVAE : Its decoder has learned from clean speech alone.

    Notes
    -----
    The loss is the negative lower bound (4)-(5) of [1]_ plus `alpha` times the mask's
    error, for "psa" (6), both summed over the bins. The error of masks grows with the
    square of the level, the bound does not; here all mixtures have a mean power of one.
    At that level the gradient of the bound in the encoder is 6 times as long as that of
    (6) when training begins, and up to 60 times later: with ``alpha=1``, as in [1]_ for
    another, unknown level, masks hardly learn. By default the two are about as long as
    each other.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import DenoisingVAE, Training
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(6, snr=0, random_state=0)
    >>> vae = DenoisingVAE(4, 16, training=Training(2), random_state=0)
    >>> Z = vae.fit(noisy[1:], clean[1:]).transform(noisy[:1])
    >>> [variance.shape[1] for variance in vae.inverse_transform(Z)]
    [513]
    >>> vae.score(noisy[:1], clean[:1]) < 0
    True
    """

    has_standard_prior = False

    _parameter_ranges = {
        "n_latent": Number(low=1, integer=True),
        "hidden_layer_sizes": LayerSizes(),
        "n_mels": Number(low=1, integer=True),
        "multitask": Option(True, False),
        "target": Option(*TARGETS),
        "alpha": Number(low=0, open_low=True, optional=True),
        "floor": Number(low=_LEAST_FLOOR),
    }

    def __init__(
        self,
        n_latent: int = 20,
        hidden_layer_sizes: int | tuple[int, ...] = (128,) * 3,
        *,
        n_mels: int = 96,
        multitask: bool = True,
        target: str = "perceptual",
        alpha: float | None = None,
        floor: float = 1e-5,
        encoder: Any = None,
        dropout: float = 0.0,
        mixer: Any = None,
        training: Training | None = None,
        device: str = "cpu",
        stft: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.n_latent = n_latent
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_mels = n_mels
        self.multitask = multitask
        self.target = target
        self.alpha = alpha
        self.floor = floor
        self.encoder = encoder
        self.dropout = dropout
        self.mixer = mixer
        self.training = training
        self.device = device
        self.stft = stft
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        encoder = self.encoder
        if isinstance(encoder, FrozenEstimator):
            encoder = encoder.estimator
        if encoder is None:
            return
        sizes = layer_sizes(self.hidden_layer_sizes)
        if (
            not isinstance(encoder, BiLSTMMask)
            or layer_sizes(encoder.hidden_layer_sizes) != sizes
            or encoder.n_mels != self.n_mels
        ):
            raise ValueError(
                "`encoder` must be None or a BiLSTMMask(hidden_layer_sizes="
                f"{sizes}, n_mels={self.n_mels}), got {self.encoder!r}."
            )

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        chosen = super()._choose_stft(spectrogram)
        is_default = spectrogram is None and self.stft is None
        return agreed_stft("encoder", self.encoder, chosen, is_default=is_default)

    def _make_config(self, n_bins: int) -> DenoisingConfig:
        from skvae.speech.denoising_network import DenoisingConfig

        return DenoisingConfig(
            n_bins,
            int(self.n_mels),
            int(self.n_latent),
            layer_sizes(self.hidden_layer_sizes),
            with_mask=bool(self.multitask),
            floor=float(self.floor),
            dropout=float(self.dropout),
        )

    def _choose_level(self) -> float:
        return 1.0

    def _reads_sequences(self) -> bool:
        return True

    @property
    def _network_class(self) -> type[nn.Module]:
        from skvae.speech.denoising_network import DenoisingNetwork

        return DenoisingNetwork

    def speech_prior(
        self,
        V: torch.Tensor,
        *,
        lengths: torch.Tensor | None = None,
        edge: int | None = None,
        device: str = "cpu",
        sigma_z: float = 0.1,
    ) -> SpeechPrior:
        r"""Speech model of one mixture, or of a padded batch, for an inference.

        The prior of the latent variables is normal with the encoder's means and its
        variances plus :math:`\sigma_z^2`, (9) of the paper.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the model.
        lengths : Tensor of int, shape (B,), default=None
            Numbers of frames of padded utterances, on the CPU.
        edge : int, default=None
            Number of bins, from the lowest on, that the inference looks at; None means
            all.
        device : str, default="cpu"
            PyTorch device to compute on.
        sigma_z : float, default=0.1
            Standard deviation of the latent variables around the encoder's estimate.

        Returns
        -------
        SpeechPrior
            Its `encode` returns the estimate for `V`, whatever it is given.
        """
        from skvae.speech.prior import NormalPrior, SpeechPrior

        network = self.networks(device)
        mean, log_variance, mask = network.estimate(V, lengths)
        return SpeechPrior(
            lambda power: (mean, log_variance),
            lambda z: network.decode(z, lengths)[..., :edge],
            decodes_framewise=False,
            latent=NormalPrior(mean, log_variance.exp() + sigma_z**2),
            mask=None if mask is None else mask[..., :edge],
        )

    def _build(
        self, config: DenoisingConfig, state: Mapping[str, np.ndarray]
    ) -> DenoisingNetwork:
        from skvae.speech.denoising_network import denoising_network_from

        return denoising_network_from(config, state)

    def _train(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        config: DenoisingConfig,
    ) -> None:
        from skvae.speech.denoising_network import BALANCED_ALPHA, denoising_loss

        rng = np.random.default_rng(self.seed_)
        masks = None
        if self.encoder is not None and not self._continues():
            masks = fitted_model(
                "encoder",
                self.encoder,
                noisy=noisy,
                clean=clean,
                device=self.device,
                rng=rng,
            )
        training, validation = self._split(self._sources(noisy, clean), rng)
        if self._continues():
            network = self._build(config, self.state_)
        else:
            network = self._initial_network(config, masks, training, rng)
        network.to(check_device(self.device))
        alpha = BALANCED_ALPHA[self.target] if self.alpha is None else self.alpha
        precision = self._training.precision

        def loss(
            batch: Mixtures, generator: torch.Generator, is_training: bool
        ) -> tuple[torch.Tensor, int]:
            return denoising_loss(
                network,
                batch,
                generator,
                is_training,
                target=self.target,
                alpha=alpha,
                precision=precision,
            )

        self._train_on_mixtures(
            network,
            loss,
            training,
            validation,
            rng,
            data=clean if noisy is None else [*noisy, *clean],
            continued=self._continues(),
        )

    def _initial_network(
        self,
        config: DenoisingConfig,
        masks: Any,
        sources: list[Source],
        rng: np.random.Generator,
    ) -> DenoisingNetwork:
        """Network on the CPU, its encoder that of an enhancer by masks if there is one.

        What it reads is standardised, and the decoder starts at the mean of the speech.
        """
        from skvae.speech.denoising_network import (
            initial_denoising_network,
            start_from_mask_network,
        )
        from skvae.speech.vae_network import start_at_mean
        from skvae.training.clean_batches import Batch, measure

        network = initial_denoising_network(config, torch_generator(rng))
        if masks is None:
            self._fit_bands(network.features, sources, rng)
        else:
            start_from_mask_network(network, masks.state_)
        speech = (
            Batch(batch.clean, batch.lengths)
            for batch in self._measured_mixtures(sources, rng)
        )
        start_at_mean(network.log_variance, measure(speech, self.floor))
        return network
