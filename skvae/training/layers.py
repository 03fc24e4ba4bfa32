"""Stacks of layers, and the mean over the frames of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skvae.training.random import dropped_out

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class FeedForward(nn.Module):
    """Dense layers, which process each frame separately.

    Parameters
    ----------
    n_in : int
        Number of inputs.
    sizes : tuple of int
        Number of units of each layer.
    activation : str
        A key of :data:`ACTIVATIONS`.
    dropout : float
        Fraction of the units dropped in training.

    Examples
    --------
    >>> import torch
    >>> FeedForward(3, (5, 4), "relu", 0.0)(torch.ones(2, 7, 3)).shape
    torch.Size([2, 7, 4])
    """

    def __init__(
        self, n_in: int, sizes: tuple[int, ...], activation: str, dropout: float
    ):
        super().__init__()
        inputs = (n_in, *sizes[:-1])
        self.layers = nn.ModuleList(map(nn.Linear, inputs, sizes))
        self.activation = activation
        self.dropout = dropout
        self.n_out = sizes[-1]

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return outputs (..., n_out) of inputs (..., n_in); `lengths` is ignored."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
            x = dropped_out(x, self.dropout, generator)
        return x


class BiLSTM(nn.Module):
    """Stack of bidirectional LSTM layers.

    Parameters
    ----------
    n_in : int
        Number of inputs.
    sizes : tuple of int
        Number of units of each layer in each direction.
    dropout : float
        Fraction of the units dropped in training.

    Examples
    --------
    >>> import torch
    >>> BiLSTM(3, (5, 4), 0.0)(torch.ones(2, 7, 3)).shape
    torch.Size([2, 7, 8])
    """

    def __init__(self, n_in: int, sizes: tuple[int, ...], dropout: float):
        super().__init__()
        inputs = (n_in, *(2 * size for size in sizes[:-1]))
        self.layers = nn.ModuleList(
            nn.LSTM(n, size, batch_first=True, bidirectional=True)
            for n, size in zip(inputs, sizes, strict=True)
        )
        self.dropout = dropout
        self.n_out = 2 * sizes[-1]

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return outputs (..., N, n_out) of inputs (..., N, n_in)."""
        leading = x.shape[:-2]
        x = x.reshape(-1, *x.shape[-2:])
        for layer in self.layers:
            x = run_lstm(layer, x, lengths)
            x = dropped_out(x, self.dropout, generator)
        return x.reshape(*leading, *x.shape[-2:])


def run_lstm(layer: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return the output of an LSTM for sequences, which may be padded.

    Parameters
    ----------
    layer : LSTM
        The layer.
    x : Tensor of shape (B, N, n_in), or (N, B, n_in)
        Input, in the order of the layer's `batch_first`.
    lengths : Tensor of int, shape (B,), default=None
        Number of frames of each sequence; None means that there is no padding. The
        output for the padding is zero.

    Returns
    -------
    Tensor of shape (B, N, n_out), or (N, B, n_out)

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> output = run_lstm(nn.LSTM(3, 4), torch.ones(7, 2, 3), torch.tensor([7, 5]))
    >>> output.shape, output[5:, 1].any().item()
    (torch.Size([7, 2, 4]), False)
    """
    if x.is_cuda:
        # Autocast runs cuDNN's LSTMs in float16 whatever dtype it is given, and small
        # gradients vanish in float16.
        with torch.autocast("cuda", enabled=False):
            return _run(layer, x.to(next(layer.parameters()).dtype), lengths)
    return _run(layer, x, lengths)


def _run(layer: Any, x: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        output: Tensor = layer(x)[0]
        return output
    first = layer.batch_first
    # Packed, so that the backward direction starts at the end, not in the padding.
    packed = pack_padded_sequence(x, lengths, first, enforce_sorted=False)
    n_frames = x.shape[1 if first else 0]
    return pad_packed_sequence(layer(packed)[0], first, total_length=n_frames)[0]


def frame_mean(values: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, int]:
    """Return the mean over the frames of a batch, without the padding.

    Parameters
    ----------
    values : Tensor of shape (N,) or (B, N)
        A value for each frame.
    lengths : Tensor of shape (B,), default=None
        Number of frames of each sequence; None means that there is no padding.

    Returns
    -------
    mean : Tensor of shape ()
    n_frames : int
        Number of frames without padding.

    Examples
    --------
    >>> import torch
    >>> frame_mean(torch.tensor([[1.0, 3.0], [5.0, 99.0]]), torch.tensor([2, 1]))
    (tensor(3.), 3)
    """
    if lengths is None:
        return values.mean(), values.numel()
    n_frames = int(lengths.sum())
    times = torch.arange(values.shape[1])
    inside = (times < lengths[:, None]).to(values.device)
    # Not a product with the mask: values in the padding may be infinite.
    return torch.where(inside, values, 0.0).sum() / n_frames, n_frames
