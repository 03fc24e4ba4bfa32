r"""Markov chain Monte Carlo of all that is unknown: W, H and z.

Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical speech
enhancement based on probabilistic integration of variational autoencoder and
non-negative matrix factorization", ICASSP 2018; equation numbers are theirs. W and H
have gamma priors of shape a0, a1 and rate b0, b1; z has the standard normal one.

The paper's conditionals of W and H, (21)-(22) (which lost fractions in print), come
from a lower bound of the likelihood that touches it at the present values: with
lambda = V_x,

    W ~ GIG(a0, b0 + H^T (1 / lambda), W^2 * H^T (V / lambda^2)),    H likewise.

Since the bound moves with the values, this is no Gibbs sampler of the posterior. The
exact one is here too: given the complex components of the mixture, drawn from their
Gaussian posterior, the conditionals are GIG(a0 - N, b0, sum_n |c|^2 / h), and so forth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.factorization.nmf_updates import gradient_parts
from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.gig import sample_gig
from skvae.vaenmf.metropolis import PROPOSAL_VARIANCE, Chain
from skvae.vaenmf.model import (
    FLOOR,
    Costs,
    Noise,
    Posterior,
    count_frames,
    draw_normal,
    mean_power,
    misfit,
)
from skvae.vaenmf.moments import MaskMoments, wiener_gain
from skvae.vaenmf.reconstruction import draw


def mcmc(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    generator: torch.Generator,
    *,
    n_burn_in: int = 100,
    n_samples: int = 50,
    n_latent_steps: int = 1,
    shape: tuple[float, float] = (1.0, 1.0),
    rate: tuple[float, float | None] = (1.0, None),
    proposal_variance: float = PROPOSAL_VARIANCE,
    exact: bool = False,
    reconstruction: str = "means",
) -> Posterior:
    """Separate speech and noise by sampling.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture, in the unit of the speech prior.
    prior : SpeechPrior
        Encoder and decoder.
    noise : Noise
        Where the noise starts; it is changed, and holds the means in the end.
    generator : torch.Generator
        Source of all draws.
    n_burn_in, n_samples : int
        Sweeps that are dropped, and sweeps that are kept.
    n_latent_steps : int
        Metropolis steps of z in a sweep.
    shape : pair of float
        a0 and a1, shapes of the priors of W and H.
    rate : pair of float
        b0 and b1, their rates; None for b1 is K over the mean power of the mixture, by
        which the prior mean of the noise power is that mean.
    proposal_variance : float
        Variance of the random walk.
    exact : bool
        Draw W and H from their exact conditionals instead of the paper's.
    reconstruction : {"means", "masks"}
        One mask from the means of W, H and z, (26), or the mean of the masks.

    Returns
    -------
    Posterior
        Its history is the mean over the bins of log(V_x) + V / V_x after each sweep.
    """
    mean, log_variance = prior.first_posterior(V)
    chain = Chain(
        V, prior, draw(mean, log_variance, generator), generator, proposal_variance
    )
    K, F = noise.W.shape[-2:]
    scale = mean_power(V, noise.frames).clamp_min(FLOOR)
    b1 = K / scale[..., None, None] if rate[1] is None else V.new_tensor(rate[1])
    # Bases of the prior's size: rows that sum to F rather than to one.
    noise.W, noise.H = noise.W * F, noise.H / F
    sweep = _sweep_exact if exact else _sweep
    sums = [torch.zeros_like(part) for part in (noise.W, noise.H, chain.z)]
    moments = MaskMoments(V)
    costs = Costs(V, noise.frames)
    for iteration in range(n_burn_in + n_samples):
        sweep(V, chain.variance, noise, shape, (rate[0], b1), generator)
        chain.refresh(noise)
        for _ in range(n_latent_steps):
            chain.step()
        V_x = torch.addcmul(chain.V_b, chain.variance, noise.gain)
        costs.add(misfit(V / V_x, V_x, noise.frames))
        if iteration >= n_burn_in:
            for total, part in zip(sums, (noise.W, noise.H, chain.z), strict=True):
                total += part
            moments.add(wiener_gain(chain.variance, noise, chain.V_b))
    W, H, z = (total / n_samples for total in sums)
    noise.W, noise.H = W, H
    mask = moments.mean
    if reconstruction == "means":
        mask = wiener_gain(prior.variance(z), noise)
    return Posterior(mask, moments.std(), z, noise, costs.history())


def _sweep(
    V: Tensor,
    variance: Tensor,
    noise: Noise,
    shape: tuple[float, float],
    rate: tuple[float, Tensor],
    generator: torch.Generator,
) -> None:
    """Draw W, then H, from the paper's conditionals (21)-(22), in place."""
    speech = variance * noise.gain
    quotient, inverse = gradient_parts(V, speech + noise.power())
    H = noise.counted_H()
    noise.W = sample_gig(
        shape[0],
        rate[0] + H.mT @ inverse,
        noise.W.square() * (H.mT @ quotient),
        generator,
    ).clamp_min_(FLOOR)
    quotient, inverse = gradient_parts(V, speech + noise.power())
    noise.H = sample_gig(
        shape[1],
        rate[1] + inverse @ noise.W.mT,
        noise.H.square() * (quotient @ noise.W.mT),
        generator,
    ).clamp_min_(FLOOR)


