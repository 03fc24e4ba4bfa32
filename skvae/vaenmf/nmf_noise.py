r"""Nonnegative matrix factorization as the noise model.

The power of the noise is :math:`V_b = H W`, with activations H (N, K) and bases W
(K, F) of the mixture at hand [Y. Bando et al., ICASSP 2018; S. Leglaive, L. Girin and
R. Horaud, MLSP 2018]. Given draws of the speech variance, each step is multiplicative,

.. math::
    W \leftarrow W \left[ \frac{\sum_r H^T (V / V_{x,r}^2)}
        {\sum_r H^T (1 / V_{x,r})} \right]^p, \quad
    H \leftarrow H \left[ \frac{\sum_r (V / V_{x,r}^2) W^T}
        {\sum_r (1 / V_{x,r}) W^T} \right]^p,

with the model V_x of the mixture refreshed in between. The exponent p = 1/2 is the
majorize-minimize step, which never increases the cost. Given the expected power of the
noise, the steps are those of IS-NMF with p = 1, (22)-(23) of M. Pariente, A. Deleforge
and E. Vincent, INTERSPEECH 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skvae.factorization.nmf_updates import (
    fit_isnmf,
    gradient_parts,
    update_H,
    update_W,
)
from skvae.signal.bandwidth import widen_band
from skvae.utils.device import as_tensor, torch_generator
from skvae.utils.learned import Array
from skvae.utils.parameters import (
    MAX_UNITS,
    MAX_WEIGHT,
    Number,
    Range,
)
from skvae.vaenmf.mixture import FLOOR, mixture_parts
from skvae.vaenmf.nmf_sampling import NMFSampler
from skvae.vaenmf.noise import Noise, NoiseModel
from skvae.vaenmf.padding import total

#: Iterations that learn the bases of a noise profile.
_N_PROFILE_ITER = 100


class NMFNoise(NoiseModel):
    """Noise model with bases and activations that are learned from the mixture.

    Parameters
    ----------
    n_components : int, default=20
        Number of bases; 5 or 10 in the papers.
    smoothing : int, default=3
        Width in bins, an odd number, of the triangle that smooths the bases after each
        update; 1, as in the papers, disables it. Smooth bases cannot copy the harmonics
        of a voice.
    exponent : float, default=None
        Exponent of the multiplicative updates. None means 1/2 for updates from the
        mixture and 1 for updates from the expected power of the noise (VEM).
    noise_profile : waveform or Spectrogram, default=None
        Recording of the noise alone, from whose bases the updates start.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_bins), or None
        Bases of `noise_profile`.

    See Also
    --------
    VAENMFEnhancer : Combines it with a speech model and an inference.

    Examples
    --------
    >>> from skvae import NMFNoise
    >>> NMFNoise(10)
    NMFNoise(n_components=10)
    """

    can_be_drawn = True

    _learned = {
        "components_": Array(
            "n_components", "any", low=0, high=MAX_WEIGHT, optional=True
        )
    }

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {
        "n_components": Number(1, MAX_UNITS, integer=True),
        "smoothing": Number(low=1, high=9999, integer=True),
        "exponent": Number(low=0, high=1, open_low=True, optional=True),
    }

    def __init__(
        self,
        n_components: int = 20,
        *,
        smoothing: int = 3,
        exponent: float | None = None,
        noise_profile: Any = None,
    ):
        self.n_components = n_components
        self.smoothing = smoothing
        self.exponent = exponent
        self.noise_profile = noise_profile

    @classmethod
    def as_published(cls, n_components: int = 10) -> NMFNoise:
        """Return the noise model of the papers: bases are not smoothed.

        Parameters
        ----------
        n_components : int, default=10
            Number of bases.

        Returns
        -------
        NMFNoise

        Examples
        --------
        >>> from skvae import NMFNoise
        >>> NMFNoise.as_published(5)
        NMFNoise(n_components=5, smoothing=1)
        """
        return cls(n_components, smoothing=1)

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of its range."""
        super().check()
        if self.smoothing % 2 == 0:
            raise ValueError(f"`smoothing` must be odd, got {self.smoothing}.")

    def fit_profile(
        self, power: np.ndarray | None, device: str, rng: np.random.Generator
    ) -> NMFNoise:
        """Learn the bases of the noise alone, where there is any.

        Parameters
        ----------
        power : ndarray of shape (N, F), or None
            Power of `noise_profile`.
        device : str
            PyTorch device.
        rng : Generator
            Source of random numbers.

        Returns
        -------
        NMFNoise
            Itself.
        """
        self.components_ = None
        if power is not None:
            learned = fit_isnmf(
                as_tensor(power, device),
                self.n_components,
                max_iter=_N_PROFILE_ITER,
                generator=torch_generator(rng),
            )
            self.components_ = learned.W.cpu().numpy()
        return self

    def check_bins(self, n_bins: int) -> None:
        """Raise a ValueError if the bases have another number of bins.

        Parameters
        ----------
        n_bins : int
            Number of bins of the recordings.
        """
        if self.components_ is not None and self.components_.shape[1] != n_bins:
            raise ValueError(
                f"`components_` must have {n_bins} bins, got "
                f"{self.components_.shape[1]}."
            )

    def start(
        self,
        V: Tensor,
        generator: torch.Generator,
        *,
        frames: Tensor | None = None,
        state: np.ndarray | None = None,
    ) -> NMF:
        """Return the noise that an inference starts from.

        The bases are those of the block before, else those of the profile, else random;
        the activations are random. The noise has the mean power of the mixture.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture, or of what is known of the noise in it.
        generator : torch.Generator
            Source of random numbers.
        frames : Tensor of shape (B, N, 1), default=None
            Frames that count, in a padded batch.
        state : ndarray of shape (n_components, n_bins), default=None
            Bases of the block before.

        Returns
        -------
        NMF
            Bases and activations.
        """
        bases = getattr(self, "components_", None) if state is None else state
        W = None
        if bases is not None:
            W = as_tensor(bases[:, : V.shape[-1]]).to(V)
        W, H = random_factors(V, self.n_components, generator, W=W, frames=frames)
        return NMF(W, H, frames, smoothing=self.smoothing, exponent=self.exponent)


