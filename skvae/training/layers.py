"""Stacks of layers, and the mean over the frames of a batch."""

from __future__ import annotations

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
            if x.is_cuda:
                # Autocast runs cuDNN's LSTMs in float16 whatever dtype it is given, and
                # small gradients vanish in float16.
                with torch.autocast("cuda", enabled=False):
                    x = _run(layer, x.to(next(layer.parameters()).dtype), lengths)
            else:
                x = _run(layer, x, lengths)
            x = dropped_out(x, self.dropout, generator)
        return x.reshape(*leading, *x.shape[-2:])


def _run(layer: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Outputs (B, N, n_out) of inputs (B, N, n_in)."""
    if lengths is None:
        return layer(x)[0]
    # Packed, so that the backward direction starts at the end, not in the padding.
    packed = pack_padded_sequence(x, lengths, True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], True, total_length=x.shape[1])[0]


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
