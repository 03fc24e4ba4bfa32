"""What mask networks and denoising encoders read: power in bands, as logarithms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Added to the mean power of a band before its logarithm is taken: -60 dB.
BAND_FLOOR = 1e-6


class BandFeatures(nn.Module):
    """Standardised logarithms of the power in bands.

    Parameters
    ----------
    n_bins, n_bands : int
        F and M.

    Attributes
    ----------
    filters : Tensor of shape (F, M)
        Weights of the bins in each band; each band's sum to one.
    mean : Tensor of shape (M,)
        What is subtracted from the logarithms.
    scale : Tensor of shape ()
        What they are divided by then.

    Examples
    --------
    >>> import torch
    >>> features = BandFeatures(3, 1)
    >>> _ = features.filters.fill_(1 / 3)
    >>> features(torch.ones(7, 3)).shape
    torch.Size([7, 1])
    """

    filters: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, n_bins: int, n_bands: int):
        super().__init__()
        self.register_buffer("filters", torch.zeros(n_bins, n_bands))
        self.register_buffer("mean", torch.zeros(n_bands))
        self.register_buffer("scale", torch.ones(()))

    def logarithms(self, power: Tensor) -> Tensor:
        """Logarithms (..., M) of power (..., F)."""
        return (power @ self.filters).add_(BAND_FLOOR).log_()

    def forward(self, power: Tensor) -> Tensor:
        """Features (..., M) of power (..., F)."""
        return (self.logarithms(power) - self.mean) / self.scale
