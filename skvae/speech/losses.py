r"""Loss of a variational autoencoder of speech: the negative evidence lower bound.

A bin of a spectrum is a zero-mean complex Gaussian whose variance is the output of the
decoder. Up to terms without parameters, its negative log-likelihood is the
Itakura-Saito divergence between its power and that variance. The bound of Y. Bando et
al., "Statistical speech enhancement based on probabilistic integration of variational
autoencoder and non-negative matrix factorization", ICASSP 2018, (9) and (17)-(20), is
minus the sum of that divergence over the bins and the Kullback-Leibler divergence over
the latent variables. Both are sums, since means would change their relative weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from skvae.training.clean_batches import Batch
from skvae.training.layers import frame_mean
from skvae.training.precision import autocast
from skvae.training.random import draw

if TYPE_CHECKING:  # it imports this module
    from skvae.speech.vae_network import SpeechNetwork


class Decoder(Protocol):
    """A network with a decoder, such as ``SpeechNetwork``."""

    #: Sizes, with the `floor` of the power.
    config: Any

    def decode(
        self,
        z: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return log-variances (..., N, F) for latent variables (..., N, L)."""


def log_power(power: Tensor, floor: float) -> Tensor:
    """Return the logarithm of the power with a floor.

    Parameters
    ----------
    power : Tensor of shape (..., F)
        Power of speech.
    floor : float
        Number that is added to it.

    Returns
    -------
    Tensor of shape (..., F)

    Examples
    --------
    >>> import torch
    >>> log_power(torch.zeros(2), 1.0)
    tensor([0., 0.])
    """
    return (power + floor).log_()


def itakura_saito(log_power: Tensor, log_variance: Tensor) -> Tensor:
    r"""Return the Itakura-Saito divergence of spectra from variances.

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
    r"""Return the Kullback-Leibler divergence from the standard Gaussian.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., L)
        Parameters of independent Gaussians.

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


def kl_between(
    posterior: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]
) -> Tensor:
    r"""Return the Kullback-Leibler divergence of Gaussians from other Gaussians.

    Parameters
    ----------
    posterior : pair of Tensor of shape (..., L)
        Means :math:`\mu_l` and log-variances :math:`\log \sigma_l^2` of independent
        Gaussians p.
    reference : pair of Tensor of shape (..., L)
        Means :math:`m_l` and log-variances :math:`\log s_l^2` of the other Gaussians
        q.

    Returns
    -------
    Tensor of shape (...)
        :math:`\mathrm{KL}(p \| q) = \frac{1}{2} \sum_l (\sigma_l^2 + (\mu_l -
        m_l)^2) / s_l^2 - \log (\sigma_l^2 / s_l^2) - 1`.

    Examples
    --------
    >>> import torch
    >>> zeros = torch.zeros(1)
    >>> kl_between((zeros + 2, zeros), (zeros, zeros)).item()
    2.0
    """
    (mean, log_variance), (other_mean, other_log_variance) = posterior, reference
    log_ratio = log_variance - other_log_variance
    squares = (mean - other_mean).square() * (-other_log_variance).exp()
    return 0.5 * (squares + log_ratio.exp() - log_ratio - 1).sum(-1)


def negative_bound(
    decoder: Decoder,
    posterior: tuple[Tensor, Tensor],
    power: Tensor,
    generator: torch.Generator,
    *,
    lengths: Tensor | None = None,
    dropout: torch.Generator | None = None,
    precision: str = "float32",
) -> Tensor:
    """Return the negative evidence lower bound of frames, with one draw of z each.

    Parameters
    ----------
    decoder : Decoder
        Network with the decoder.
    posterior : pair of Tensor of shape (..., N, L)
        Mean and log-variance of q(z).
    power : Tensor of shape (..., N, F)
        Power of speech, in the unit of the model.
    generator : torch.Generator
        Source of the draws, on the device of the decoder.
    lengths : Tensor of int, shape (B,), default=None
        Number of frames of each sequence, if they are padded.
    dropout : torch.Generator, default=None
        Source of the dropout. None disables dropout.
    precision : {"float32", "bfloat16"}
        Arithmetic of the decoder; see :mod:`skvae.training.precision`.

    Returns
    -------
    Tensor of shape (..., N)

    Examples
    --------
    >>> import torch
    >>> from skvae.speech.vae_network import SpeechNetwork, VAEConfig
    >>> network = SpeechNetwork(VAEConfig(5, 2, (8,)))
    >>> power = torch.ones(7, 5)
    >>> posterior = network.encode(power)
    >>> negative_bound(network, posterior, power, torch.Generator()).shape
    torch.Size([7])
    """
    z = draw(*posterior, generator)
    with autocast(generator.device.type, precision):
        log_variance = decoder.decode(z, lengths, dropout)
    logarithm = log_power(power, decoder.config.floor)
    misfit = itakura_saito(logarithm, log_variance.to(power.dtype))
    return misfit + kl_from_standard(*posterior)


def vae_loss(
    network: SpeechNetwork,
    batch: Batch,
    generator: torch.Generator,
    training: bool = True,
) -> tuple[Tensor, int]:
    """Return the mean negative evidence lower bound, with one draw of z per frame.

    Parameters
    ----------
    network : SpeechNetwork
        Encoder and decoder.
    batch : Batch
        Power in the unit of the model, on the device of the network.
    generator : torch.Generator
        Source of the draws and the dropout, on that device.
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
    >>> from skvae.training.clean_batches import Batch
    >>> from skvae.speech.vae_network import SpeechNetwork, VAEConfig
    >>> network = SpeechNetwork(VAEConfig(5, 2, (8,)))
    >>> mean, n_frames = vae_loss(network, Batch(torch.ones(7, 5)), torch.Generator())
    >>> mean.shape, n_frames
    (torch.Size([]), 7)
    """
    # The padding is zero: its loss is finite, and the mean excludes it.
    power, lengths = batch
    dropout = generator if training else None
    posterior = network.encode(power, lengths, dropout)
    bound = negative_bound(
        network, posterior, power, generator, lengths=lengths, dropout=dropout
    )
    return frame_mean(bound, lengths)
