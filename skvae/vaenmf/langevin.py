r"""Monte Carlo EM whose chains follow the gradient of the posterior of z.

M. Sadeghi and R. Serizel, "Fast and efficient speech enhancement with variational
autoencoders", ICASSP 2023, for the unadjusted chains in parallel; M. Sadeghi and R.
Serizel, "Posterior sampling algorithms for unsupervised speech enhancement with
recurrent variational autoencoder", ICASSP 2024, for adjusted ones. With the energy
U(z) = -log p(x, z), a chain steps to

.. math:: z' = z - \epsilon P \nabla U(z) + \sqrt{2 \epsilon P}\, \xi,
    \quad \xi \sim N(0, I).

P is the identity in the papers. A step of one length for all dimensions is too long
where the posterior is narrow: the chain then has a wrong distribution, or, adjusted, it
is stuck. Here P may be an approximate variance of the posterior. The encoder's variance
v is that for clean speech. In noise, a bin with the Wiener gain r has the share r^2 of
its Fisher information, so that

.. math:: P = \left( 1 + (1 / v - 1)\, \overline{r^2} \right)^{-1},

with the mean of r^2 over the bins of the frame.

An adjusted step is accepted with the probability of Metropolis and Hastings,

.. math:: \min\left(1, \frac{e^{-U(z')}\, q(z \mid z')}{e^{-U(z)}\, q(z' \mid z)}
    \right), \quad \log q(z' \mid z) = -\frac{1}{4 \epsilon} \left\| P^{-1/2}
    (z' - z + \epsilon P \nabla U(z)) \right\|^2,

which makes the draws exact. It decides for each frame, or for the sequence where the
decoder or the prior joins frames.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.utils.parameters import MAX_DRAWS, MAX_WEIGHT, Number, Option
from skvae.vaenmf.draws import draw, draw_normal, draw_uniform
from skvae.vaenmf.energy import energy_and_gradient
from skvae.vaenmf.inference import IterativeInference, Posterior, Run
from skvae.vaenmf.mixture import workspace
from skvae.vaenmf.moments import MaskMoments, wiener_gain


class Langevin(IterativeInference):
    """Monte Carlo EM with chains of z that follow the gradient of its posterior.

    Parameters
    ----------
    max_iter : int, default=100
        Maximum number of iterations.
    n_chains : int, default=3
        Number of chains of z, whose states are the draws of an iteration.
    n_steps : int, default=1
        Number of steps of each chain in an iteration.
    step : float, default=0.3
        Length of a step, in units of P.
    preconditioned : bool, default=True
        Whether P is the variance of the encoder's posterior, widened for the noise,
        instead of one.
    adjusted : bool, default=False
        Whether steps are accepted or rejected so that the draws are exact.
    n_draws : int, default=10
        Number of states of each chain that the mask is averaged over: the last of the
        iterations, and those of further steps with the noise held.
    prior_weight : float, default=1.0
        Weight of the prior of z; 1 is the model's.
    total_variation : float, default=0.0
        Weight of the sum of the absolute differences of z between frames, a penalty on
        changes over time. It needs unadjusted chains.
    jitter : float, default=0.0
        Variance of Gaussian noise that z receives after the steps of an iteration. It
        needs unadjusted chains.
    gain : {"free"} or None, default="free"
        Gain of the speech in each frame: estimated, or one.
    tol : float, default=0.0
        Change of the cost below which iterations end; 0 disables it. The cost is a
        Monte Carlo estimate, which may rise by chance.

    See Also
    --------
    MCEM : Its chains walk at random.
    PointEM : Follows the same gradient to the most probable z.
    GradientVEM : Approximates the posterior by a Gaussian.

    References
    ----------
    .. [1] M. Sadeghi and R. Serizel, "Fast and efficient speech enhancement with
       variational autoencoders", ICASSP 2023.

    Examples
    --------
    >>> from skvae import Langevin
    >>> paper = Langevin.as_published()
    >>> paper.n_chains, paper.n_steps, paper.step, paper.total_variation
    (5, 10, 0.005, 5.0)
    """

    _n_published_components = 8

    _parameter_ranges = {
        "n_chains": Number(low=1, high=MAX_DRAWS, integer=True),
        "n_steps": Number(low=1, high=MAX_DRAWS, integer=True),
        "step": Number(low=0, high=MAX_WEIGHT, open_low=True),
        "preconditioned": Option(True, False),
        "adjusted": Option(True, False),
        "n_draws": Number(low=1, high=MAX_DRAWS, integer=True),
        "prior_weight": Number(low=0, high=MAX_WEIGHT),
        "total_variation": Number(low=0, high=MAX_WEIGHT),
        "jitter": Number(low=0, high=MAX_WEIGHT),
    }

    def __init__(
        self,
        max_iter: int = 100,
        *,
        n_chains: int = 3,
        n_steps: int = 1,
        step: float = 0.3,
        preconditioned: bool = True,
        adjusted: bool = False,
        n_draws: int = 10,
        prior_weight: float = 1.0,
        total_variation: float = 0.0,
        jitter: float = 0.0,
        gain: str | None = "free",
        tol: float = 0.0,
    ):
        self.max_iter = max_iter
        self.n_chains = n_chains
        self.n_steps = n_steps
        self.step = step
        self.preconditioned = preconditioned
        self.adjusted = adjusted
        self.n_draws = n_draws
        self.prior_weight = prior_weight
        self.total_variation = total_variation
        self.jitter = jitter
        self.gain = gain
        self.tol = tol

    @classmethod
    def as_published(cls, *, adjusted: bool = False) -> Langevin:
        """Return the inference with the settings of a paper.

        Parameters
        ----------
        adjusted : bool, default=False
            Whether it is the adjusted chain of the second paper.

        Returns
        -------
        Langevin
        """
        if adjusted:
            return cls(
                n_chains=1, n_steps=10, step=0.005, preconditioned=False, adjusted=True
            )
        return cls(
            n_chains=5,
            n_steps=10,
            step=0.005,
            preconditioned=False,
            n_draws=1,
            total_variation=5.0,
            jitter=0.01,
        )

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of its range."""
        super().check()
        for name in ("total_variation", "jitter"):
            if self.adjusted and getattr(self, name) > 0:
                raise ValueError(
                    f"`{name}` must be 0 where `adjusted` is True, got "
                    f"{getattr(self, name)}."
                )

    def _begin(self, *mixture: Any) -> Run:
        return _LangevinRun(self, *mixture)


