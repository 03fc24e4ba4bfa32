"""Encoder and decoder of a variational autoencoder of speech spectra.

``feedforward`` processes each frame separately, as in Y. Bando et al., "Statistical
speech enhancement based on probabilistic integration of variational autoencoder and
non-negative matrix factorization", ICASSP 2018, and in M. Pariente et al., "A
statistically principled and computationally efficient approach to speech enhancement
using variational autoencoders", INTERSPEECH 2019. ``bilstm`` reads whole sequences, as
in Y. Bando et al., "Adaptive neural speech enhancement with a denoising variational
autoencoder", INTERSPEECH 2020: several layers in the encoder, one in the decoder.

Power has a unit in which the mean over an utterance is between zero and about ten. A
floor is added to all power, in the encoder and in the decoder: the variance of a faint
white noise that is part of the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from skvae.speech.losses import log_power
from skvae.speech.prior import MAX_LOG_VARIANCE, MIN_LOG_VARIANCE
from skvae.training.layers import BiLSTM, FeedForward
from skvae.training.moments import Moments
from skvae.training.networks import SCALES

ARCHITECTURES = ("feedforward", "bilstm")
FEATURES = ("log", "power", "both")


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of encoder and decoder.

    Parameters
    ----------
    n_bins : int
        F.
    n_latent : int
        L.
    hidden : tuple of int
        Number of units of each layer of the encoder, for "bilstm" in each direction.
        The decoder has the same layers in the opposite order, or one BiLSTM layer like
        the last one of the encoder.
    architecture : {"feedforward", "bilstm"}
        Type of the layers.
    activation : {"tanh", "relu"}
        Activation function of dense hidden layers.
    features : {"log", "power", "both"}
        Input of the encoder.
    floor : float
        Number that is added to all power.
    dropout : float
        Fraction of the hidden units dropped in training. Configurations that differ
        only in it are equal, since the weights do not depend on it.

    Examples
    --------
    >>> config = VAEConfig(513, 32, (128,))
    >>> sum(weight.numel() for weight in SpeechNetwork(config).parameters())
    144449
    """

    n_bins: int
    n_latent: int
    hidden: tuple[int, ...]
    architecture: str = "feedforward"
    activation: str = "tanh"
    features: str = "log"
    floor: float = 1e-3
    dropout: float = field(default=0.0, compare=False)

    @property
    def n_features(self) -> int:
        """Number of inputs of the encoder for a frame."""
        return 2 * self.n_bins if self.features == "both" else self.n_bins


