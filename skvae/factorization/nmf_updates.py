r"""Itakura-Saito nonnegative matrix factorization of power spectrograms.

Model [1]_: every bin of a short-time spectrum is a zero-mean complex Gaussian whose
variance is :math:`\hat V = H W`. Maximum likelihood minimises the Itakura-Saito
divergence :math:`d(v | \hat v) = v / \hat v - \log(v / \hat v) - 1` between
:math:`V = |X|^2` (N, F) and :math:`\hat V`, with activations H (N, K) and bases W
(K, F): frames first, so this is the transpose of the paper's ``V = W H``.

The same function learns a dictionary of speech from hours of frames (in blocks), and
enhances: with the dictionary held and bases for the noise learned from the mixture
(semi-supervised), or with both held (supervised).

Different from [1]_:

* a floor, -104 dB of the mean power in float32, is added to V and to H W. It is one
  more component that is never updated, so no proof changes, and silence costs nothing;
* the steps carry an exponent p. The majorising function of [2]_ is
  :math:`a / h + b h` in each factor, the same at h and at h times the ratio of the two
  sums: p = 1, the update of [1]_, stays on its level (majorise-equalise), p = 1/2 goes
  to its minimum (majorise-minimise), and every p in (0, 1] lowers the divergence. In
  practice p = 1 is faster;
* rows of W sum to one only in the result: the steps do not see their scale.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: Frames that a CPU works on at once: more leave its cache and take twice the time.
BLOCK_FRAMES = 1024


class Factorization(NamedTuple):
    """What :func:`fit_isnmf` returns.

    Attributes
    ----------
    W : Tensor of shape (K, F)
        Bases; each row sums to one.
    H : Tensor of shape (N, K)
        Activations, of all blocks one after another.
    history : list of float
        Mean divergence of an element before the first iteration and after each.
    """

    W: Tensor
    H: Tensor
    history: list[float]


class SeparatedPower(NamedTuple):
    """What :func:`separate_isnmf` returns.

    Attributes
    ----------
    speech, noise : Tensor of shape (N, F)
        Model power of the two sources.
    W : Tensor of shape (K, F)
        Bases, the speech's first; each row sums to one.
    H : Tensor of shape (N, K)
        Activations.
    history : list of float
        As in :class:`Factorization`.
    """

    speech: Tensor
    noise: Tensor
    W: Tensor
    H: Tensor
    history: list[float]


def power_floor(dtype: torch.dtype) -> float:
    """Floor of a power, relative to the mean power: the one EPS of this module.

    Parameters
    ----------
    dtype : torch.dtype
        float32 or float64.

    Returns
    -------
    float
        Machine epsilon to the power 1.5: -104 dB in float32, below the noise of 16-bit
        audio, and still far from overflow when it is squared in a denominator.

    Examples
    --------
    >>> import torch
    >>> power_floor(torch.float32) < 1e-10
    True
    """
    return torch.finfo(dtype).eps ** 1.5


def is_divergence(V: Tensor, V_hat: Tensor) -> Tensor:
    r"""Mean Itakura-Saito divergence between a power spectrogram and a model of it.

    Parameters
    ----------
    V, V_hat : Tensor of shape (N, F)
        Observed and model power. To both is added :func:`power_floor` times the mean
        of V, so that zeros are finite.

    Returns
    -------
    Tensor of shape ()
        :math:`\frac{1}{NF} \sum_{nf} v / \hat v - \log(v / \hat v) - 1`: zero where the
        two agree, the same when both are scaled.

    Examples
    --------
    >>> import torch
    >>> V = torch.tensor([[1.0, 4.0]])
    >>> is_divergence(V, V).item()
    0.0
    >>> round(is_divergence(V, 2 * V).item(), 4)  # 1/2 - log(1/2) - 1
    0.1931
    """
    floor = power_floor(V.dtype)
    unit = _unit(float(V.mean()), V.dtype)
    ratio = (V / unit + floor) / (V_hat / unit + floor)
    return (ratio - ratio.log() - 1).mean()


def wiener_mask(speech: Tensor, noise: Tensor) -> Tensor:
    """Gain that keeps the speech's share of the power.

    Parameters
    ----------
    speech, noise : Tensor of shape (..., N, F)
        Powers of the two sources.

    Returns
    -------
    Tensor of shape (..., N, F)
        ``speech / (speech + noise)``, in [0, 1], and 0.5 where both are zero: the
        masks of speech and noise sum to one everywhere.

    Examples
    --------
    >>> import torch
    >>> wiener_mask(torch.tensor([3.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 0.0]))
    tensor([0.7500, 0.0000, 0.5000])
    """
    total = speech + noise
    mask = speech / total
    return torch.where(total > 0, mask, torch.full_like(mask, 0.5))


def gradient_parts(V: Tensor, V_hat: Tensor, out: Tensor | None = None) -> Tensor:
    r"""Negative and positive part of the divergence's derivative by the model power.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Observed power.
    V_hat : Tensor of shape (..., N, F)
        Model power, positive.
    out : Tensor of shape (2, ..., N, F), optional
        Where the result goes: fresh memory of that size costs more than the sums.

    Returns
    -------
    Tensor of shape (2, ..., N, F)
        :math:`v / \hat v^2` and :math:`1 / \hat v`, in one piece so that the sums of an
        update are one matrix product. A model with more in it than H W, such as
        speech from a decoder, puts its own two (weighted, averaged) here.

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
    r"""One multiplicative step of the activations.

    Parameters
    ----------
    H : Tensor of shape (..., N, K)
        Activations.
    W : Tensor of shape (..., K, F)
        Bases.
    parts : Tensor of shape (2, ..., N, F)
        :func:`gradient_parts` at the present model.
    exponent : float
        p in (0, 1]: 1/2 is the majorise-minimise step, 1 the original one.

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
    # (K, N) rather than (N, K): MKL multiplies that a quarter faster.
    numerator, denominator = (W @ parts.mT).mT
    return _step(H, numerator, denominator, exponent)


def update_W(W: Tensor, H: Tensor, parts: Tensor, exponent: float = 1.0) -> Tensor:
    r"""One multiplicative step of the bases.

    Parameters
    ----------
    W : Tensor of shape (..., K, F)
        Bases, or those of them that are free.
    H : Tensor of shape (..., N, K)
        Their activations.
    parts : Tensor of shape (2, ..., N, F)
        :func:`gradient_parts` at the present model.
    exponent : float
        p in (0, 1]: 1/2 is the majorise-minimise step, 1 the original one.

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
    n_iter: int = 100,
    exponent: float = 1.0,
    tol: float = 0.0,
    generator: torch.Generator | None = None,
    on_iteration: Callable[[float], bool] | None = None,
) -> Factorization:
    """Factorize a power spectrogram, whole or in blocks of frames.

    Parameters
    ----------
    V : Tensor of shape (N, F), or sequence of such
        Power spectrogram. A sequence holds blocks of frames of one spectrogram; they
        are visited one after another, three times more than there are iterations, and
        may be computed when asked for: only H is kept for all frames. The result is
        that of the whole, up to rounding.
    n_components : int, optional
        K, where `W` does not say it.
    W : Tensor of shape (K, F), optional
        Bases to start from. None starts from frames of V, drawn at random and mixed
        with a random multiple of the mean spectrum, which ends lower and gets there
        sooner than random numbers do.
    H : Tensor of shape (N, K), optional
        Activations to start from, for all blocks. None gives every component an equal
        share of the frame's power.
    n_fixed : int
        The first `n_fixed` rows of `W` are held.
    n_iter : int
        Number of iterations; each updates H, then W.
    exponent : float
        p of the updates, in (0, 1].
    tol : float
        Iterations end when one changes the mean divergence by less than this; an
        element's share at the optimum is about 0.5. Zero goes through all of them.
    generator : torch.Generator, optional
        Source of the initial `W`; needed where that is None. Draws do not depend on
        the dtype of V.
    on_iteration : callable, optional
        Called with the mean divergence after each iteration; true ends them.

    Returns
    -------
    Factorization
        ``W``, ``H``, ``history``. Scaling V scales H and nothing else.

    Raises
    ------
    ValueError
        If shapes do not fit, V is negative or not finite, or a parameter is out of
        range.
    TypeError
        If V is an iterator, which could be visited only once.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> V = torch.rand(50, 2, generator=generator) @ torch.eye(2, 9).add(0.1)
    >>> W, H, history = fit_isnmf(V, 2, n_iter=300, generator=generator)
    >>> tuple(W.shape), tuple(H.shape), history[-1] < 1e-3
    ((2, 9), (50, 2), True)
    """
    if not 0 < exponent <= 1:
        raise ValueError(f"exponent must be in (0, 1], got {exponent}.")
    if n_iter < 0:
        raise ValueError(f"n_iter must not be negative, got {n_iter}.")
    if not tol >= 0:
        raise ValueError(f"tol must not be negative, got {tol}.")
    if isinstance(V, Iterator):
        raise TypeError(
            "V must be a Tensor or a sequence of blocks: "
            f"{type(V).__name__} can be read only once."
        )
    blocks = _cache_sized(V) if isinstance(V, Tensor) else V
    lengths, frame_power, F = _survey(blocks)
    N, dtype, device = len(frame_power), frame_power.dtype, frame_power.device
    mean = float(frame_power.mean()) / F
    if not math.isfinite(mean):
        raise ValueError("V must be finite, but it or its sum is NaN or inf.")
    unit = _unit(mean, dtype)
    floor = torch.tensor(power_floor(dtype), dtype=dtype, device=device)
    memory = torch.empty((4, max(lengths), F), dtype=dtype, device=device)

    def visit() -> Iterable[Tensor]:
        for X in blocks:
            yield torch.div(X, unit, out=memory[3, : len(X)]).add_(floor)

    if W is None:
        if n_components is None or n_components < 1:
            raise ValueError(
                f"n_components must be a positive integer, got {n_components}."
            )
        if generator is None:
            raise ValueError("generator must be given where W is not.")
        W = _draw_bases(visit(), N, n_components, generator)
    elif W.ndim != 2 or W.shape[1] != F or n_components not in (None, len(W)):
        raise ValueError(
            f"W must have shape (K, F) = ({n_components or 'K'}, {F}), "
            f"got {tuple(W.shape)}."
        )
    W, row_sums = _unit_rows(W.to(device, dtype))
    K = len(W)
    if not 0 <= n_fixed <= K:
        raise ValueError(f"n_fixed must be between 0 and K = {K}, got {n_fixed}.")
    if H is None:
        H = (frame_power[:, None] / unit).expand(N, K) / K
    elif H.shape != (N, K):
        raise ValueError(
            f"H must have shape (N, K) = ({N}, {K}), got {tuple(H.shape)}."
        )
    else:
        H = H.to(device, dtype) / unit * row_sums

    history: list[float] = []
    converged = False
    for iteration in range(n_iter + 1):
        last = converged or iteration == n_iter  # only measures what there is
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
    W, row_sums = _unit_rows(W)
    return Factorization(W, H * row_sums * mean, history)


