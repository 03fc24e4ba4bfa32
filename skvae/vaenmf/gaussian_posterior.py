r"""A Gaussian posterior of z for each frame, and the gradient of its lower bound.

Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020: q(z) = N(a, exp(b)) and the lower
bound (14).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.adam import Adam
from skvae.vaenmf.draws import draw
from skvae.vaenmf.mixture import misfit
from skvae.vaenmf.padding import total


class GaussianPosterior:
    """Mean and log-variance of z, which Adam moves.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Decoder and prior of z.
    mean, log_variance : Tensor of shape (..., N, L)
        First parameters a and b, which are copied.
    generator : torch.Generator
        Source of the draws.
    learning_rate : float
        Learning rate of Adam.
    prior_weight : float
        Weight of the divergence from the prior; 1 is the lower bound.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (..., N, L)
        Present parameters.
    """

    def __init__(
        self,
        V: Tensor,
        prior: SpeechPrior,
        mean: Tensor,
        log_variance: Tensor,
        generator: torch.Generator,
        *,
        learning_rate: float = 0.1,
        prior_weight: float = 1.0,
    ):
        self.mean, self.log_variance = mean.clone(), log_variance.clone()
        self._V = V
        self._prior = prior
        self._generator = generator
        self._prior_weight = prior_weight
        self._adam = Adam((self.mean, self.log_variance), learning_rate)

    def step(self, gradients: tuple[Tensor, Tensor]) -> None:
        """Move the parameters against their gradients."""
        self._adam.step(gradients)

    def lower_bound(
        self,
        V_b: Tensor,
        gain: Tensor,
        frames: Tensor | None,
        variances: Sequence[Tensor],
        memory: Tensor,
        *,
        with_gradients: bool = True,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the negative bound and its gradient by (a, b); draw the variances.

        The gradient is that of the sum over a frame's bins, so that a frame's steps do
        not depend on the number of frames.

        Parameters
        ----------
        V_b : Tensor of shape (..., N, F)
            Power of the noise.
        gain : Tensor of shape (..., N, 1)
            Gain of the speech in each frame.
        frames : Tensor of shape (B, N, 1) or None
            Frames that count, in a padded batch.
        variances : sequence of Tensor, each of shape (..., N, F)
            Memory for the speech variances of the draws, whose number it gives.
        memory : Tensor of shape (3, ..., N, F)
            Overwritten.
        with_gradients : bool
            Whether gradients are computed.

        Returns
        -------
        cost : Tensor of shape () or (B,)
            Negative lower bound, up to a constant.
        gradients : pair of Tensor of shape (..., N, L)
            Gradients by the mean and by the log-variance.
        """
        mean, log_variance = self.mean, self.log_variance
        n_samples, weight = len(variances), self._prior_weight
        divergence, by_mean, by_log_variance = self._prior.divergence(
            mean, log_variance
        )
        by_mean = weight * by_mean
        by_log_variance = weight * by_log_variance
        cost = weight * total(divergence, frames)
        V_x, ratio, by_o = memory
        for variance_of_draw in variances:
            z = draw(mean, log_variance, self._generator)
            if with_gradients:
                speech, pullback = self._prior.variance_and_pullback(
                    z, out=variance_of_draw
                )
            else:
                speech = self._prior.variance_into(z, variance_of_draw)
            torch.mul(speech, gain, out=by_o)
            torch.add(V_b, by_o, out=V_x)
            torch.div(self._V, V_x, out=ratio)
            # d(log V_x + V / V_x) / do = g sigma^2 / V_x (1 - V / V_x)
            by_o.div_(V_x)
            cost += misfit(ratio, V_x, frames) / n_samples
            if with_gradients:
                by_o.mul_(ratio.neg_().add_(1))
                by_z = pullback(by_o)
                by_mean += by_z / n_samples
                # dz/db = (z - a) / 2
                by_log_variance += by_z * (z - mean) * (0.5 / n_samples)
        return cost, (by_mean, by_log_variance)
