r"""Draws from generalized inverse Gaussian distributions, all at once.

.. math:: p(x) \propto x^{\gamma - 1} \exp(-\rho x - \tau / x), \qquad x > 0

The logarithm of a draw has a log-concave density. L. Devroye, "Random variate
generation for the generalized inverse Gaussian distribution", Statistics and Computing
24(2), 2014, covers it by a constant between two exponential tails: a rejection whose
acceptance has a lower bound for all parameters at once. Here it runs on arrays, again
and again for what was rejected.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sample_gig(
    gamma: float, rho: Tensor, tau: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw once for each pair of parameters.

    Parameters
    ----------
    gamma : float
        Exponent, the same for all.
    rho : Tensor
        Rate of x. Positive, or at least not negative where `gamma` is negative.
    tau : Tensor of the same shape
        Rate of 1 / x. Positive, or at least not negative where `gamma` is positive:
        at zero this is the gamma distribution.
    generator : torch.Generator
        Source of the draws, on the CPU.

    Returns
    -------
    Tensor of the shape of `rho`
        Positive; drawn in float64, whatever the dtype of `rho`.

    Examples
    --------
    >>> import torch
    >>> rho, tau = torch.full((2, 1000), 2.0), torch.tensor([[0.0], [3.0]])
    >>> x = sample_gig(1.0, rho, tau.expand(2, 1000), torch.Generator().manual_seed(0))
    >>> round(x[0].mean().item(), 1)  # that of the gamma distribution: 1 / 2
    0.5
    """
    if gamma < 0:
        return 1 / sample_gig(-gamma, tau, rho, generator)
    shape, dtype, device = rho.shape, rho.dtype, rho.device
    rho, tau = rho.double().cpu().reshape(-1), tau.double().cpu().reshape(-1)
    # Two rates or one scale and one shape, omega; nothing is divided by tau.
    omega_squared = 4 * rho * tau
    root = (omega_squared + gamma**2).sqrt()
    scale = (root + gamma) / (2 * rho)
    # sqrt(omega^2 + gamma^2) - gamma, without the cancellation.
    alpha = omega_squared / (root + gamma)
    x = scale * _sample_log(gamma, alpha, generator).exp()
    return x.reshape(shape).to(device, dtype)


def _psi(x: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    """Log-density of the centred logarithm: psi of Devroye, Section 3."""
    # cosh(x) - 1 = 2 sinh(x / 2)^2 does not cancel near the mode.
    return -2 * alpha * torch.sinh(x / 2).square() - gamma * (torch.expm1(x) - x)


def _psi_slope(x: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    return -alpha * torch.sinh(x) - gamma * torch.expm1(x)


def _hat(alpha: Tensor, gamma: float) -> Tensor:
    """Rows alpha, t, s, eta, zeta, theta, xi and, from them, what proposals need."""
    one = torch.ones_like(alpha)
    drop = -_psi(one, alpha, gamma)
    t = torch.where(
        drop > 2,
        (2 / (alpha + gamma)).sqrt_(),
        torch.where(drop < 0.5, (4 / (alpha + 2 * gamma)).log_(), one),
    )
    drop = -_psi(-one, alpha, gamma)
    wide = torch.log1p(1 / alpha + (1 / alpha.square() + 2 / alpha).sqrt_())
    if gamma > 0:
        wide = wide.clamp_(max=1 / gamma)
    s = torch.where(
        drop > 2,
        (4 / (alpha * math.cosh(1) + gamma)).sqrt_(),
        torch.where(drop < 0.5, wide, one),
    )
    eta, zeta = -_psi(t, alpha, gamma), -_psi_slope(t, alpha, gamma)
    theta, xi = -_psi(-s, alpha, gamma), _psi_slope(-s, alpha, gamma)
    p, r = 1 / xi, 1 / zeta
    right, left = t - r * eta, s - p * theta
    q = right + left
    return torch.stack([alpha, t, s, eta, zeta, theta, xi, p, r, right, left, q])


def _sample_log(gamma: float, alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Draws of the centred logarithm by rejection, shape of `alpha`."""
    hat = _hat(alpha, gamma)
    drawn, accepted = _propose(gamma, hat, generator)
    waiting = (~accepted).nonzero().squeeze(1)
    while len(waiting):
        hat = hat[:, ~accepted]
        x, accepted = _propose(gamma, hat, generator)
        drawn[waiting[accepted]] = x[accepted]
        waiting = waiting[~accepted]
    return drawn


def _propose(
    gamma: float, hat: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    alpha, t, s, eta, zeta, theta, xi, p, r, right, left, q = hat
    u, v, w = torch.rand(
        3, len(alpha), generator=generator, dtype=torch.float64
    ).clamp_min_(torch.finfo(torch.float64).tiny)
    place = u * (p + q + r)
    log_v = v.log()
    in_tails = torch.where(place < q + r, right - r * log_v, p * log_v - left)
    x = torch.where(place < q, q * v - left, in_tails)
    above = torch.where(x > right, -eta - zeta * (x - t), 0.0)
    log_hat = torch.where(x < -left, -theta + xi * (x + s), above)
    return x, w.log_() + log_hat <= _psi(x, alpha, gamma)
