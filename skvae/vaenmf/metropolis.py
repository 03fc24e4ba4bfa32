r"""Random-walk Metropolis for the latent variables, all frames side by side.

Bando et al. (2018), Eqs. 24-25; Leglaive et al. (2018), Section 4.1; Pariente et al.
(2019), Eqs. 26-27. A proposal z' ~ N(z, 0.01 I) (a variance: the standard deviation is
0.1) is accepted with probability min(1, p(x|z') p(z') / (p(x|z) p(z))): Eq. 25 of the
first prints the ratio of the priors upside down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.model import Noise, draw_normal, sum_log, workspace

#: Variance of the proposal, in all three papers.
PROPOSAL_VARIANCE = 0.01


class Chain:
    """State of the chains of all frames.

    Everything that depends on the noise or the gain is computed afresh by
    :meth:`refresh`: a chain that went on with what it knew of them before they changed
    would accept the first proposals by a wrong ratio.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Encoder and decoder.
    z : Tensor of shape (..., N, L)
        Where the chains start.
    generator : torch.Generator
        Source of the proposals.
    proposal_variance : float
        Variance of the random walk in each dimension.
    memory : Tensor of shape (4, ..., N, F), default=None
        What the chain works in from :meth:`refresh` to its last step; then others may.

    Attributes
    ----------
    z : Tensor of shape (..., N, L)
        Present state.
    variance : Tensor of shape (..., N, F)
        The decoder's variance there: one decoder pass a step is all it takes.
    acceptance : float
        Share of the proposals that were accepted so far, those of padding included.
    """

    def __init__(
        self,
        V: Tensor,
        prior: SpeechPrior,
        z: Tensor,
        generator: torch.Generator,
        proposal_variance: float = PROPOSAL_VARIANCE,
        memory: Tensor | None = None,
    ):
        self.V = V
        self.prior = prior
        self.z = z
        self.generator = generator
        self.scale = math.sqrt(proposal_variance)
        self.variance = prior.variance(z)
        self._n_proposed = 0
        self._n_accepted = torch.zeros((), dtype=torch.int64, device=V.device)
        memory = workspace(V) if memory is None else memory
        self._V_b, self._proposed, *self._scratch = memory

    @property
    def acceptance(self) -> float:
        """Share of the proposals that were accepted."""
        return float(self._n_accepted) / max(self._n_proposed, 1)

    def refresh(self, noise: Noise) -> None:
        """Take note that the noise or the gain has changed."""
        self.gain, self.V_b = noise.gain, noise.power(out=self._V_b)
        self.log_posterior = self._log_posterior(self.z, self.variance)

    def step(self) -> None:
        """Propose once for every frame, and accept or not."""
        draws = draw_normal(self.z, self.generator)
        proposal = torch.add(self.z, draws, alpha=self.scale)
        variance = self.prior.variance(proposal, out=self._proposed)
        log_posterior = self._log_posterior(proposal, variance)
        u = torch.rand(
            self.z.shape[:-1],
            generator=self.generator,
            dtype=self.z.dtype,
            device=self.generator.device,
        ).to(self.z.device)
        accepted = u.log() < log_posterior - self.log_posterior
        rows = accepted[..., None]
        self.z = torch.where(rows, proposal, self.z)
        torch.where(rows, variance, self.variance, out=self.variance)
        self.log_posterior = torch.where(accepted, log_posterior, self.log_posterior)
        self._n_proposed += accepted.numel()
        self._n_accepted += accepted.sum()

    def run(self, n_steps: int, n_kept: int) -> Iterator[None]:
        """Make steps, and pause after each of the last ones.

        Parameters
        ----------
        n_steps : int
            All of them.
        n_kept : int
            How many at the end count as draws.

        Yields
        ------
        None
            When the chain stands at a draw.
        """
        for step in range(n_steps):
            self.step()
            if step >= n_steps - n_kept:
                yield

    def _log_posterior(self, z: Tensor, variance: Tensor) -> Tensor:
        """Log of p(x|z) p(z) of each frame, shape (..., N), up to a constant."""
        V_x, ratio = self._scratch
        torch.addcmul(self.V_b, variance, self.gain, out=V_x)
        torch.div(self.V, V_x, out=ratio)
        return -(ratio.sum(-1) + sum_log(V_x) + 0.5 * (z * z).sum(-1))
