"""What an inference asks of a speech model: where to start, variances, and the prior.

A speech model answers :meth:`~skvae.speech.base.SpeechModel.speech_prior` with a
:class:`SpeechPrior`. Inferences know nothing else of it: neither the architecture of
its networks nor whether its latent variables are independent over time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

#: Bounds of the decoder's log-variance: exp of it, squared, is finite and positive in
#: float32.
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -25.0, 15.0


class LatentPrior(ABC):
    """Prior of the latent variables z of a sequence of frames."""

    #: Whether the density is a product over frames.
    is_framewise: bool = True

    @abstractmethod
    def neg_log_prob(self, z: Tensor) -> Tensor:
        """Return -log p(z) up to a constant, shape (..., N).

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.

        Returns
        -------
        Tensor of shape (..., N)
            Terms of the frames, whose sum is the value of the sequence. If
            `is_framewise`, a term depends on its own frame only.
        """

    def gradient(self, z: Tensor) -> Tensor:
        """Return the gradient of -log p(z), by automatic differentiation.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.

        Returns
        -------
        Tensor of shape (..., N, L)
        """
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(self.neg_log_prob(z).sum(), z)[0]

    @abstractmethod
    def divergence(
        self, mean: Tensor, log_variance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return KL(N(a, exp b) || p) up to a constant, and its gradients.

        Parameters
        ----------
        mean, log_variance : Tensor of shape (..., N, L)
            Parameters a and b of q(z).

        Returns
        -------
        divergence : Tensor of shape (..., N, L)
            Terms, whose sum is the divergence.
        by_mean, by_log_variance : Tensor of shape (..., N, L)
            Gradients of that sum.
        """


