"""Networks that estimate the mask of noisy speech.

``dense`` reads a frame and its neighbors, like the DNN-IRM of Y. Bando et al.,
"Statistical speech enhancement based on probabilistic integration of variational
autoencoder and non-negative matrix factorization", ICASSP 2018. ``bilstm`` reads whole
sequences, like the encoder of Y. Bando et al., "Adaptive neural speech enhancement with
a denoising variational autoencoder", INTERSPEECH 2020.

The input is the log power in bands, of mixtures whose mean power is one. Masks
therefore do not depend on the level.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from skvae.training.band_features import BandFeatures
from skvae.training.layers import BiLSTM, FeedForward


@dataclass(frozen=True)
class MaskConfig:
    """Sizes of a mask network.

    Parameters
    ----------
    n_bins : int
        F.
    n_bands : int
        M.
    hidden : tuple of int
        Number of units of each layer, for "bilstm" in each direction.
    architecture : {"dense", "bilstm"}
        Type of the layers.
    context : int
        Number of frames that a dense network reads for a frame, an odd number.
    dropout : float
        Fraction of the hidden units dropped in training. Configurations that differ
        only in it are equal, since the weights do not depend on it.

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
    """Network that estimates the mask of noisy speech.

    Parameters
    ----------
    config : MaskConfig
        Sizes of the network.

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
        """Estimate the mask.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of noisy speech, with a mean of one.
        lengths : Tensor of int, shape (B,), default=None
            Number of frames of each sequence, if power (B, N, F) is padded. The output
            for the padding is undefined.
        generator : torch.Generator, default=None
            Source of the dropout. None disables dropout.

        Returns
        -------
        Tensor of shape (..., N, F)
            In [0, 1].
        """
        features = self.features(power)
        if self.config.context > 1:
            features = with_context(features, self.config.context, lengths)
        return self.mask(self.hidden(features, lengths, generator)).sigmoid()


def with_context(x: Tensor, n_frames: int, lengths: Tensor | None = None) -> Tensor:
    """Concatenate each frame with its neighbors.

    Beyond the ends of a sequence its first and last frame are repeated.

    Parameters
    ----------
    x : Tensor of shape (..., N, M)
        Features.
    n_frames : int
        Number of frames to concatenate, an odd number.
    lengths : Tensor of int, shape (B,), default=None
        Number of frames of each sequence, if x (B, N, M) is padded.

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
    neighbors = (times[:, None] + shifts).clamp_min_(0)
    if lengths is None:
        stacked = x[..., neighbors.clamp_max_(x.shape[-2] - 1), :]
    else:
        last = (lengths.to(x.device) - 1)[:, None, None]
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        stacked = x[rows, torch.minimum(neighbors, last)]
    return stacked.flatten(-2)
