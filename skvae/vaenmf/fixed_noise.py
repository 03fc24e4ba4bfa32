"""Noise whose spectra are known from a recording of the noise alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skvae.factorization.nmf_updates import gradient_parts, update_H
from skvae.utils.parameters import MAX_UNITS, Number, Range
from skvae.vaenmf.nmf_noise import NMF, NMFNoise


class FixedNoise(NMFNoise):
    """Noise model with the bases of a noise profile, which stay as they are.

    Only the activations follow the mixture, so the spectra of the noise cannot become
    those of the speech.

    Parameters
    ----------
    n_components : int, default=5
        Number of bases.
    noise_profile : waveform or Spectrogram
        Recording of the noise alone. It is required.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_bins)
        Bases of `noise_profile`.

    See Also
    --------
    NMFNoise : Its bases start from those of a profile and follow the mixture.

    Examples
    --------
    >>> from skvae import FixedNoise
    >>> from skvae.datasets import make_noise
    >>> profile = make_noise(16000, "machine", random_state=0)
    >>> FixedNoise(3, noise_profile=profile).n_components
    3
    """

    can_be_drawn = False

    smoothing = 1
    exponent = None

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {
        "n_components": Number(1, MAX_UNITS, integer=True),
        "smoothing": None,
        "exponent": None,
    }

    def __init__(self, n_components: int = 5, *, noise_profile: Any = None):
        self.n_components = n_components
        self.noise_profile = noise_profile

    @classmethod
    def as_published(cls, n_components: int = 5) -> FixedNoise:
        """Return the noise model with a number of bases, which is all that it sets.

        Parameters
        ----------
        n_components : int, default=5
            Number of bases.

        Returns
        -------
        FixedNoise
        """
        return cls(n_components)

    def fit_profile(
        self, power: np.ndarray | None, device: str, rng: np.random.Generator
    ) -> FixedNoise:
        """Learn the bases of the noise alone.

        Parameters
        ----------
        power : ndarray of shape (N, F)
            Power of `noise_profile`.
        device : str
            PyTorch device.
        rng : Generator
            Source of random numbers.

        Returns
        -------
        FixedNoise
            Itself.
        """
        if power is None:
            raise ValueError(
                "`noise_profile` must be a recording of the noise alone, got None: "
                "without one, use NMFNoise."
            )
        super().fit_profile(power, device, rng)
        return self

    def start(
        self,
        V: Tensor,
        generator: torch.Generator,
        *,
        frames: Tensor | None = None,
        state: np.ndarray | None = None,
    ) -> FixedNMF:
        """Return the bases of the profile with random activations.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture, or of what is known of the noise in it.
        generator : torch.Generator
            Source of random numbers.
        frames : Tensor of shape (B, N, 1), default=None
            Frames that count, in a padded batch.
        state : ndarray of shape (n_components, n_bins), default=None
            Bases of the block before, which are the same.

        Returns
        -------
        FixedNMF
            Known bases and random activations.
        """
        started = super().start(V, generator, frames=frames, state=state)
        return FixedNMF(started.W, started.H, frames)


class FixedNMF(NMF):
    """Known bases and the activations of a mixture, or of each of a batch."""

    def update(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Make a multiplicative step of H; see :meth:`Noise.update`."""
        self.update_activations(V, variances, gain, memory)

    def update_from_power(self, power: Tensor, V_b: Tensor, parts: Tensor) -> None:
        """Make a step of H; see :meth:`Noise.update_from_power`."""
        gradient_parts(power, V_b, out=parts)
        self.H = update_H(self.H, self.W, parts, self._exponent(1.0))
