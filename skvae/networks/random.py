"""What networks draw, from generators that are passed: never from the global one."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from Gaussians in a way that gradients pass through.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., L)
        Of independent Gaussians.
    generator : torch.Generator
        On the device of the tensors.

    Returns
    -------
    Tensor of shape (..., L)

    Examples
    --------
    >>> import torch
    >>> mean = torch.ones(2, 3)
    >>> z = draw(mean, torch.full((2, 3), -50.0), torch.Generator().manual_seed(0))
    >>> torch.allclose(z, mean)
    True
    """
    noise = torch.randn(
        mean.shape, generator=generator, dtype=mean.dtype, device=mean.device
    )
    return torch.addcmul(mean, (0.5 * log_variance).exp(), noise)


def dropped_out(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Leave out units at random, those that stay made larger.

    PyTorch's own dropout draws from the global generator.

    Parameters
    ----------
    x : Tensor
        Outputs of units.
    share : float
        How many to leave out, in [0, 1).
    generator : torch.Generator or None
        On the device of `x`; None leaves out none.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(10_000)
    >>> round(dropped_out(x, 0.2, torch.Generator().manual_seed(0)).mean().item(), 1)
    1.0
    >>> dropped_out(x, 0.2, None) is x
    True
    """
    if generator is None or share == 0:
        return x
    kept = torch.empty_like(x).bernoulli_(1 - share, generator=generator)
    return x * kept / (1 - share)
