"""Langevin chains and point estimates: gradients, exact draws, known biases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from skvae import Langevin, PointEM
from skvae.speech.prior import STANDARD, LatentPrior, NormalPrior, SpeechPrior
from skvae.vaenmf.energy import energy_and_gradient
from skvae.vaenmf.langevin import LangevinChain
from skvae.vaenmf.mixture import workspace
from skvae.vaenmf.nmf_noise import NMF

from .conftest import generator, linear_prior, small_noise, some_gain
from .test_metropolis import PRIORS, batch, encode, integrated
from .test_properties import bump, exact_em


class HeldNoise(NMF):
    """Noise that stays as it is."""

    def update(self, V, variances, gain, memory):
        pass


def make_chain(V, prior, z, noise, gain, seed=0, scale=1.0, **options):
    memory = workspace(V)
    chain = LangevinChain(
        *(V, prior, z, generator(seed)),
        **{"memory": memory, "out": torch.empty_like(V), "step": 0.3, **options},
    )
    chain.refresh(noise.power(out=memory[0]), gain, scale)
    return chain


# Gradients


class Wavy(LatentPrior):
    """A prior of somebody else, which does not say what its gradient is."""

    def neg_log_prob(self, z):
        return (0.3 * z.cos() + 0.1 * z.square()).sum(-1)

    def divergence(self, mean, log_variance):
        raise NotImplementedError


@pytest.mark.parametrize(
    "latent", [STANDARD, NormalPrior(torch.tensor(0.7), torch.tensor(0.2)), Wavy()]
)
@pytest.mark.parametrize("weight", [1.0, 1.5])
def test_the_gradient_is_that_of_automatic_differentiation(V, noise, latent, weight):
    prior, gain = linear_prior().replace(latent=latent), some_gain()
    z = torch.randn(len(V), 2, generator=generator(4), dtype=V.dtype)
    z.requires_grad_()
    V_x = gain * prior.decode(z).exp() + noise.power()
    wanted = (V_x.log() + V / V_x).sum(-1) + weight * latent.neg_log_prob(z)
    energy, gradient = energy_and_gradient(
        *(V, prior, z.detach(), noise.power(), gain, workspace(V)[1:]),
        out=torch.empty_like(V),
        prior_weight=weight,
    )
    torch.testing.assert_close(energy, wanted.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted.sum(), z)[0])


def test_padding_has_no_part_in_the_gradient_of_a_joint_decoder():
    prior = PRIORS["joint decoder"]
    power, noise, gain = batch([2, 3])
    z = torch.randn(2, 3, 1, generator=generator(4), dtype=power.dtype)
    _, gradient = energy_and_gradient(
        *(power, prior, z, noise.power(), gain, workspace(power)[1:]),
        out=torch.empty_like(power),
        frames=noise.frames,
    )
    _, alone = energy_and_gradient(
        *(power[0, :2], prior, z[0, :2], noise.power()[0, :2], gain[0, :2]),
        workspace(power[0, :2])[1:],
        out=torch.empty_like(power[0, :2]),
    )
    torch.testing.assert_close(gradient[0, :2], alone)


def test_the_penalty_is_the_total_variation(V, noise, prior):
    z = torch.randn(len(V), 2, generator=generator(4), dtype=V.dtype)
    arguments = V, prior, z, noise, some_gain()
    plain, penalized = (
        make_chain(*arguments, adjusted=False, total_variation=weight)._gradient
        for weight in (0.0, 3.0)
    )
    z.requires_grad_()
    wanted = torch.autograd.grad(3.0 * z.diff(dim=0).abs().sum(), z)[0]
    torch.testing.assert_close(penalized - plain, wanted)


# Draws


@pytest.mark.parametrize(
    ("name", "step"),
    [("joint decoder", 0.12), ("random walk", 0.12), ("both", 0.08), ("narrow", 0.25)],
)
def test_adjusted_chains_draw_from_the_posterior_of_the_whole_sequence(name, step):
    prior, n_chains = PRIORS[name], 1000
    lengths = [3] * n_chains + [2] * n_chains
    power, noise, gain = batch(lengths)
    z = torch.randn(len(lengths), 3, 1, generator=generator(1), dtype=torch.float64)
    chain = make_chain(
        *(power, prior, z, noise, gain), step=step, frames=noise.frames, adjusted=True
    )
    for _ in range(150):
        chain.step()
    torch.testing.assert_close(chain.variance, prior.variance(chain.z))
    assert 0.2 < chain.acceptance < 0.9
    V_x = gain * chain.variance + noise.power()
    for n_frames, part in ((3, slice(n_chains)), (2, slice(n_chains, None))):
        truth = integrated(prior, n_frames)
        z = chain.z[part, :n_frames]
        error = 5 * truth["std"] / math.sqrt(n_chains)
        assert ((z.mean(0) - truth["mean"]).abs() < error).all()
        torch.testing.assert_close(z.std(0), truth["std"], rtol=0.1, atol=0)
        gains = (gain * chain.variance / V_x)[part, :n_frames]
        error = 5 * gains.std(0) / math.sqrt(n_chains)
        assert ((gains.mean(0) - truth["gain"]).abs() < error).all()


def flat_prior(n_bins=3):
    """A decoder that ignores z: its posterior is the prior."""

    def decode(z):
        return (0 * z.sum(-1, keepdim=True)).expand(*z.shape[:-1], n_bins)

    return SpeechPrior(encode, decode)


@pytest.mark.parametrize("step", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("variance", [1.0, 0.04])
def test_unadjusted_chains_are_as_wide_as_theory_says(step, variance):
    """z' = (1 - h) z + sqrt(2 h P) xi has the variance P / (1 - h / 2)."""
    n = 20_000
    prior = flat_prior().replace(latent=NormalPrior(0.0, torch.tensor(variance)))
    V = torch.ones(n, 3, dtype=torch.float64)
    z = math.sqrt(variance) * torch.randn(n, 1, generator=generator(1)).double()
    chain = make_chain(
        *(V, prior, z, small_noise(n, 3, 1), torch.ones(n, 1).double()),
        **{"step": step, "scale": variance, "adjusted": False},
    )
    for _ in range(math.ceil(5 / step)):
        chain.step()
    assert chain.acceptance == 1
    wanted = variance / (1 - step / 2)
    assert chain.z.var().item() == pytest.approx(wanted, rel=0.04)


