"""Speech model that is a variational autoencoder of clean speech."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.base import (
    LEAST_FLOOR,
    MAX_LEVEL,
    MIN_LEVEL,
    SpeechModel,
    collect,
)
from skvae.speech.losses import vae_loss
from skvae.speech.vae_network import (
    ARCHITECTURES,
    FEATURES,
    SpeechNetwork,
    VAEConfig,
    standardize,
    start_at_mean,
)
from skvae.training.audio_cache import AudioCache
from skvae.training.clean_batches import (
    Batch,
    Utterance,
    frames_in_order,
    shuffled_frames,
    shuffled_sequences,
)
from skvae.training.layers import ACTIVATIONS
from skvae.training.loop import Optimization
from skvae.training.moments import measure
from skvae.training.networks import new_network
from skvae.training.parameters import (
    LayerSizes,
    Training,
    TrainingValues,
    layer_sizes,
)
from skvae.training.parts import Data
from skvae.training.trainer import Trainer
from skvae.utils.device import torch_generator
from skvae.utils.modes import default_modes
from skvae.utils.parameters import (
    MAX_UNITS,
    MAX_WEIGHT,
    Number,
    Option,
    check_real,
)


class SpeechVAE(SpeechModel):
    r"""Variational autoencoder of the spectra of clean speech.

    A decoder network computes the variance of a frame from a latent variable z with a
    standard Gaussian prior; an encoder network computes the posterior of z [1]_. Both
    are trained on clean speech only. :class:`VAENMFEnhancer` uses the model as a prior.

    Parameters
    ----------
    n_latent : int, default=32
        Number of latent variables of a frame.
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Number of units of each hidden layer of the encoder, for "bilstm" in each
        direction. A dense decoder has the same layers in the opposite order, a BiLSTM
        decoder a single layer like the last one of the encoder [2]_.
    architecture : {"feedforward", "bilstm"}, default="feedforward"
        Type of the layers: dense layers, which process each frame separately [1]_, or
        bidirectional LSTMs, which process whole utterances [2]_.
    activation : {"tanh", "relu"}, default="tanh"
        Activation function of dense hidden layers.
    features : {"log", "power", "both"}, default="log"
        Input of the encoder: the standardized logarithm of the power; the power itself,
        divided by its root mean square, as in the papers; or both.
    floor : float, default=1e-3
        Number that is added to all power, in the unit that `level` defines. Digital
        silence, and recording noise below it, have no influence.
    level : (float, float), default=(0.0, 10.0)
        Range of the mean of :math:`|X|^2` over the frames and bins of an utterance. In
        training each utterance is scaled to a level drawn from (low, high] in each
        epoch, as in [1]_, otherwise to `level_`.
    dropout : float, default=0.0
        Fraction of the hidden units dropped in training; 0.2 in [2]_.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU if there is one.
    stft : STFT, default=None
        Analysis of waveforms. None means ``STFT()``. Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Seed or generator from which `seed_` is drawn.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        Weights of the networks.
    config_ : VAEConfig
        Sizes of the networks.
    level_ : float
        Level of utterances outside of training: the middle of `level`.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch: the negative evidence lower bound (ELBO),
        with the Itakura-Saito divergence as negative log-likelihood.
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
    ISNMF : Models speech by a dictionary of spectra.

    Notes
    -----
    The loss of a frame with the power p (including the floor) is

    .. math::

        \sum_f \frac{p_f}{\sigma_f^2(z)} - \log \frac{p_f}{\sigma_f^2(z)} - 1
        + \frac{1}{2} \sum_l \mu_l^2 + \varsigma_l^2 - \log \varsigma_l^2 - 1,

    with one z drawn from the posterior :math:`\mathcal{N}(\mu, \varsigma^2)`. It
    differs from the negative ELBO by a term without parameters. Its minimum, zero, is
    reached by a variance equal to the power.

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

    _network_class = SpeechNetwork
    _parameter_ranges = {
        "n_latent": Number(1, MAX_UNITS, integer=True),
        "hidden_layer_sizes": LayerSizes(),
        "architecture": Option(*ARCHITECTURES),
        "activation": Option(*ACTIVATIONS),
        "features": Option(*FEATURES),
        "floor": Number(LEAST_FLOOR, MAX_WEIGHT),
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

    @default_modes()
    def score_samples(self, X: Any) -> Any:
        """Return the evidence lower bound of each frame.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech, which is scaled to `level_`.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames,), or one 2-D array
            Higher is better. Constant terms are omitted, so it is at most zero.
        """
        utterances, kind = self._utterances(X)
        return collect(self._score_clean(utterances), kind)

    @default_modes()
    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean evidence lower bound of a frame.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech.
        y : list of waveforms, 2-D array, or None, default=None
            Clean speech, which is scored instead of X, as in `fit`.

        Returns
        -------
        float
            Higher is better. Constant terms are omitted, so it is at most zero.
        """
        utterances, _ = self._utterances(X, y)
        scores = np.concatenate(self._score_clean(utterances))
        return float(scores.mean(dtype=np.float64))

    def _score_clean(self, utterances: list[Utterance]) -> list[np.ndarray]:
        return self._score_frames(
            ((block, block) for block in self._encoder_blocks(utterance))
            for utterance in utterances
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.level, tuple | list) or len(self.level) != 2:
            raise ValueError(f"`level` must be a pair (low, high), got {self.level!r}.")
        check_real("level", self.level[0], low=0, high=MAX_LEVEL)
        # Its middle is the level outside of training.
        least = max(self.level[0], 2 * MIN_LEVEL)
        check_real("level", self.level[1], low=least, high=MAX_LEVEL)

    def _make_config(self, stft: STFT) -> VAEConfig:
        return VAEConfig(
            n_bins=stft.framing().n_bins,
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

    def _make_trainer(self, data: Data, rng: np.random.Generator) -> SpeechTrainer:
        return SpeechTrainer(self, data.clean, rng)

    def _first_network(
        self, config: VAEConfig, trainer: SpeechTrainer, part: None
    ) -> SpeechNetwork:
        network = new_network(self._network_class, config, torch_generator(trainer.rng))
        moments = measure(trainer.batches(), config.floor)
        standardize(network, moments)
        start_at_mean(network.log_variance, moments)
        return network

    def _loss(
        self,
        network: SpeechNetwork,
        batch: Batch,
        generator: torch.Generator,
        is_training: bool,
    ) -> tuple[Tensor, int]:
        return vae_loss(network, batch, generator, is_training)


class SpeechTrainer(Trainer):
    """Training run of a :class:`SpeechVAE`, on frames or on sequences of frames.

    Parameters
    ----------
    estimator : SpeechVAE
        The estimator, which has `stft_`, `seed_` and `level_`.
    clean : list of Spectrogram
        Clean speech.
    rng : Generator
        Source of all random numbers.
    """

    estimator: SpeechVAE

    def __init__(
        self, estimator: SpeechVAE, clean: list[Spectrogram], rng: np.random.Generator
    ):
        cache = AudioCache(estimator._training.max_cache_mb * 1e6)
        utterances = [Utterance(cache.wrap_spectrogram(s)) for s in clean]
        super().__init__(estimator, utterances, clean, rng)
        self.with_sequences = estimator.architecture == "bilstm"

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, in another order each time."""
        low, high = self.estimator.level
        level, size = (float(low), float(high)), self.values.batch_size
        if self.with_sequences:
            length = self.values.sequence_length
            return shuffled_sequences(self.training, level, size, length, self.rng)
        return shuffled_frames(self.training, level, size, self.rng)

    def validation_batches(self, seed: int) -> Iterator[Batch]:
        """Yield the batches for validation, the same ones each time."""
        length = self.values.sequence_length if self.with_sequences else None
        return frames_in_order(self.validation, self.estimator.level_, length)

    def optimization(self) -> Optimization:
        """Return how weights are updated."""
        return Optimization(self.values.learning_rate)
