"""Metropolis chains of decoders and priors that join frames, and of other priors.

What they draw from is integrated numerically, on a grid over all frames at once.
"""

from __future__ import annotations

import math

import pytest
import torch

from skvae.speech.prior import STANDARD, LatentPrior, NormalPrior, SpeechPrior
from skvae.vaenmf.metropolis import Chain, SequenceChain, start_chain
from skvae.vaenmf.nmf_noise import NMF

from .conftest import generator, linear_prior, mcem, mcmc, small_noise

#: Chains that run side by side, each an utterance of a batch.
N_CHAINS = 1500

SLOPES = torch.tensor([-1.5, 0.5, 2.5], dtype=torch.float64)
V = torch.tensor(
    [[6.0, 0.2, 0.5], [0.1, 0.9, 4.0], [0.3, 3.0, 9.0]], dtype=torch.float64
)


def decode_jointly(z):
    """A recurrence: every frame hears of those before it."""
    return torch.cumsum(z, -2).tanh() * SLOPES


def decode_alone(z):
    return z.tanh() * SLOPES


def encode(power):
    zero = power.new_zeros(*power.shape[:-1], 1)
    return zero, zero


class RandomWalk(LatentPrior):
    """z_t ~ N(z_{t-1}, 0.25), from z_{-1} = 0."""

    is_framewise = False

    def neg_log_prob(self, z):
        steps = torch.diff(z, dim=-2, prepend=torch.zeros_like(z[..., :1, :]))
        return 2 * steps.square().sum(-1)

    def divergence(self, mean, log_variance):
        raise NotImplementedError


PRIORS = {
    "joint decoder": SpeechPrior(encode, decode_jointly, decodes_framewise=False),
    "random walk": SpeechPrior(encode, decode_alone, latent=RandomWalk()),
    "both": SpeechPrior(
        encode, decode_jointly, decodes_framewise=False, latent=RandomWalk()
    ),
    "narrow": SpeechPrior(encode, decode_alone, latent=NormalPrior(0.7, 0.2)),
}