def separate_isnmf(
    V: Tensor,
    W_speech: Tensor,
    W_noise: Tensor | None = None,
    *,
    n_noise: int = 10,
    learn_noise: bool = True,
    n_iter: int = 100,
    exponent: float = 1.0,
    tol: float = 0.0,
    generator: torch.Generator | None = None,
) -> SeparatedPower:
    """Split the power of noisy speech by bases of speech and of noise.

    Parameters
    ----------
    V : Tensor of shape (N, F)
        Power spectrogram of noisy speech.
    W_speech : Tensor of shape (K_speech, F)
        Dictionary of speech, held.
    W_noise : Tensor of shape (K_noise, F), optional
        Bases of the noise, or where their learning starts. None starts from random
        numbers.
    n_noise : int
        K_noise, where `W_noise` does not say it.
    learn_noise : bool
        Update the bases of the noise (semi-supervised), or hold them (supervised).
    n_iter, exponent, tol
        As in :func:`fit_isnmf`.
    generator : torch.Generator, optional
        Source of the initial `W_noise`; needed where that is None.

    Returns
    -------
    SeparatedPower
        ``speech``, ``noise``, ``W``, ``H``, ``history``; for a gain see
        :func:`wiener_mask`.

    Raises
    ------
    ValueError
        If shapes do not fit, or a parameter is out of range.

    Notes
    -----
    Speech starts from half the power of each frame, noise from half the mean power of
    all frames, a stationary noise. The divergence ends where it would from equal
    shares of the frame, but the speech is better.

    Examples
    --------
    >>> import torch
    >>> speech = torch.tensor([[8.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> V = speech + torch.tensor([1.0, 1.0, 2.0])
    >>> W_speech = torch.tensor([[1.0, 0.0, 0.0]])
    >>> W_noise = torch.tensor([[1.0, 1.0, 2.0]])
    >>> result = separate_isnmf(V, W_speech, W_noise, learn_noise=False)
    >>> wiener_mask(result.speech, result.noise)[0].round(decimals=2)
    tensor([0.8900, 0.0000, 0.0000])
    """
    if V.ndim != 2:
        raise ValueError(f"V must have shape (N, F), got {tuple(V.shape)}.")
    F = V.shape[1]
    if W_noise is None:
        if not learn_noise:
            raise ValueError("W_noise must be given when learn_noise is False.")
        if n_noise < 1:
            raise ValueError(f"n_noise must be a positive integer, got {n_noise}.")
        if generator is None:
            raise ValueError("generator must be given where W_noise is not.")
        W_noise = _uniform(n_noise, F, generator)
    for name, bases in (("W_speech", W_speech), ("W_noise", W_noise)):
        if bases.ndim != 2 or bases.shape[1] != F or len(bases) == 0:
            raise ValueError(
                f"{name} must have shape (K, F) = (K, {F}), got {tuple(bases.shape)}."
            )
    K_speech, K_noise = len(W_speech), len(W_noise)
    W = torch.cat([w.to(V.device, V.dtype) for w in (W_speech, W_noise)])
    W, _ = _unit_rows(W)
    frame_power = V.sum(1, keepdim=True)
    H = torch.cat(
        [
            (frame_power / (2 * K_speech)).expand(-1, K_speech),
            (frame_power.mean() / (2 * K_noise)).expand(len(V), K_noise),
        ],
        dim=1,
    )
    W, H, history = fit_isnmf(
        V,
        W=W,
        H=H,
        n_fixed=K_speech if learn_noise else K_speech + K_noise,
        n_iter=n_iter,
        exponent=exponent,
        tol=tol,
    )
    return SeparatedPower(
        H[:, :K_speech] @ W[:K_speech], H[:, K_speech:] @ W[K_speech:], W, H, history
    )


