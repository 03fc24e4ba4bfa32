r"""The model of the mixture, its cost, and the gain of the speech.

Each bin of the mixture is complex Gaussian,

.. math:: x_{nf} \sim N_c(0, V_x), \quad V_x = g_n \sigma_f^2(z_n) + V_b

with the speech variance of Y. Bando et al., "Statistical speech enhancement based on
probabilistic integration of variational autoencoder and non-negative matrix
factorization", ICASSP 2018, and the gain of S. Leglaive, L. Girin and R. Horaud, "A
variance modeling framework based on variational autoencoders for speech enhancement",
MLSP 2018. The power V_b of the noise comes from a noise model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skvae.vaenmf.padding import count_frames, total

#: Least power of the noise, and least gain, in the unit of the mixture's mean power:
#: divisions by their squares are finite in float32.
FLOOR = 1e-10


def workspace(V: Tensor) -> Tensor:
    """Allocate memory for updates, shape (4, ..., N, F)."""
    return V.new_empty(4, *V.shape)


def sum_log(x: Tensor) -> Tensor:
    """Sum logarithms over the bins, for half the price of taking all of them.

    The logarithm of a product of two is one logarithm; powers of the model, and their
    inverses, are so far from the ends of the range of float32 that it is finite.

    Parameters
    ----------
    x : Tensor of shape (..., N, F)
        Positive numbers, which are overwritten.

    Returns
    -------
    Tensor of shape (..., N)

    Examples
    --------
    >>> import torch
    >>> sum_log(torch.ones(2, 3))
    tensor([0., 0.])
    """
    half = x.shape[-1] // 2
    logs = x[..., :half].mul_(x[..., half : 2 * half]).log_().sum(-1)
    return logs + x[..., -1].log() if x.shape[-1] % 2 else logs


def misfit(ratio: Tensor, V_x: Tensor, frames: Tensor | None) -> Tensor:
    """Sum V / V_x + log V_x, the negative log-likelihood of each utterance.

    Parameters
    ----------
    ratio : Tensor of shape (..., N, F)
        V / V_x.
    V_x : Tensor of shape (..., N, F)
        Model of the mixture, which is overwritten.
    frames : Tensor of shape (B, N, 1) or None
        Frames that count; see :mod:`skvae.vaenmf.padding`.

    Returns
    -------
    Tensor of shape () or (B,)

    Examples
    --------
    >>> import torch
    >>> misfit(torch.full((2, 3), 0.5), torch.ones(2, 3), None)
    tensor(3.)
    """
    return total(ratio, frames) + total(sum_log(V_x)[..., None], frames)


def mixture_parts(
    V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
) -> Tensor:
    r"""Sum V / V_x^2 and 1 / V_x over draws of the speech variance.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    variances : sequence of Tensor, each of shape (..., N, F)
        Speech variance of each draw, without the gain.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
    memory : Tensor of shape (4, ..., N, F)
        Its first part holds the power of the noise; the others are overwritten.

    Returns
    -------
    Tensor of shape (2, ..., N, F)
        :math:`\sum_r V / V_{x,r}^2` and :math:`\sum_r 1 / V_{x,r}`, a part of `memory`.
    """
    V_b, inverse = memory[:2]
    parts = memory[2:]
    quotients, inverses = parts
    for r, variance in enumerate(variances):
        torch.addcmul(V_b, variance, gain, out=inverse).reciprocal_()
        if r == 0:
            inverses.copy_(inverse)
            torch.mul(inverse, inverse, out=quotients)
        else:
            inverses += inverse
            quotients.addcmul_(inverse, inverse)
    quotients *= V
    return parts


def update_gain(
    V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
) -> Tensor:
    r"""Return the gain after a majorize-minimize step, which never increases the cost.

    .. math:: g_t \leftarrow g_t \left[ \frac{\sum_f V \sum_r \sigma_r^2 / V_{x,r}^2}
        {\sum_f \sum_r \sigma_r^2 / V_{x,r}} \right]^{1/2}

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    variances : sequence of Tensor, each of shape (..., N, F)
        Speech variance of each draw, without the gain.
    gain : Tensor of shape (..., N, 1)
        Gain before the step.
    memory : Tensor of shape (4, ..., N, F)
        Its first part holds the power of the noise; the others are overwritten.

    Returns
    -------
    Tensor of shape (..., N, 1)
    """
    V_b, inverse, share, _ = memory
    numerator, denominator = torch.zeros_like(gain), torch.zeros_like(gain)
    for variance in variances:
        torch.addcmul(V_b, variance, gain, out=inverse).reciprocal_()
        torch.mul(variance, inverse, out=share)
        denominator += share.sum(-1, keepdim=True)
        share *= inverse
        numerator += share.mul_(V).sum(-1, keepdim=True)
    ratio = (numerator + FLOOR) / (denominator + FLOOR)
    return bounded_gain(gain * ratio**0.5)


def bounded_gain(gain: Tensor) -> Tensor:
    """Keep a gain within [FLOOR, 1 / FLOOR], in place."""
    return gain.clamp_(FLOOR, 1 / FLOOR)


class Costs:
    """Costs per bin after each iteration, and whether they have settled.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    frames : Tensor of shape (B, N, 1) or None
        Frames that count; see :mod:`skvae.vaenmf.padding`.
    tol : float
        Iterations end at a change below it; zero means never.
    n_draws : int
        Number of draws that a cost is the sum over.

    Examples
    --------
    >>> import torch
    >>> costs = Costs(torch.ones(1, 2), None, tol=0.1)
    >>> [costs.add(torch.tensor(value)) for value in (8.0, 9.0, 9.125)]
    [False, False, True]
    >>> costs.history()
    [4.0, 4.5, 4.5625]
    """

    def __init__(
        self, V: Tensor, frames: Tensor | None, tol: float = 0.0, n_draws: int = 1
    ):
        counts = torch.tensor(count_frames(V, frames)) * (V.shape[-1] * n_draws)
        self._n_bins = counts.view(V.shape[:-2])
        self._tol = tol
        self._totals: list[Tensor] = []

    def add(self, total: Tensor) -> bool:
        """Add a cost, summed over the bins; return whether it has settled.

        In a batch, the costs of all utterances must have settled.
        """
        self._totals.append(total)
        if self._tol == 0 or len(self._totals) == 1:
            return False  # without waiting for a GPU
        before, now = (value.cpu().double() for value in self._totals[-2:])
        return bool((abs(now / self._n_bins - before / self._n_bins) < self._tol).all())

    def history(self) -> list[Any]:
        """Return the costs: a list, or in a batch a list of each utterance."""
        totals = torch.stack(self._totals, -1).cpu().double()
        return (totals / self._n_bins[..., None]).tolist()