class NMF(Noise):
    """Bases and activations of the noise in one mixture, or in each of a batch.

    Parameters
    ----------
    W : Tensor of shape (..., K, F)
        Bases; each sums to one.
    H : Tensor of shape (..., N, K)
        Activations.
    frames : Tensor of shape (B, N, 1), default=None
        Frames that count, in a padded batch.
    smoothing, exponent
        Parameters of :class:`NMFNoise`.

    Examples
    --------
    >>> import torch
    >>> NMF(torch.tensor([[0.5, 0.5]]), torch.tensor([[2.0]])).power()
    tensor([[1., 1.]])
    """

    def __init__(
        self,
        W: Tensor,
        H: Tensor,
        frames: Tensor | None = None,
        *,
        smoothing: int = 1,
        exponent: float | None = None,
    ):
        self.W = W
        self.H = H
        self.frames = frames
        self.smoothing = smoothing
        self.exponent = exponent

    def power(self, out: Tensor | None = None) -> Tensor:
        """Return H W, shape (..., N, F); see :meth:`Noise.power`."""
        return torch.matmul(self.H, self.W, out=out).clamp_min_(FLOOR)

    def counted_H(self) -> Tensor:
        """Return the activations (..., N, K), zero in the padding."""
        return self.H if self.frames is None else self.H * self.frames

    def update(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Make a multiplicative step of W, then of H; see :meth:`Noise.update`."""
        self.update_bases(V, variances, gain, memory)
        self.update_activations(V, variances, gain, memory)

    def update_bases(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Make the step of W."""
        parts = self._parts(V, variances, gain, memory)
        self.W = update_W(self.W, self.counted_H(), parts, self._exponent(0.5))
        self._normalize()

    def update_activations(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Make the step of H."""
        parts = self._parts(V, variances, gain, memory)
        self.H = update_H(self.H, self.W, parts, self._exponent(0.5))

    def update_from_power(self, power: Tensor, V_b: Tensor, parts: Tensor) -> None:
        """Make a step of H, then of W; see :meth:`Noise.update_from_power`."""
        exponent = self._exponent(1.0)
        gradient_parts(power, V_b, out=parts)
        self.H = update_H(self.H, self.W, parts, exponent)
        gradient_parts(power, self.power(out=V_b), out=parts)
        self.W = update_W(self.W, self.counted_H(), parts, exponent)
        self._normalize()

    def state(self, n_bins: int) -> np.ndarray:
        """Return the bases, continued to all bins; see :meth:`Noise.state`."""
        return widen_band(self.W.cpu().numpy(), n_bins)

    def sampler(
        self,
        V: Tensor,
        generator: torch.Generator,
        *,
        shape: tuple[float, float],
        rate: tuple[float, float | None],
        exact: bool,
    ) -> NMFSampler:
        """Return a sampler of W and H; see :class:`NMFSampler`."""
        return NMFSampler(self, V, generator, shape=shape, rate=rate, exact=exact)

    def _exponent(self, default: float) -> float:
        return default if self.exponent is None else self.exponent

    def _parts(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> Tensor:
        self.power(out=memory[0])
        return mixture_parts(V, variances, gain, memory)

    def _normalize(self) -> None:
        """Let each base sum to one; H W is kept unless bases are smoothed."""
        sums = self.W.sum(-1, keepdim=True).clamp_min(math.sqrt(FLOOR))
        self.W = self.W / sums
        self.H = self.H * sums.mT
        if self.smoothing > 1:
            self.W = smooth_bins(self.W, self.smoothing)


def random_factors(
    V: Tensor,
    n_components: int,
    generator: torch.Generator,
    W: Tensor | None = None,
    frames: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw bases and activations with the mean power of the mixture.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    n_components : int
        Number K of bases, unless `W` is given.
    generator : torch.Generator
        Source of W and H.
    W : Tensor of shape (..., K, F), default=None
        Bases to take instead of random ones.
    frames : Tensor of shape (B, N, 1), default=None
        Frames that count, in a padded batch.

    Returns
    -------
    W : Tensor of shape (..., K, F)
    H : Tensor of shape (..., N, K)

    Examples
    --------
    >>> import torch
    >>> V = torch.full((4, 3), 2.0)
    >>> W, H = random_factors(V, 5, torch.Generator().manual_seed(0))
    >>> W.shape, H.shape, round((H @ W).mean().item(), 4)
    (torch.Size([5, 3]), torch.Size([4, 5]), 2.0)
    """
    if W is None:
        W = _uniform((*V.shape[:-2], n_components, V.shape[-1]), V, generator)
    # A basis may have nothing in these bins, which are those of a narrower band.
    W = torch.where(W.sum(-1, keepdim=True) > 0, W, 1.0)
    W = (W / W.sum(-1, keepdim=True)).expand(*V.shape[:-2], -1, -1)
    H = _uniform((*V.shape[:-1], W.shape[-2]), V, generator)
    scale = total(V, frames) / total(H, frames).clamp_min(FLOOR)
    H *= scale[..., None, None]
    return W, H.clamp_min_(FLOOR)


def smooth_bins(W: Tensor, n_bins: int) -> Tensor:
    """Smooth bases by a triangle of odd width, keeping their sums.

    Parameters
    ----------
    W : Tensor of shape (..., K, F)
        Bases.
    n_bins : int
        Width of the triangle.

    Returns
    -------
    Tensor of shape (..., K, F)

    Examples
    --------
    >>> import torch
    >>> smooth_bins(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]), 3)
    tensor([[0.0000, 0.2500, 0.5000, 0.2500, 0.0000]])
    """
    half = n_bins // 2
    ramp = torch.arange(1, half + 2, dtype=W.dtype, device=W.device)
    triangle = torch.cat([ramp, ramp[:-1].flip(0)])
    triangle = (triangle / triangle.sum()).view(1, 1, -1)
    rows = W.reshape(-1, 1, W.shape[-1])
    padded = torch.nn.functional.pad(rows, (half, half), mode="replicate")
    smoothed = torch.nn.functional.conv1d(padded, triangle).view(W.shape)
    return smoothed / smoothed.sum(-1, keepdim=True).clamp_min(FLOOR)


def _uniform(shape: Sequence[int], V: Tensor, generator: torch.Generator) -> Tensor:
    """Draw positive numbers in float64: the same for every dtype."""
    drawn = torch.rand(
        shape, generator=generator, dtype=torch.float64, device=generator.device
    )
    return drawn.clamp_min_(FLOOR).to(V.device, V.dtype)