def test_the_acceptance_is_that_of_theory_in_many_dimensions():
    """2 Phi(-l^3 / 8) for a normal target, l^2 = 2 step n^(1/3) (Roberts, 1998)."""
    n_latent, n_chains = 400, 300
    V = torch.ones(n_chains, 3, dtype=torch.float64)
    z = torch.randn(n_chains, n_latent, generator=generator(1), dtype=torch.float64)
    for step in (0.04, 0.1, 0.2):
        chain = make_chain(
            *(V, flat_prior(), z, small_noise(n_chains, 3, 1)),
            torch.ones(n_chains, 1, dtype=torch.float64),
            **{"step": step, "adjusted": True},
        )
        for _ in range(20):
            chain.step()
        wanted = 2 * stats.norm.cdf(-((2 * step) ** 1.5) * math.sqrt(n_latent) / 8)
        assert chain.acceptance == pytest.approx(wanted, abs=0.05)


def test_a_step_in_units_of_the_posterior_suits_narrow_and_wide_dimensions():
    """One step of fixed length is stuck, or far off, where the posterior is narrow."""
    n, wide = 4000, torch.tensor([1.0, 1e-4], dtype=torch.float64)
    prior = flat_prior().replace(latent=NormalPrior(torch.zeros(2).double(), wide))
    V, ones = torch.ones(n, 3).double(), torch.ones(n, 1).double()
    z = torch.randn(n, 2, generator=generator(1), dtype=torch.float64) * wide.sqrt()
    spreads = []
    for scale in (wide, 1.0):
        chain = make_chain(
            *(V, prior, z, small_noise(n, 3, 1), ones),
            **{"step": 0.3, "scale": scale, "adjusted": True},
        )
        for _ in range(10):
            chain.step()
        spreads.append((chain.acceptance, (chain.z - z).std(0) / wide.sqrt()))
    (own, moved), (fixed, stuck) = spreads
    assert own > 0.8 and (moved > 0.8).all()
    assert fixed < 0.1 and stuck[0] < 0.8


