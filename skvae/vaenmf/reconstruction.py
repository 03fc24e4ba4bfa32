"""Masks from what an inference found: three ways of Pariente et al. (2019), 3.4."""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.metropolis import PROPOSAL_VARIANCE, Chain
from skvae.vaenmf.model import Noise, draw_normal
from skvae.vaenmf.moments import MaskMoments, wiener_gain


def metropolis_wiener(
    V: Tensor,
    prior: SpeechPrior,
    z: Tensor,
    noise: Noise,
    generator: torch.Generator,
    *,
    n_steps: int = 100,
    n_kept: int = 25,
    proposal_variance: float = PROPOSAL_VARIANCE,
) -> MaskMoments:
    """MH-Wiener: masks averaged over draws from the posterior of z, Eq. (25).

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Encoder and decoder.
    z : Tensor of shape (..., N, L)
        Where the chains start.
    noise : Noise
        Parameters of the noise, and the gain.
    generator : torch.Generator
        Source of the proposals.
    n_steps, n_kept : int
        Steps, and how many of the last count.
    proposal_variance : float
        Variance of the random walk.

    Returns
    -------
    MaskMoments
    """
    chain = Chain(V, prior, z, generator, proposal_variance)
    chain.refresh(noise)
    moments = MaskMoments(V)
    for _ in chain.run(n_steps, n_kept):
        moments.add(wiener_gain(chain.variance, noise, chain.V_b))
    return moments


def latent_wiener(
    prior: SpeechPrior,
    mean: Tensor,
    log_variance: Tensor,
    noise: Noise,
    generator: torch.Generator,
    *,
    n_draws: int = 25,
) -> MaskMoments:
    """Z-Wiener: masks averaged over draws from the approximate posterior r(z).

    Parameters
    ----------
    prior : SpeechPrior
        Encoder and decoder.
    mean, log_variance : Tensor of shape (..., N, L)
        Parameters of r(z).
    noise : Noise
        Parameters of the noise, and the gain.
    generator : torch.Generator
        Source of the draws.
    n_draws : int
        Number of draws.

    Returns
    -------
    MaskMoments
    """
    V_b = noise.power()
    moments = MaskMoments(V_b)
    for _ in range(n_draws):
        z = draw(mean, log_variance, generator)
        moments.add(wiener_gain(prior.variance(z), noise, V_b))
    return moments


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from a Gaussian by its mean and log-variance, differentiable in both.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., N, L)
        Parameters.
    generator : torch.Generator
        Source of the draw.

    Returns
    -------
    Tensor of shape (..., N, L)

    Examples
    --------
    >>> import torch
    >>> mean, log_variance = torch.ones(1, 2), torch.full((1, 2), -torch.inf)
    >>> draw(mean, log_variance, torch.Generator().manual_seed(0))
    tensor([[1., 1.]])
    """
    noise = draw_normal(mean, generator)
    return torch.addcmul(mean, noise, (0.5 * log_variance).exp())
