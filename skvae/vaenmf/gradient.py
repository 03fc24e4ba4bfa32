r"""Variational EM with free posterior parameters, found by gradient ascent.

Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020; equation numbers are theirs. Each
frame has the parameters (a, b) of q(z) = N(a, exp(b)), which Adam moves along the
gradient of the evidence lower bound (14); between its steps W and H are updated by
(15)-(16), their expectations over draws from q. The prior of z is N(mu, s^2): the
standard one, (2), unless the speech prior holds another one, that of the denoising
encoder, (9). Either of the two may be held: then only the other one is updated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.model import (
    Costs,
    Noise,
    Posterior,
    misfit,
    total,
    update_noise,
    workspace,
)
from skvae.vaenmf.moments import MaskMoments
from skvae.vaenmf.reconstruction import draw, latent_wiener

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
    hold: str | None = None,
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
        Encoder and decoder, and the prior of z.
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
    hold : {"latent", "noise"} or None
        What stays where it starts: q(z), or W, H and the gain.
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
    adam = _Adam((mean, log_variance), learning_rate)
    variances, memory = V.new_empty(n_samples, *V.shape), workspace(V)
    costs = Costs(V, noise.frames, tol)
    for _ in range(n_iter):
        cost, gradients = _lower_bound(
            V,
            prior,
            noise,
            mean,
            log_variance,
            prior_weight,
            generator,
            variances,
            memory,
            with_gradients=hold != "latent",
        )
        converged = costs.add(cost)
        if hold != "latent":
            adam.step(gradients)
        if hold != "noise":
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


class _Adam:
    """Steps against a gradient, in place (Kingma and Ba, 2015)."""

    def __init__(self, parameters: tuple[Tensor, ...], learning_rate: float):
        self._parameters = parameters
        self._learning_rate = learning_rate
        self._moments = [
            (torch.zeros_like(part), torch.zeros_like(part)) for part in parameters
        ]
        self._n_steps = 0

    def step(self, gradients: tuple[Tensor, ...]) -> None:
        self._n_steps += 1
        for parameter, gradient, (first, second) in zip(
            self._parameters, gradients, self._moments, strict=True
        ):
            first.lerp_(gradient, 1 - _BETA1)
            second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
            scale = (second / (1 - _BETA2**self._n_steps)).sqrt_().add_(_ADAM_EPS)
            step = self._learning_rate / (1 - _BETA1**self._n_steps)
            parameter.addcdiv_(first, scale, value=-step)


def _lower_bound(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    mean: Tensor,
    log_variance: Tensor,
    prior_weight: float,
    generator: torch.Generator,
    variances: Tensor,
    memory: Tensor,
    with_gradients: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Negative bound, and its gradient by (a, b) if wanted; variances of the draws.

    The gradient is that of the sum over a frame's bins, so that a frame's steps do not
    depend on how many others there are.
    """
    n_samples = len(variances)
    V_b = noise.power(out=memory[0])
    deviation = (0.5 * log_variance).exp()
    prior_mean, prior_variance = prior.latent or (0.0, 1.0)
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
        if with_gradients:
            speech, pullback = prior.variance_and_pullback(z, out=variance_of_draw)
        else:
            speech = prior.variance(z, out=variance_of_draw)
            if speech is not variance_of_draw:
                variance_of_draw.copy_(speech)
        torch.mul(speech, noise.gain, out=by_o)
        torch.add(V_b, by_o, out=V_x)
        torch.div(V, V_x, out=ratio)
        # d(log V_x + V / V_x) / do = g sigma^2 / V_x (1 - V / V_x)
        by_o.div_(V_x)
        cost += misfit(ratio, V_x, frames) / n_samples
        if with_gradients:
            by_o.mul_(ratio.neg_().add_(1))
            by_z = pullback(by_o)
            by_mean += by_z / n_samples
            # dz/db = (z - a) / 2
            by_log_variance += by_z * (z - mean) * (0.5 / n_samples)
    return cost, (by_mean, by_log_variance)
