"""Networks that look at noisy speech and say how much of each bin is speech.

``dense`` reads a frame and its neighbours, as the DNN-IRM of Y. Bando et al.,
"Statistical speech enhancement based on probabilistic integration of variational
autoencoder and non-negative matrix factorization", ICASSP 2018; ``bilstm`` whole
sequences, as the encoder of Y. Bando et al., "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020.

What they read is the logarithm of the power in bands, of mixtures whose mean power is
one: so a mask does not depend on the level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from skvae.training.band_features import BandFeatures
from skvae.training.layers import BiLSTM, FeedForward, empty, initialise
from skvae.training.state import load_arrays


@dataclass(frozen=True)
class MaskConfig:
    """What it takes, beside the weights, to build a mask network again.

    Parameters
    ----------
    n_bins : int
        F.
    n_bands : int
        M.
    hidden : tuple of int
        Units of the layers, in each direction for "bilstm".
    architecture : {"dense", "bilstm"}
        Kind of layer.
    context : int
        Frames that a dense network sees at once, an odd number.
    dropout : float
        Share of the hidden units that is left out in training. It is no part of what
        the weights mean, so configurations that differ in it are equal.

    Examples
    --------
    >>> config = MaskConfig(513, 96, (128, 128), "bilstm")
    >>> sum(weight.numel() for weight in MaskNetwork(config).parameters())
    758529
    """

    n_bins: int
    n_bands: int
    hidden: tuple[int, ...]
    architecture: str = "bilstm"
    context: int = 1
    dropout: float = field(default=0.0, compare=False)


class MaskNetwork(nn.Module):
    """Mask of noisy speech.

    Parameters
    ----------
    config : MaskConfig
        Its sizes.

    Examples
    --------
    >>> import torch
    >>> network = MaskNetwork(MaskConfig(5, 4, (8,), "dense", context=3))
    >>> network(torch.ones(2, 7, 5)).shape
    torch.Size([2, 7, 5])
    """

    def __init__(self, config: MaskConfig):
        super().__init__()
        self.config = config
        self.features = BandFeatures(config.n_bins, config.n_bands)
        if config.architecture == "bilstm":
            self.hidden: BiLSTM | FeedForward = BiLSTM(
                config.n_bands, config.hidden, config.dropout
            )
        else:
            self.hidden = FeedForward(
                config.context * config.n_bands, config.hidden, "relu", config.dropout
            )
        self.mask = nn.Linear(self.hidden.n_out, config.n_bins)

    def forward(
        self,
        power: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Mask (..., N, F) of power (..., N, F).

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of noisy speech, its mean one.
        lengths : Tensor of int, shape (B,), default=None
            Numbers of frames, where power (B, N, F) holds padded sequences. What the
            padding gives means nothing.
        generator : torch.Generator, default=None
            Source of dropout; there is none without it.

        Returns
        -------
        Tensor of shape (..., N, F)
            In [0, 1].
        """
        # Logarithms of quiet bands take more digits than bfloat16 has.
        with torch.autocast(power.device.type, enabled=False):
            features = self.features(power)
        if self.config.context > 1:
            features = with_context(features, self.config.context, lengths)
        return self.mask(self.hidden(features, lengths, generator)).sigmoid()


def with_context(x: Tensor, n_frames: int, lengths: Tensor | None = None) -> Tensor:
    """Each frame with its neighbours; at the ends of a sequence its last frame again.

    Parameters
    ----------
    x : Tensor of shape (..., N, M)
        Features.
    n_frames : int
        How many make one, an odd number.
    lengths : Tensor of int, shape (B,), default=None
        Numbers of frames, where x (B, N, M) holds padded sequences.

    Returns
    -------
    Tensor of shape (..., N, n_frames * M)

    Examples
    --------
    >>> import torch
    >>> with_context(torch.tensor([[1.0], [2.0], [3.0]]), 3)
    tensor([[1., 1., 2.],
            [1., 2., 3.],
            [2., 3., 3.]])
    """
    times = torch.arange(x.shape[-2], device=x.device)
    shifts = torch.arange(n_frames, device=x.device) - n_frames // 2
    neighbours = (times[:, None] + shifts).clamp_min_(0)
    if lengths is None:
        stacked = x[..., neighbours.clamp_max_(x.shape[-2] - 1), :]
    else:
        last = (lengths.to(x.device) - 1)[:, None, None]
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        stacked = x[rows, torch.minimum(neighbours, last)]
    return stacked.flatten(-2)


def initial_mask_network(config: MaskConfig, generator: torch.Generator) -> MaskNetwork:
    """Mask network with random weights.

    Parameters
    ----------
    config : MaskConfig
        Its sizes.
    generator : torch.Generator
        Source of the weights, on the CPU. The global one is not touched.

    Returns
    -------
    MaskNetwork
        Its bands are yet to be set.

    Examples
    --------
    >>> import torch
    >>> network = initial_mask_network(MaskConfig(5, 4, (8,)), torch.Generator())
    >>> network.features.filters.shape
    torch.Size([5, 4])
    """
    network = empty(lambda: MaskNetwork(config))
    network.features.filters.zero_()
    network.features.mean.zero_()
    network.features.scale.fill_(1.0)
    initialise(network, generator)
    return network


def mask_network_from(
    config: MaskConfig, state: Mapping[str, np.ndarray]
) -> MaskNetwork:
    """Mask network with given weights.

    Parameters
    ----------
    config : MaskConfig
        Its sizes.
    state : mapping of str to ndarray
        The weights, as :func:`skvae.training.state.to_arrays` gives them.

    Returns
    -------
    MaskNetwork
        On the CPU.

    Examples
    --------
    >>> import torch
    >>> from skvae.training.state import to_arrays
    >>> network = initial_mask_network(MaskConfig(5, 4, (8,)), torch.Generator())
    >>> again = mask_network_from(network.config, to_arrays(network))
    >>> torch.equal(network(torch.ones(7, 5)), again(torch.ones(7, 5)))
    True
    """
    network = empty(lambda: MaskNetwork(config))
    load_arrays(network, state)
    return network