def _cache_sized(V: Tensor) -> Sequence[Tensor]:
    """Views of V in blocks; a GPU takes it whole."""
    on_cpu = V.device.type == "cpu" and V.ndim == 2
    return V.split(BLOCK_FRAMES) if on_cpu else [V]


def _survey(blocks: Sequence[Tensor]) -> tuple[list[int], Tensor, int]:
    """Lengths of the blocks, power of every frame, number of bins; all validated."""
    powers: list[Tensor] = []
    F = None
    for block in blocks:
        F = block.shape[-1] if F is None else F
        if block.ndim != 2 or block.shape[1] != F or F == 0:
            raise ValueError(
                f"V must have shape (N, F), F = {F} in every block and not 0, "
                f"got {tuple(block.shape)}."
            )
        if not block.is_floating_point():
            raise ValueError(f"V must be of floats, got {block.dtype}.")
        if block.numel() and block.min() < 0:
            raise ValueError("V must not be negative: pass the power spectrogram.")
        powers.append(block.sum(1))
    lengths = [len(power) for power in powers]
    if F is None or sum(lengths) == 0:
        raise ValueError("V must have at least one frame, got none.")
    return lengths, torch.cat(powers), F


def _unit(mean: float, dtype: torch.dtype) -> float:
    """What V is divided by: its mean, or one where that is nothing."""
    return mean if mean >= torch.finfo(dtype).tiny else 1.0


