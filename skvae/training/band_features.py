"""Input of mask networks and denoising encoders: log power in frequency bands."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skvae.training.networks import SCALES
from skvae.utils.parameters import MAX_WEIGHT, Number

#: Added to the mean power of a band before its logarithm is taken: -60 dB.
BAND_FLOOR = 1e-6


class BandFeatures(nn.Module):
    """Standardized logarithms of the power in bands.

    Parameters
    ----------
    n_bins, n_bands : int
        F and M.

    Attributes
    ----------
    filters : Tensor of shape (F, M)
        Weights of the bins in each band; the weights of a band sum to one.
    mean : Tensor of shape (M,)
        Mean of the logarithms, which is subtracted.
    scale : Tensor of shape ()
        Standard deviation of the logarithms, which divides them.

    Examples
    --------
    >>> import torch
    >>> features = BandFeatures(3, 1)
    >>> _ = features.filters.fill_(1 / 3)
    >>> features(torch.ones(7, 3)).shape
    torch.Size([7, 1])
    """

    buffer_ranges = {"filters": Number(0, MAX_WEIGHT), "scale": SCALES}

    filters: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, n_bins: int, n_bands: int):
        super().__init__()
        self.register_buffer("filters", torch.empty(n_bins, n_bands))
        self.register_buffer("mean", torch.empty(n_bands))
        self.register_buffer("scale", torch.empty(()))
        self.reset_buffers()

    def reset_buffers(self) -> None:
        """Set empty filters and no standardization."""
        self.filters.zero_()
        self.mean.zero_()
        self.scale.fill_(1.0)

    def logarithms(self, power: Tensor) -> Tensor:
        """Return the logarithms (..., M) of power (..., F)."""
        return (power @ self.filters).add_(BAND_FLOOR).log_()

    def forward(self, power: Tensor) -> Tensor:
        """Return the features (..., M) of power (..., F), always in full precision."""
        # Logarithms of quiet bands need more digits than bfloat16 has.
        with torch.autocast(power.device.type, enabled=False):
            return (self.logarithms(power) - self.mean) / self.scale
