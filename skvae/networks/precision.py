"""How many bits a network computes with: half of them where the hardware gains."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from skvae.utils.parameters import check_option

PRECISIONS = ("float32", "bfloat16")


def autocast(device: str, precision: str) -> AbstractContextManager:
    """Context in which a network computes, its loss left outside.

    Weights, gradients and Adam's averages are float32 in both cases, and so are LSTMs
    on CUDA: see :class:`skvae.networks.layers.BiLSTM`.

    Parameters
    ----------
    device : str
        Where the network is.
    precision : {"float32", "bfloat16"}
        With "bfloat16" products have eight bits of mantissa, and so may what comes out:
        ``.float()`` is due before it goes into a loss.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import torch
    >>> network, x = torch.nn.Linear(3, 2), torch.ones(5, 3)
    >>> with autocast("cpu", "bfloat16"):
    ...     y = network(x)
    >>> y.dtype, y.float().square().mean().dtype, network.weight.dtype
    (torch.bfloat16, torch.float32, torch.float32)
    """
    check_option("precision", precision, PRECISIONS)
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)
