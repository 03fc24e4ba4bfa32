r"""The loss of a variational autoencoder of speech: the negative evidence lower bound.

A bin of a spectrum is a zero-mean complex Gaussian whose variance the decoder gives, so
that, up to terms without parameters, its negative log-likelihood is the Itakura-Saito
divergence between its power and that variance. The bound of Y. Bando et al.,
"Statistical speech enhancement based on probabilistic integration of variational
autoencoder and non-negative matrix factorization", ICASSP 2018, (9) and (17)-(20), is
minus the sum of that divergence over the bins and of the Kullback-Leibler divergence
over the latent variables: both sums, for means would weigh one against the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skvae.networks.random import draw

if TYPE_CHECKING:
    from skvae.networks.frames import Batch
    from skvae.networks.vae import SpeechNetwork


def itakura_saito(log_power: Tensor, log_variance: Tensor) -> Tensor:
    r"""Itakura-Saito divergence of spectra from variances.

    Parameters
    ----------
    log_power, log_variance : Tensor of shape (..., F)
        Natural logarithms of the power p and of the variance v.

    Returns
    -------
    Tensor of shape (...)
        :math:`\sum_f p_f / v_f - \log (p_f / v_f) - 1`.

    Examples
    --------
    >>> import torch
    >>> itakura_saito(torch.zeros(2, 3), torch.zeros(2, 3))
    tensor([0., 0.])
    """
    log_ratio = log_power - log_variance
    return (log_ratio.exp() - log_ratio).sum(-1) - log_power.shape[-1]


def kl_from_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of Gaussians from the standard one.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., L)
        Of independent Gaussians.

    Returns
    -------
    Tensor of shape (...)
        :math:`\frac{1}{2} \sum_l \mu_l^2 + \sigma_l^2 - \log \sigma_l^2 - 1`.

    Examples
    --------
    >>> import torch
    >>> kl_from_standard(torch.tensor([1.0, 2.0]), torch.zeros(2)).item()
    2.5
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(-1)


def frame_mean(values: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, int]:
    """Mean over the frames of a batch, padding left out.

    Parameters
    ----------
    values : Tensor of shape (N,) or (B, N)
        A value for each frame.
    lengths : Tensor of shape (B,), default=None
        Number of frames of each sequence; None means that all are whole.

    Returns
    -------
    mean : Tensor of shape ()
    n_frames : int
        How many it is the mean of.

    Examples
    --------
    >>> import torch
    >>> frame_mean(torch.tensor([[1.0, 3.0], [5.0, 99.0]]), torch.tensor([2, 1]))
    (tensor(3.), 3)
    """
    if lengths is None:
        return values.mean(), values.numel()
    n_frames = int(lengths.sum())
    times = torch.arange(values.shape[1])
    inside = (times < lengths[:, None]).to(values.device)
    # Not a product with the mask: what padding holds may be infinite.
    return torch.where(inside, values, 0.0).sum() / n_frames, n_frames


def vae_loss(
    network: SpeechNetwork,
    batch: Batch,
    generator: torch.Generator,
    training: bool = True,
) -> tuple[Tensor, int]:
    """Negative evidence lower bound of a batch, with one draw of z a frame.

    Parameters
    ----------
    network : SpeechNetwork
        Encoder and decoder.
    batch : Batch
        Power, in the unit of the model.
    generator : torch.Generator
        Source of the draw, and of dropout. On the device of the network.
    training : bool
        Whether units are dropped out.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> from skvae.networks.frames import Batch
    >>> from skvae.networks.vae import VAEConfig, initial_network
    >>> network = initial_network(VAEConfig(5, 2, (8,)), torch.Generator())
    >>> mean, n_frames = vae_loss(network, Batch(torch.ones(7, 5)), torch.Generator())
    >>> mean.shape, n_frames
    (torch.Size([]), 7)
    """
    # Padding is zero and computed like frames: finite, and left out of the mean.
    power = batch.power.to(generator.device)
    dropout = generator if training else None
    mean, log_variance = network.encode(power, batch.lengths, dropout)
    z = draw(mean, log_variance, generator)
    misfit = itakura_saito(
        network.log_power(power), network.decode(z, batch.lengths, dropout)
    )
    return frame_mean(misfit + kl_from_standard(mean, log_variance), batch.lengths)
