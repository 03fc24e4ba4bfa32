r"""Losses of masks, for supervised training.

All losses are functions of a mask m and of mixtures whose mean power is one. With noisy
speech x, its clean speech s and its noise n, the error of a bin is

* IRM: :math:`(m - (|s|^2 / (|s|^2 + |n|^2))^{1/2})^2`, with the ideal ratio mask of Y.
  Wang, A. Narayanan and D. Wang, "On training targets for supervised speech
  separation", TASLP 2014;
* MSA: :math:`(m |x| - |s|)^2`, the magnitude spectrum approximation, and PSA: :math:`(m
  |x| - |s| \cos(\angle x - \angle s))^2`, the phase-sensitive one, of H. Erdogan et
  al., "Phase-sensitive and recognition-boosted speech separation using deep recurrent
  neural networks", ICASSP 2015. The latter is Eq. (6) of Y. Bando et al., "Adaptive
  neural speech enhancement with a denoising variational autoencoder", INTERSPEECH 2020;
* perceptual: MSA and PSA of compressed magnitudes, minus the scale-invariant
  signal-to-distortion ratio of the sequence.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skvae.training.layers import frame_mean
from skvae.training.noisy_batches import Mixtures

#: Training targets of a masked spectrum.
TARGETS = ("perceptual", "psa", "msa")

#: Least power and least magnitude of a denominator.
_TINY_POWER, _TINY_MAGNITUDE = 1e-10, 1e-5
#: Exponent that compresses magnitudes like hearing does, and the offset before it.
_COMPRESSION, _COMPRESSION_FLOOR = 0.3, 1e-3
#: Weights of the error with phases, of the error without, and of 1 dB of SI-SDR.
_PHASE_WEIGHT, _MAGNITUDE_WEIGHT, _DB_WEIGHT = 3.0, 7.0, 0.05
#: Least distortion relative to the power. It limits the SI-SDR to 50 dB, so that speech
#: without noise does not dominate the training.
_LEAST_DISTORTION = 1e-5


def ideal_ratio_mask(batch: Mixtures, exponent: float = 0.5) -> Tensor:
    r"""Return the ideal ratio mask: the speech's fraction of the power.

    .. math:: \left( \frac{|s|^2}{|s|^2 + |n|^2} \right)^\text{exponent}

    Parameters
    ----------
    batch : Mixtures
        The mixtures.
    exponent : float
        Exponent of the fraction: 1/2 for the usual mask of magnitudes, 1 for the
        Wiener gain.

    Returns
    -------
    Tensor of shape (B, N, F)

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> ideal_ratio_mask(Mixtures(one, one / 2, one / 2, torch.tensor([1]))).item()
    0.707...
    """
    noise = (batch.noisy + batch.clean - 2 * batch.cross).clamp_min_(0)
    total = (batch.clean + noise).clamp_min_(_TINY_POWER)
    return (batch.clean / total) ** exponent


def ratio_error(mask: Tensor, batch: Mixtures, exponent: float = 0.5) -> Tensor:
    """Return the mean squared error to the ideal ratio mask over the bins.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures.
    exponent : float
        Exponent of the ideal mask; see :func:`ideal_ratio_mask`.

    Returns
    -------
    Tensor of shape (B, N)

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> batch = Mixtures(one, one / 4, one / 4, torch.tensor([1]))
    >>> ratio_error(one, batch, exponent=1.0)
    tensor([[0.5625]])
    """
    return (mask - ideal_ratio_mask(batch, exponent)).square().mean(-1)


def magnitude_error(mask: Tensor, batch: Mixtures) -> Tensor:
    """Return the mean error of magnitude spectrum approximation (MSA) over the bins.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures.

    Returns
    -------
    Tensor of shape (B, N)

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> magnitude_error(one, Mixtures(one, one / 4, one / 4, torch.tensor([1])))
    tensor([[0.2500]])
    """
    return (mask * batch.noisy.sqrt() - batch.clean.sqrt()).square().mean(-1)


def phase_sensitive_error(mask: Tensor, batch: Mixtures) -> Tensor:
    """Return the mean error of phase-sensitive approximation (PSA) over the bins.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures.

    Returns
    -------
    Tensor of shape (B, N)

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> phase_sensitive_error(one, Mixtures(one, one / 4, 0 * one, torch.tensor([1])))
    tensor([[1.]])
    """
    magnitude = batch.noisy.sqrt()
    target = batch.cross / magnitude.clamp_min(_TINY_MAGNITUDE)
    return (mask * magnitude - target).square().mean(-1)


def compressed_error(mask: Tensor, batch: Mixtures) -> Tensor:
    r"""Return the error of compressed magnitudes, with and without phases.

    With :math:`a = (m |x| + \epsilon)^{0.3}` and :math:`b = (|s| + \epsilon)^{0.3}`,
    it is the mean over the bins of :math:`3 (a - b \cos(\angle x - \angle s))^2 + 7 (a
    - b)^2`. Quiet bins have more weight than in :func:`phase_sensitive_error`.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures.

    Returns
    -------
    Tensor of shape (B, N)

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> batch = Mixtures(one, one / 4, one / 2, torch.tensor([1]))
    >>> compressed_error(one / 2, batch), compressed_error(one, batch).round(decimals=2)
    (tensor([[0.]]), tensor([[0.3500]]))
    """
    magnitude, of_speech = batch.noisy.sqrt(), batch.clean.sqrt()
    cosine = batch.cross / (magnitude * of_speech).clamp_min(_TINY_POWER)
    a = (mask * magnitude + _COMPRESSION_FLOOR) ** _COMPRESSION
    b = (of_speech + _COMPRESSION_FLOOR) ** _COMPRESSION
    error = _PHASE_WEIGHT * (a - b * cosine.clamp_(-1, 1)).square()
    return (error + _MAGNITUDE_WEIGHT * (a - b).square()).mean(-1)


def spectral_si_sdr(mask: Tensor, batch: Mixtures) -> Tensor:
    """Return the scale-invariant signal-to-distortion ratio of each sequence.

    It is computed from the spectra.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures, padded by zeros.

    Returns
    -------
    Tensor of shape (B,)
        In dB, at most 50; zero for silent speech.

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> batch = Mixtures(one, one / 4, one / 4, torch.tensor([1]))
    >>> spectral_si_sdr(one, batch).round(decimals=1)  # one part in four is speech
    tensor([-4.8000])
    """
    of_speech = batch.clean.sum((1, 2))
    projection = (mask * batch.cross).sum((1, 2))
    target = projection.square() / of_speech.clamp_min(_TINY_POWER)
    total = (mask.square() * batch.noisy).sum((1, 2))
    distortion = (total - target).clamp_min(0) + _LEAST_DISTORTION * total + _TINY_POWER
    ratio = 10 / math.log(10) * ((target + _TINY_POWER) / distortion).log()
    return torch.where(of_speech > _TINY_POWER, ratio, 0.0)


def perceptual_error(mask: Tensor, batch: Mixtures) -> tuple[Tensor, int]:
    """Return the compressed error minus 0.05 times the SI-SDR in dB.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames; all frames of a sequence have its SI-SDR.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> batch = Mixtures(one, one / 4, one / 2, torch.tensor([1]))
    >>> perceptual_error(one / 2, batch)  # the contribution of 50 dB of SI-SDR
    (tensor(-2.5000), 1)
    """
    error, n_frames = frame_mean(compressed_error(mask, batch), batch.lengths)
    share = (batch.lengths / n_frames).to(mask.device)
    return error - _DB_WEIGHT * (share * spectral_si_sdr(mask, batch)).sum(), n_frames


def mask_error(mask: Tensor, batch: Mixtures, target: str) -> tuple[Tensor, int]:
    """Return the loss of a mask for a training target.

    Parameters
    ----------
    mask : Tensor of shape (B, N, F)
        Mask in [0, 1].
    batch : Mixtures
        The mixtures.
    target : {"perceptual", "psa", "msa"}
        Training target.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> batch = Mixtures(one, one / 4, one / 2, torch.tensor([1]))
    >>> mask_error(one / 2, batch, "psa")
    (tensor(0.), 1)
    """
    if target == "perceptual":
        return perceptual_error(mask, batch)
    error = magnitude_error if target == "msa" else phase_sensitive_error
    return frame_mean(error(mask, batch), batch.lengths)
