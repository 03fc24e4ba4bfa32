"""Mask network whose recurrence over time is shared by frequency bands.

Each band has as many channels. Blocks alternate between LSTMs over time, which have the
same weights in all bands, and a bottleneck that joins the bands of a frame. Splitting a
spectrum into bands with layers of their own, and modeling time and bands in turn,
follows Y. Luo and J. Yu, "Music source separation with band-split RNN", TASLP 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from skvae.training.band_features import BandFeatures
from skvae.training.layers import run_lstm
from skvae.training.random import dropped_out


@dataclass(frozen=True)
class BandSplitConfig:
    """Sizes of a band-split network.

    Parameters
    ----------
    inputs : tuple of int
        Number of features of each band.
    outputs : tuple of int
        Number of bins of each band.
    n_channels : int
        Number of channels of a band, D.
    hidden : tuple of int
        Number of units of the LSTM of each block, in each direction.
    n_bottleneck : int
        Number of units that join the bands in each block.
    bidirectional : bool
        Whether the LSTMs also read backward.
    dropout : float
        Fraction of the outputs of the LSTMs dropped in training. Configurations that
        differ only in it are equal, since the weights do not depend on it.

    Examples
    --------
    >>> config = BandSplitConfig((4, 2), (4, 5), 8, (6, 6), 3)
    >>> config.n_bins, config.n_bands
    (9, 2)
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    n_channels: int
    hidden: tuple[int, ...]
    n_bottleneck: int
    bidirectional: bool = True
    dropout: float = field(default=0.0, compare=False)

    @property
    def n_bins(self) -> int:
        """Number of frequencies, F."""
        return sum(self.outputs)

    @property
    def n_bands(self) -> int:
        """Number of bands, K."""
        return len(self.outputs)


class BandSplitNetwork(nn.Module):
    """Network that estimates the mask of noisy speech from bands that share weights.

    Parameters
    ----------
    config : BandSplitConfig
        Sizes of the network.

    Examples
    --------
    >>> import torch
    >>> network = BandSplitNetwork(BandSplitConfig((4, 2), (4, 5), 8, (6, 6), 3))
    >>> network(torch.ones(2, 7, 9)).shape
    torch.Size([2, 7, 9])
    """

    def __init__(self, config: BandSplitConfig):
        super().__init__()
        self.config = config
        self.features = BandFeatures(config.n_bins, sum(config.inputs))
        self.hidden = BandSplit(config)
        self.mask = BandHeads(config.n_channels, config.outputs)

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
        hidden = self.hidden(self.features(power), lengths, generator)
        return self.mask(hidden).sigmoid()


class BandSplit(nn.Module):
    """Layers from the features of a frame to the channels of its bands.

    Parameters
    ----------
    config : BandSplitConfig
        Sizes of the network.

    Examples
    --------
    >>> import torch
    >>> layers = BandSplit(BandSplitConfig((4, 2), (4, 5), 8, (6, 6), 3))
    >>> layers(torch.ones(2, 7, 6)).shape
    torch.Size([2, 7, 16])
    """

    def __init__(self, config: BandSplitConfig):
        super().__init__()
        self.inputs = config.inputs
        self.n_out = config.n_bands * config.n_channels
        self.split = nn.ModuleList(
            nn.Linear(size, config.n_channels) for size in config.inputs
        )
        self.blocks = nn.ModuleList(BandBlock(config, size) for size in config.hidden)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return channels (..., N, K D) of features (..., N, M), band by band."""
        leading = x.shape[:-2]
        # Time first: LSTMs then see (sequence, band) as rows, and the bottleneck sees
        # (band, channel) as columns, without copies.
        x = x.reshape(-1, *x.shape[-2:]).transpose(0, 1)
        parts = x.split(self.inputs, dim=-1)
        bands = torch.stack(
            [layer(part) for layer, part in zip(self.split, parts, strict=True)], dim=2
        )
        for block in self.blocks:
            bands = block(bands, lengths, generator)
        return bands.flatten(-2).transpose(0, 1).reshape(*leading, -1, self.n_out)


class BandBlock(nn.Module):
    """LSTM over time that all bands share, and a bottleneck that joins the bands.

    Both add their output to their input.

    Parameters
    ----------
    config : BandSplitConfig
        Sizes of the network.
    n_units : int
        Number of units of the LSTM in each direction.

    Examples
    --------
    >>> import torch
    >>> block = BandBlock(BandSplitConfig((4, 2), (4, 5), 8, (6,), 3), 6)
    >>> block(torch.ones(7, 2, 2, 8)).shape
    torch.Size([7, 2, 2, 8])
    """

    def __init__(self, config: BandSplitConfig, n_units: int):
        super().__init__()
        n_channels, n_all = config.n_channels, config.n_bands * config.n_channels
        self.over_time = nn.LSTM(
            n_channels, n_units, bidirectional=config.bidirectional
        )
        n_directions = 2 if config.bidirectional else 1
        self.from_time = nn.Linear(n_directions * n_units, n_channels)
        self.to_bottleneck = nn.Linear(n_all, config.n_bottleneck)
        self.from_bottleneck = nn.Linear(config.n_bottleneck, n_all)
        self.dropout = config.dropout

    def forward(
        self,
        bands: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return channels (N, B, K, D) of channels (N, B, K, D)."""
        n_bands = bands.shape[2]
        if lengths is not None:
            lengths = lengths.repeat_interleave(n_bands)
        output = run_lstm(self.over_time, bands.flatten(1, 2), lengths)
        # A row of random numbers is a sequence, with all its frames and bands.
        output = output.reshape(*bands.shape[:3], -1).transpose(0, 1)
        output = dropped_out(output, self.dropout, generator).transpose(0, 1)
        bands = bands + self.from_time(output)
        joined = self.to_bottleneck(bands.flatten(-2)).relu()
        return bands + self.from_bottleneck(joined).reshape(bands.shape)


class BandHeads(nn.Module):
    """Linear layers from the channels of each band to its bins.

    Parameters
    ----------
    n_channels : int
        Number of channels of a band.
    outputs : tuple of int
        Number of bins of each band.

    Examples
    --------
    >>> import torch
    >>> BandHeads(8, (4, 5))(torch.ones(7, 16)).shape
    torch.Size([7, 9])
    """

    def __init__(self, n_channels: int, outputs: tuple[int, ...]):
        super().__init__()
        self.n_channels = n_channels
        self.bands = nn.ModuleList(nn.Linear(n_channels, size) for size in outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return values (..., F) of channels (..., K D), band by band."""
        parts = hidden.split(self.n_channels, dim=-1)
        return torch.cat(
            [layer(part) for layer, part in zip(self.bands, parts, strict=True)], dim=-1
        )
