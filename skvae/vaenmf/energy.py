"""Energy -log p(x, z) of the latent variables, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.mixture import sum_log


def energy_and_gradient(
    V: Tensor,
    prior: SpeechPrior,
    z: Tensor,
    V_b: Tensor,
    gain: Tensor,
    memory: Tensor,
    out: Tensor,
    *,
    prior_weight: float = 1.0,
    frames: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return the energy of each frame, its gradient by z, and the variance of speech.

    .. math:: U(z) = \sum_f \left( \log V_x + \frac{V}{V_x} \right)
        - w \log p(z), \quad V_x = g \sigma_f^2(z) + V_b

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Decoder and prior of z.
    z : Tensor of shape (..., N, L)
        Latent variables.
    V_b : Tensor of shape (..., N, F)
        Power of the noise.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
    memory : Tensor of shape (3, ..., N, F)
        Overwritten.
    out : Tensor of shape (..., N, F)
        Memory for the speech variance of z, without the gain.
    prior_weight : float
        Weight w of the prior.
    frames : Tensor of shape (B, N, 1), default=None
        Frames that count, in a padded batch; the others have no part in the gradient.

    Returns
    -------
    energy : Tensor of shape (..., N)
        Terms of the frames, whose sum is the energy of the sequence.
    gradient : Tensor of shape (..., N, L)
        Gradient of that sum.

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1)
    >>> prior = SpeechPrior(lambda power: (power, power), lambda z: z)
    >>> memory = torch.empty(3, 1, 1)
    >>> energy_and_gradient(2 * one, prior, 0 * one, one, one, memory, one.clone())
    (tensor([1.6931]), tensor([[0.]]))
    """
    V_x, ratio, by_o = memory
    speech, pullback = prior.variance_and_pullback(z, out=out)
    torch.mul(speech, gain, out=by_o)
    torch.add(V_b, by_o, out=V_x)
    torch.div(V, V_x, out=ratio)
    # d(log V_x + V / V_x) / do = g sigma^2 / V_x (1 - V / V_x), with o = log sigma^2
    by_o.div_(V_x)
    energy = ratio.sum(-1) + sum_log(V_x) + prior_weight * prior.neg_log_prob(z)
    by_o.mul_(ratio.neg_().add_(1))
    if frames is not None:
        by_o.mul_(frames)
    return energy, pullback(by_o) + prior_weight * prior.gradient(z)
