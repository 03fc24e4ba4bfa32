"""Random numbers of networks, from explicit generators, never from the global one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

#: Rows of a batch that this process computes, and the number of rows of the batch.
_ROWS: ContextVar[tuple[slice, int] | None] = ContextVar("rows", default=None)


@contextmanager
def drawing_for_rows(rows: slice, n_rows: int) -> Iterator[None]:
    """Return a context in which rows have the random numbers of a whole batch.

    Parameters
    ----------
    rows : slice
        Rows to draw for, in the first dimension.
    n_rows : int
        Number of rows of the whole batch.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(4, 3)
    >>> whole = dropped_out(x, 0.5, torch.Generator().manual_seed(0))
    >>> with drawing_for_rows(slice(1, 3), 4):
    ...     part = dropped_out(x[1:3], 0.5, torch.Generator().manual_seed(0))
    >>> torch.equal(part, whole[1:3])
    True
    """
    token = _ROWS.set((rows, n_rows))
    try:
        yield
    finally:
        _ROWS.reset(token)


def draw_rows(
    shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Tensor]
) -> Tensor:
    """Draw for the rows of a batch that this process computes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the result, with the rows first.
    draw : callable
        Function that draws a tensor of a shape.

    Returns
    -------
    Tensor
        The rows, out of a draw for the whole batch.

    Examples
    --------
    >>> import torch
    >>> draw_rows((2, 3), torch.zeros).shape
    torch.Size([2, 3])
    """
    part = _ROWS.get()
    if part is None:
        return draw(shape)
    rows, n_rows = part
    return draw((n_rows, *shape[1:]))[rows]


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from Gaussians by reparameterization, which passes gradients.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., L)
        Parameters of independent Gaussians.
    generator : torch.Generator
        Source of the draws, on the device of the tensors.

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
    noise = draw_rows(
        mean.shape,
        lambda shape: torch.randn(
            shape, generator=generator, dtype=mean.dtype, device=mean.device
        ),
    )
    return torch.addcmul(mean, (0.5 * log_variance).exp(), noise)


def dropped_out(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Set units to zero at random, and scale the others up.

    PyTorch's own dropout draws from the global generator.

    Parameters
    ----------
    x : Tensor
        Outputs of units.
    share : float
        Fraction of the units to drop, in [0, 1).
    generator : torch.Generator or None
        Source of the draws, on the device of `x`; None disables dropout.

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
    kept = draw_rows(
        x.shape,
        lambda shape: x.new_empty(shape).bernoulli_(1 - share, generator=generator),
    )
    return x * kept / (1 - share)
