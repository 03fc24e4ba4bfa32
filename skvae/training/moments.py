"""Statistics of power spectra, from which networks are standardized."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from skvae.training.clean_batches import Batch


class Moments(NamedTuple):
    """Statistics of the power of frames.

    Attributes
    ----------
    mean : ndarray of shape (F,)
        Mean power.
    scale : float
        Root mean square of the power, over all bins.
    log_mean : ndarray of shape (F,)
        Mean of the logarithm of the power.
    log_scale : float
        Standard deviation of the logarithm around `log_mean`, over all bins.
    """

    mean: np.ndarray
    scale: float
    log_mean: np.ndarray
    log_scale: float


def measure(batches: Iterable[Batch], floor: float) -> Moments:
    """Return statistics of the power of frames.

    Parameters
    ----------
    batches : iterable of Batch
        The frames; padding does not count.
    floor : float
        Number that is added to all power.

    Returns
    -------
    Moments

    Examples
    --------
    >>> import torch
    >>> moments = measure([Batch(torch.tensor([[1.0], [3.0]]))], floor=1.0)
    >>> moments.mean, round(moments.scale, 3)
    (array([3.]), 3.162)
    >>> moments.log_mean.round(3), round(moments.log_scale, 3)
    (array([1.04]), 0.347)
    """
    n_frames = 0
    total: Any = 0.0
    squares: Any = 0.0
    log_total: Any = 0.0
    log_squares: Any = 0.0
    for batch in batches:
        power = batch.power
        if batch.lengths is not None:
            power = torch.cat(
                [x[:n] for x, n in zip(power, batch.lengths, strict=True)]
            )
        power = power + floor
        log_power = power.log()
        n_frames += len(power)
        total += power.sum(0, dtype=torch.float64)
        squares += power.square().sum(dtype=torch.float64)
        log_total += log_power.sum(0, dtype=torch.float64)
        log_squares += log_power.square().sum(dtype=torch.float64)
    mean, log_mean = total / n_frames, log_total / n_frames
    n_values = n_frames * len(mean)
    log_variance = log_squares / n_values - log_mean.square().mean()
    return Moments(
        mean=mean.numpy(),
        scale=float((squares / n_values).sqrt()),
        log_mean=log_mean.numpy(),
        log_scale=float(log_variance.clamp_min(0).sqrt()),
    )
