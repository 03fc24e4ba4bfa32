"""Masks from what an inference has found: averages of the Wiener gain over draws of z.

M. Pariente, A. Deleforge and E. Vincent, INTERSPEECH 2019; equation numbers are theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.draws import draw
from skvae.vaenmf.gaussian_posterior import GaussianPosterior
from skvae.vaenmf.metropolis import PROPOSAL_VARIANCE, start_chain
from skvae.vaenmf.mixture import workspace
from skvae.vaenmf.moments import MaskMoments, wiener_gain
from skvae.vaenmf.noise import Noise


def metropolis_wiener(
    V: Tensor,
    prior: SpeechPrior,
    z: Tensor,
    noise: Noise,
    gain: Tensor,
    generator: torch.Generator,
    *,
    n_steps: int = 100,
    n_kept: int = 25,
    proposal_variance: float = PROPOSAL_VARIANCE,
) -> MaskMoments:
    """Average masks over the last states of a Metropolis chain (MH-Wiener, Eq. 25).

    The states are consecutive, so they show only a part of the posterior's spread.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Decoder and prior of z.
    z : Tensor of shape (..., N, L)
        First state of the chain.
    noise : Noise
        Noise, which stays as it is.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
    generator : torch.Generator
        Source of the proposals.
    n_steps, n_kept : int
        Number of steps, and number of steps at the end that count.
    proposal_variance : float
        Variance of the random walk.

    Returns
    -------
    MaskMoments
    """
    chain = start_chain(V, prior, z, generator, proposal_variance, frames=noise.frames)
    chain.refresh(noise, gain)
    moments = MaskMoments(V)
    for _ in chain.run(n_steps, n_kept):
        moments.add(wiener_gain(chain.variance, gain, chain.V_b))
    return moments


def gradient_wiener(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    gain: Tensor,
    generator: torch.Generator,
    *,
    n_steps: int = 50,
    n_draws: int = 25,
) -> MaskMoments:
    """Average masks over a Gaussian posterior that is fitted to the mixture first.

    The noise and the gain are held, and Adam raises the lower bound of
    :class:`~skvae.vaenmf.gaussian_posterior.GaussianPosterior` from the encoder on.
    Given the noise, the spread is about that of the posterior; that of a few
    Metropolis steps is far too small.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Decoder and prior of z.
    noise : Noise
        Noise, which stays as it is.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
    generator : torch.Generator
        Source of the draws.
    n_steps : int
        Number of steps of Adam.
    n_draws : int
        Number of draws that the masks are averaged over.

    Returns
    -------
    MaskMoments
    """
    posterior = GaussianPosterior(V, prior, *prior.first_posterior(V), generator)
    memory = workspace(V)
    V_b, variances = noise.power(out=memory[0]), [V.new_empty(V.shape)]
    for _ in range(n_steps):
        _, gradients = posterior.lower_bound(
            V_b, gain, noise.frames, variances, memory[1:]
        )
        posterior.step(gradients)
    del memory, variances, V_b
    return latent_wiener(
        prior,
        posterior.mean,
        posterior.log_variance,
        noise,
        gain,
        generator,
        n_draws=n_draws,
    )


def latent_wiener(
    prior: SpeechPrior,
    mean: Tensor,
    log_variance: Tensor,
    noise: Noise,
    gain: Tensor,
    generator: torch.Generator,
    *,
    n_draws: int = 25,
) -> MaskMoments:
    """Average masks over draws from the approximate posterior r(z) (Z-Wiener).

    Parameters
    ----------
    prior : SpeechPrior
        Decoder.
    mean, log_variance : Tensor of shape (..., N, L)
        Parameters of r(z).
    noise : Noise
        Noise, which stays as it is.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
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
        moments.add(wiener_gain(prior.variance(z), gain, V_b))
    return moments