def integrated(prior, n_frames):
    """Moments of z and of the Wiener gain of each frame, by sums over a grid."""
    line = torch.linspace(-4.5, 4.5, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(*[line] * n_frames).view(-1, n_frames, 1)
    variance = prior.variance(grid)
    V_x = 1.3 * variance + 0.5
    data = (V_x.log() + V[:n_frames] / V_x).sum((1, 2))
    weights = (-(data + prior.neg_log_prob(grid).sum(1))).softmax(0)[:, None, None]
    gain = 1.3 * variance / V_x
    mean_z = (weights * grid).sum(0)
    return {
        "mean": mean_z,
        "std": (weights * (grid - mean_z).square()).sum(0).sqrt(),
        "gain": (weights * gain).sum(0),
    }


def batch(lengths):
    """Mixtures, noise and gain of utterances, padded with what must not count."""
    n, longest = len(lengths), max(lengths)
    inside = torch.arange(longest) < torch.tensor(lengths)[:, None]
    frames = inside[..., None].double()
    power = torch.where(inside[..., None], V[:longest].expand(n, -1, -1), 1e3)
    H = torch.full((n, longest, 1), 1.5, dtype=torch.float64)
    W = torch.full((n, 1, 3), 1 / 3, dtype=torch.float64)
    gain = torch.full((n, longest, 1), 1.3, dtype=torch.float64)
    return power, NMF(W, H, frames), gain


@pytest.mark.parametrize("name", PRIORS)
def test_chains_draw_from_the_posterior_of_the_whole_sequence(name):
    prior = PRIORS[name]
    lengths = [3] * N_CHAINS + [2] * N_CHAINS
    power, noise, gain = batch(lengths)
    z = torch.randn(len(lengths), 3, 1, generator=generator(1), dtype=torch.float64)
    chain = start_chain(power, prior, z, generator(0), 0.5, frames=noise.frames)
    chain.refresh(noise, gain)
    for _ in range(150):
        chain.step()
    V_x = gain * chain.variance + noise.power()
    torch.testing.assert_close(chain.variance, prior.variance(chain.z))
    for n_frames, part in ((3, slice(N_CHAINS)), (2, slice(N_CHAINS, None))):
        truth = integrated(prior, n_frames)
        z = chain.z[part, :n_frames]
        error = 5 * truth["std"] / math.sqrt(N_CHAINS)
        assert ((z.mean(0) - truth["mean"]).abs() < error).all()
        torch.testing.assert_close(z.std(0), truth["std"], rtol=0.1, atol=0)
        gains = (gain * chain.variance / V_x)[part, :n_frames]
        error = 5 * gains.std(0) / math.sqrt(N_CHAINS)
        assert ((gains.mean(0) - truth["gain"]).abs() < error).all()


def test_the_posterior_of_a_joint_decoder_is_not_that_of_single_frames():
    """What the test above would not see if frames hardly depended on each other."""
    joint, alone = (
        integrated(SpeechPrior(encode, decode), 3)
        for decode in (decode_jointly, decode_alone)
    )
    assert (joint["mean"] - alone["mean"]).abs().max() > 0.3


def test_frames_of_their_own_have_chains_of_their_own():
    arguments = V, PRIORS["narrow"], torch.zeros(3, 1, dtype=V.dtype), generator()
    assert type(start_chain(*arguments)) is Chain
    for name in ("joint decoder", "random walk", "both"):
        assert not PRIORS[name].is_framewise
        chain = start_chain(V, PRIORS[name], *arguments[2:])
        assert type(chain) is SequenceChain


def test_a_long_sequence_moves_block_by_block():
    n_frames = 200
    power = V[:1].expand(n_frames, 3)
    z = torch.zeros(n_frames, 1, dtype=V.dtype)
    chain = start_chain(power, PRIORS["joint decoder"], z, generator(0))
    ones = torch.ones(n_frames, 1, dtype=V.dtype)
    chain.refresh(NMF(torch.ones(1, 3, dtype=V.dtype) / 3, 1e12 * ones), ones)
    for _ in range(20):
        before = chain.z
        chain.step()
        moved = (chain.z != before).flatten().nonzero().flatten()
        assert len(moved) <= 8
        if len(moved):
            assert moved.max() - moved.min() < 8
    assert chain.acceptance > 0.8  # all is noise: only the prior of z resists


@pytest.mark.parametrize(
    "infer",
    [
        lambda *a: mcem(*a, max_iter=5, n_burn_in=20, n_samples=5),
        lambda *a: mcmc(*a, n_burn_in=40, n_samples=40, n_latent_steps=5),
    ],
    ids=["mcem", "mcmc"],
)
def test_every_chain_follows_the_prior_of_the_speech_model(infer):
    prior, mixture = linear_prior(), torch.ones(7, 6, dtype=torch.float64)
    wanted = torch.full((7, 2), 3.0, dtype=torch.float64)
    near = prior.replace(latent=NormalPrior(wanted, torch.full_like(wanted, 1e-3)))
    found, free = (
        infer(mixture, one, small_noise(), generator()).z for one in (near, prior)
    )
    assert (found - wanted).abs().max() < 0.3
    assert (free - wanted).abs().min() > 0.5


def test_the_standard_prior_is_a_normal_one():
    z = torch.randn(4, 3, generator=generator(), dtype=torch.float64)
    same = NormalPrior(torch.zeros_like(z), torch.ones_like(z))
    torch.testing.assert_close(same.neg_log_prob(z), STANDARD.neg_log_prob(z))
    wanted = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    constant = 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(-STANDARD.neg_log_prob(z) - constant, wanted)


@pytest.mark.parametrize("given", [False, True])
def test_the_divergence_is_that_of_pytorch_with_its_gradients(given):
    rng = generator(2)
    mean, log_variance, mu, log_s = torch.randn(4, 5, 2, generator=rng).double()
    mean.requires_grad_()
    log_variance.requires_grad_()
    prior = NormalPrior(mu, log_s.exp()) if given else STANDARD
    other = torch.distributions.Normal(
        *((mu, (log_s / 2).exp()) if given else (0.0, 1.0))
    )
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    wanted = torch.distributions.kl_divergence(q, other)
    found, by_mean, by_log_variance = prior.divergence(mean, log_variance)
    constant = (wanted - found).detach()
    torch.testing.assert_close(
        constant, 0.5 * (log_s - 1 if given else -1.0) * torch.ones_like(constant)
    )
    gradients = torch.autograd.grad(wanted.sum(), (mean, log_variance))
    torch.testing.assert_close((by_mean, by_log_variance), gradients)
