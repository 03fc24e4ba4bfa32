"""Contract of noise models: parameters on one side, one mixture's noise on the other.

A *noise model* is a small estimator: its parameters can be cloned and searched, and
``fit_profile`` may learn from a recording of the noise alone. ``start`` makes the
*noise* of one mixture (or of a padded batch), which inferences ask for its power and
tell to update itself. Inferences know nothing else of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from torch import Tensor

from skvae.utils.learned import learned_attributes, n_bins
from skvae.utils.parameters import check_ranges
from skvae.utils.words import shortened


class Noise(ABC):
    """Noise of one mixture while an inference runs.

    Attributes
    ----------
    frames : Tensor of shape (B, N, 1), or None
        Frames that count, in a padded batch; see ``skvae.vaenmf.padding``.
    """

    frames: Tensor | None

    @abstractmethod
    def power(self, out: Tensor | None = None) -> Tensor:
        """Return the power V_b of the noise.

        Parameters
        ----------
        out : Tensor of shape (..., N, F), default=None
            Memory for the result.

        Returns
        -------
        Tensor of shape (..., N, F)
        """

    @abstractmethod
    def update(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Lower the mean cost of the mixture over draws of the speech variance.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture.
        variances : sequence of Tensor, each of shape (..., N, F)
            Speech variance of each draw, without the gain.
        gain : Tensor of shape (..., N, 1)
            Gain of the speech in each frame.
        memory : Tensor of shape (4, ..., N, F)
            Overwritten.
        """

    @abstractmethod
    def update_from_power(self, power: Tensor, V_b: Tensor, parts: Tensor) -> None:
        """Move towards the expected power of the noise, as in EM.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Expected power of the noise.
        V_b : Tensor of shape (..., N, F)
            Present power of the noise, which is overwritten.
        parts : Tensor of shape (2, ..., N, F)
            Overwritten.
        """

    def learn(self, power: Tensor, n_iter: int) -> None:
        """Fit the noise to the power of noise alone.

        Parameters
        ----------
        power : Tensor of shape (..., N, F)
            Power of the noise, as far as it is known.
        n_iter : int
            Number of updates.
        """
        V_b, parts = torch.empty_like(power), power.new_empty(2, *power.shape)
        for _ in range(n_iter):
            self.update_from_power(power, self.power(out=V_b), parts)

    @abstractmethod
    def state(self, n_bins: int) -> Any:
        """Return what the next block of the same recording starts from.

        Parameters
        ----------
        n_bins : int
            Number of bins of the recording, of which this noise may have fewer.

        Returns
        -------
        object
            Value for the `state` of :meth:`NoiseModel.start`.
        """


class NoiseModel(BaseEstimator, ABC):
    """Base of noise models.

    Attributes
    ----------
    noise_profile : waveform, Spectrogram or None
        Recording of the noise alone, if the model has such a parameter.
    """

    #: Whether the noise of this model has the method `sampler`, which MCMC needs.
    can_be_drawn: bool = False

    #: Noise models without a profile do not have the parameter.
    noise_profile: Any = None

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of its range."""
        check_ranges(self)

    def fit_profile(
        self, power: np.ndarray | None, device: str, rng: np.random.Generator
    ) -> NoiseModel:
        """Learn from the power (N, F) of the noise alone, where there is any.

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
        NoiseModel
            Itself.
        """
        return self

    def learned_from(self, fitted: NoiseModel) -> NoiseModel:
        """Return a copy with these parameters and what another model has learned.

        Parameters
        ----------
        fitted : NoiseModel
            Model whose `fit_profile` was called.

        Returns
        -------
        NoiseModel
            New model.
        """
        model = clone(self)
        for name in learned_attributes(type(model)):
            if hasattr(fitted, name):
                setattr(model, name, getattr(fitted, name))
        return model

    def check_bins(self, n_bins: int) -> None:
        """Raise a ValueError if what was learned has another number of bins.

        Parameters
        ----------
        n_bins : int
            Number of bins of the recordings.
        """

    @abstractmethod
    def start(
        self,
        V: Tensor,
        generator: torch.Generator,
        *,
        frames: Tensor | None = None,
        state: Any = None,
    ) -> Noise:
        """Return the noise that an inference starts from.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture, or of what is known of the noise in it.
        generator : torch.Generator
            Source of random numbers.
        frames : Tensor of shape (B, N, 1), default=None
            Frames that count, in a padded batch.
        state : object, default=None
            :meth:`Noise.state` of the block before.

        Returns
        -------
        Noise
        """


class FittedNoise:
    """Learned attribute that holds a noise model; see :mod:`skvae.utils.learned`."""

    def restore(self, name: str, value: Any, estimator: Any) -> NoiseModel:
        """Return the noise model, or raise a ValueError."""
        if not isinstance(value, NoiseModel):
            raise ValueError(f"`{name}` must be a noise model, got {shortened(value)}.")
        value.check_bins(n_bins(estimator))
        return value
