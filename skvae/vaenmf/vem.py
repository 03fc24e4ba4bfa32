r"""Variational EM that reuses the encoder as the posterior of z.

M. Pariente, A. Deleforge and E. Vincent, "A statistically principled and
computationally efficient approach to speech enhancement using variational
autoencoders", INTERSPEECH 2019; equation numbers are theirs. (18) lacks the factor 1/D,
which is here. (24)-(25) condition on all bins of a frame.

Beyond the paper, as options:

* `encoder_input`: the encoder was trained on periodograms, but (21) feeds it an
  expected power. An encoder that reads logarithms is fed 2.5 dB too much by it wherever
  the posterior is wide, at every iteration; "log-expectation" feeds exp(E[log |s|^2])
  instead, which for complex Gaussian s is |mu|^2 exp(E_1(|mu|^2 / Sigma)).
* `with_gain`: a gain of each frame, by its maximum of the same bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skvae.factorization.nmf_updates import gradient_parts, update_H, update_W
from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.model import FLOOR, Costs, Noise, Posterior, normalise, sum_log, total
from skvae.vaenmf.moments import MaskMoments
from skvae.vaenmf.reconstruction import (
    draw,
    latent_wiener,
    metropolis_wiener,
)


def vem(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    generator: torch.Generator,
    *,
    n_iter: int = 100,
    n_samples: int = 1,
    covariance: bool = True,
    encoder_input: str = "power",
    guidance: float = 0.0,
    reconstruction: str = "mh",
    exponent: float = 1.0,
    smoothing: int = 1,
    with_gain: bool = False,
    tol: float = 0.0,
) -> Posterior:
    """Separate speech and noise by variational EM.

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
        Iterations.
    n_samples : int
        D, draws of z for the expectation (18).
    covariance : bool
        Whether the encoder's input holds Sigma_ss; without it this is the paper's
        "Heuristic".
    encoder_input : {"power", "log-expectation"}
        (21), or see above.
    guidance : float
        Exponent, in a geometric mean with the encoder's input, of the power that the
        latent variables start from, where there is one.
    reconstruction : {"mh", "s", "z"}
        MH-Wiener, S-Wiener or Z-Wiener.
    exponent : float
        Of the updates (22)-(23): 1 in the paper.
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
        Its history is the mean over the bins of log(V_x) + V / V_x with the speech
        variance gamma^2.
    """
    mean, log_variance = prior.first_posterior(V)
    inverse_gamma, V_b, *E, power, noise_power = V.new_empty(7, *V.shape)
    mask, mean_power, covariance_ss = E
    parts = V.new_empty(2, *V.shape)
    costs = Costs(V, noise.frames, tol)
    guiding = None
    if prior.guided is not None and guidance > 0:
        guiding = prior.guided.clamp_min(FLOOR).pow_(guidance)
    for _ in range(n_iter):
        # E-(s, n): (16)-(18)
        _inverse_gamma(prior, mean, log_variance, n_samples, generator, inverse_gamma)
        if with_gain:
            inverse_gamma /= noise.gain
        noise.power(out=V_b)
        source_posterior(V, inverse_gamma, V_b, out=E)
        cost = _cost(V, inverse_gamma, mask, noise.frames, out=(power, noise_power))
        converged = costs.add(cost)
        # E-z: (21)
        if not covariance:
            power.copy_(mean_power)
        elif encoder_input == "power":
            torch.add(mean_power, covariance_ss, out=power)
        else:
            expected_log = exp_expected_log(torch.div(mean_power, covariance_ss))
            torch.mul(covariance_ss, expected_log, out=power)
        if with_gain:
            expected = torch.add(mean_power, covariance_ss).mul_(inverse_gamma)
            noise.gain = (noise.gain * expected.mean(-1, keepdim=True)).clamp_(
                FLOOR, 1 / FLOOR
            )
            power /= noise.gain
        if guiding is not None:
            power.pow_(1 - guidance).mul_(guiding)
        mean, log_variance = prior.encode(power)
        # M: (22) then (23), with V = |mu_n|^2 + Sigma_nn
        torch.sub(1, mask, out=noise_power).square_().mul_(V).add_(covariance_ss)
        gradient_parts(noise_power, V_b, out=parts)
        noise.H = update_H(noise.H, noise.W, parts, exponent)
        gradient_parts(noise_power, noise.power(out=V_b), out=parts)
        noise.W = update_W(noise.W, noise.counted_H(), parts, exponent)
        normalise(noise, smoothing)
        if converged:
            break
    if reconstruction == "s":
        _inverse_gamma(prior, mean, log_variance, n_samples, generator, inverse_gamma)
        inverse_gamma /= noise.gain
        source_posterior(V, inverse_gamma, noise.power(out=V_b), out=E)
        return Posterior(mask.clone(), None, mean, noise, costs.history())
    moments: MaskMoments
    if reconstruction == "mh":
        moments = metropolis_wiener(V, prior, mean, noise, generator)
    else:
        moments = latent_wiener(prior, mean, log_variance, noise, generator)
    return Posterior(moments.mean, moments.std(), mean, noise, costs.history())


def source_posterior(
    V: Tensor, inverse_gamma: Tensor, V_b: Tensor, out: Sequence[Tensor] | None = None
) -> Sequence[Tensor]:
    """Posterior of speech and noise given z: (16)-(17).

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    inverse_gamma : Tensor of shape (..., N, F)
        1 / gamma^2.
    V_b : Tensor of shape (..., N, F)
        Power of the noise.
    out : three Tensor of shape (..., N, F), default=None
        Where the results go.

    Returns
    -------
    mask : Tensor of shape (..., N, F)
        gamma^2 / (gamma^2 + V_b), by which the mean of s is x times it.
    mean_power : Tensor of shape (..., N, F)
        |mu_s|^2.
    covariance : Tensor of shape (..., N, F)
        Sigma_ss, which is Sigma_nn too.
    """
    mask, mean_power, covariance = V.new_empty(3, *V.shape) if out is None else out
    torch.mul(V_b, inverse_gamma, out=mask).add_(1).reciprocal_()
    torch.mul(mask, mask, out=mean_power).mul_(V)
    torch.mul(mask, V_b, out=covariance)
    return mask, mean_power, covariance


def _inverse_gamma(
    prior: SpeechPrior,
    mean: Tensor,
    log_variance: Tensor,
    n_samples: int,
    generator: torch.Generator,
    out: Tensor,
) -> None:
    """1 / gamma^2 = E[1 / sigma^2(z)] by draws from r(z): (18) with its 1/D."""
    for d in range(n_samples):
        z = draw(mean, log_variance, generator)
        if d == 0:
            inverse = prior.log_variance(z, out=out).neg_().exp_()
            if inverse is not out:
                out.copy_(inverse)
        else:
            out += prior.log_variance(z).neg_().exp_()
    if n_samples > 1:
        out /= n_samples


def _cost(
    V: Tensor,
    inverse_gamma: Tensor,
    mask: Tensor,
    frames: Tensor | None,
    out: tuple[Tensor, Tensor],
) -> Tensor:
    """Sum of log V_x + V / V_x with V_x = gamma^2 / mask."""
    inverse, ratio = out
    torch.mul(inverse_gamma, mask, out=inverse)
    torch.mul(V, inverse, out=ratio)
    return total(ratio, frames) - total(sum_log(inverse)[..., None], frames)


def exp_expected_log(k: Tensor) -> Tensor:
    r"""exp(E[log |s|^2]) of complex Gaussian s with |mean|^2 = k and variance 1.

    It is :math:`k \exp(E_1(k))`, which goes from :math:`e^{-\gamma}` at 0 to k.

    Parameters
    ----------
    k : Tensor
        Not negative.

    Returns
    -------
    Tensor
        Accurate to 1e-6 of its value in float64 (the rational approximation 5.1.56 of
        Abramowitz and Stegun above 1, the series of E_1(k) + log(k) below).

    Examples
    --------
    >>> import torch
    >>> exp_expected_log(torch.tensor([0.0, 1.0, 100.0])).round(decimals=4)
    tensor([  0.5615,   1.2453, 100.0000])
    """
    small = k.clamp(max=1.0)
    # E_1(k) + log(k) = -gamma + k - k^2/4 + k^3/18 - ...
    series = _horner(small, _E1_SERIES)
    large = k.clamp(min=1.0)
    fraction = _horner(large, _E1_NUMERATOR) / _horner(large, _E1_DENOMINATOR)
    tail = large * (fraction * (-large).exp() / large).exp()
    return torch.where(k < 1, series.exp(), tail)


def _horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Polynomial, highest power first."""
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value.mul_(x).add_(coefficient)
    return value


#: (-1)^(n+1) / (n n!) for n = 9 ... 1, then -gamma (Abramowitz and Stegun, 5.1.11).
_E1_SERIES = (
    1 / (9 * 362880),
    -1 / (8 * 40320),
    1 / (7 * 5040),
    -1 / (6 * 720),
    1 / (5 * 120),
    -1 / (4 * 24),
    1 / (3 * 6),
    -1 / (2 * 2),
    1.0,
    -0.5772156649015329,
)
#: k e^k E_1(k) for k >= 1 (Abramowitz and Stegun, 5.1.56).
_E1_NUMERATOR = (
    1.0,
    8.5733287401,
    18.0590169730,
    8.6347608925,
    0.2677737343,
)
_E1_DENOMINATOR = (
    1.0,
    9.5733223454,
    25.6329561486,
    21.0996530827,
    3.9584969228,
)