class NormalPrior(LatentPrior):
    """Independent normal latent variables; by default standard normal.

    Parameters
    ----------
    mean, variance : Tensor of shape (..., N, L), or float
        Moments of each latent variable, e.g. those that an encoder gives.

    Examples
    --------
    >>> import torch
    >>> prior = NormalPrior()
    >>> prior.neg_log_prob(torch.tensor([[1.0, 2.0]]))
    tensor([2.5000])
    """

    def __init__(self, mean: Tensor | float = 0.0, variance: Tensor | float = 1.0):
        self.mean = mean
        self.variance = variance
        self.is_standard = isinstance(mean, float) and isinstance(variance, float)

    def neg_log_prob(self, z: Tensor) -> Tensor:
        """Return -log p(z) of each frame; see :meth:`LatentPrior.neg_log_prob`."""
        if self.is_standard:
            return 0.5 * (z * z).sum(-1)
        return 0.5 * ((z - self.mean).square() / self.variance).sum(-1)

    def gradient(self, z: Tensor) -> Tensor:
        """Return the gradient in closed form; see :meth:`LatentPrior.gradient`."""
        return (z - self.mean) / self.variance

    def divergence(
        self, mean: Tensor, log_variance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the divergence in closed form; see :meth:`LatentPrior.divergence`."""
        variance = (0.5 * log_variance).exp().square()
        offset = mean - self.mean
        squares = variance + offset.square()
        divergence = 0.5 * (squares / self.variance - log_variance)
        by_log_variance = 0.5 * (variance / self.variance - 1)
        return divergence, offset / self.variance, by_log_variance


#: The prior that variational autoencoders are trained with.
STANDARD = NormalPrior()


class _Scalar(torch.autograd.Function):
    """Scalar whose gradient by an array is a given array.

    `torch.autograd.grad` takes the array as well, but imports sympy to compare shapes,
    which takes a second of each start.
    """

    @staticmethod
    def forward(ctx: Any, array: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return array.new_zeros(())

    @staticmethod
    def backward(ctx: Any, one: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient, None


@dataclass(frozen=True)
class SpeechPrior:
    """Speech model of one mixture, or of a padded batch of them.

    Attributes
    ----------
    encode : callable
        Power (..., N, F) -> mean (..., N, L) and log-variance (..., N, L) of q(z | s).
    decode : callable
        z (..., N, L) -> log-variance of speech (..., N, F); differentiable.
    decode_into : callable or None
        `decode` of z (..., N, L) into given memory (..., N, F), if that is faster.
    linearise : callable or None
        As `decode_into`, and a function that maps a gradient by the log-variance
        (..., N, F) to the gradient by z (..., N, L), if that is faster than automatic
        differentiation.
    decodes_framewise : bool
        Whether the log-variance of a frame depends on the z of that frame only.
    latent : LatentPrior
        Prior of z.
    guided : Tensor of shape (..., N, F), or None
        Power that the latent variables start from; None means the mixture's.
    mask : Tensor of shape (..., N, F), or None
        Share of each bin that the speech model takes for speech, if it estimates one.

    Examples
    --------
    >>> import torch
    >>> prior = SpeechPrior(lambda power: (power, power), lambda z: z)
    >>> prior.is_framewise, prior.variance(torch.zeros(1, 2))
    (True, tensor([[1., 1.]]))
    """

    encode: Callable[[Tensor], tuple[Tensor, Tensor]]
    decode: Callable[[Tensor], Tensor]
    decode_into: Callable[[Tensor, Tensor], Tensor] | None = None
    linearise: (
        Callable[[Tensor, Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]] | None
    ) = None
    decodes_framewise: bool = True
    latent: LatentPrior = field(default=STANDARD)
    guided: Tensor | None = None
    mask: Tensor | None = None

    @property
    def is_framewise(self) -> bool:
        """Whether frames are independent in the prior and in the decoder."""
        return self.decodes_framewise and self.latent.is_framewise

    def replace(self, **changes: object) -> SpeechPrior:
        """Return a copy with some attributes replaced.

        Parameters
        ----------
        **changes : dict
            New values of attributes.

        Returns
        -------
        SpeechPrior
        """
        return replace(self, **changes)  # type: ignore[arg-type]

    def first_posterior(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """Encode what an inference starts from.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture.

        Returns
        -------
        mean, log_variance : Tensor of shape (..., N, L)
            Parameters of q(z).
        """
        return self.encode(V if self.guided is None else self.guided)

    def neg_log_prob(self, z: Tensor) -> Tensor:
        """Return -log p(z) by frame; see :meth:`LatentPrior.neg_log_prob`."""
        return self.latent.neg_log_prob(z)

    def gradient(self, z: Tensor) -> Tensor:
        """Return the gradient of -log p(z); see :meth:`LatentPrior.gradient`."""
        return self.latent.gradient(z)

    def divergence(
        self, mean: Tensor, log_variance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return KL(q || p) and its gradients; see :meth:`LatentPrior.divergence`."""
        return self.latent.divergence(mean, log_variance)

    def log_variance(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        """Decode the log-variance of speech, within its bounds.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.
        out : Tensor of shape (..., N, F), default=None
            Memory, which is used if the decoder can write into it.

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
        """Decode the variance of speech, and prepare the gradient by z.

        Parameters
        ----------
        z : Tensor of shape (..., N, L)
            Latent variables.
        out : Tensor of shape (..., N, F)
            Memory for the variance.

        Returns
        -------
        variance : Tensor of shape (..., N, F)
            `out`.
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
                with torch.enable_grad():
                    scalar = _Scalar.apply(log_variance, gradient)
                return torch.autograd.grad(scalar, z)[0]

        bounds = MIN_LOG_VARIANCE, MAX_LOG_VARIANCE
        return torch.clamp(log_variance.detach(), *bounds, out=out).exp_(), pullback

    def variance_into(self, z: Tensor, out: Tensor) -> Tensor:
        """Decode the variance of speech into memory (..., N, F), and return that."""
        variance = self.variance(z, out=out)
        return out if variance is out else out.copy_(variance)

    def variance(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        """Decode the variance of speech, sigma^2(z); see :meth:`log_variance`."""
        return self.log_variance(z, out).exp_()
