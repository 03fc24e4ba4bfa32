r"""Random-walk Metropolis for the latent variables.

Bando et al. (2018), Eqs. 24-25; Leglaive et al. (2018), Section 4.1; Pariente et al.
(2019), Eqs. 26-27. A proposal z' ~ N(z, 0.01 I) (a variance: the standard deviation is
0.1) is accepted with probability min(1, p(x|z') p(z') / (p(x|z) p(z))): Eq. 25 of the
first prints the ratio of the priors upside down.

In the papers frames are decoded one by one, so each frame has a chain of its own and
all move side by side. Where the decoder or the prior joins frames, the ratio of a frame
depends on the others: there, a step proposes new values for one block of frames, and
the ratio of the whole sequence decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.draws import draw_normal, draw_uniform
from skvae.vaenmf.mixture import sum_log, workspace
from skvae.vaenmf.noise import Noise
from skvae.vaenmf.padding import count_frames

#: Variance of the proposal, in all three papers.
PROPOSAL_VARIANCE = 0.01

#: Frames that a step moves where the decoder or the prior joins frames.
BLOCK_FRAMES = 8


def start_chain(
    V: Tensor,
    prior: SpeechPrior,
    z: Tensor,
    generator: torch.Generator,
    proposal_variance: float = PROPOSAL_VARIANCE,
    *,
    memory: Tensor | None = None,
    frames: Tensor | None = None,
) -> Chain:
    """Return the chain that fits a speech prior.

    Parameters
    ----------
    V, prior, z, generator, proposal_variance, memory
        As for :class:`Chain`.
    frames : Tensor of shape (B, N, 1), default=None
        Frames that count, in a padded batch.

    Returns
    -------
    Chain
        A chain for each frame, or one for each sequence.
    """
    if prior.is_framewise:
        return Chain(V, prior, z, generator, proposal_variance, memory)
    return SequenceChain(V, prior, z, generator, proposal_variance, memory, frames)


class Chain:
    """Chains of all frames, side by side.

    What depends on the noise or the gain is computed anew by :meth:`refresh`. A chain
    that went on with old values would accept its first proposals by a wrong ratio.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    prior : SpeechPrior
        Decoder and prior of z.
    z : Tensor of shape (..., N, L)
        First state.
    generator : torch.Generator
        Source of the proposals.
    proposal_variance : float
        Variance of the random walk in each dimension.
    memory : Tensor of shape (4, ..., N, F), default=None
        Memory that the chain uses from :meth:`refresh` to its last step.

    Attributes
    ----------
    z : Tensor of shape (..., N, L)
        Present state.
    variance : Tensor of shape (..., N, F)
        Speech variance of the present state, so that a step takes one decoder pass.
    acceptance : float
        Share of the proposals that were accepted, those of padding included.
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

    def refresh(self, noise: Noise, gain: Tensor) -> None:
        """Take the present noise and gain."""
        self.gain, self.V_b = gain, noise.power(out=self._V_b)
        self.log_posterior = self._log_posterior(self.z, self.variance)

    def step(self) -> None:
        """Propose once, and accept or reject."""
        proposal = self._propose()
        variance = self.prior.variance(proposal, out=self._proposed)
        log_posterior = self._log_posterior(proposal, variance)
        u = draw_uniform(self.z, log_posterior.shape, self.generator)
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
            Number of steps.
        n_kept : int
            Number of steps at the end that count as draws.

        Yields
        ------
        None
            When the chain stands at a draw.
        """
        for step in range(n_steps):
            self.step()
            if step >= n_steps - n_kept:
                yield

    def _propose(self) -> Tensor:
        draws = draw_normal(self.z, self.generator)
        return torch.add(self.z, draws, alpha=self.scale)

    def _log_posterior(self, z: Tensor, variance: Tensor) -> Tensor:
        """Return log p(x|z) p(z) up to a constant, a value for each decision."""
        return -self._energy(z, variance)

    def _energy(self, z: Tensor, variance: Tensor) -> Tensor:
        """Return -log p(x|z) p(z) of each frame, shape (..., N)."""
        V_x, ratio = self._scratch
        torch.addcmul(self.V_b, variance, self.gain, out=V_x)
        torch.div(self.V, V_x, out=ratio)
        return ratio.sum(-1) + sum_log(V_x) + self.prior.neg_log_prob(z)


class SequenceChain(Chain):
    """One chain for each sequence, which moves a block of frames in each step.

    A step costs a decoder pass over the whole sequence, as in :class:`Chain`, but moves
    only :data:`BLOCK_FRAMES` of its frames, so a chain needs N / 8 times as many steps
    to move all of them as far.

    Parameters
    ----------
    V, prior, z, generator, proposal_variance, memory
        As for :class:`Chain`.
    frames : Tensor of shape (B, N, 1), default=None
        Frames that count, in a padded batch.
    """

    def __init__(
        self,
        V: Tensor,
        prior: SpeechPrior,
        z: Tensor,
        generator: torch.Generator,
        proposal_variance: float = PROPOSAL_VARIANCE,
        memory: Tensor | None = None,
        frames: Tensor | None = None,
    ):
        super().__init__(V, prior, z, generator, proposal_variance, memory)
        self._frames = None if frames is None else frames[..., 0]
        # Blocks begin at every frame of the utterance and before its first: each frame
        # is as likely to be moved as any other.
        n_frames = torch.tensor(count_frames(V, frames), dtype=z.dtype)
        n_starts = n_frames + (BLOCK_FRAMES - 1)
        self._n_starts = n_starts.view(*V.shape[:-2], 1, 1).to(z.device)
        self._times = torch.arange(V.shape[-2], device=z.device)[:, None]

    def _propose(self) -> Tensor:
        draws = draw_normal(self.z, self.generator)
        u = draw_uniform(self.z, tuple(self._n_starts.shape), self.generator)
        start = (u * self._n_starts).floor() - (BLOCK_FRAMES - 1)
        inside = (self._times >= start) & (self._times < start + BLOCK_FRAMES)
        return torch.where(inside, torch.add(self.z, draws, alpha=self.scale), self.z)

    def _log_posterior(self, z: Tensor, variance: Tensor) -> Tensor:
        """Return log p(x|z) p(z) of each sequence, shape (..., 1)."""
        energy = self._energy(z, variance)
        if self._frames is not None:
            energy = energy * self._frames
        return -energy.sum(-1, keepdim=True)