class _LangevinRun(Run):
    """The chains, side by side.

    The cost is the sum of log(V_x) + V / V_x over bins and chains.
    """

    def start(self) -> None:
        V, options = self.V, self.options
        self.n_draws = options.n_chains
        mean, log_variance = self.prior.first_posterior(V)
        self.memory = workspace(V)
        self._kept = V.new_empty(options.n_chains, *V.shape)
        self.variances = list(self._kept)
        self._information = (-log_variance).exp().sub_(1).clamp_min_(0)
        spread = torch.full_like(log_variance, -torch.inf)
        if options.preconditioned:
            spread = log_variance
        elif options.jitter > 0:
            spread = torch.full_like(log_variance, math.log(options.jitter))
        self.chains = [
            LangevinChain(
                V,
                self.prior,
                draw(mean, spread, self.generator),
                self.generator,
                step=options.step,
                adjusted=options.adjusted,
                prior_weight=options.prior_weight,
                total_variation=options.total_variation,
                memory=self.memory,
                out=variance,
                frames=self.noise.frames,
            )
            for variance in self.variances
        ]

        for chain in self.chains:
            self.prior.variance_into(chain.z, chain.variance)

    def move_latent(self) -> None:
        deviation = math.sqrt(self.options.jitter)
        V_b = self.noise.power(out=self.memory[0])
        for chain in self.chains:
            chain.refresh(V_b, self.gain, self._scale(chain, V_b))
            for _ in range(self.options.n_steps):
                chain.step()
            if deviation > 0:
                chain.shake(deviation)

    def cost(self) -> Tensor:
        return self.misfit_of_draws()

    def finish(self, history: list[Any]) -> Posterior:
        V_b = self.noise.power(out=self.memory[0])
        moments = MaskMoments(self.V)
        for chain in self.chains:
            if self.options.n_draws > 1:
                chain.refresh(V_b, self.gain, self._scale(chain, V_b))
            for k in range(self.options.n_draws):
                if k > 0:
                    chain.step()
                moments.add(wiener_gain(chain.variance, self.gain, V_b))
        z = torch.stack([chain.z for chain in self.chains]).mean(0)
        return Posterior(moments.mean, moments.std(), z, self.noise, self.gain, history)

    def _scale(self, chain: LangevinChain, V_b: Tensor) -> Tensor | float:
        """Return the diagonal of P at the present state, noise and gain."""
        if not self.options.preconditioned:
            return 1.0
        r = wiener_gain(chain.variance, self.gain, V_b)
        share = r.square_().mean(-1, keepdim=True)
        return (self._information * share).add_(1).reciprocal_()


