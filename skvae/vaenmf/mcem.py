r"""Monte Carlo EM: Metropolis draws of z, multiplicative updates of W, H and the gain.

S. Leglaive, L. Girin and R. Horaud, "A variance modeling framework based on variational
autoencoders for speech enhancement", MLSP 2018. Each update is the majorize-minimize
step, of exponent 1/2, of the Monte Carlo average of the Itakura-Saito cost, with the
model of the mixture refreshed before each. The chains continue from one iteration to
the next.

The speech variances of the kept draws stay in memory until the next iteration. Running
sums would do for W, but the steps of H and the gain need the same draws with another
model of the mixture, for which the decoder would have to run again.
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
from skvae.vaenmf.inference import IterativeInference, Posterior, Run
from skvae.vaenmf.metropolis import start_chain
from skvae.vaenmf.mixture import workspace
from skvae.vaenmf.reconstruction import gradient_wiener, metropolis_wiener


class MCEM(IterativeInference):
    """Monte Carlo EM: Metropolis draws of z, multiplicative updates of the rest.

    Parameters
    ----------
    max_iter : int, default=100
        Maximum number of iterations.
    n_burn_in : int, default=30
        Number of Metropolis steps of an iteration that are dropped.
    n_samples : int, default=10
        Number of Metropolis steps of an iteration that are kept.
    proposal_variance : float, default=0.01
        Variance of the random walk.
    reconstruction : {"gradient", "mh"}, default="gradient"
        Estimate of the mask. "gradient" fits a Gaussian posterior of z by gradients,
        with the noise held, and averages over its draws; "mh", as in [1]_, averages
        over the last 25 of 100 further Metropolis steps.
    gain : {"free"} or None, default="free"
        Gain of the speech in each frame: estimated, or one.
    tol : float, default=0.0
        Change of the cost below which iterations end; 0 disables it. The cost is a
        Monte Carlo estimate, which may rise by chance.

    See Also
    --------
    VEM : Approximates the posterior of z by the encoder's, which is far faster.
    GradientVEM : Approximates it by a Gaussian, which gradients move.
    MCMC : Draws the noise as well.

    Notes
    -----
    The speech variances of the kept draws stay in memory until the noise is updated:
    its steps need them one after another, each with another model of the mixture. About
    `n_samples` + 6 numbers of four bytes (11 at least) are held for each frame and bin:
    33 kB a frame by default with 513 bins, 120 MB for a minute at 16 kHz. An enhancer's
    `block_seconds` bounds it.

    References
    ----------
    .. [1] S. Leglaive, L. Girin and R. Horaud, "A variance modeling framework based on
       variational autoencoders for speech enhancement", MLSP 2018.

    Examples
    --------
    >>> from skvae import MCEM
    >>> MCEM.as_published()
    MCEM(reconstruction='mh')
    """

    _parameter_ranges = {
        "n_burn_in": Number(0, MAX_DRAWS, integer=True),
        "n_samples": Number(1, MAX_DRAWS, integer=True),
        "proposal_variance": Number(0, MAX_WEIGHT, open_low=True),
        "reconstruction": Option("gradient", "mh"),
    }

    def __init__(
        self,
        max_iter: int = 100,
        *,
        n_burn_in: int = 30,
        n_samples: int = 10,
        proposal_variance: float = 0.01,
        reconstruction: str = "gradient",
        gain: str | None = "free",
        tol: float = 0.0,
    ):
        self.max_iter = max_iter
        self.n_burn_in = n_burn_in
        self.n_samples = n_samples
        self.proposal_variance = proposal_variance
        self.reconstruction = reconstruction
        self.gain = gain
        self.tol = tol

    @classmethod
    def as_published(cls) -> MCEM:
        """Return the inference with the settings of the paper.

        Returns
        -------
        MCEM
        """
        return cls(reconstruction="mh")

    def _begin(self, *mixture: Any) -> Run:
        return _MCEMRun(self, *mixture)


class _MCEMRun(Run):
    """The chain of z, and the variances of its kept draws.

    The cost is the sum of log(V_x) + V / V_x over bins and draws.
    """

    def start(self) -> None:
        V, options = self.V, self.options
        mean, _ = self.prior.first_posterior(V)
        self.memory = workspace(V)
        self.n_draws = options.n_samples
        # The chain steps while the noise stands still: they share their memory.
        self.chain = start_chain(
            V,
            self.prior,
            mean,
            self.generator,
            options.proposal_variance,
            memory=self.memory,
            frames=self.noise.frames,
        )
        self._kept = V.new_empty(options.n_samples, *V.shape)
        self.variances = list(self._kept)

    def move_latent(self) -> None:
        self.chain.refresh(self.noise, self.gain)
        n_samples = self.options.n_samples
        n_steps = self.options.n_burn_in + n_samples
        for r, _ in enumerate(self.chain.run(n_steps, n_samples)):
            self._kept[r] = self.chain.variance

    def cost(self) -> Tensor:
        return self.misfit_of_draws()

    def finish(self, history: list[Any]) -> Posterior:
        z, V, given = self.chain.z, self.V, (self.noise, self.gain, self.generator)
        # The masks have draws of their own: this memory is free for them.
        del self.chain, self.variances, self._kept, self.memory
        if self.options.reconstruction == "gradient":
            moments = gradient_wiener(V, self.prior, *given)
        else:
            moments = metropolis_wiener(
                *(V, self.prior, z, *given),
                proposal_variance=self.options.proposal_variance,
            )
        return Posterior(moments.mean, moments.std(), z, self.noise, self.gain, history)
