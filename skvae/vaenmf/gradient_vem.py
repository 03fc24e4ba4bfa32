r"""Variational EM with free posterior parameters, found by gradient ascent.

Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement with a
denoising variational autoencoder", INTERSPEECH 2020; equation numbers are theirs. Each
frame has the parameters (a, b) of q(z) = N(a, exp(b)), which Adam moves along the
gradient of the evidence lower bound (14). Between its steps W and H are updated by
(15)-(16), their expectations taken over draws from q. The prior of z is that of the
speech model: the standard one, (2), or the one that a denoising encoder gives, (9).

The noise is updated with the draws that the gradient was taken at, from before the
step of Adam; the paper draws again after it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skvae.utils.parameters import (
    MAX_DRAWS,
    MAX_WEIGHT,
    Number,
    Option,
)
from skvae.vaenmf.gaussian_posterior import GaussianPosterior
from skvae.vaenmf.inference import IterativeInference, Posterior, Run
from skvae.vaenmf.mixture import workspace
from skvae.vaenmf.reconstruction import latent_wiener


class GradientVEM(IterativeInference):
    """Variational EM with free posterior parameters, moved by Adam.

    Parameters
    ----------
    max_iter : int, default=100
        Maximum number of alternations of a gradient step and an update of the noise;
        200 in [1]_. With a trained guide, 50 are better.
    learning_rate : float, default=0.1
        Learning rate of Adam; 0.2 in [1]_.
    n_samples : int, default=1
        Number of draws of z for a gradient and for the update of the noise; 10 for the
        latter in [1]_.
    n_draws : int, default=10
        Number of draws of z for the mask.
    prior_weight : float, default=1.5
        Weight of the divergence from the prior. 1 is the lower bound; larger values
        keep the speech model from explaining noise.
    hold : {"latent", "noise"} or None, default=None
        Part that keeps its first values: the posterior of z, or noise and gain.
    gain : {"free"} or None, default="free"
        Gain of the speech in each frame: estimated, or one as in [1]_.
    tol : float, default=0.0
        Change of the cost below which iterations end; 0 disables it.

    See Also
    --------
    VEM : Takes the encoder's posterior of z, which is faster.
    MCEM : Draws z by a Markov chain.
    MCMC : Draws z and the noise.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import GradientVEM
    >>> paper = GradientVEM.as_published()
    >>> paper.max_iter, paper.learning_rate, paper.prior_weight
    (200, 0.2, 1.0)
    """

    _n_published_components = 5

    _parameter_ranges = {
        "learning_rate": Number(low=0, high=10, open_low=True),
        "n_samples": Number(1, MAX_DRAWS, integer=True),
        "n_draws": Number(1, MAX_DRAWS, integer=True),
        "prior_weight": Number(0, MAX_WEIGHT),
        "hold": Option(None, "latent", "noise"),
    }

    def __init__(
        self,
        max_iter: int = 100,
        *,
        learning_rate: float = 0.1,
        n_samples: int = 1,
        n_draws: int = 10,
        prior_weight: float = 1.5,
        hold: str | None = None,
        gain: str | None = "free",
        tol: float = 0.0,
    ):
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.n_samples = n_samples
        self.n_draws = n_draws
        self.prior_weight = prior_weight
        self.hold = hold
        self.gain = gain
        self.tol = tol

    @classmethod
    def as_published(cls) -> GradientVEM:
        """Return the inference with the settings of the paper.

        Returns
        -------
        GradientVEM
        """
        return cls(200, learning_rate=0.2, n_samples=10, prior_weight=1.0, gain=None)

    def _begin(self, *mixture: Any) -> Run:
        return _GradientRun(self, *mixture)


class _GradientRun(Run):
    """Parameters (a, b) of q(z), and the optimizer that moves them.

    The cost is the negative lower bound (14), up to a constant, at the draws of the
    gradient.
    """

    def start(self) -> None:
        V, options = self.V, self.options
        self.posterior = GaussianPosterior(
            V,
            self.prior,
            *self.prior.first_posterior(V),
            self.generator,
            learning_rate=options.learning_rate,
            prior_weight=options.prior_weight,
        )
        self.variances = list(V.new_empty(options.n_samples, *V.shape))
        self.memory = workspace(V)

    def move_latent(self) -> None:
        with_gradients = self.options.hold != "latent"
        self._cost, gradients = self.posterior.lower_bound(
            self.noise.power(out=self.memory[0]),
            self.gain,
            self.noise.frames,
            self.variances,
            self.memory[1:],
            with_gradients=with_gradients,
        )
        if with_gradients:
            self.posterior.step(gradients)

    def update_noise(self) -> None:
        if self.options.hold != "noise":
            super().update_noise()

    def update_gain(self) -> None:
        if self.options.hold != "noise":
            super().update_gain()

    def cost(self) -> Tensor:
        return self._cost

    def finish(self, history: list[Any]) -> Posterior:
        mean = self.posterior.mean
        found = latent_wiener(
            self.prior,
            mean,
            self.posterior.log_variance,
            self.noise,
            self.gain,
            self.generator,
            n_draws=self.options.n_draws,
        )
        return Posterior(found.mean, found.std(), mean, self.noise, self.gain, history)