class LangevinChain:
    """A Langevin chain of z, adjusted or not.

    What depends on the noise or the gain is computed anew by :meth:`refresh`.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Decoder and prior of z.
    z : Tensor of shape (..., N, L)
        First state.
    generator : torch.Generator
        Source of the draws.
    step : float
        Length epsilon of a step.
    adjusted : bool
        Whether steps are accepted or rejected.
    prior_weight : float
        Weight of the prior.
    total_variation : float
        Weight of the penalty on changes over time.
    memory : Tensor of shape (4, ..., N, F)
        Its last three parts are overwritten by each step.
    out : Tensor of shape (..., N, F)
        Memory for the speech variance of the state.
    frames : Tensor of shape (B, N, 1), default=None
        Frames that count, in a padded batch.

    Attributes
    ----------
    z : Tensor of shape (..., N, L)
        Present state.
    variance : Tensor of shape (..., N, F)
        Speech variance of the present state: `out`.
    acceptance : float
        Share of the proposals that were accepted; one for unadjusted chains.
    """

    def __init__(
        self,
        V: Tensor,
        prior: SpeechPrior,
        z: Tensor,
        generator: torch.Generator,
        *,
        step: float,
        adjusted: bool = True,
        prior_weight: float = 1.0,
        total_variation: float = 0.0,
        memory: Tensor,
        out: Tensor,
        frames: Tensor | None = None,
    ):
        self.V = V
        self.prior = prior
        self.z = z
        self.generator = generator
        self.variance = out
        self._length = step
        self._adjusted = adjusted
        self._prior_weight = prior_weight
        self._total_variation = total_variation
        self._scratch = memory[1:]
        self._proposed = torch.empty_like(V) if adjusted else out
        self._frames = frames
        self._n_proposed = 0
        self._n_accepted = torch.zeros((), dtype=torch.int64, device=V.device)

    @property
    def acceptance(self) -> float:
        """Share of the proposals that were accepted."""
        return float(self._n_accepted) / max(self._n_proposed, 1)

    def refresh(self, V_b: Tensor, gain: Tensor, scale: Tensor | float = 1.0) -> None:
        """Take the present power of the noise and the gain, and the diagonal of P."""
        self._V_b, self._gain = V_b, gain
        self._drift = self._length * scale
        self._energy, self._gradient = self._measure(self.z, self.variance)

    def step(self) -> None:
        """Propose once, and accept, or reject if adjusted."""
        drift, xi = self._drift, draw_normal(self.z, self.generator)
        mean = self.z - drift * self._gradient
        deviation = (2 * drift) ** 0.5
        proposal = mean + deviation * xi
        energy, gradient = self._measure(proposal, self._proposed)
        if not self._adjusted:
            self.z, self._energy, self._gradient = proposal, energy, gradient
            self._count(torch.ones_like(energy[..., :1], dtype=torch.bool))
            return
        back = (self.z - proposal + drift * gradient) / deviation
        log_ratio = self._energy - energy
        log_ratio += 0.5 * (xi.square() - back.square()).sum(-1)
        if not self.prior.is_framewise:
            if self._frames is not None:
                log_ratio = log_ratio * self._frames[..., 0]
            log_ratio = log_ratio.sum(-1, keepdim=True)
        u = draw_uniform(self.z, tuple(log_ratio.shape), self.generator)
        accepted = u.log() < log_ratio
        rows = accepted[..., None]
        self.z = torch.where(rows, proposal, self.z)
        torch.where(rows, self._proposed, self.variance, out=self.variance)
        self._energy = torch.where(accepted, energy, self._energy)
        self._gradient = torch.where(rows, gradient, self._gradient)
        self._count(accepted)

    def shake(self, deviation: float) -> None:
        """Add Gaussian noise to the state; :meth:`refresh` must follow."""
        self.z = self.z + deviation * draw_normal(self.z, self.generator)
        self.prior.variance_into(self.z, self.variance)

    def _count(self, accepted: Tensor) -> None:
        self._n_proposed += accepted.numel()
        self._n_accepted += accepted.sum()

    def _measure(self, z: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
        """Return energy and gradient of z, and put its speech variance into `out`."""
        energy, gradient = energy_and_gradient(
            self.V,
            self.prior,
            z,
            self._V_b,
            self._gain,
            self._scratch,
            out=out,
            prior_weight=self._prior_weight,
            frames=self._frames,
        )
        if self._total_variation > 0:
            change = z.diff(dim=-2).sign()
            if self._frames is not None:
                change = change * self._frames[..., 1:, :]
            gradient[..., 1:, :] += self._total_variation * change
            gradient[..., :-1, :] -= self._total_variation * change
        return energy, gradient
