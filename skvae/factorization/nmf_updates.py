r"""Itakura-Saito nonnegative matrix factorization of power spectrograms.

Model [1]_: every bin of a short-time spectrum is a zero-mean complex Gaussian whose
variance is :math:`\hat V = H W`. Maximum likelihood minimizes the Itakura-Saito
divergence :math:`d(v | \hat v) = v / \hat v - \log(v / \hat v) - 1` between
:math:`V = |X|^2` (N, F) and :math:`\hat V`, with activations H (N, K) and bases W
(K, F): frames first, so this is the transpose of the paper's ``V = W H``.

:mod:`skvae.factorization.nmf_separation` separates mixtures by these updates.

Different from [1]_:

* A floor, -104 dB of the mean power in float32, is added to V and to H W. It is one
  more component that is never updated, so all proofs hold, and silence is allowed.
* The steps have an exponent p. The majorizing function of [2]_ is :math:`a / h + b h`
  in each factor. It has the same value at h and at h times the ratio of the two sums.
  p = 1, the update of [1]_, goes to that point (majorize-equalize), p = 1/2 goes to the
  minimum (majorize-minimize), and every p in (0, 1] lowers the divergence. In practice
  p = 1 is faster.
* Rows of W sum to one only in the result: the steps do not depend on their scale.

References
----------
.. [1] C. Févotte, N. Bertin, J.-L. Durrieu, "Nonnegative matrix factorization with the
       Itakura-Saito divergence: with application to music analysis", Neural
       Computation 21(3), 2009.
.. [2] C. Févotte, J. Idier, "Algorithms for nonnegative matrix factorization with the
       beta-divergence", Neural Computation 23(9), 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: Frames that a CPU processes at once: more exceed its cache and take twice the time.
BLOCK_FRAMES = 1024


class Factorization(NamedTuple):
    """Result of :func:`fit_isnmf`.

    Attributes
    ----------
    W : Tensor of shape (K, F)
        Bases; each row sums to one.
    H : Tensor of shape (N, K)
        Activations of all frames.
    history : list of float
        Mean divergence of an element before the first and after each iteration.
    """

    W: Tensor
    H: Tensor
    history: list[float]


def power_floor(dtype: torch.dtype) -> float:
    """Return the floor of a power, relative to the mean power.

    Parameters
    ----------
    dtype : torch.dtype
        float32 or float64.

    Returns
    -------
    float
        Machine epsilon to the power 1.5: -104 dB in float32, below the noise of 16-bit
        audio. Its square in a denominator is far from overflow.

    Examples
    --------
    >>> import torch
    >>> power_floor(torch.float32) < 1e-10
    True
    """
    return torch.finfo(dtype).eps ** 1.5


def gradient_parts(V: Tensor, V_hat: Tensor, out: Tensor | None = None) -> Tensor:
    r"""Compute the negative and positive part of the divergence's derivative.

    The derivative is taken with respect to the model power.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Observed power.
    V_hat : Tensor of shape (..., N, F)
        Model power, positive.
    out : Tensor of shape (2, ..., N, F), optional
        Memory for the result; new memory of that size takes longer than the sums.

    Returns
    -------
    Tensor of shape (2, ..., N, F)
        :math:`v / \hat v^2` and :math:`1 / \hat v`, in one array, so that the sums of
        an update are one matrix product. Models with more parts than H W, such as
        speech from a decoder, pass their own two arrays to the updates.

    Examples
    --------
    >>> import torch
    >>> gradient_parts(torch.tensor([[3.0]]), torch.tensor([[2.0]])).flatten()
    tensor([0.7500, 0.5000])
    """
    parts = V.new_empty(2, *V.shape) if out is None else out
    torch.reciprocal(V_hat, out=parts[1])
    torch.mul(V, parts[1], out=parts[0]).mul_(parts[1])
    return parts


def update_H(H: Tensor, W: Tensor, parts: Tensor, exponent: float = 1.0) -> Tensor:
    r"""Update the activations by one multiplicative step.

    Parameters
    ----------
    H : Tensor of shape (..., N, K)
        Activations.
    W : Tensor of shape (..., K, F)
        Bases.
    parts : Tensor of shape (2, ..., N, F)
        :func:`gradient_parts` of the current model.
    exponent : float
        p in (0, 1]: 1/2 is the majorize-minimize step, 1 the original one.

    Returns
    -------
    Tensor of shape (..., N, K)
        :math:`H \odot \left[ (V \odot \hat V^{-2}) W^\top \oslash
        \hat V^{-1} W^\top \right]^p`.

    Examples
    --------
    >>> import torch
    >>> V, W, H = torch.full((1, 3), 6.0), torch.ones(1, 3), torch.ones(1, 1)
    >>> update_H(H, W, gradient_parts(V, H @ W))
    tensor([[6.]])
    """
    # (K, N) rather than (N, K): MKL computes this product a quarter faster.
    numerator, denominator = (W @ parts.mT).mT
    return _step(H, numerator, denominator, exponent)


def update_W(W: Tensor, H: Tensor, parts: Tensor, exponent: float = 1.0) -> Tensor:
    r"""Update the bases by one multiplicative step.

    Parameters
    ----------
    W : Tensor of shape (..., K, F)
        Bases, or those that are updated.
    H : Tensor of shape (..., N, K)
        Their activations.
    parts : Tensor of shape (2, ..., N, F)
        :func:`gradient_parts` of the current model.
    exponent : float
        p in (0, 1]: 1/2 is the majorize-minimize step, 1 the original one.

    Returns
    -------
    Tensor of shape (..., K, F)
        :math:`W \odot \left[ H^\top (V \odot \hat V^{-2}) \oslash
        H^\top \hat V^{-1} \right]^p`.

    Examples
    --------
    >>> import torch
    >>> V, W, H = torch.full((3, 1), 6.0), torch.ones(1, 1), torch.ones(3, 1)
    >>> update_W(W, H, gradient_parts(V, H @ W))
    tensor([[6.]])
    """
    numerator, denominator = H.mT @ parts
    return _step(W, numerator, denominator, exponent)


def fit_isnmf(
    V: Tensor | Sequence[Tensor],
    n_components: int | None = None,
    *,
    W: Tensor | None = None,
    H: Tensor | None = None,
    n_fixed: int = 0,
    max_iter: int = 100,
    exponent: float = 1.0,
    tol: float = 0.0,
    generator: torch.Generator | None = None,
    on_iteration: Callable[[float], bool] | None = None,
) -> Factorization:
    """Factorize a power spectrogram, whole or in blocks of frames.

    Parameters
    ----------
    V : Tensor of shape (N, F), or sequence of such
        Power spectrogram, or a sequence of blocks of its frames. Each iteration visits
        the blocks one after another, so a sequence may compute them on demand: only H
        is stored for all frames. Blocks do not change the result, up to rounding.
    n_components : int, optional
        K. Required unless `W` is passed.
    W : Tensor of shape (K, F), optional
        First bases. None means frames of V, drawn at random, plus a random multiple of
        the mean spectrum, which converges faster and to a lower divergence than random
        numbers.
    H : Tensor of shape (N, K), optional
        First activations. None gives each component an equal share of the frame's
        power.
    n_fixed : int
        Number of rows of `W`, from the first, that are not updated.
    max_iter : int
        Maximum number of iterations; each updates H, then W.
    exponent : float
        p of the updates, in (0, 1].
    tol : float
        Change of the mean divergence at which the iterations stop. At the optimum the
        mean divergence is about 0.5. Zero disables this.
    generator : torch.Generator, optional
        Random generator of the first bases. Required unless `W` is passed. What it
        draws does not depend on the dtype of V.
    on_iteration : callable, optional
        Function of the mean divergence, called after each iteration. If it returns
        True, the iterations stop.

    Returns
    -------
    Factorization
        ``W``, ``H``, ``history``. A factor in V becomes a factor in H.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> V = torch.rand(50, 2, generator=generator) @ torch.eye(2, 9).add(0.1)
    >>> W, H, history = fit_isnmf(V, 2, max_iter=300, generator=generator)
    >>> tuple(W.shape), tuple(H.shape), history[-1] < 1e-3
    ((2, 9), (50, 2), True)
    """
    blocks = _cache_sized(V) if isinstance(V, Tensor) else V
    lengths, frame_power, F = _survey(blocks)
    N, dtype, device = len(frame_power), frame_power.dtype, frame_power.device
    mean = float(frame_power.mean()) / F
    unit = _unit(mean, dtype)
    floor = torch.tensor(power_floor(dtype), dtype=dtype, device=device)
    memory = torch.empty((4, max(lengths), F), dtype=dtype, device=device)

    def visit() -> Iterable[Tensor]:
        for X in blocks:
            yield torch.div(X, unit, out=memory[3, : len(X)]).add_(floor)

    if W is None:
        if n_components is None or generator is None:
            raise ValueError("pass W, or n_components and generator.")
        W = _draw_bases(visit(), N, n_components, generator)
    W, row_sums = unit_rows(W.to(device, dtype))
    K = len(W)
    if H is None:
        H = (frame_power[:, None] / unit).expand(N, K) / K
    else:
        H = H.to(device, dtype) / unit * row_sums

    history: list[float] = []
    converged = False
    for iteration in range(max_iter + 1):
        last = converged or iteration == max_iter  # only computes the divergence
        divergence = 0.0
        sums = W.new_zeros(2, K - n_fixed, F)
        for X, H_block in zip(visit(), H.split(lengths), strict=True):
            parts, V_hat = memory[:2, : len(X)], memory[2, : len(X)]
            torch.addmm(floor, H_block, W, out=V_hat)
            gradient_parts(X, V_hat, out=parts)
            divergence += _divergence_sum(X, parts[1], out=V_hat)
            if last:
                continue
            H_block.copy_(update_H(H_block, W, parts, exponent))
            if n_fixed < K:
                torch.addmm(floor, H_block, W, out=V_hat)
                gradient_parts(X, V_hat, out=parts)
                sums += H_block[:, n_fixed:].T @ parts
        history.append(divergence / (N * F))
        stopped = (
            iteration > 0 and on_iteration is not None and on_iteration(history[-1])
        )
        if last or stopped:
            break
        W[n_fixed:] = _step(W[n_fixed:], sums[0], sums[1], exponent)
        converged = iteration > 0 and abs(history[-2] - history[-1]) < tol
    W, row_sums = unit_rows(W)
    return Factorization(W, H * row_sums * mean, history)


def _cache_sized(V: Tensor) -> Sequence[Tensor]:
    """Views of V in blocks; on a GPU the whole of it."""
    on_cpu = V.device.type == "cpu" and V.ndim == 2
    return V.split(BLOCK_FRAMES) if on_cpu else [V]


def _survey(blocks: Sequence[Tensor]) -> tuple[list[int], Tensor, int]:
    """Lengths of the blocks, power of every frame, number of bins."""
    powers, n_bins = [], 0
    for block in blocks:
        powers.append(block.sum(1))
        n_bins = block.shape[1]
    return [len(power) for power in powers], torch.cat(powers), n_bins


def _unit(mean: float, dtype: torch.dtype) -> float:
    """Divisor of V: its mean, or one if the mean is zero."""
    return mean if mean >= torch.finfo(dtype).tiny else 1.0


def unit_rows(W: Tensor) -> tuple[Tensor, Tensor]:
    """A copy of W with rows that sum to one, and the sums (K,), factors of H."""
    sums = W.sum(1)
    safe = torch.where(sums > 0, sums, torch.ones_like(sums))
    return W / safe[:, None], safe


def random_bases(K: int, F: int, generator: torch.Generator) -> Tensor:
    """Random numbers in [0, 1), float64, on the generator's device."""
    return torch.rand(
        K, F, generator=generator, dtype=torch.float64, device=generator.device
    )


