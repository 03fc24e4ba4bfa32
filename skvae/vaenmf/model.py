"""The VAE-NMF model: its parameters, its cost, and the updates of its noise.

Y. Bando et al., "Statistical speech enhancement based on probabilistic integration of
variational autoencoder and non-negative matrix factorization", ICASSP 2018 [the model,
without the gain]. S. Leglaive, L. Girin and R. Horaud, "A variance modeling framework
based on variational autoencoders for speech enhancement", MLSP 2018 [the gain].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skvae.factorization.nmf_updates import gradient_parts, update_H, update_W

#: Least power of the noise, and least gain, in the unit of the mixture's mean power:
#: divisions by their squares are finite in float32.
FLOOR = 1e-10


@dataclass
class Noise:
    """Parameters of the noise, and the gain of the speech.

    Attributes
    ----------
    W : Tensor of shape (..., K, F)
        Bases; each sums to one.
    H : Tensor of shape (..., N, K)
        Activations.
    gain : Tensor of shape (..., N, 1)
        Gain of each frame.
    frames : Tensor of shape (B, N, 1), or None
        One for the frames of padded utterances and zero for their padding; None where
        there is none.
    """

    W: Tensor
    H: Tensor
    gain: Tensor
    frames: Tensor | None = None

    def power(self, out: Tensor | None = None) -> Tensor:
        """Noise power, H W, shape (..., N, F), in `out` if that is given."""
        return torch.matmul(self.H, self.W, out=out).clamp_min_(FLOOR)

    def counted_H(self) -> Tensor:
        """Activations (..., N, K), zero in the padding: it counts for no base."""
        return self.H if self.frames is None else self.H * self.frames


@dataclass
class Posterior:
    """What an inference found.

    Attributes
    ----------
    mask : Tensor of shape (..., N, F)
        Posterior mean of the Wiener gain.
    mask_std : Tensor of shape (..., N, F), or None
        Its posterior standard deviation.
    z : Tensor of shape (..., N, L)
        Latent variables: mean, or last draw.
    noise : Noise
        Parameters of the noise, and gains.
    history : list of float, or for each utterance one
        Cost after each iteration; which one, the inference says.
    """

    mask: Tensor
    mask_std: Tensor | None
    z: Tensor
    noise: Noise
    history: list[Any] = field(default_factory=list)


class Costs:
    """Costs per bin, one iteration after another, and whether to go on.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    frames : Tensor of shape (B, N, 1) or None
        Those that count, as in :class:`Noise`.
    tol : float
        A change by less than this is the end; zero means never.
    n_samples : int
        How many draws a cost is the sum over.

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
        self, V: Tensor, frames: Tensor | None, tol: float = 0.0, n_samples: int = 1
    ):
        counts = torch.tensor(count_frames(V, frames)) * (V.shape[-1] * n_samples)
        self._n_bins = counts.view(V.shape[:-2])
        self._tol = tol
        self._totals: list[Tensor] = []

    def add(self, total: Tensor) -> bool:
        """Add a cost, summed over the bins; true if it hardly changed any more.

        Where there are several utterances, that of each must not.
        """
        self._totals.append(total)
        if self._tol == 0 or len(self._totals) == 1:
            return False  # without asking a GPU
        before, now = (value.cpu().double() for value in self._totals[-2:])
        return bool((abs(now / self._n_bins - before / self._n_bins) < self._tol).all())

    def history(self) -> list[Any]:
        """The costs, a list for each utterance where there are several."""
        totals = torch.stack(self._totals, -1).cpu().double()
        return (totals / self._n_bins[..., None]).tolist()


def total(x: Tensor, frames: Tensor | None) -> Tensor:
    """Sum over the frames that count, of each utterance.

    Parameters
    ----------
    x : Tensor of shape (..., N, D)
        Finite in the padding too.
    frames : Tensor of shape (B, N, 1) or None
        As in :class:`Noise`.

    Returns
    -------
    Tensor of shape () or (B,)

    Examples
    --------
    >>> import torch
    >>> total(torch.ones(1, 3, 2), torch.tensor([[[1.0], [1.0], [0.0]]]))
    tensor([4.])
    """
    if frames is None:
        return x.sum()
    return (x.sum(-1, keepdim=True) * frames).sum((-2, -1))


def count_frames(V: Tensor, frames: Tensor | None) -> list[int]:
    """Numbers of frames that count, of each utterance or of the one that there is."""
    if frames is None:
        return [V.shape[-2]]
    return [int(n) for n in frames.sum((-2, -1)).tolist()]


def mean_power(V: Tensor, frames: Tensor | None) -> Tensor:
    """Mean of V (..., N, F) over the bins that count, shape () or (B,)."""
    if frames is None:
        return V.mean()
    return total(V, frames) / (frames.sum((-2, -1)) * V.shape[-1])


