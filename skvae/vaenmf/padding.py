"""Sums over the frames of padded utterances.

`frames` is a tensor of shape (B, N, 1): one for the frames of an utterance, zero for
its padding. None stands for a single utterance without padding.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frames_inside(lengths: Tensor, V: Tensor) -> Tensor:
    """Return one for the frames of padded utterances and zero for their padding.

    Parameters
    ----------
    lengths : Tensor of int, shape (B,)
        Number of frames of each utterance, on the CPU.
    V : Tensor of shape (B, N, F)
        Tensor whose type and device the result has.

    Returns
    -------
    Tensor of shape (B, N, 1)

    Examples
    --------
    >>> import torch
    >>> frames_inside(torch.tensor([1, 2]), torch.ones(2, 2, 3))[..., 0]
    tensor([[1., 0.],
            [1., 1.]])
    """
    inside = torch.arange(V.shape[1]) < lengths[:, None]
    return inside[..., None].to(V)


def total(x: Tensor, frames: Tensor | None) -> Tensor:
    """Sum over the frames and the last axis of each utterance.

    Parameters
    ----------
    x : Tensor of shape (..., N, D)
        Values, finite in the padding too.
    frames : Tensor of shape (B, N, 1) or None
        Frames that count.

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
    """Count the frames of each utterance, or of the only one."""
    if frames is None:
        return [V.shape[-2]]
    return [int(n) for n in frames.sum((-2, -1)).tolist()]


def mean_power(V: Tensor, frames: Tensor | None) -> Tensor:
    """Average V (..., N, F) over the bins of each utterance, shape () or (B,)."""
    if frames is None:
        return V.mean()
    return total(V, frames) / (frames.sum((-2, -1)) * V.shape[-1])
