"""Mean and spread of the Wiener gain over draws, without keeping the draws."""

from __future__ import annotations

import torch
from torch import Tensor


class MaskMoments:
    """Running mean and standard deviation of masks (Welford, 1962).

    Parameters
    ----------
    like : Tensor of shape (..., N, F)
        Tensor of the shape, type and device of the masks.

    Examples
    --------
    >>> import torch
    >>> moments = MaskMoments(torch.zeros(1, 1))
    >>> for value in (0.0, 1.0):
    ...     moments.add(torch.full((1, 1), value))
    >>> moments.mean.item(), moments.std().item()
    (0.5, 0.7071067690849304)
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
        """Return the standard deviation of the draws, shape (..., N, F); 0 for one."""
        return (self._squares / max(self._n - 1, 1)).clamp_min_(0).sqrt_()


def wiener_gain(variance: Tensor, gain: Tensor, V_b: Tensor) -> Tensor:
    """Return the Wiener gain of speech in noise, shape (..., N, F).

    Parameters
    ----------
    variance : Tensor of shape (..., N, F)
        Speech variance, without the gain.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
    V_b : Tensor of shape (..., N, F)
        Power of the noise.

    Returns
    -------
    Tensor of shape (..., N, F)
        Gain in (0, 1).
    """
    speech = variance * gain
    return speech / (speech + V_b)