def draw_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers, of the shape and the kind of a tensor.

    Parameters
    ----------
    like : Tensor of any shape
    generator : torch.Generator
        The draws are made on its device.

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> draw_normal(torch.empty(2, 3), torch.Generator()).shape
    torch.Size([2, 3])
    """
    drawn = torch.randn(
        like.shape, generator=generator, dtype=like.dtype, device=generator.device
    )
    return drawn.to(like.device)


def initial_noise(
    V: Tensor,
    n_components: int,
    generator: torch.Generator,
    W: Tensor | None = None,
    frames: Tensor | None = None,
) -> Noise:
    """Noise to start from: random, with the power of the mixture.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    n_components : int
        K, where `W` does not say it.
    generator : torch.Generator
        Source of W and H.
    W : Tensor of shape (..., K, F), default=None
        Bases to start from instead.
    frames : Tensor of shape (B, N, 1), default=None
        Those that count, as in :class:`Noise`.

    Returns
    -------
    Noise
        With gains of one.

    Examples
    --------
    >>> import torch
    >>> V = torch.full((4, 3), 2.0)
    >>> noise = initial_noise(V, 5, torch.Generator().manual_seed(0))
    >>> noise.W.shape, noise.H.shape
    (torch.Size([5, 3]), torch.Size([4, 5]))
    >>> round(noise.power().mean().item(), 4)
    2.0
    """
    if W is None:
        W = _uniform((*V.shape[:-2], n_components, V.shape[-1]), V, generator)
    W = (W / W.sum(-1, keepdim=True)).expand(*V.shape[:-2], -1, -1)
    H = _uniform((*V.shape[:-1], W.shape[-2]), V, generator)
    scale = total(V, frames) / total(H, frames).clamp_min(FLOOR)
    H *= scale[..., None, None]
    return Noise(W, H.clamp_min_(FLOOR), torch.ones_like(V[..., :1]), frames)


def learn_noise(
    power: Tensor, noise: Noise, n_iter: int, exponent: float = 1.0
) -> None:
    """Fit W and H to the power of noise alone by multiplicative steps, in place.

    Parameters
    ----------
    power : Tensor of shape (..., N, F)
        Power of the noise, as far as it is known.
    noise : Noise
        Where the steps start, and which frames count.
    n_iter : int
        How many of each of the two.
    exponent : float
        Of the updates.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> power = torch.rand(9, 1, generator=generator) * torch.tensor([1.0, 2.0, 3.0])
    >>> noise = initial_noise(power, 1, generator)
    >>> learn_noise(power, noise, n_iter=10)
    >>> torch.allclose(noise.power(), power, rtol=1e-3)
    True
    """
    V_b, parts = torch.empty_like(power), power.new_empty(2, *power.shape)
    for _ in range(n_iter):
        gradient_parts(power, noise.power(out=V_b), out=parts)
        noise.H = update_H(noise.H, noise.W, parts, exponent)
        gradient_parts(power, noise.power(out=V_b), out=parts)
        noise.W = update_W(noise.W, noise.counted_H(), parts, exponent)
        normalise(noise)


def sum_log(x: Tensor) -> Tensor:
    """Sums over the bins of logarithms, at half the price of taking all of them.

    The logarithm of a product of two is one logarithm; powers of the model, and their
    inverses, are so far from the ends of the range of float32 that it is finite.

    Parameters
    ----------
    x : Tensor of shape (..., N, F)
        Positive; it is overwritten.

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
    """Sum of V / V_x + log V_x, the negative log-likelihood, of each utterance.

    Parameters
    ----------
    ratio : Tensor of shape (..., N, F)
        V / V_x.
    V_x : Tensor of shape (..., N, F)
        Model of the mixture; it is overwritten.
    frames : Tensor of shape (B, N, 1) or None
        Those that count, as in :class:`Noise`.

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


def workspace(V: Tensor) -> Tensor:
    """Memory for :func:`update_noise`, shape (4, ..., N, F)."""
    return V.new_empty(4, *V.shape)


def mixture_parts(
    V: Tensor, variances: Sequence[Tensor], noise: Noise, memory: Tensor
) -> Tensor:
    r"""Sums over samples of V / V_x^2 and 1 / V_x, that the updates of W and H need.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    variances : sequence of Tensor, each of shape (..., N, F)
        Speech variance of each sample, without the gain.
    noise : Noise
        Parameters of the noise.
    memory : Tensor of shape (4, ..., N, F)
        Overwritten.

    Returns
    -------
    Tensor of shape (2, ..., N, F)
        :math:`\sum_r V / V_{x,r}^2` and :math:`\sum_r 1 / V_{x,r}`, a part of `memory`.
    """
    V_b, inverse = noise.power(out=memory[0]), memory[1]
    parts = memory[2:]
    quotients, inverses = parts
    for r, variance in enumerate(variances):
        torch.addcmul(V_b, variance, noise.gain, out=inverse).reciprocal_()
        if r == 0:
            inverses.copy_(inverse)
            torch.mul(inverse, inverse, out=quotients)
        else:
            inverses += inverse
            quotients.addcmul_(inverse, inverse)
    quotients *= V
    return parts


def update_gain(
    V: Tensor,
    variances: Sequence[Tensor],
    noise: Noise,
    exponent: float = 0.5,
    memory: Tensor | None = None,
) -> None:
    r"""Multiplicative step of the gain of each frame, in place.

    .. math:: g_t \leftarrow g_t \left[ \frac{\sum_f V \sum_r \sigma_r^2 / V_{x,r}^2}
        {\sum_f \sum_r \sigma_r^2 / V_{x,r}} \right]^{1/2}

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    variances : sequence of Tensor, each of shape (..., N, F)
        Speech variance of each sample, without the gain.
    noise : Noise
        Its gain is changed.
    exponent : float
        1/2 is the majorise-minimise step.
    memory : Tensor of shape (4, ..., N, F), default=None
        Overwritten.
    """
    memory = workspace(V) if memory is None else memory
    V_b, inverse, share, _ = memory
    noise.power(out=V_b)
    numerator, denominator = torch.zeros_like(noise.gain), torch.zeros_like(noise.gain)
    for variance in variances:
        torch.addcmul(V_b, variance, noise.gain, out=inverse).reciprocal_()
        torch.mul(variance, inverse, out=share)
        denominator += share.sum(-1, keepdim=True)
        share *= inverse
        numerator += share.mul_(V).sum(-1, keepdim=True)
    ratio = (numerator + FLOOR) / (denominator + FLOOR)
    noise.gain = (noise.gain * ratio**exponent).clamp_(FLOOR, 1 / FLOOR)


def update_noise(
    V: Tensor,
    variances: Sequence[Tensor],
    noise: Noise,
    *,
    order: str = "WH",
    exponent: float = 0.5,
    smoothing: int = 1,
    with_gain: bool = False,
    memory: Tensor | None = None,
) -> None:
    """Multiplicative steps of W, H and the gain, in place, the model fresh in each.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    variances : sequence of Tensor, each of shape (..., N, F)
        Speech variance of each sample, without the gain.
    noise : Noise
        What is changed.
    order : {"WH", "HW"}
        Which of the two is first.
    exponent : float
        1/2 is the majorise-minimise step, which never increases the cost.
    smoothing : int
        Bins over which the bases are smoothed; 1 is not at all.
    with_gain : bool
        Whether the gains are updated too, last.
    memory : Tensor of shape (4, ..., N, F), default=None
        :func:`workspace`, to be used again and again.
    """
    memory = workspace(V) if memory is None else memory
    for factor in order:
        parts = mixture_parts(V, variances, noise, memory)
        if factor == "W":
            noise.W = update_W(noise.W, noise.counted_H(), parts, exponent)
            normalise(noise, smoothing)
        else:
            noise.H = update_H(noise.H, noise.W, parts, exponent)
    if with_gain:
        update_gain(V, variances, noise, exponent, memory)


def normalise(noise: Noise, smoothing: int = 1) -> None:
    """Let each base sum to one, in place; H W is kept unless bases are smoothed.

    Parameters
    ----------
    noise : Noise
        What is changed.
    smoothing : int
        Bins over which the bases are smoothed, by a triangle; 1 is not at all. It
        keeps few bases from copying the harmonics of a voice.
    """
    sums = noise.W.sum(-1, keepdim=True).clamp_min(math.sqrt(FLOOR))
    noise.W = noise.W / sums
    noise.H = noise.H * sums.mT
    if smoothing > 1:
        noise.W = smooth_bins(noise.W, smoothing)


def smooth_bins(W: Tensor, n_bins: int) -> Tensor:
    """Smooth bases by a triangle of odd width, keeping their sums.

    Parameters
    ----------
    W : Tensor of shape (..., K, F)
        Bases.
    n_bins : int
        Width.

    Returns
    -------
    Tensor of shape (..., K, F)

    Examples
    --------
    >>> import torch
    >>> smooth_bins(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]), 3)
    tensor([[0.0000, 0.2500, 0.5000, 0.2500, 0.0000]])
    """
    half = n_bins // 2
    ramp = torch.arange(1, half + 2, dtype=W.dtype, device=W.device)
    triangle = torch.cat([ramp, ramp[:-1].flip(0)])
    triangle = (triangle / triangle.sum()).view(1, 1, -1)
    rows = W.reshape(-1, 1, W.shape[-1])
    padded = torch.nn.functional.pad(rows, (half, half), mode="replicate")
    smoothed = torch.nn.functional.conv1d(padded, triangle).view(W.shape)
    return smoothed / smoothed.sum(-1, keepdim=True).clamp_min(FLOOR)


def _uniform(shape: Sequence[int], V: Tensor, generator: torch.Generator) -> Tensor:
    """Positive random numbers, drawn in float64: the same for every dtype."""
    drawn = torch.rand(
        shape, generator=generator, dtype=torch.float64, device=generator.device
    )
    return drawn.clamp_min_(FLOOR).to(V.device, V.dtype)
