"""Stacks of layers that the networks are made of, and how their weights start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skvae.training.random import dropped_out

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}

Module = TypeVar("Module", bound=nn.Module)


class FeedForward(nn.Module):
    """Dense layers, each frame by itself.

    Parameters
    ----------
    n_in : int
        Inputs.
    sizes : tuple of int
        Units of each layer.
    activation : str
        A key of :data:`ACTIVATIONS`.
    dropout : float
        Share of units left out.

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
        """Outputs (..., n_out) of inputs (..., n_in); `lengths` do not matter."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
            x = dropped_out(x, self.dropout, generator)
        return x


class BiLSTM(nn.Module):
    """Bidirectional long short-term memories, one on another.

    Parameters
    ----------
    n_in : int
        Inputs.
    sizes : tuple of int
        Units of each layer in each direction.
    dropout : float
        Share of units left out.

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
        """Outputs (..., N, n_out) of inputs (..., N, n_in)."""
        leading = x.shape[:-2]
        x = x.reshape(-1, *x.shape[-2:])
        for layer in self.layers:
            if x.is_cuda:
                # Autocast runs cuDNN's LSTMs in float16, whatever it is asked for, and
                # there small gradients vanish.
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
    # Packed, so that the way back starts at the end, not in the padding.
    packed = pack_padded_sequence(x, lengths, True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], True, total_length=x.shape[1])[0]


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all layers in a module; buffers are left alone.

    Parameters
    ----------
    module : Module
        Of :class:`FeedForward`, :class:`BiLSTM` and linear layers.
    generator : torch.Generator
        Source of the weights, on the CPU. The global one is not touched.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(3, 2)
    >>> initialise(layer, torch.Generator().manual_seed(0))
    >>> layer.bias.tolist()
    [0.0, 0.0]
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            layer.bias.zero_()
        elif isinstance(layer, nn.LSTM):
            bound = layer.hidden_size**-0.5
            for weight in layer.parameters():
                weight.uniform_(-bound, bound, generator=generator)


def empty(build: Callable[[], Module]) -> Module:
    """Module whose weights are yet to be filled in.

    Parameters
    ----------
    build : callable
        Makes it.

    Returns
    -------
    Module
        On the CPU.

    Examples
    --------
    >>> from torch import nn
    >>> empty(lambda: nn.Linear(3, 2)).weight.shape
    torch.Size([2, 3])
    """
    # Modules draw their weights from the global generator, but not on "meta".
    with torch.device("meta"):
        module = build()
    return module.to_empty(device="cpu")


def frame_mean(values: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, int]:
    """Mean over the frames of a batch, padding left out.

    Parameters
    ----------
    values : Tensor of shape (N,) or (B, N)
        A value for each frame.
    lengths : Tensor of shape (B,), default=None
        Number of frames of each sequence; None means that all are whole.

    Returns
    -------
    mean : Tensor of shape ()
    n_frames : int
        How many it is the mean of.

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
    # Not a product with the mask: what padding holds may be infinite.
    return torch.where(inside, values, 0.0).sum() / n_frames, n_frames
