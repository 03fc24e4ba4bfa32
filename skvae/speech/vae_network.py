"""Encoder and decoder of a variational autoencoder of speech spectra.

``feedforward`` treats each frame alone, as in Y. Bando et al., "Statistical speech
enhancement based on probabilistic integration of variational autoencoder and
non-negative matrix factorization", ICASSP 2018, and in M. Pariente et al., "A
statistically principled and computationally efficient approach to speech enhancement
using variational autoencoders", INTERSPEECH 2019. ``bilstm`` reads whole sequences, as
in Y. Bando et al., "Adaptive neural speech enhancement with a denoising variational
autoencoder", INTERSPEECH 2020: several layers in the encoder, one in the decoder.

Power is in a unit of its own, in which the mean over an utterance is a number between
zero and ten or so. To all of it, what the encoder reads and what the decoder explains,
a floor is added: the variance of a faint white noise that is part of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from skvae.speech.prior import MAX_LOG_VARIANCE, MIN_LOG_VARIANCE
from skvae.training.clean_batches import Moments
from skvae.training.layers import BiLSTM, FeedForward, empty, initialise
from skvae.training.state import load_arrays

ARCHITECTURES = ("feedforward", "bilstm")
FEATURES = ("log", "power", "both")


@dataclass(frozen=True)
class VAEConfig:
    """What it takes, beside the weights, to build the networks again.

    Parameters
    ----------
    n_bins : int
        F.
    n_latent : int
        L.
    hidden : tuple of int
        Units of the encoder's layers, in each direction for "bilstm". The decoder has
        the same in the opposite order, or one BiLSTM as large as the encoder's last.
    architecture : {"feedforward", "bilstm"}
        Kind of layer.
    activation : {"tanh", "relu"}
        Of the hidden layers; "bilstm" has its own.
    features : {"log", "power", "both"}
        What the encoder reads.
    floor : float
        What is added to all power.
    dropout : float
        Share of the hidden units that is left out in training. It is no part of what
        the weights mean, so configurations that differ in it are equal.

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
        """How many numbers of a frame the encoder reads."""
        return 2 * self.n_bins if self.features == "both" else self.n_bins


class SpeechEncoder(nn.Module):
    """The encoder alone: the posterior of the latent variables, as a function of power.

    Parameters
    ----------
    config : VAEConfig
        Its sizes.

    Attributes
    ----------
    feature_mean : Tensor of shape (n_features,)
        What is subtracted from the input.
    feature_scale : Tensor of shape (), or (n_features,) for features "both"
        What it is divided by then.

    Examples
    --------
    >>> import torch
    >>> encoder = SpeechEncoder(VAEConfig(5, 2, (8,)))
    >>> mean, log_variance = encoder.encode(torch.ones(7, 5))
    >>> mean.shape
    torch.Size([7, 2])
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        n_features = config.n_features
        self.encoder = _stack(config, n_features, config.hidden)
        self.latent_mean = nn.Linear(self.encoder.n_out, config.n_latent)
        self.latent_log_variance = nn.Linear(self.encoder.n_out, config.n_latent)
        self.register_buffer("feature_mean", torch.zeros(n_features))
        scales = (n_features,) if config.features == "both" else ()
        self.register_buffer("feature_scale", torch.ones(scales))

    def log_power(self, power: Tensor) -> Tensor:
        """Logarithm of the power with the floor: what the decoder is to explain.

        Parameters
        ----------
        power : Tensor of shape (..., F)

        Returns
        -------
        Tensor of shape (..., F)
        """
        return (power + self.config.floor).log_()

    def encode(
        self,
        power: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Posterior q(z | s) of the latent variables.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of speech, in the unit of the model.
        lengths : Tensor of int, shape (B,), default=None
            Numbers of frames, where power (B, N, F) holds padded sequences. What the
            padding gives means nothing.
        generator : torch.Generator, default=None
            Source of dropout; there is none without it.

        Returns
        -------
        mean, log_variance : Tensor of shape (..., N, L)
        """
        features = (self._features(power) - self.feature_mean) / self.feature_scale
        hidden = self.encoder(features, lengths, generator)
        return self.latent_mean(hidden), bounded(self.latent_log_variance(hidden))

    def _features(self, power: Tensor) -> Tensor:
        if self.config.features == "log":
            return self.log_power(power)
        power = power + self.config.floor
        if self.config.features == "power":
            return power
        return torch.cat([power.log(), power], -1)


