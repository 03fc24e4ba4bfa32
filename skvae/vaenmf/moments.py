"""Posterior mean and spread of the Wiener gain, without keeping the samples."""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.vaenmf.model import Noise


class MaskMoments:
    """Mean and standard deviation of masks, one added after another (Welford, 1962).

    Parameters
    ----------
    like : Tensor of shape (..., N, F)
        Of the shape and kind of the masks.

    Examples
    --------
    >>> import torch
    >>> moments = MaskMoments(torch.zeros(1, 1))
    >>> for value in (0.0, 1.0):
    ...     moments.add(torch.full((1, 1), value))
    >>> moments.mean.item(), moments.std().item()
    (0.5, 0.5)
    """

    def __init__(self, like: Tensor):
        self.mean = torch.zeros_like(like)
        self._squares = torch.zeros_like(like)
        self._n = 0

    def add(self, mask: Tensor) -> None:
        """Add a mask of shape (..., N, F)."""
        self._n += 1
        change = mask - self.mean
        self.mean.add_(change, alpha=1 / self._n)
        self._squares.addcmul_(change, mask - self.mean)

    def std(self) -> Tensor:
        """Standard deviation, shape (..., N, F)."""
        return (self._squares / max(self._n, 1)).clamp_min_(0).sqrt_()


def wiener_gain(variance: Tensor, noise: Noise, V_b: Tensor | None = None) -> Tensor:
    """Wiener gain of speech of some variance in noise, shape (..., N, F).

    Parameters
    ----------
    variance : Tensor of shape (..., N, F)
        Speech variance, without the gain.
    noise : Noise
        Parameters of the noise, and the gain.
    V_b : Tensor of shape (..., N, F), default=None
        Power of the noise, if it is at hand.

    Returns
    -------
    Tensor of shape (..., N, F)
        In (0, 1).
    """
    speech = variance * noise.gain
    return speech / (speech + (noise.power() if V_b is None else V_b))
