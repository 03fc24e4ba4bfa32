r"""The denoising variational autoencoder, and its loss.

Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020; equation numbers are theirs. From
noisy speech an encoder of bidirectional LSTMs estimates the latent variables of the
clean speech in it, (3), and a mask; a decoder of one such layer gives the variance of
the clean speech, (1).

All is in the unit of mixtures whose mean power is one, so that the two parts of the
loss, of which the paper's second one depends on the level, have a fixed ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skvae.masks.losses import mask_error
from skvae.speech.losses import negative_bound
from skvae.speech.vae_network import bounded
from skvae.training.band_features import BandFeatures
from skvae.training.layers import BiLSTM, empty, frame_mean, initialise
from skvae.training.noisy_batches import Mixtures
from skvae.training.precision import autocast
from skvae.training.state import load_arrays

#: Weights of the mask's error, summed over the bins, at which its gradient in the
#: encoder is about as long as that of the bound. With a weight of one, as in the paper,
#: it is shorter: 2 to 8 times for "perceptual", and for the others 6 times when
#: training begins and up to 60 times later. The masks would learn little.
BALANCED_ALPHA = {"perceptual": 5.0, "psa": 30.0, "msa": 30.0}


@dataclass(frozen=True)
class DenoisingConfig:
    """What it takes, beside the weights, to build the network again.

    Parameters
    ----------
    n_bins : int
        F.
    n_bands : int
        M.
    n_latent : int
        L.
    hidden : tuple of int
        Units of the encoder's layers in each direction. The decoder has one layer like
        the last of them.
    with_mask : bool
        Whether there is a mask.
    floor : float
        What is added to all power that the decoder explains.
    dropout : float
        Share of the hidden units that is left out in training. It is no part of what
        the weights mean, so configurations that differ in it are equal.

    Examples
    --------
    >>> config = DenoisingConfig(513, 96, 20, (128, 128))
    >>> sum(weight.numel() for weight in DenoisingNetwork(config).parameters())
    1054250
    """

    n_bins: int
    n_bands: int
    n_latent: int
    hidden: tuple[int, ...]
    with_mask: bool = True
    floor: float = 1e-5
    dropout: float = field(default=0.0, compare=False)


class Estimate(NamedTuple):
    """What the encoder says of noisy speech.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (..., N, L)
        Of the posterior of the latent variables, (3).
    mask : Tensor of shape (..., N, F), or None
        Share of the speech, in [0, 1]; None without multi-task learning.
    """

    mean: Tensor
    log_variance: Tensor
    mask: Tensor | None


class DenoisingNetwork(nn.Module):
    """The two networks, as functions of noisy power and of latent variables.

    Parameters
    ----------
    config : DenoisingConfig
        Their sizes.

    Examples
    --------
    >>> import torch
    >>> config = DenoisingConfig(5, 4, 2, (8,))
    >>> network = initial_denoising_network(config, torch.Generator())
    >>> mean, log_variance, mask = network.estimate(torch.ones(7, 5))
    >>> mean.shape, mask.shape, network.decode(mean).shape
    (torch.Size([7, 2]), torch.Size([7, 5]), torch.Size([7, 5]))
    """

    def __init__(self, config: DenoisingConfig):
        super().__init__()
        self.config = config
        self.features = BandFeatures(config.n_bins, config.n_bands)
        self.encoder = BiLSTM(config.n_bands, config.hidden, config.dropout)
        self.latent_mean = nn.Linear(self.encoder.n_out, config.n_latent)
        self.latent_log_variance = nn.Linear(self.encoder.n_out, config.n_latent)
        self.mask = (
            nn.Linear(self.encoder.n_out, config.n_bins) if config.with_mask else None
        )
        self.decoder = BiLSTM(config.n_latent, config.hidden[-1:], config.dropout)
        self.log_variance = nn.Linear(self.decoder.n_out, config.n_bins)

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

    def estimate(
        self,
        power: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Estimate:
        """Posterior q(z | x) of the latent variables of the speech, and its mask.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of noisy speech, its mean one.
        lengths : Tensor of int, shape (B,), default=None
            Numbers of frames, where power (B, N, F) holds padded sequences. What the
            padding gives means nothing.
        generator : torch.Generator, default=None
            Source of dropout; there is none without it.

        Returns
        -------
        Estimate
        """
        # Logarithms of quiet bands take more digits than bfloat16 has.
        with torch.autocast(power.device.type, enabled=False):
            features = self.features(power)
        hidden = self.encoder(features, lengths, generator)
        return Estimate(
            self.latent_mean(hidden),
            bounded(self.latent_log_variance(hidden)),
            None if self.mask is None else self.mask(hidden).sigmoid(),
        )

    def encode(
        self,
        power: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Posterior q(z | x) alone.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of noisy speech, its mean one.
        lengths : Tensor of int, shape (B,), default=None
            As for :meth:`estimate`.
        generator : torch.Generator, default=None
            As for :meth:`estimate`.

        Returns
        -------
        mean, log_variance : Tensor of shape (..., N, L)
        """
        mean, log_variance, _ = self.estimate(power, lengths, generator)
        return mean, log_variance

    def decode(
        self,
        z: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logarithm of the variance of clean speech.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.
        lengths : Tensor of int, shape (B,), default=None
            As for :meth:`estimate`.
        generator : torch.Generator, default=None
            As for :meth:`estimate`.

        Returns
        -------
        Tensor of shape (..., N, F)
            Of speech in mixtures whose mean power is one.
        """
        return bounded(self.log_variance(self.decoder(z, lengths, generator)))


def denoising_loss(
    network: DenoisingNetwork,
    batch: Mixtures,
    generator: torch.Generator,
    training: bool = True,
    *,
    target: str = "perceptual",
    alpha: float = BALANCED_ALPHA["perceptual"],
    precision: str = "float32",
) -> tuple[Tensor, int]:
    r"""Minus (7), in a bin: the negative bound of clean speech, and the mask's error.

    .. math:: \frac{1}{F} \left( -\mathcal{L}_\text{DnVAE}
        + \alpha \mathcal{L}_\text{mask} \right)

    The bound (4)-(5) is estimated with one draw of z a frame; its logarithm of the
    likelihood is minus the Itakura-Saito divergence between the power of clean speech
    and the variance. Both parts are sums over the bins, as in the paper, and means over
    the frames.

    Parameters
    ----------
    network : DenoisingNetwork
        Encoder and decoder.
    batch : Mixtures
        The mixtures, on the device of the network.
    generator : torch.Generator
        Source of the draw, and of dropout. On the device of the network.
    training : bool
        Whether units are dropped out.
    target : {"perceptual", "psa", "msa"}
        The mask's error, which for "psa" is (6);
        see :func:`skvae.masks.losses.mask_error`.
    alpha : float
        Its weight; it counts for nothing where the network has no mask.
    precision : {"float32", "bfloat16"}
        What the network computes with; see :mod:`skvae.training.precision`.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over bins and frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> config = DenoisingConfig(5, 4, 2, (8,))
    >>> network = initial_denoising_network(config, torch.Generator())
    >>> power = torch.ones(1, 7, 5)
    >>> batch = Mixtures(power, power, power, torch.tensor([7]))
    >>> mean, n_frames = denoising_loss(network, batch, torch.Generator())
    >>> mean.shape, n_frames
    (torch.Size([]), 7)
    """
    lengths = batch.packing()
    dropout = generator if training else None
    with autocast(generator.device.type, precision):
        mean, log_variance, mask = network.estimate(batch.noisy, lengths, dropout)
    dtype = batch.noisy.dtype
    bound = negative_bound(
        network,
        (mean.to(dtype), log_variance.to(dtype)),
        batch.clean,
        generator,
        lengths=lengths,
        dropout=dropout,
        precision=precision,
    )
    loss, n_frames = frame_mean(bound / network.config.n_bins, batch.lengths)
    if mask is not None:
        error, _ = mask_error(mask.to(dtype), batch, target)
        loss = loss + alpha * error
    return loss, n_frames


def initial_denoising_network(
    config: DenoisingConfig, generator: torch.Generator
) -> DenoisingNetwork:
    """Networks with random weights.

    Parameters
    ----------
    config : DenoisingConfig
        Their sizes.
    generator : torch.Generator
        Source of the weights, on the CPU. The global one is not touched.

    Returns
    -------
    DenoisingNetwork
        Its bands are yet to be set.

    Examples
    --------
    >>> import torch
    >>> config = DenoisingConfig(5, 4, 2, (8,), with_mask=False)
    >>> initial_denoising_network(config, torch.Generator()).mask is None
    True
    """
    network = empty(lambda: DenoisingNetwork(config))
    network.features.filters.zero_()
    network.features.mean.zero_()
    network.features.scale.fill_(1.0)
    initialise(network, generator)
    return network


def denoising_network_from(
    config: DenoisingConfig, state: Mapping[str, np.ndarray]
) -> DenoisingNetwork:
    """Networks with given weights.

    Parameters
    ----------
    config : DenoisingConfig
        Their sizes.
    state : mapping of str to ndarray
        The weights, as :func:`skvae.training.state.to_arrays` gives them.

    Returns
    -------
    DenoisingNetwork
        On the CPU.

    Examples
    --------
    >>> import torch
    >>> from skvae.training.state import to_arrays
    >>> config = DenoisingConfig(5, 4, 2, (8,))
    >>> network = initial_denoising_network(config, torch.Generator())
    >>> again = denoising_network_from(config, to_arrays(network))
    >>> z = torch.ones(7, 2)
    >>> torch.equal(network.decode(z), again.decode(z))
    True
    """
    network = empty(lambda: DenoisingNetwork(config))
    load_arrays(network, state)
    return network


def start_from_mask_network(
    network: DenoisingNetwork, state: Mapping[str, np.ndarray]
) -> None:
    """Copy what a network for masks has learned: features, layers, and the mask.

    Parameters
    ----------
    network : DenoisingNetwork
        Changed in place; it keeps its decoder and the layers of its posterior.
    state : mapping of str to ndarray
        The weights of a ``MaskNetwork`` whose layers have the encoder's sizes.

    Raises
    ------
    ValueError
        If its layers are others.

    Examples
    --------
    >>> import torch
    >>> from skvae.masks.networks import MaskConfig, initial_mask_network
    >>> from skvae.training.state import to_arrays
    >>> masks = initial_mask_network(MaskConfig(5, 4, (8,)), torch.Generator())
    >>> network = initial_denoising_network(
    ...     DenoisingConfig(5, 4, 2, (8,)), torch.Generator().manual_seed(1)
    ... )
    >>> start_from_mask_network(network, to_arrays(masks))
    >>> power = torch.ones(7, 5)
    >>> torch.equal(network.estimate(power).mask, masks(power))
    True
    """
    prefixes = {"features": "features", "hidden": "encoder"}
    if network.mask is not None:
        prefixes["mask"] = "mask"
    for theirs, ours in prefixes.items():
        part = {
            name.removeprefix(f"{theirs}."): array
            for name, array in state.items()
            if name.startswith(f"{theirs}.")
        }
        load_arrays(network.get_submodule(ours), part)
