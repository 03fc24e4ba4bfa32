r"""Draws of the bases and activations of the noise, given the speech.

Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical speech
enhancement based on probabilistic integration of variational autoencoder and
non-negative matrix factorization", ICASSP 2018; equation numbers are theirs. W and H
have gamma priors of shapes a0, a1 and rates b0, b1.

The paper's conditionals of W and H, (21)-(22) (which lost fractions in print), come
from a lower bound of the likelihood that touches it at the present values: with
lambda = V_x,

    W ~ GIG(a0, b0 + H^T (1 / lambda), W^2 * H^T (V / lambda^2)),    H likewise.

The bound moves with the values, so this is no Gibbs sampler of the posterior. The exact
one is here too: given the complex components of the mixture, drawn from their Gaussian
posterior, the conditionals are GIG(a0 - N, b0, sum_n |c|^2 / h), and so forth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skvae.factorization.nmf_updates import gradient_parts
from skvae.vaenmf.draws import draw_normal
from skvae.vaenmf.gig import sample_gig
from skvae.vaenmf.mixture import FLOOR
from skvae.vaenmf.padding import count_frames, mean_power

if TYPE_CHECKING:
    from skvae.vaenmf.nmf_noise import NMF


class NMFSampler:
    """Sampler of an NMF noise, which holds the present draw until :meth:`finish`.

    Parameters
    ----------
    noise : NMF
        Noise whose factors are drawn.
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    generator : torch.Generator
        Source of the draws.
    shape : pair of float
        Shapes a0 and a1 of the priors of W and H.
    rate : pair of float
        Rates b0 and b1 of the priors; None for b1 is K over the mean power of the
        mixture, for which the prior mean of the noise power is that mean.
    exact : bool
        Whether to draw from the exact conditionals instead of the paper's.
    """

    def __init__(
        self,
        noise: NMF,
        V: Tensor,
        generator: torch.Generator,
        *,
        shape: tuple[float, float],
        rate: tuple[float, float | None],
        exact: bool,
    ):
        K, F = noise.W.shape[-2:]
        scale = mean_power(V, noise.frames).clamp_min(FLOOR)
        b1 = K / scale[..., None, None] if rate[1] is None else V.new_tensor(rate[1])
        # Bases of the prior's size: rows that sum to F rather than to one.
        noise.W, noise.H = noise.W * F, noise.H / F
        self._noise = noise
        self._V = V
        self._generator = generator
        self._shape = shape
        self._rate = rate[0], b1
        self._sweep = _sweep_exact if exact else _sweep
        self._sums = torch.zeros_like(noise.W), torch.zeros_like(noise.H)
        self._n_kept = 0

    def step(self, speech: Tensor) -> None:
        """Draw W, then H, given the variance (..., N, F) of speech with its gain."""
        self._sweep(
            self._V, speech, self._noise, self._shape, self._rate, self._generator
        )

    def keep(self) -> None:
        """Count the present draw for the means."""
        for total, part in zip(self._sums, (self._noise.W, self._noise.H), strict=True):
            total += part
        self._n_kept += 1

    def finish(self) -> None:
        """Leave the means of the kept draws in the noise."""
        self._noise.W, self._noise.H = (total / self._n_kept for total in self._sums)


def _sweep(
    V: Tensor,
    speech: Tensor,
    noise: NMF,
    shape: tuple[float, float],
    rate: tuple[float, Tensor],
    generator: torch.Generator,
) -> None:
    """Draw W, then H, from the paper's conditionals (21)-(22), in place."""
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
    speech: Tensor,
    noise: NMF,
    shape: tuple[float, float],
    rate: tuple[float, Tensor],
    generator: torch.Generator,
) -> None:
    """Draw W, then H, each given newly drawn components of the mixture, in place."""
    powers = component_powers(V, speech, noise, generator)
    # Infinite in the padding, which then adds nothing to the sums.
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
    V: Tensor, speech: Tensor, noise: NMF, generator: torch.Generator
) -> list[Tensor]:
    """Draw the powers of the noise's components from their posterior given x.

    Sources of the model are drawn without regard to x; what their sum lacks to x is
    shared out by the Wiener gains. This is their joint posterior. Only the powers are
    needed, so the phase of x does not matter.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    speech : Tensor of shape (..., N, F)
        Variance of the speech, with the gain.
    noise : NMF
        Bases and activations of the noise.
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
