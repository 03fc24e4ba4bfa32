r"""Network of the denoising variational autoencoder, and its loss.

Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020; equation numbers are theirs. From
noisy speech, an encoder of bidirectional LSTMs estimates the latent variables of its
clean speech, (3), and a mask. A decoder of one such layer estimates the variance of the
clean speech, (1).

The mean power of all mixtures is one. This fixes the ratio of the two parts of the
loss, of which the second one depends on the level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skvae.masks.band_split_network import BandHeads, BandSplit, BandSplitConfig
from skvae.masks.losses import mask_error
from skvae.speech.losses import negative_bound
from skvae.speech.vae_network import bounded
from skvae.training.band_features import BandFeatures
from skvae.training.layers import BiLSTM, frame_mean
from skvae.training.networks import load_arrays
from skvae.training.noisy_batches import Mixtures
from skvae.training.precision import autocast

#: Weights of the mask's error, summed over the bins, at which its gradient in the
#: encoder is about as long as that of the bound. With a weight of one, as in the paper,
#: it is shorter: 2 to 8 times for "perceptual", and for the others 6 times at the
#: beginning of training and up to 60 times later. The masks would learn little.
BALANCED_ALPHA = {"perceptual": 5.0, "psa": 30.0, "msa": 30.0}


@dataclass(frozen=True)
class DenoisingConfig:
    """Sizes of encoder and decoder.

    Parameters
    ----------
    n_bins : int
        F.
    n_bands : int
        M.
    n_latent : int
        L.
    hidden : tuple of int
        Number of units of each layer of the encoder in each direction. The decoder has
        one layer like the last of these.
    with_mask : bool
        Whether the network estimates a mask.
    floor : float
        Number that is added to the power of clean speech.
    dropout : float
        Fraction of the hidden units dropped in training. Configurations that differ
        only in it are equal, since the weights do not depend on it.

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


@dataclass(frozen=True)
class BandSplitDenoisingConfig(DenoisingConfig):
    """Sizes of an encoder whose bands share an LSTM, and of the decoder.

    Parameters
    ----------
    bands : BandSplitConfig
        Sizes of the encoder. `hidden` then counts for the decoder only, and `n_bands`
        is the number of features.

    Examples
    --------
    >>> bands = BandSplitConfig((4, 2), (4, 5), 8, (6,), 3)
    >>> config = BandSplitDenoisingConfig(9, 6, 2, (8,), bands=bands)
    >>> DenoisingNetwork(config).estimate(torch.ones(7, 9)).mask.shape
    torch.Size([7, 9])
    """

    bands: BandSplitConfig = field(kw_only=True)


class Estimate(NamedTuple):
    """Output of the encoder for noisy speech.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (..., N, L)
        Posterior of the latent variables, (3).
    mask : Tensor of shape (..., N, F), or None
        Mask in [0, 1]; None without multi-task learning.
    """

    mean: Tensor
    log_variance: Tensor
    mask: Tensor | None


class DenoisingNetwork(nn.Module):
    """Encoder of noisy speech and decoder of clean speech.

    Parameters
    ----------
    config : DenoisingConfig
        Sizes of the networks.

    Examples
    --------
    >>> import torch
    >>> network = DenoisingNetwork(DenoisingConfig(5, 4, 2, (8,)))
    >>> mean, log_variance, mask = network.estimate(torch.ones(7, 5))
    >>> mean.shape, mask.shape, network.decode(mean).shape
    (torch.Size([7, 2]), torch.Size([7, 5]), torch.Size([7, 5]))
    """

    def __init__(self, config: DenoisingConfig):
        super().__init__()
        self.config = config
        self.features = BandFeatures(config.n_bins, config.n_bands)
        self.encoder: BandSplit | BiLSTM
        heads: nn.Module
        if isinstance(config, BandSplitDenoisingConfig):
            self.encoder = BandSplit(config.bands)
            heads = BandHeads(config.bands.n_channels, config.bands.outputs)
        else:
            self.encoder = BiLSTM(config.n_bands, config.hidden, config.dropout)
            heads = nn.Linear(self.encoder.n_out, config.n_bins)
        self.latent_mean = nn.Linear(self.encoder.n_out, config.n_latent)
        self.latent_log_variance = nn.Linear(self.encoder.n_out, config.n_latent)
        self.mask = heads if config.with_mask else None
        self.decoder = BiLSTM(config.n_latent, config.hidden[-1:], config.dropout)
        self.log_variance = nn.Linear(self.decoder.n_out, config.n_bins)

    def estimate(
        self,
        power: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Estimate:
        """Estimate the posterior q(z | x) of the latent variables, and the mask.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of noisy speech, with a mean of one.
        lengths : Tensor of int, shape (B,), default=None
            Number of frames of each sequence, if power (B, N, F) is padded. The output
            for the padding is undefined.
        generator : torch.Generator, default=None
            Source of the dropout. None disables dropout.

        Returns
        -------
        Estimate
        """
        hidden = self.encoder(self.features(power), lengths, generator)
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
        """Return the posterior q(z | x) of the latent variables.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of noisy speech, with a mean of one.
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
        """Return the logarithm of the variance of clean speech.

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
            For mixtures whose mean power is one.
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
    r"""Return minus (7) per bin: the negative bound plus the error of the mask.

    .. math:: \frac{1}{F} \left( -\mathcal{L}_\text{DnVAE}
        + \alpha \mathcal{L}_\text{mask} \right)

    The bound (4)-(5) is estimated with one draw of z per frame. Its log-likelihood is
    minus the Itakura-Saito divergence between the power of clean speech and the
    variance. Both parts are sums over the bins, as in the paper, and means over the
    frames.

    Parameters
    ----------
    network : DenoisingNetwork
        Encoder and decoder.
    batch : Mixtures
        Mixtures, on the device of the network.
    generator : torch.Generator
        Source of the draws and the dropout, on that device.
    training : bool
        Whether units are dropped out.
    target : {"perceptual", "psa", "msa"}
        Training target of the mask, with (6) for "psa";
        see :func:`skvae.masks.losses.mask_error`.
    alpha : float
        Weight of the error of the mask; ignored if the network has no mask.
    precision : {"float32", "bfloat16"}
        Arithmetic of the network; see :mod:`skvae.training.precision`.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over bins and frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> network = DenoisingNetwork(DenoisingConfig(5, 4, 2, (8,)))
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


def start_from_mask_network(
    network: DenoisingNetwork, state: Mapping[str, np.ndarray]
) -> None:
    """Copy features, hidden layers and mask layer from a mask network.

    Parameters
    ----------
    network : DenoisingNetwork
        Changed in place, except for its decoder and the layers of its posterior.
    state : mapping of str to ndarray
        Weights of a ``MaskNetwork`` or ``BandSplitNetwork`` whose layers have the sizes
        of the encoder.

    Raises
    ------
    ValueError
        If the layers differ.

    Examples
    --------
    >>> import torch
    >>> from skvae.masks.networks import MaskConfig, MaskNetwork
    >>> from skvae.training.networks import to_arrays
    >>> masks = MaskNetwork(MaskConfig(5, 4, (8,)))
    >>> network = DenoisingNetwork(DenoisingConfig(5, 4, 2, (8,)))
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
