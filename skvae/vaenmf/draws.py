"""Normal draws."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers of the shape and type of a tensor.

    Parameters
    ----------
    like : Tensor of any shape
        Tensor that gives shape, type and device.
    generator : torch.Generator
        Source of the draws, which are made on its device.

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


def draw_uniform(
    like: Tensor, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Draw uniform numbers of the type of a tensor.

    Parameters
    ----------
    like : Tensor
        Tensor that gives type and device.
    shape : tuple of int
        Shape of the result.
    generator : torch.Generator
        Source of the draws, which are made on its device.

    Returns
    -------
    Tensor
    """
    drawn = torch.rand(
        shape, generator=generator, dtype=like.dtype, device=generator.device
    )
    return drawn.to(like.device)


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from a Gaussian, differentiable in its mean and log-variance.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., N, L)
        Parameters.
    generator : torch.Generator
        Source of the draw.

    Returns
    -------
    Tensor of shape (..., N, L)

    Examples
    --------
    >>> import torch
    >>> mean, log_variance = torch.ones(1, 2), torch.full((1, 2), -torch.inf)
    >>> draw(mean, log_variance, torch.Generator().manual_seed(0))
    tensor([[1., 1.]])
    """
    noise = draw_normal(mean, generator)
    return torch.addcmul(mean, noise, (0.5 * log_variance).exp())
