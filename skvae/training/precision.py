"""Arithmetic of networks in training: float32, or bfloat16 on hardware for it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from skvae.training.parameters import PRECISIONS
from skvae.utils.parameters import check_option


def autocast(device: str, precision: str) -> AbstractContextManager:
    """Return a context for the forward pass of a network, without its loss.

    Weights, gradients and Adam's averages are always float32, and so are LSTMs on CUDA;
    see :class:`skvae.training.layers.BiLSTM`.

    Parameters
    ----------
    device : str
        PyTorch device of the network.
    precision : {"float32", "bfloat16"}
        Arithmetic of the products. bfloat16 has eight bits of mantissa, and outputs may
        be bfloat16, so convert them by ``.float()`` before computing a loss. Processors
        that do not support it use float32.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import torch
    >>> network, x = torch.nn.Linear(3, 2), torch.ones(5, 3)
    >>> with autocast("cpu", "bfloat16"):
    ...     y = network(x)
    >>> (y.dtype == torch.bfloat16) == knows_bfloat16("cpu")
    True
    >>> y.float().square().mean().dtype, network.weight.dtype
    (torch.float32, torch.float32)
    """
    check_option("precision", precision, PRECISIONS)
    if precision == "float32" or not knows_bfloat16(device):
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


@cache
def knows_bfloat16(device: str) -> bool:
    """Return whether bfloat16 is faster than float32.

    A processor without instructions for it, such as one with AVX2 only, multiplies
    fifty times slower in bfloat16 than in float32, and oneDNN has no LSTM for it.

    Parameters
    ----------
    device : str
        PyTorch device of the network.

    Returns
    -------
    bool

    Examples
    --------
    >>> knows_bfloat16("cpu") in (True, False)
    True
    """
    if torch.device(device).type != "cpu":
        return True
    return bool(
        torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
