r"""Monte Carlo EM: Metropolis draws of z, multiplicative updates of W, H and the gain.

S. Leglaive, L. Girin and R. Horaud, "A variance modeling framework based on variational
autoencoders for speech enhancement", MLSP 2018. Each update is the majorise-minimise
step, of exponent 1/2, of the Monte Carlo average of the Itakura-Saito cost, with the
model of the mixture refreshed before each. The chains go on from one iteration to the
next.

The speech variances of the kept draws stay in memory until the next iteration. Running
sums would do for W, but the steps of H and the gain take the same draws with another
model, and the decoder would have to go over them again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.metropolis import PROPOSAL_VARIANCE, Chain
from skvae.vaenmf.model import Costs, Noise, Posterior, misfit, update_noise, workspace
from skvae.vaenmf.reconstruction import metropolis_wiener


def mcem(
    V: Tensor,
    prior: SpeechPrior,
    noise: Noise,
    generator: torch.Generator,
    *,
    n_iter: int = 100,
    n_burn_in: int = 30,
    n_samples: int = 10,
    proposal_variance: float = PROPOSAL_VARIANCE,
    exponent: float = 0.5,
    smoothing: int = 1,
    with_gain: bool = True,
    tol: float = 0.0,
) -> Posterior:
    """Separate speech and noise by Monte Carlo EM.

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture, in the unit of the speech prior.
    prior : SpeechPrior
        Encoder and decoder.
    noise : Noise
        Where the noise starts; it is changed.
    generator : torch.Generator
        Source of all draws.
    n_iter : int
        Iterations.
    n_burn_in, n_samples : int
        Metropolis steps of an iteration: those dropped and those kept.
    proposal_variance : float
        Variance of the random walk.
    exponent : float
        Of the updates: 1/2.
    smoothing : int
        Bins over which the bases of the noise are smoothed.
    with_gain : bool
        Whether each frame has a gain.
    tol : float
        Iterations end when the cost changes by less than this, up or down: it is a
        Monte Carlo estimate, which goes up by chance. Of several utterances, that of
        each must.

    Returns
    -------
    Posterior
        Its history is the mean of log(V_x) + V / V_x over bins and samples.
    """
    mean, _ = prior.first_posterior(V)
    # The chains step while the noise stands still: one memory serves both.
    memory = workspace(V)
    chain = Chain(V, prior, mean, generator, proposal_variance, memory)
    variances = V.new_empty(n_samples, *V.shape)
    costs = Costs(V, noise.frames, tol, n_samples)
    for _ in range(n_iter):
        chain.refresh(noise)
        for r, _ in enumerate(chain.run(n_burn_in + n_samples, n_samples)):
            variances[r] = chain.variance
        update_noise(
            V,
            list(variances),
            noise,
            exponent=exponent,
            smoothing=smoothing,
            with_gain=with_gain,
            memory=memory,
        )
        if costs.add(_cost(V, variances, noise, memory)):
            break
    z = chain.z
    del chain, variances, memory  # the masks have draws of their own
    moments = metropolis_wiener(
        V, prior, z, noise, generator, proposal_variance=proposal_variance
    )
    return Posterior(moments.mean, moments.std(), z, noise, costs.history())


def _cost(V: Tensor, variances: Tensor, noise: Noise, memory: Tensor) -> Tensor:
    """Sum over bins and samples of log(V_x) + V / V_x."""
    V_b, V_x, ratio, _ = memory
    noise.power(out=V_b)
    cost = V.new_zeros(V.shape[:-2])
    for variance in variances:
        torch.addcmul(V_b, variance, noise.gain, out=V_x)
        torch.div(V, V_x, out=ratio)
        cost += misfit(ratio, V_x, noise.frames)
    return cost