def _sweep_exact(
    V: Tensor,
    variance: Tensor,
    noise: Noise,
    shape: tuple[float, float],
    rate: tuple[float, Tensor],
    generator: torch.Generator,
) -> None:
    """Draw W, then H, given components of the mixture that are drawn anew, in place."""
    speech = variance * noise.gain
    powers = component_powers(V, speech, noise, generator)
    # Infinite in the padding, of which nothing comes into the sums then.
    H = noise.H if noise.frames is None else noise.H / noise.frames
    columns = [h[..., None] for h in H.unbind(-1)]
    tau = torch.stack(
        [(c / h).sum(-2) for c, h in zip(powers, columns, strict=True)], -2
    )
    # The number of frames is in the exponent: each utterance has its own.
    utterances = zip(
        count_frames(V, noise.frames), tau.view(-1, *tau.shape[-2:]), strict=True
    )
    drawn = [
        sample_gig(shape[0] - n, torch.full_like(of_one, rate[0]), of_one, generator)
        for n, of_one in utterances
    ]
    noise.W = torch.stack(drawn).view(tau.shape).clamp_min_(FLOOR)
    powers = component_powers(V, speech, noise, generator)
    rows = [w[..., None, :] for w in noise.W.unbind(-2)]
    tau = torch.stack([(c / w).sum(-1) for c, w in zip(powers, rows, strict=True)], -1)
    rho = rate[1].expand_as(noise.H)
    noise.H = sample_gig(shape[1] - V.shape[-1], rho, tau, generator).clamp_min_(FLOOR)


def component_powers(
    V: Tensor, speech: Tensor, noise: Noise, generator: torch.Generator
) -> list[Tensor]:
    """Draw the powers of the noise's components from their posterior given x.

    Sources of the model are drawn without regard to x, and what their sum differs from
    it is shared out by the Wiener gains: their joint posterior, of which only the
    powers are wanted, so that the phase of x does not matter.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    speech : Tensor of shape (..., N, F)
        Variance of the speech, with the gain.
    noise : Noise
        Parameters of the noise.
    generator : torch.Generator
        Source of the draws.

    Returns
    -------
    list of Tensor, K of shape (..., N, F)
    """
    factors = zip(noise.H.unbind(-1), noise.W.unbind(-2), strict=True)
    variances = [h[..., None] * w[..., None, :] for h, w in factors]
    drawn = [_complex_normal(variance, generator) for variance in (speech, *variances)]
    V_x = speech + sum(variances)
    surplus = (V.sqrt() - sum(drawn)) / V_x
    return [
        torch.view_as_real(c + variance * surplus).square().sum(-1)
        for c, variance in zip(drawn[1:], variances, strict=True)
    ]


def _complex_normal(variance: Tensor, generator: torch.Generator) -> Tensor:
    parts = draw_normal(variance[..., None].expand(*variance.shape, 2), generator)
    return torch.view_as_complex(parts * (variance / 2).sqrt()[..., None])
