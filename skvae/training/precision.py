"""How many bits a network computes with: half of them where the hardware gains."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from skvae.training.parameters import PRECISIONS
from skvae.utils.parameters import check_option


def autocast(device: str, precision: str) -> AbstractContextManager:
    """Context in which a network computes, its loss left outside.

    Weights, gradients and Adam's averages are float32 in both cases, and so are LSTMs
    on CUDA: see :class:`skvae.training.layers.BiLSTM`.

    Parameters
    ----------
    device : str
        Where the network is.
    precision : {"float32", "bfloat16"}
        With "bfloat16" products have eight bits of mantissa, and so may what comes out:
        ``.float()`` is due before it goes into a loss. On a processor that does not
        know it, this is float32.

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
    """Whether bfloat16 is worth asking for.

    A processor without instructions for it, such as one with AVX2 alone, multiplies
    fifty times slower in bfloat16 than in float32, and oneDNN has no LSTM for it.

    Parameters
    ----------
    device : str
        Where the network is.

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