class SpeechEncoder(nn.Module):
    """Encoder of speech: posterior of the latent variables as a function of power.

    Parameters
    ----------
    config : VAEConfig
        Sizes of the encoder.

    Attributes
    ----------
    feature_mean : Tensor of shape (n_features,)
        Mean of the features, which is subtracted.
    feature_scale : Tensor of shape (), or (n_features,) for features "both"
        Scale of the features, which divides them.

    Examples
    --------
    >>> import torch
    >>> encoder = SpeechEncoder(VAEConfig(5, 2, (8,)))
    >>> mean, log_variance = encoder.encode(torch.ones(7, 5))
    >>> mean.shape
    torch.Size([7, 2])
    """

    buffer_ranges = {"feature_scale": SCALES}

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        n_features = config.n_features
        self.encoder = _stack(config, n_features, config.hidden)
        self.latent_mean = nn.Linear(self.encoder.n_out, config.n_latent)
        self.latent_log_variance = nn.Linear(self.encoder.n_out, config.n_latent)
        self.register_buffer("feature_mean", torch.empty(n_features))
        scales = (n_features,) if config.features == "both" else ()
        self.register_buffer("feature_scale", torch.empty(scales))
        self.reset_buffers()

    def reset_buffers(self) -> None:
        """Set no standardization."""
        self.feature_mean.zero_()
        self.feature_scale.fill_(1.0)

    def encode(
        self,
        power: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the posterior q(z | s) of the latent variables.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of speech, in the unit of the model.
        lengths : Tensor of int, shape (B,), default=None
            Number of frames of each sequence, if power (B, N, F) is padded. The output
            for the padding is undefined.
        generator : torch.Generator, default=None
            Source of the dropout. None disables dropout.

        Returns
        -------
        mean, log_variance : Tensor of shape (..., N, L)
        """
        features = (self._features(power) - self.feature_mean) / self.feature_scale
        hidden = self.encoder(features, lengths, generator)
        return self.latent_mean(hidden), bounded(self.latent_log_variance(hidden))

    def _features(self, power: Tensor) -> Tensor:
        if self.config.features == "log":
            return log_power(power, self.config.floor)
        power = power + self.config.floor
        if self.config.features == "power":
            return power
        return torch.cat([power.log(), power], -1)


class SpeechNetwork(SpeechEncoder):
    """Encoder and decoder of speech.

    Parameters
    ----------
    config : VAEConfig
        Sizes of the networks.

    Examples
    --------
    >>> import torch
    >>> network = SpeechNetwork(VAEConfig(5, 2, (8,)))
    >>> mean, log_variance = network.encode(torch.ones(7, 5))
    >>> mean.shape, network.decode(mean).shape
    (torch.Size([7, 2]), torch.Size([7, 5]))
    """

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        sizes = config.hidden[::-1]
        if config.architecture == "bilstm":
            sizes = sizes[:1]
        self.decoder = _stack(config, config.n_latent, sizes)
        self.log_variance = nn.Linear(self.decoder.n_out, config.n_bins)

    def decode(
        self,
        z: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the logarithm of the variance of speech.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.
        lengths : Tensor of int, shape (B,), default=None
            As for :meth:`encode`.
        generator : torch.Generator, default=None
            As for :meth:`encode`.

        Returns
        -------
        Tensor of shape (..., N, F)
        """
        return bounded(self.log_variance(self.decoder(z, lengths, generator)))


def bounded(log_variance: Tensor) -> Tensor:
    """Clip the logarithm of a variance to a range that float32 can hold.

    Values outside occur only for digital silence without a floor, and for signals
    louder than any speech.

    Parameters
    ----------
    log_variance : Tensor

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import torch
    >>> bounded(torch.tensor([-100.0, 3.0, 100.0]))
    tensor([-25.,   3.,  15.])
    """
    return log_variance.clamp(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)


@torch.no_grad()
def standardize(encoder: SpeechEncoder, moments: Moments) -> None:
    """Standardize the input of an encoder.

    Parameters
    ----------
    encoder : SpeechEncoder
        The encoder; changed in place.
    moments : Moments
        Statistics of the power of its input, including the floor.

    Examples
    --------
    >>> import torch
    >>> encoder = SpeechEncoder(VAEConfig(1, 2, (8,)))
    >>> mean = np.ones(1)
    >>> standardize(encoder, Moments(mean, 1.0, log_mean=mean / 2, log_scale=3.0))
    >>> encoder.feature_mean, encoder.feature_scale
    (tensor([0.5000]), tensor(3.))
    """
    log_mean, zeros = moments.log_mean, np.zeros_like(moments.log_mean)
    log_scale, scale = moments.log_scale or 1.0, moments.scale or 1.0
    mean, scales = {
        "log": (log_mean, np.array(log_scale)),
        "power": (zeros, np.array(scale)),
        "both": (
            np.concatenate([log_mean, zeros]),
            np.repeat([log_scale, scale], len(zeros)),
        ),
    }[encoder.config.features]
    encoder.feature_mean.copy_(torch.from_numpy(mean))
    encoder.feature_scale.copy_(torch.from_numpy(scales))


@torch.no_grad()
def start_at_mean(layer: nn.Linear, moments: Moments) -> None:
    """Set the biases of a decoder to the mean power.

    These are the best log-variances that do not depend on z.

    Parameters
    ----------
    layer : Linear
        Last layer of the decoder, whose outputs are log-variances; changed in place.
    moments : Moments
        Statistics of the power of the speech, including the floor.

    Examples
    --------
    >>> import torch
    >>> network = SpeechNetwork(VAEConfig(1, 2, (8,)))
    >>> mean = np.full(1, np.e)
    >>> moments = Moments(mean, 1.0, log_mean=mean, log_scale=3.0)
    >>> start_at_mean(network.log_variance, moments)
    >>> network.log_variance.bias.item()
    1.0
    """
    layer.bias.copy_(torch.from_numpy(np.log(moments.mean)))


def _stack(
    config: VAEConfig, n_in: int, sizes: tuple[int, ...]
) -> FeedForward | BiLSTM:
    if config.architecture == "bilstm":
        return BiLSTM(n_in, sizes, config.dropout)
    return FeedForward(n_in, sizes, config.activation, config.dropout)