def _unit_rows(W: Tensor) -> tuple[Tensor, Tensor]:
    """A copy of W with rows that sum to one, and the sums (K,) that H takes over."""
    sums = W.sum(1)
    safe = torch.where(sums > 0, sums, torch.ones_like(sums))
    return W / safe[:, None], safe


def _uniform(K: int, F: int, generator: torch.Generator) -> Tensor:
    """Random numbers in [0, 1): in float64 on the generator's own device."""
    return torch.rand(
        K, F, generator=generator, dtype=torch.float64, device=generator.device
    )


def _draw_bases(
    blocks: Iterable[Tensor], N: int, K: int, generator: torch.Generator
) -> Tensor:
    """Frames drawn at random, each with as much of a randomised mean spectrum.

    The mean keeps every bin within reach, its randomness tells equal frames apart,
    which a multiplicative step never would.
    """
    order = torch.randperm(N, generator=generator, device=generator.device).cpu()
    drawn = order[torch.arange(K) % N].sort().values
    frames, totals, start = [], [], 0
    for X in blocks:
        stop = start + len(X)
        frames.append(X[drawn[(drawn >= start) & (drawn < stop)] - start])
        totals.append(X.sum(0))
        start = stop
    W, _ = _unit_rows(torch.cat(frames))
    spectrum = torch.stack(totals).sum(0)
    jitter = 2 * _uniform(K, len(spectrum), generator).to(W.dtype).to(W.device)
    return W + jitter * (spectrum / spectrum.sum())


def _divergence_sum(V: Tensor, inverse: Tensor, out: Tensor) -> float:
    """Sum of the divergence between V and 1 / inverse; `out` is overwritten.

    The logarithm is the dearest pass of an iteration. It is taken of products of two
    ratios, which stay finite between the floor and the peak of an hour of sound.
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

    Results stay above the root of the smallest normal number: from zero a
    multiplicative step never returns, and subnormal products are slow.
    """
    tiny = torch.finfo(factor.dtype).tiny
    ratio = (numerator + tiny) / (denominator + tiny)
    if exponent != 1:
        ratio = ratio.pow_(exponent)
    return (factor * ratio).clamp_min_(math.sqrt(tiny))
