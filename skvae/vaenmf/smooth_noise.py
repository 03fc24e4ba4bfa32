r"""NMF noise whose activations change slowly.

Activations of neighboring frames are tied by a chain of inverse-gamma variables, as in
C. Févotte, N. Bertin and J.-L. Durrieu, "Nonnegative matrix factorization with the
Itakura-Saito divergence", Neural Computation 21(3), 2009, Section 4. The cost of a
mixture receives the penalty

.. math:: \kappa \sum_{n > 1, k} d_{IS}(h_{n-1,k} \,|\, h_{nk}),
    \quad d_{IS}(a | b) = a / b - \log(a / b) - 1.

The cost is majorized by :math:`a h + b / h` as for NMF. As a function of an activation
whose neighbors are held, the sum with the penalty has its minimum where
:math:`\tilde a h^2 + c h - \tilde b = 0`,

.. math:: \tilde a = a + \kappa / h_{n+1}, \quad \tilde b = b + \kappa h_{n-1}, \quad
    c = \kappa ([n > 1] - [n < N]).

So the even frames are updated, then the odd ones, and neither step increases the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skvae.factorization.nmf_updates import gradient_parts, update_W
from skvae.utils.parameters import MAX_WEIGHT, Number, Range
from skvae.vaenmf.mixture import FLOOR
from skvae.vaenmf.nmf_noise import NMF, NMFNoise


class SmoothNMFNoise(NMFNoise):
    """NMF noise model with a penalty on activations that change over time.

    Parameters
    ----------
    n_components : int, default=20
        Number of bases.
    continuity : float, default=10.0
        Weight of the penalty, relative to the cost of one bin. 0 means none.
    smoothing : int, default=3
        Width in bins, an odd number, of the triangle that smooths the bases after each
        update; 1 disables it.
    noise_profile : waveform or Spectrogram, default=None
        Recording of the noise alone, from whose bases the updates start.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_bins), or None
        Bases of `noise_profile`.

    See Also
    --------
    NMFNoise : Without the penalty.

    Notes
    -----
    It cannot be drawn, so it does not serve :class:`MCMC`.

    Examples
    --------
    >>> from skvae import SmoothNMFNoise
    >>> SmoothNMFNoise(10, continuity=30.0)
    SmoothNMFNoise(continuity=30.0, n_components=10)
    """

    can_be_drawn = False

    exponent = None

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {
        "continuity": Number(low=0, high=MAX_WEIGHT),
        "exponent": None,
    }

    def __init__(
        self,
        n_components: int = 20,
        *,
        continuity: float = 10.0,
        smoothing: int = 3,
        noise_profile: Any = None,
    ):
        self.n_components = n_components
        self.continuity = continuity
        self.smoothing = smoothing
        self.noise_profile = noise_profile

    def start(
        self,
        V: Tensor,
        generator: torch.Generator,
        *,
        frames: Tensor | None = None,
        state: np.ndarray | None = None,
    ) -> SmoothNMF:
        """Return the noise that an inference starts from; see :class:`NMFNoise`.

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
        SmoothNMF
            Bases and activations.
        """
        started = super().start(V, generator, frames=frames, state=state)
        return SmoothNMF(
            started.W,
            started.H,
            frames,
            continuity=self.continuity,
            smoothing=self.smoothing,
        )


class SmoothNMF(NMF):
    """Bases and slowly changing activations of a mixture, or of each of a batch.

    Parameters
    ----------
    W, H, frames, smoothing
        As for :class:`NMF`.
    continuity : float
        Weight of the penalty.
    """

    def __init__(
        self,
        W: Tensor,
        H: Tensor,
        frames: Tensor | None = None,
        *,
        continuity: float,
        smoothing: int = 1,
    ):
        super().__init__(W, H, frames, smoothing=smoothing)
        self.continuity = continuity

    def update_activations(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Make the step of H."""
        parts = self._parts(V, variances, gain, memory)
        self._update_H(parts / len(variances))

    def update_from_power(self, power: Tensor, V_b: Tensor, parts: Tensor) -> None:
        """Make a step of H, then of W; see :meth:`Noise.update_from_power`."""
        self._update_H(gradient_parts(power, V_b, out=parts))
        gradient_parts(power, self.power(out=V_b), out=parts)
        self.W = update_W(self.W, self.counted_H(), parts, self._exponent(0.5))
        self._normalize()

    def _update_H(self, parts: Tensor) -> None:
        quotients, inverses = parts
        a = inverses @ self.W.mT
        b = self.H.square() * (quotients @ self.W.mT)
        inside = (
            torch.ones_like(self.H[..., :1]) if self.frames is None else self.frames
        )
        none = torch.zeros_like(inside[..., :1, :])
        # Whether there is a frame before, and after, within the utterance.
        before = torch.cat([none, inside[..., :-1, :]], -2)
        after = torch.cat([inside[..., 1:, :], none], -2)
        c = self.continuity * (before - after)
        for parity in (0, 1):
            H, rows = self.H, slice(parity, None, 2)
            earlier = torch.cat([torch.ones_like(H[..., :1, :]), H[..., :-1, :]], -2)
            later = torch.cat([H[..., 1:, :], torch.ones_like(H[..., :1, :])], -2)
            one = a + self.continuity * after / later
            other = b + self.continuity * before * earlier
            root = torch.hypot(c, 2 * one.sqrt() * other.sqrt())
            # Two forms of the same root, neither of which subtracts equal numbers.
            H = torch.where(c > 0, 2 * other / (root + c), (root - c) / (2 * one))
            H = H.nan_to_num_(0.0).clamp_(FLOOR, 1 / FLOOR)
            self.H = self.H.clone()
            self.H[..., rows, :] = H[..., rows, :]
