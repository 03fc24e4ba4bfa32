r"""Variational EM with free posterior parameters, found by gradient ascent.

Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020; equation numbers are theirs. Each
frame has the parameters (a, b) of q(z) = N(a, exp(b)), which Adam moves along the
gradient of the evidence lower bound (14); between its steps W and H are updated by
(15)-(16), their expectations over draws from q. The prior of z is N(mu, s^2): the
standard one, (2), unless the encoder's output is passed, (9).
"""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.algorithms.vaenmf.masks import MaskMoments
from skvae.algorithms.vaenmf.model import (
    Costs,
    Noise,
    Posterior,
    SpeechPrior,
    misfit,
    total,
    update_noise,
    workspace,
)
from skvae.algorithms.vaenmf.reconstruction import draw, latent_wiener

#: Adam's decay rates and its guard against division by zero (Kingma and Ba, 2015).
_BETA1, _BETA2, _ADAM_EPS = 0.9, 0.999, 1e-8


def gradient_vem(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    generator: torch.Generator,
    *,
    n_iter: int = 200,
    learning_rate: float = 0.2,
    n_samples: int = 1,
    n_draws: int = 10,
    prior_weight: float = 1.0,
    latent_prior: tuple[Tensor, Tensor] | None = None,
    exponent: float = 0.5,
    smoothing: int = 1,
    with_gain: bool = False,
    tol: float = 0.0,
) -> Posterior:
    """Separate speech and noise by gradient steps in q(z) and updates of the noise.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture, in the unit of the speech prior.
    prior : SpeechPrior
        Encoder and decoder.
    noise : Noise
        Where the noise starts; it is changed.
    generator : torch.Generator
        Source of all draws.
    n_iter : int
        Alternations of an Adam step and an update of the noise.
    learning_rate : float
        Of Adam.
    n_samples : int
        Draws from q for a gradient, and for the update of the noise that follows.
    n_draws : int
        Draws from q for the mask.
    prior_weight : float
        Weight of the divergence between q and the prior: 1 is the lower bound.
    latent_prior : pair of Tensor of shape (..., N, L), default=None
        Mean and variance of the prior of z; None means 0 and 1.
    exponent : float
        Of the updates of the noise.
    smoothing : int
        Bins over which the bases of the noise are smoothed.
    with_gain : bool
        Whether each frame has a gain.
    tol : float
        Iterations end when the cost changes by less than this, up or down: that of
        each utterance where there are several.

    Returns
    -------
    Posterior
        Its history is the negative lower bound (14) per bin, up to a constant, with
        the draws that were at hand.
    """
    mean, log_variance = (part.clone() for part in prior.first_posterior(V))
    moments = [torch.zeros_like(part) for part in (mean, mean, mean, mean)]
    variances, memory = V.new_empty(n_samples, *V.shape), workspace(V)
    costs = Costs(V, noise.frames, tol)
    for iteration in range(1, n_iter + 1):
        cost, gradients = _lower_bound(
            V,
            prior,
            noise,
            mean,
            log_variance,
            prior_weight,
            latent_prior,
            generator,
            variances,
            memory,
        )
        converged = costs.add(cost)
        for k, parameter in enumerate((mean, log_variance)):
            first, second = moments[2 * k], moments[2 * k + 1]
            first.lerp_(gradients[k], 1 - _BETA1)
            second.mul_(_BETA2).addcmul_(gradients[k], gradients[k], value=1 - _BETA2)
            scale = (second / (1 - _BETA2**iteration)).sqrt_().add_(_ADAM_EPS)
            step = learning_rate / (1 - _BETA1**iteration)
            parameter.addcdiv_(first, scale, value=-step)
        update_noise(
            V,
            list(variances),
            noise,
            exponent=exponent,
            smoothing=smoothing,
            with_gain=with_gain,
            memory=memory,
        )
        if converged:
            break
    found: MaskMoments = latent_wiener(
        prior, mean, log_variance, noise, generator, n_draws=n_draws
    )
    return Posterior(found.mean, found.std(), mean, noise, costs.history())


def _lower_bound(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    mean: Tensor,
    log_variance: Tensor,
    prior_weight: float,
    latent_prior: tuple[Tensor, Tensor] | None,
    generator: torch.Generator,
    variances: Tensor,
    memory: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Negative bound and its gradient by (a, b); variances of the draws.

    The gradient is that of the sum over a frame's bins, so that a frame's steps do not
    depend on how many others there are.
    """
    n_samples = len(variances)
    V_b = noise.power(out=memory[0])
    deviation = (0.5 * log_variance).exp()
    prior_mean, prior_variance = latent_prior or (0.0, 1.0)
    variance = deviation.square()
    offset = mean - prior_mean
    # KL(N(a, exp b) || N(mu, s^2)), its values and its gradients.
    divergence = 0.5 * ((variance + offset.square()) / prior_variance - log_variance)
    by_mean = prior_weight * offset / prior_variance
    by_log_variance = prior_weight * 0.5 * (variance / prior_variance - 1)
    frames = noise.frames
    cost = prior_weight * total(divergence, frames)
    V_x, ratio, by_o = memory[1:]
    for variance_of_draw in variances:
        z = draw(mean, log_variance, generator)
        speech, pullback = prior.variance_and_pullback(z, out=variance_of_draw)
        torch.mul(speech, noise.gain, out=by_o)
        torch.add(V_b, by_o, out=V_x)
        torch.div(V, V_x, out=ratio)
        # d(log V_x + V / V_x) / do = g sigma^2 / V_x (1 - V / V_x)
        by_o.div_(V_x)
        cost += misfit(ratio, V_x, frames) / n_samples
        by_o.mul_(ratio.neg_().add_(1))
        by_z = pullback(by_o)
        by_mean += by_z / n_samples
        # dz/db = (z - a) / 2
        by_log_variance += by_z * (z - mean) * (0.5 / n_samples)
    return cost, (by_mean, by_log_variance)