def _draw_bases(
    blocks: Iterable[Tensor], N: int, K: int, generator: torch.Generator
) -> Tensor:
    """Frames drawn at random, each plus a randomized mean spectrum of equal power.

    The mean keeps all bins above zero. Its randomness distinguishes equal frames, which
    multiplicative steps could not separate.
    """
    order = torch.randperm(N, generator=generator, device=generator.device).cpu()
    drawn = order[torch.arange(K) % N].sort().values
    frames, totals, start = [], [], 0
    for X in blocks:
        stop = start + len(X)
        frames.append(X[drawn[(drawn >= start) & (drawn < stop)] - start])
        totals.append(X.sum(0))
        start = stop
    W, _ = unit_rows(torch.cat(frames))
    spectrum = torch.stack(totals).sum(0)
    jitter = 2 * random_bases(K, len(spectrum), generator).to(W.dtype).to(W.device)
    return W + jitter * (spectrum / spectrum.sum())


def _divergence_sum(V: Tensor, inverse: Tensor, out: Tensor) -> float:
    """Sum of the divergence between V and 1 / inverse; `out` is overwritten.

    The logarithm is the slowest part of an iteration. So it is computed of products of
    two ratios, which are finite between the floor and the peak of an hour of sound.
    """
    ratio = torch.mul(V, inverse, out=out).view(-1)
    ratio_sum = ratio.sum()
    half = ratio.numel() // 2
    ratio[:half].mul_(ratio[half : 2 * half]).log_()
    log_sum = ratio[:half].sum() + ratio[2 * half :].log().sum()
    return float(ratio_sum - log_sum) - ratio.numel()


def _step(
    factor: Tensor, numerator: Tensor, denominator: Tensor, exponent: float
) -> Tensor:
    """Multiply by (numerator / denominator) ** exponent; 0/0 changes nothing.

    Results are at least the root of the smallest normal number, since multiplicative
    steps cannot leave zero, and subnormal products are slow.
    """
    tiny = torch.finfo(factor.dtype).tiny
    ratio = (numerator + tiny) / (denominator + tiny)
    if exponent != 1:
        ratio = ratio.pow_(exponent)
    return (factor * ratio).clamp_min_(math.sqrt(tiny))
