"""Contract of inferences, and the loop that those with iterations share.

An inference is a small estimator whose file holds its parameters, its defaults and its
algorithm. It asks the speech model, through :class:`~skvae.speech.prior.SpeechPrior`,
and the noise, through :class:`~skvae.vaenmf.noise.Noise`, for all that it needs of
them. The model of all of them, frames first: each bin of the mixture is complex
Gaussian,

    x ~ N_c(0, g sigma^2(z) + V_b),

with the decoder's variance sigma^2 (N, F) of latent variables z (N, L), a gain g (N, 1)
of each frame, and the power V_b (N, F) of the noise.

Every array may have a leading dimension of B utterances, padded to N frames;
:attr:`Noise.frames` then marks the frames that count. Results in the padding mean
nothing, and no other result depends on it if encoder and decoder do not read it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.utils.parameters import (
    MAX_ITERATIONS,
    MAX_WEIGHT,
    Number,
    Option,
    check_ranges,
)
from skvae.vaenmf.mixture import Costs, misfit, update_gain
from skvae.vaenmf.nmf_noise import NMFNoise
from skvae.vaenmf.noise import Noise


@dataclass
class Posterior:
    """Result of an inference.

    Attributes
    ----------
    mask : Tensor of shape (..., N, F)
        Mean of the Wiener gain.
    mask_std : Tensor of shape (..., N, F), or None
        Standard deviation of the Wiener gain over the draws of the inference.
    z : Tensor of shape (..., N, L)
        Latent variables: mean, or last draw.
    noise : Noise
        Noise after the last iteration.
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame.
    history : list of float, or one such list for each utterance
        Cost after each iteration; the inference says which cost.
    """

    mask: Tensor
    mask_std: Tensor | None
    z: Tensor
    noise: Noise
    gain: Tensor
    history: list[Any] = field(default_factory=list)


class Inference(BaseEstimator, ABC):
    """Base of the inferences."""

    #: Whether the latent variables may have another prior than the standard normal one.
    follows_prior: bool = True

    #: Whether the noise is drawn: then its model must say `can_be_drawn`.
    draws_noise: bool = False

    #: Bases of the noise in the inference's paper.
    _n_published_components = 10

    @classmethod
    @abstractmethod
    def as_published(cls) -> Inference:
        """Return the inference with the settings of its paper."""

    @classmethod
    def published_noise(cls) -> NMFNoise:
        """Return the noise model of the inference's paper."""
        return NMFNoise.as_published(cls._n_published_components)

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of its range."""
        check_ranges(self)

    @abstractmethod
    def infer(
        self,
        V: Tensor,
        prior: SpeechPrior,
        noise: Noise,
        generator: torch.Generator,
    ) -> Posterior:
        """Separate one utterance, or a padded batch of them.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the speech model.
        prior : SpeechPrior
            Speech model of the mixture.
        noise : Noise
            Noise to start from, which is changed.
        generator : torch.Generator
            Source of all draws.

        Returns
        -------
        Posterior
        """


class IterativeInference(Inference):
    """Base of the inferences that iterate: move z, update noise and gain, add a cost.

    Subclasses return a :class:`Run` from ``_begin`` and have the parameters
    `max_iter`, `gain` and `tol`.
    """

    max_iter: int
    gain: str | None
    tol: float

    _parameter_ranges = {
        "max_iter": Number(1, MAX_ITERATIONS, integer=True),
        "gain": Option("free", None),
        "tol": Number(0, MAX_WEIGHT),
    }

    @abstractmethod
    def _begin(self, *mixture: Any) -> Run:
        """Return the state before the first iteration, from what `infer` is given."""

    def infer(
        self,
        V: Tensor,
        prior: SpeechPrior,
        noise: Noise,
        generator: torch.Generator,
    ) -> Posterior:
        """Separate one utterance, or a padded batch of them, by iterations.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the speech model.
        prior : SpeechPrior
            Speech model of the mixture.
        noise : Noise
            Noise to start from, which is changed.
        generator : torch.Generator
            Source of all draws.

        Returns
        -------
        Posterior
            Mask, latent variables, noise, gain, and the cost of each iteration.
        """
        run = self._begin(V, prior, noise, generator)
        costs = Costs(V, noise.frames, self.tol, run.n_draws)
        for _ in range(self.max_iter):
            run.move_latent()
            run.update_noise()
            if self.gain is not None:
                run.update_gain()
            if costs.add(run.cost()):
                break
        return run.finish(costs.history())


class Run(ABC):
    """State of an iterative inference on one mixture, or on a padded batch.

    Parameters
    ----------
    options : IterativeInference
        Inference, which has the parameters.
    V, prior, noise, generator
        As for :meth:`Inference.infer`.

    Attributes
    ----------
    gain : Tensor of shape (..., N, 1)
        Gain of the speech in each frame; one at first.
    variances : sequence of Tensor, each of shape (..., N, F)
        Speech variances of the present draws, without the gain.
    memory : Tensor of shape (4, ..., N, F)
        Memory that all steps share; :meth:`start` allocates it.
    """

    #: Number of draws that the cost is the sum over.
    n_draws: int = 1

    memory: Tensor

    def __init__(
        self,
        options: Any,
        V: Tensor,
        prior: SpeechPrior,
        noise: Noise,
        generator: torch.Generator,
    ):
        self.options = options
        self.V = V
        self.prior = prior
        self.noise = noise
        self.generator = generator
        self.gain = torch.ones_like(V[..., :1])
        self.variances: Sequence[Tensor] = ()
        self.start()

    @abstractmethod
    def start(self) -> None:
        """Encode the mixture and allocate memory."""

    @abstractmethod
    def move_latent(self) -> None:
        """Move the latent variables, or their posterior, and draw `variances`."""

    def update_noise(self) -> None:
        """Update the noise, given the present draws."""
        self.noise.update(self.V, self.variances, self.gain, self.memory)

    def update_gain(self) -> None:
        """Update the gain, given the present draws."""
        self.noise.power(out=self.memory[0])
        self.gain = update_gain(self.V, self.variances, self.gain, self.memory)

    def misfit_of_draws(self) -> Tensor:
        """Sum log(V_x) + V / V_x over the bins and the present draws."""
        V_b, V_x, ratio, _ = self.memory
        self.noise.power(out=V_b)
        cost = self.V.new_zeros(self.V.shape[:-2])
        for variance in self.variances:
            torch.addcmul(V_b, variance, self.gain, out=V_x)
            torch.div(self.V, V_x, out=ratio)
            cost += misfit(ratio, V_x, self.noise.frames)
        return cost

    @abstractmethod
    def cost(self) -> Tensor:
        """Return the cost of the iteration, of shape () or (B,)."""

    @abstractmethod
    def finish(self, history: list[Any]) -> Posterior:
        """Estimate the mask after the last iteration."""
