"""Models of speech: variational autoencoders, as estimators of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.signal.spectrogram import Spectrogram
from skvae.speech.base import SpeechModel, collect
from skvae.speech.vae_network import ARCHITECTURES, FEATURES
from skvae.training.estimator import cached
from skvae.training.layers import ACTIVATIONS
from skvae.training.parameters import (
    LayerSizes,
    Training,
    TrainingValues,
    layer_sizes,
)
from skvae.utils.device import check_device, torch_generator
from skvae.utils.parameters import Number, Option, check_real

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skvae.speech.vae_network import SpeechNetwork, VAEConfig
    from skvae.training.clean_batches import Batch, Utterance

#: Least floor: near the least variance that the decoder gives, exp(-25).
_LEAST_FLOOR = 1e-10


class SpeechVAE(SpeechModel):
    r"""Variational autoencoder of clean speech: what its spectra look like.

    A frame of speech has the variance that a decoder network gives for a latent
    variable z of a standard Gaussian distribution; an encoder network gives the
    posterior of z [1]_. It is trained on clean speech only, and serves
    :class:`VAENMFEnhancer` as a prior.

    Parameters
    ----------
    n_latent : int, default=32
        Latent variables in a frame.
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Number of units of each hidden layer of the encoder, for "bilstm" in each
        direction. A dense decoder has the same layers in the opposite order, a BiLSTM
        decoder a single layer like the last one of the encoder [2]_.
    architecture : {"feedforward", "bilstm"}, default="feedforward"
        Whether each frame is seen alone [1]_, or with all others [2]_.
    activation : {"tanh", "relu"}, default="tanh"
        Of dense hidden layers.
    features : {"log", "power", "both"}, default="log"
        What the encoder reads: the logarithm of the power, standardised, or the power
        itself as in the papers, divided by its root mean square, or both of them.
    floor : float, default=1e-3
        Added to all power, in the unit that `level` defines: to what the encoder reads
        and to what the decoder explains. Digital silence and the noise of recordings
        below it carry no weight.
    level : (float, float), default=(0.0, 10.0)
        Mean of :math:`|X|^2` over the frames and bins of an utterance, which each is
        brought to: in training to a number drawn for each epoch from (low, high], as
        in [1]_, elsewhere to `level_`.
    dropout : float, default=0.0
        Share of hidden units left out in training; 0.2 in [2]_.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The weights.
    config_ : VAEConfig
        The sizes of the networks.
    level_ : float
        Level of utterances outside of training, the middle of `level`.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch: minus the evidence lower bound (ELBO), with
        the Itakura-Saito divergence for the likelihood.
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
    ISNMF : Models speech by a dictionary of spectra instead.

    Notes
    -----
    The loss of a frame with the power p (the floor added) is

    .. math::

        \sum_f \frac{p_f}{\sigma_f^2(z)} - \log \frac{p_f}{\sigma_f^2(z)} - 1
        + \frac{1}{2} \sum_l \mu_l^2 + \varsigma_l^2 - \log \varsigma_l^2 - 1,

    its first part for a z drawn from the posterior
    :math:`\mathcal{N}(\mu, \varsigma^2)`. It differs from the negative ELBO by a term
    without parameters, and is the least, zero, for a variance equal to the power.

    References
    ----------
    .. [1] Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical
       speech enhancement based on probabilistic integration of variational autoencoder
       and non-negative matrix factorization", ICASSP 2018.
    .. [2] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import SpeechVAE, Training
    >>> from skvae.datasets import make_noise, make_speech
    >>> speech = [make_speech(16000, random_state=k) for k in range(6)]
    >>> vae = SpeechVAE(8, 64, training=Training(3), random_state=0).fit(speech[:5])
    >>> [z.shape for z in vae.transform(speech[5:])]
    [(63, 8)]
    >>> vae.score(speech[5:]) > vae.score([make_noise(16000, random_state=0)])
    True
    """

    _parameter_ranges = {
        "n_latent": Number(low=1, integer=True),
        "hidden_layer_sizes": LayerSizes(),
        "architecture": Option(*ARCHITECTURES),
        "activation": Option(*ACTIVATIONS),
        "features": Option(*FEATURES),
        "floor": Number(low=_LEAST_FLOOR),
    }
    _training_defaults = TrainingValues(
        max_iter=200,
        batch_size=128,
        sequence_length=64,
        validation_fraction=0.2,
        n_iter_no_change=10,
    )
    _training_unused = ("n_combinations", "decay", "averaging", "precision")

    def __init__(
        self,
        n_latent: int = 32,
        hidden_layer_sizes: int | tuple[int, ...] = (128,),
        *,
        architecture: str = "feedforward",
        activation: str = "tanh",
        features: str = "log",
        floor: float = 1e-3,
        level: tuple[float, float] = (0.0, 10.0),
        dropout: float = 0.0,
        training: Training | None = None,
        device: str = "cpu",
        stft: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.n_latent = n_latent
        self.hidden_layer_sizes = hidden_layer_sizes
        self.architecture = architecture
        self.activation = activation
        self.features = features
        self.floor = floor
        self.level = level
        self.dropout = dropout
        self.training = training
        self.device = device
        self.stft = stft
        self.random_state = random_state
        self.verbose = verbose

    def score_samples(self, X: Any) -> Any:
        """Evidence lower bound of each frame.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech, which is brought to `level_`.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames,), or one 2-D array
            Minus the loss: at most zero, up to the terms that do not depend on the
            model. Higher is better.
        """
        utterances, kind = self._utterances(X)
        return collect(self._score_clean(utterances), kind)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean evidence lower bound of a frame; higher is better.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech.
        y : list of waveforms, 2-D array, or None, default=None
            As in `fit`: if there is clean speech, it is what is scored.

        Returns
        -------
        float
            Minus the mean loss: at most zero.
        """
        utterances, _ = self._utterances(X, y)
        scores = np.concatenate(self._score_clean(utterances))
        return float(scores.mean(dtype=np.float64))

    def _score_clean(self, utterances: list[Utterance]) -> list[np.ndarray]:
        return self._score_frames(
            ((block, block) for block in self._encoder_blocks(utterance))
            for utterance in utterances
        )

    @property
    def _network_class(self) -> type[nn.Module]:
        from skvae.speech.vae_network import SpeechNetwork

        return SpeechNetwork

    def _build(
        self, config: VAEConfig, state: Mapping[str, np.ndarray]
    ) -> SpeechNetwork:
        from skvae.speech.vae_network import network_from

        return network_from(config, state)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.level, tuple | list) or len(self.level) != 2:
            raise ValueError(f"`level` must be a pair (low, high), got {self.level!r}.")
        check_real("level", self.level[0], low=0)
        check_real("level", self.level[1], low=max(self.level[0], 0))
        if self.level[1] == 0:
            raise ValueError(f"`level` must end above 0, got {self.level!r}.")

    def _make_config(self, n_bins: int) -> VAEConfig:
        from skvae.speech.vae_network import VAEConfig

        return VAEConfig(
            n_bins=n_bins,
            n_latent=int(self.n_latent),
            hidden=layer_sizes(self.hidden_layer_sizes),
            architecture=self.architecture,
            activation=self.activation,
            features=self.features,
            floor=float(self.floor),
            dropout=float(self.dropout),
        )

    def _choose_level(self) -> float:
        return (float(self.level[0]) + float(self.level[1])) / 2

    def _reads_sequences(self) -> bool:
        return self.config_.architecture == "bilstm"

    def _train(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        config: VAEConfig,
    ) -> None:
        import torch

        from skvae.speech.losses import vae_loss
        from skvae.speech.vae_network import initial_network, network_from
        from skvae.training.clean_batches import AudioCache, Utterance
        from skvae.training.loop import Optimization

        rng = np.random.default_rng(self.seed_)
        values = self._training
        cache = AudioCache(values.max_cache_mb * 1e6)
        utterances = [Utterance(cached(spectrogram, cache)) for spectrogram in clean]
        training, validation = self._split(utterances, rng)
        device = check_device(self.device)
        if self._continues():
            network = network_from(config, self.state_)
        else:
            network = initial_network(config, torch_generator(rng))
            self._standardise(network, training, rng)
        network.to(device)
        training_seed, validation_seed = rng.integers(2**62, size=2).tolist()
        training_draws = torch.Generator(device).manual_seed(training_seed)
        validation_draws = torch.Generator(device)

        def loss(batch: Batch, is_training: bool) -> tuple[torch.Tensor, int]:
            generator = training_draws if is_training else validation_draws
            return vae_loss(network, batch, generator, is_training)

        def validation_batches() -> Iterator[Batch]:
            # The same draws each time, so that epochs can be compared.
            validation_draws.manual_seed(validation_seed)
            return self._in_order(validation)

        self._train_network(
            network,
            loss,
            lambda: self._shuffled(training, rng),
            validation_batches if validation else None,
            optimization=Optimization(values.learning_rate),
            generators={"order": rng, "draws": training_draws},
            data=clean,
            continued=self._continues(),
        )

    def _standardise(
        self,
        network: SpeechNetwork,
        training: list[Utterance],
        rng: np.random.Generator,
    ) -> None:
        """Fit what the encoder reads and where the decoder starts to the data."""
        from skvae.speech.vae_network import standardise, start_at_mean
        from skvae.training.clean_batches import measure

        moments = measure(self._shuffled(training, rng), self.floor)
        standardise(network, moments)
        start_at_mean(network.log_variance, moments)

    def _shuffled(
        self, utterances: list[Utterance], rng: np.random.Generator
    ) -> Iterator[Batch]:
        from skvae.training.clean_batches import shuffled_frames, shuffled_sequences

        level = float(self.level[0]), float(self.level[1])
        batch_size, length = self._training.batch_size, self._training.sequence_length
        if self.architecture == "bilstm":
            return shuffled_sequences(utterances, level, batch_size, length, rng)
        return shuffled_frames(utterances, level, batch_size, rng)

    def _in_order(self, utterances: list[Utterance]) -> Iterator[Batch]:
        from skvae.training.clean_batches import frames_in_order

        is_recurrent = self.architecture == "bilstm"
        length = self._training.sequence_length if is_recurrent else None
        return frames_in_order(utterances, self.level_, length)
