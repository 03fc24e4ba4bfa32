"""Separation of speech and noise by Itakura-Saito NMF with a dictionary of speech.

The dictionary is held. The bases of the noise are learned from the mixture
(semi-supervised), or held too (supervised). See
:mod:`skvae.factorization.nmf_updates` for the model and the updates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from skvae.factorization.nmf_updates import fit_isnmf, random_bases, unit_rows


class SeparatedPower(NamedTuple):
    """Result of :func:`separate_isnmf`.

    Attributes
    ----------
    speech, noise : Tensor of shape (N, F)
        Model power of the two sources.
    W : Tensor of shape (K, F)
        Bases, the speech's first; each row sums to one.
    H : Tensor of shape (N, K)
        Activations.
    history : list of float
        Mean divergence of an element before the first and after each iteration.
    """

    speech: Tensor
    noise: Tensor
    W: Tensor
    H: Tensor
    history: list[float]


def wiener_mask(speech: Tensor, noise: Tensor) -> Tensor:
    """Compute the Wiener filter: the speech's share of the power.

    Parameters
    ----------
    speech, noise : Tensor of shape (..., N, F)
        Power of the two sources.

    Returns
    -------
    Tensor of shape (..., N, F)
        ``speech / (speech + noise)``, in [0, 1], and 0.5 where both are zero. The masks
        of speech and noise sum to one everywhere.

    Examples
    --------
    >>> import torch
    >>> wiener_mask(torch.tensor([3.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 0.0]))
    tensor([0.7500, 0.0000, 0.5000])
    """
    total = speech + noise
    mask = speech / total
    return torch.where(total > 0, mask, torch.full_like(mask, 0.5))


def separate_isnmf(
    V: Tensor,
    W_speech: Tensor,
    W_noise: Tensor | None = None,
    *,
    n_noise: int = 10,
    learn_noise: bool = True,
    max_iter: int = 100,
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
        Dictionary of speech, which is not updated.
    W_noise : Tensor of shape (K_noise, F), optional
        First bases of the noise. None means random numbers.
    n_noise : int
        K_noise, if `W_noise` is None.
    learn_noise : bool
        Whether to update the bases of the noise (semi-supervised), or not (supervised).
    max_iter, exponent, tol
        See :func:`~skvae.factorization.nmf_updates.fit_isnmf`.
    generator : torch.Generator, optional
        Random generator of the first `W_noise`. Required if that is None.

    Returns
    -------
    SeparatedPower
        ``speech``, ``noise``, ``W``, ``H``, ``history``; see :func:`wiener_mask`.

    Notes
    -----
    The speech starts with half the power of each frame, the noise with half the mean
    power of all frames, as stationary noise. The divergence converges as from equal
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
    if W_noise is None:
        if generator is None:
            raise ValueError("pass W_noise or generator.")
        W_noise = random_bases(n_noise, V.shape[1], generator)
    K_speech, K_noise = len(W_speech), len(W_noise)
    W = torch.cat([w.to(V.device, V.dtype) for w in (W_speech, W_noise)])
    W, _ = unit_rows(W)
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
        max_iter=max_iter,
        exponent=exponent,
        tol=tol,
    )
    return SeparatedPower(
        H[:, :K_speech] @ W[:K_speech], H[:, K_speech:] @ W[K_speech:], W, H, history
    )