# EM


def test_langevin_is_em_with_numerical_integrals():
    n_copies, prior = 30, bump()
    V = torch.tensor(
        [[3.0, 0.1, 0.5, 6.0], [0.2, 0.4, 0.3, 0.1], [9.0, 2.0, 1.0, 0.5]],
        dtype=torch.float64,
    )
    noise = small_noise(3, 4, 2)
    wanted = exact_em(V, prior, noise, n_iter=2)
    # Each frame many times: what the chains do by chance averages out.
    many = NMF(noise.W, noise.H.repeat(n_copies, 1))
    inference = Langevin(2, n_chains=40, n_steps=120, step=0.03, adjusted=True)
    found = inference.infer(V.repeat(n_copies, 1), prior, many, generator())
    H, gain = (x.view(n_copies, 3, -1).mean(0) for x in (many.H, found.gain))
    for one, other in zip((many.W, H, gain), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.04)


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_point_em_finds_the_most_probable_latent_variable(weight):
    prior = bump()
    V = torch.tensor([[3.0, 0.1, 0.5, 6.0], [0.3, 0.4, 0.9, 2.0]]).double()
    noise = HeldNoise(
        torch.full((1, 4), 0.25).double(), torch.full((2, 1), 2.0).double()
    )
    inference = PointEM(300, learning_rate=0.02, prior_weight=weight, gain=None)
    found = inference.infer(V, prior, noise, generator())
    grid = torch.linspace(-4, 4, 8001, dtype=torch.float64)[:, None]
    V_x = prior.variance(grid) + 0.5
    for power, z in zip(V, found.z, strict=True):
        energy = (V_x.log() + power / V_x).sum(1) + weight * 0.5 * grid[:, 0] ** 2
        assert z.item() == pytest.approx(grid[energy.argmin()].item(), abs=2e-3)
    assert found.mask_std is None
    assert found.history[-1] < found.history[0]


def test_the_mask_is_averaged_over_chains_and_draws(V, noise, prior):
    one, many = (
        Langevin(2, n_chains=1, n_draws=n).infer(V, prior, small_noise(), generator())
        for n in (1, 40)
    )
    assert (one.mask_std == 0).all()
    assert (many.mask_std > 0).all()
    assert not torch.equal(one.mask, many.mask)


@pytest.mark.parametrize("name", ["total_variation", "jitter"])
def test_exact_draws_and_other_models_exclude_each_other(name):
    with pytest.raises(ValueError, match=f"`{name}` must be 0 where `adjusted`"):
        Langevin(adjusted=True, **{name: 0.1}).check()
    Langevin(**{name: 0.1}).check()


def test_the_settings_of_the_papers():
    paper = Langevin.as_published()
    assert (paper.max_iter, paper.n_chains, paper.n_steps) == (100, 5, 10)
    assert (paper.step, paper.preconditioned, paper.adjusted) == (5e-3, False, False)
    assert (paper.total_variation, paper.jitter, paper.prior_weight) == (5, 0.01, 1)
    assert Langevin.published_noise().n_components == 8
    mala = Langevin.as_published(adjusted=True)
    assert mala.adjusted and not mala.preconditioned
    paper = PointEM.as_published()
    assert (paper.max_iter, paper.n_steps, paper.learning_rate) == (100, 10, 0.01)
