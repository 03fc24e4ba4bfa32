"""What an inference asks of speech: where to start, and the variance of z."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

#: The decoder's log-variance is kept within these: exp of it, squared, is finite and
#: not zero in float32.
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -25.0, 15.0


class SpeechPrior(NamedTuple):
    """What an inference needs to know of speech: two functions.

    Attributes
    ----------
    encode : callable
        Power (..., N, F) -> mean (..., N, L) and log-variance (..., N, L) of q(z | s).
    decode : callable
        z (..., N, L) -> log-variance of speech (..., N, F); differentiable.
    decode_into : callable or None
        The same of z (..., N, L), into memory (..., N, F) that is given, where that is
        faster: fresh memory costs as much as several passes over it.
    linearise : callable or None
        The same again, and a function from a gradient by the log-variance (..., N, F)
        to that by z (..., N, L), where that is faster than automatic differentiation.
    guided : Tensor of shape (..., N, F), or None
        Power that the latent variables start from, if not that of the mixture.
    latent : pair of Tensor of shape (..., N, L), or None
        Mean and variance of the prior of z; None means 0 and 1. Variational EM with
        free parameters knows of it, :func:`~skvae.vaenmf.gradient_vem`.
    """

    encode: Callable[[Tensor], tuple[Tensor, Tensor]]
    decode: Callable[[Tensor], Tensor]
    decode_into: Callable[[Tensor, Tensor], Tensor] | None = None
    linearise: (
        Callable[[Tensor, Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]] | None
    ) = None
    guided: Tensor | None = None
    latent: tuple[Tensor, Tensor] | None = None

    def first_posterior(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z) that an inference starts from.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture.

        Returns
        -------
        mean, log_variance : Tensor of shape (..., N, L)
        """
        return self.encode(V if self.guided is None else self.guided)

    def log_variance(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        """Log-variance of speech within its bounds, in `out` if it can be.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.
        out : Tensor of shape (..., N, F), default=None
            Memory.

        Returns
        -------
        Tensor of shape (..., N, F)
        """
        if out is not None and self.decode_into is not None:
            log_variance = self.decode_into(z, out)
        else:
            log_variance = self.decode(z)
        return log_variance.clamp_(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)

    def variance_and_pullback(
        self, z: Tensor, out: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Variance of speech, in `out`, and what leads gradients back to z.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.
        out : Tensor of shape (..., N, F)
            Memory.

        Returns
        -------
        variance : Tensor of shape (..., N, F)
            It is `out`.
        pullback : callable
            Gradient by the log-variance (..., N, F) -> gradient by z (..., N, L).
        """
        if self.linearise is not None:
            log_variance, pullback = self.linearise(z, out)
        else:
            z = z.detach().requires_grad_()
            with torch.enable_grad():
                log_variance = self.decode(z)

            def pullback(gradient: Tensor) -> Tensor:
                return torch.autograd.grad(log_variance, z, gradient)[0]

        bounds = MIN_LOG_VARIANCE, MAX_LOG_VARIANCE
        return torch.clamp(log_variance.detach(), *bounds, out=out).exp_(), pullback

    def variance(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        """Variance of speech, sigma^2(z); see :meth:`log_variance`."""
        return self.log_variance(z, out).exp_()