class SpeechNetwork(SpeechEncoder):
    """The two networks, as functions of power and of latent variables.

    Parameters
    ----------
    config : VAEConfig
        Their sizes.

    Examples
    --------
    >>> import torch
    >>> network = initial_network(VAEConfig(5, 2, (8,)), torch.Generator())
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
        """Logarithm of the variance of speech.

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
    """Logarithm of a variance, kept where its exponential is harmless in float32.

    A hard limit: nothing changes inside, and what lies outside is either digital
    silence without a floor or louder than any speech.

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
def standardise(encoder: SpeechEncoder, moments: Moments) -> None:
    """Let an encoder read numbers around zero, of a standard deviation of one or so.

    Parameters
    ----------
    encoder : SpeechEncoder
        Changed in place.
    moments : Moments
        Statistics of the power that it is going to read, with its floor.

    Examples
    --------
    >>> import torch
    >>> encoder = SpeechEncoder(VAEConfig(1, 2, (8,)))
    >>> mean = np.ones(1)
    >>> standardise(encoder, Moments(mean, 1.0, log_mean=mean / 2, log_scale=3.0))
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
    """Let a decoder start near the best of all variances that do not depend on z.

    Parameters
    ----------
    layer : Linear
        Its last one, which gives logarithms of variances. Its biases are changed.
    moments : Moments
        Statistics of the power that is to be explained, with its floor.

    Examples
    --------
    >>> import torch
    >>> network = initial_network(VAEConfig(1, 2, (8,)), torch.Generator())
    >>> mean = np.full(1, np.e)
    >>> moments = Moments(mean, 1.0, log_mean=mean, log_scale=3.0)
    >>> start_at_mean(network.log_variance, moments)
    >>> network.log_variance.bias.item()
    1.0
    """
    layer.bias.copy_(torch.from_numpy(np.log(moments.mean)))


def initial_network(config: VAEConfig, generator: torch.Generator) -> SpeechNetwork:
    """Networks with random weights.

    Parameters
    ----------
    config : VAEConfig
        Their sizes.
    generator : torch.Generator
        Source of the weights, on the CPU. The global one is not touched.

    Returns
    -------
    SpeechNetwork

    Examples
    --------
    >>> import torch
    >>> config = VAEConfig(5, 2, (8,))
    >>> one, other = (
    ...     initial_network(config, torch.Generator().manual_seed(0)) for _ in range(2)
    ... )
    >>> torch.equal(one.latent_mean.weight, other.latent_mean.weight)
    True
    """
    network = empty_network(config)
    network.feature_mean.zero_()
    network.feature_scale.fill_(1.0)
    initialise(network, generator)
    return network


def network_from(config: VAEConfig, state: Mapping[str, np.ndarray]) -> SpeechNetwork:
    """Networks with given weights.

    Parameters
    ----------
    config : VAEConfig
        Their sizes.
    state : mapping of str to ndarray
        The weights, as :func:`skvae.training.state.to_arrays` gives them.

    Returns
    -------
    SpeechNetwork
        On the CPU.

    Examples
    --------
    >>> import torch
    >>> from skvae.training.state import to_arrays
    >>> network = initial_network(VAEConfig(5, 2, (8,)), torch.Generator())
    >>> again = network_from(network.config, to_arrays(network))
    >>> torch.equal(network.encode(torch.ones(1, 5))[0],
    ...             again.encode(torch.ones(1, 5))[0])
    True
    """
    network = empty_network(config)
    load_arrays(network, state)
    return network


def empty_network(config: VAEConfig) -> SpeechNetwork:
    """Networks whose weights are yet to be filled in.

    Parameters
    ----------
    config : VAEConfig
        Their sizes.

    Returns
    -------
    SpeechNetwork

    Examples
    --------
    >>> empty_network(VAEConfig(5, 2, (8,))).log_variance.bias.shape
    torch.Size([5])
    """
    return empty(lambda: SpeechNetwork(config))


def _stack(
    config: VAEConfig, n_in: int, sizes: tuple[int, ...]
) -> FeedForward | BiLSTM:
    if config.architecture == "bilstm":
        return BiLSTM(n_in, sizes, config.dropout)
    return FeedForward(n_in, sizes, config.activation, config.dropout)
