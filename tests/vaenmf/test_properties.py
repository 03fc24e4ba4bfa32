"""Properties of the inferences and of NMFNoise: descent, posteriors, recovery."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from skvae import MCMC, Langevin, PointEM
from skvae.speech.prior import NormalPrior, SpeechPrior
from skvae.vaenmf import vem as vem_module
from skvae.vaenmf.mcem import _MCEMRun
from skvae.vaenmf.metropolis import Chain
from skvae.vaenmf.mixture import FLOOR, update_gain, workspace
from skvae.vaenmf.nmf_noise import NMF, smooth_bins
from skvae.vaenmf.nmf_sampling import component_powers
from skvae.vaenmf.reconstruction import metropolis_wiener
from skvae.vaenmf.vem import exp_expected_log, source_posterior

from .conftest import (
    F,
    K,
    N,
    generator,
    gradient_vem,
    linear_prior,
    mcem,
    mcmc,
    small_noise,
    some_gain,
    start_noise,
    vem,
)

INFERENCES = {
    "vem": lambda *a: vem(*a, max_iter=10),
    "vem paper": lambda *a: vem(*a, max_iter=10, encoder_input="power"),
    "vem heuristic": lambda *a: vem(*a, max_iter=10, covariance=False),
    "vem z": lambda *a: vem(*a, max_iter=10, reconstruction="z", gain="free"),
    "gradient": lambda *a: gradient_vem(*a, max_iter=10, gain="free"),
    "gradient fixed": lambda *a: gradient_vem(*a, max_iter=10, hold="latent"),
    "gradient noise held": lambda *a: gradient_vem(*a, max_iter=10, hold="noise"),
    "point": lambda *a: PointEM(10).infer(*a),
    "langevin": lambda *a: Langevin(5, n_draws=2).infer(*a),
    "langevin exact": lambda *a: Langevin(5, n_draws=2, adjusted=True).infer(*a),
    "mcem": lambda *a: mcem(*a, max_iter=3, n_burn_in=3, n_samples=2),
    "mcmc": lambda *a: mcmc(*a, n_burn_in=3, n_samples=3),
    "mcmc exact": lambda *a: mcmc(*a, n_burn_in=3, n_samples=3, exact=True),
    "mcmc masks": lambda *a: mcmc(*a, n_burn_in=3, n_samples=3, average="masks"),
}


def powers(n_frames, n_bins, seed=0, dtype=torch.float64):
    drawn = torch.rand(n_frames, n_bins, generator=generator(seed), dtype=dtype)
    return -drawn.clamp_min(1e-12).log()


def negative_log_likelihood(V, V_x):
    return (V_x.log() + V / V_x).mean().item()


# Descent


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("with_gain", [True, False])
def test_updates_of_exponent_one_half_never_increase_the_cost(seed, with_gain):
    V = powers(9, 8, seed)
    V[2] = 0
    V[:, 3] *= 1e6
    variances = [powers(9, 8, 100 * seed + r) for r in range(1, 4)]
    noise, gain, memory = small_noise(9, 8, 3, seed), some_gain(9, seed), workspace(V)

    def cost():
        V_b = noise.power()
        return sum(negative_log_likelihood(V, v * gain + V_b) for v in variances)

    before = cost()
    for _ in range(5):
        noise.update_bases(V, variances, gain, memory)
        assert cost() <= before + 1e-10
        before = cost()
        noise.update_activations(V, variances, gain, memory)
        assert cost() <= before + 1e-10
        before = cost()
        if with_gain:
            noise.power(out=memory[0])
            gain = update_gain(V, variances, gain, memory)
            assert cost() <= before + 1e-10
            before = cost()


def test_learning_noise_never_increases_its_divergence_and_silence_is_harmless():
    power = powers(9, 8, 1) * torch.linspace(0, 5, 8, dtype=torch.float64)
    power[2] = 0
    noise = start_noise(power, 2, generator(), exponent=0.5)
    costs = []
    for _ in range(10):
        costs.append(negative_log_likelihood(power, noise.power()))
        noise.learn(power, n_iter=1)
    assert (np.diff(costs) <= 1e-10).all()
    assert costs[-1] < costs[0] - 0.1
    torch.testing.assert_close(noise.W.sum(1), torch.ones(2, dtype=torch.float64))
    silent = start_noise(0 * power, 2, generator())
    silent.learn(0 * power, n_iter=5)
    assert torch.isfinite(silent.power()).all()


# Held parameters


def test_what_is_held_stays_bit_for_bit_and_the_rest_moves(V, prior, noise):
    start = prior.encode(V)[0]
    W, H = noise.W.clone(), noise.H.clone()
    options = {"max_iter": 5, "gain": "free"}
    found = gradient_vem(V, prior, noise, generator(), hold="noise", **options)
    assert torch.equal(noise.W, W)
    assert torch.equal(noise.H, H)
    assert (found.gain == 1).all()
    assert (found.z - start).abs().max() > 0.1
    found = gradient_vem(V, prior, noise, generator(), hold="latent", **options)
    assert torch.equal(found.z, start)
    assert (noise.W - W).abs().max() > 1e-3


def test_a_narrow_prior_keeps_the_latent_variables_where_it_is(V, prior, noise):
    centre = torch.full_like(prior.encode(V)[0], 0.7)
    distances = []
    for variance in (1e-4, 1.0):
        narrow = prior.replace(
            latent=NormalPrior(centre, torch.full_like(centre, variance))
        )
        options = {"max_iter": 300, "learning_rate": 0.05, "hold": "noise"}
        found = gradient_vem(V, narrow, noise, generator(), **options)
        distances.append((found.z - centre).abs().max().item())
    assert distances[0] < 0.05 < distances[1]


# The E-step of VEM


def test_source_posterior_is_the_limit_of_the_gaussian_one():
    """s and n given x = s + n + e, as the variance of e goes to nothing."""
    gamma, b, x = 2.3, 0.7, 1.9
    for variance, tolerance in ((1e-3, 1e-2), (1e-9, 1e-7)):
        covariance = np.diag([gamma, b])
        ones = np.ones(2)
        total = ones @ covariance @ ones + variance
        mean = covariance @ ones * x / total
        posterior = covariance - np.outer(covariance @ ones, covariance @ ones) / total
        mask, mean_power, sigma = (
            part.item()
            for part in source_posterior(
                *(
                    torch.tensor([[v]], dtype=torch.float64)
                    for v in (x**2, 1 / gamma, b)
                )
            )
        )
        assert mask * x == pytest.approx(mean[0], rel=tolerance)
        assert (1 - mask) * x == pytest.approx(mean[1], rel=tolerance)
        assert mean_power == pytest.approx(mean[0] ** 2, rel=tolerance)
        wanted = sigma * np.array([[1, -1], [-1, 1]])
        np.testing.assert_allclose(posterior, wanted, atol=2 * tolerance)


@pytest.mark.parametrize("k", [1e-8, 0.01, 0.5, 1.0, 1.5, 10.0, 1e4])
def test_exp_expected_log_agrees_with_simulation(k):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 400_000)) / math.sqrt(2)
    s = (math.sqrt(k) + noise[0]) ** 2 + noise[1] ** 2
    wanted = math.exp(np.log(s).mean())
    assert exp_expected_log(torch.tensor([k])).item() == pytest.approx(wanted, rel=0.01)


def test_exp_expected_log_is_that_of_the_exponential_integral():
    k = np.logspace(-8, 3, 200)
    found = exp_expected_log(torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(found, k * np.exp(special.exp1(k)), rtol=1e-6)
    zero = exp_expected_log(torch.zeros(1, dtype=torch.float64)).item()
    assert zero == pytest.approx(math.exp(-np.euler_gamma), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1e7, 1e10, 1e14, 1e30])
def test_exp_expected_log_of_a_source_without_noise_is_its_power(k, dtype):
    found = exp_expected_log(torch.tensor([k], dtype=dtype)).item()
    assert found == pytest.approx(k, rel=1e-6)


# Metropolis


def bump(n_bins=4):
    """One latent variable and a decoder that bends."""
    slopes = torch.linspace(-2, 3, n_bins, dtype=torch.float64)

    def decode(z):
        return (2 * z).tanh() * slopes

    def encode(power):
        zero = torch.zeros(*power.shape[:-1], 1, dtype=power.dtype)
        return zero, zero

    return SpeechPrior(encode, decode)


@pytest.fixture(scope="module")
def bumpy():
    """A frame seen 4000 times, chains of which went on long enough, and the truth."""
    prior = bump()
    V = torch.tensor([[3.0, 0.1, 0.5, 6.0]], dtype=torch.float64).expand(4000, 4)
    noise = NMF(
        torch.full((1, 4), 0.25, dtype=torch.float64),
        torch.full((4000, 1), 2.0, dtype=torch.float64),
    )
    gain = torch.full((4000, 1), 1.3, dtype=torch.float64)
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64)[:, None]
    V_x = 1.3 * prior.variance(grid) + 0.5
    log_density = -(V_x.log() + V[0] / V_x).sum(1) - 0.5 * grid[:, 0] ** 2
    density = (log_density - log_density.max()).exp()
    density /= density.sum()
    return prior, V, (noise, gain), grid[:, 0], density


def test_metropolis_draws_from_the_posterior(bumpy):
    prior, V, noise, grid, density = bumpy
    z = torch.randn(4000, 1, generator=generator(1), dtype=torch.float64)
    chain = Chain(V, prior, z, generator(0), proposal_variance=1.0)
    chain.refresh(*noise)
    for _ in range(60):
        chain.step()
    distribution = density.cumsum(0).numpy()
    result = stats.kstest(
        chain.z[:, 0].numpy(), lambda x: np.interp(x, grid.numpy(), distribution)
    )
    assert result.pvalue > 1e-3
    assert 0.2 < chain.acceptance < 0.9


def test_metropolis_wiener_is_the_posterior_mean_of_the_gain(bumpy):
    prior, V, noise, grid, density = bumpy
    z = torch.randn(4000, 1, generator=generator(1), dtype=torch.float64)
    moments = metropolis_wiener(
        *(V, prior, z, *noise, generator(0)),
        n_steps=80,
        n_kept=20,
        proposal_variance=1.0,
    )
    speech = 1.3 * prior.variance(grid[:, None])
    gains = speech / (speech + 0.5)
    mean = (density[:, None] * gains).sum(0)
    spread = ((density[:, None] * (gains - mean) ** 2).sum(0)).sqrt()
    error = 5 * spread / math.sqrt(4000)
    assert (moments.mean.mean(0) - mean).abs().sub(error).max() < 0
    assert (moments.std() >= 0).all()


def exact_em(V, prior, noise, n_iter):
    """EM whose expectations are integrals over one latent variable."""
    W, H = (part.numpy().copy() for part in (noise.W, noise.H))
    g = np.ones((len(H), 1))
    V, grid = V.numpy(), torch.linspace(-6, 6, 1201, dtype=torch.float64)[:, None]
    sigma, prior_density = prior.variance(grid).numpy(), -0.5 * grid[:, 0].numpy() ** 2

    def model():
        return g[:, :, None] * sigma + (H @ W)[:, None]

    def expected(weights, values):
        return np.einsum("ng,ngf->nf", weights, values)

    for _ in range(n_iter):
        V_x = model()
        log_weights = prior_density - (np.log(V_x) + V[:, None] / V_x).sum(2)
        weights = np.exp(log_weights - log_weights.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        up, down = expected(weights, V_x**-2.0), expected(weights, 1 / V_x)
        W = W * np.sqrt((H.T @ (V * up)) / (H.T @ down))
        W, H = W / W.sum(1, keepdims=True), H * W.sum(1)
        V_x = model()
        up, down = expected(weights, V_x**-2.0), expected(weights, 1 / V_x)
        H = H * np.sqrt(((V * up) @ W.T) / (down @ W.T))
        V_x = model()
        up, down = expected(weights, sigma / V_x**2), expected(weights, sigma / V_x)
        g = g * np.sqrt((V * up).sum(1) / down.sum(1))[:, None]
    return W, H, g


def test_mcem_is_em_with_numerical_integrals():
    n_copies, prior = 60, bump()
    V = torch.tensor(
        [[3.0, 0.1, 0.5, 6.0], [0.2, 0.4, 0.3, 0.1], [9.0, 2.0, 1.0, 0.5]],
        dtype=torch.float64,
    )
    noise = small_noise(3, 4, 2)
    wanted = exact_em(V, prior, noise, n_iter=3)
    start = noise.power()
    # Each frame many times: what the chains do by chance averages out. Many draws:
    # the root of a ratio of means is biased by their variance.
    many = NMF(noise.W, noise.H.repeat(n_copies, 1))
    options = {"max_iter": 3, "n_burn_in": 30, "n_samples": 200}
    found = mcem(
        *(V.repeat(n_copies, 1), prior, many, generator()),
        **{**options, "proposal_variance": 1.0},
    )
    H, gain = (x.view(n_copies, 3, -1).mean(0) for x in (many.H, found.gain))
    for one, other in zip((many.W, H, gain), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.04)
    assert (start / (H @ many.W)).log().abs().mean() > 0.2


def test_a_proposal_of_variance_001_moves_by_a_tenth():
    """Not by a hundredth, as where a variance is taken for a standard deviation."""
    prior = bump()
    V = torch.ones(5000, 4, dtype=torch.float64)
    noise = small_noise(5000, 4, 2)
    noise.H += 1e9  # all noise: everything is accepted but for the prior
    chain = Chain(V, prior, torch.zeros(5000, 1, dtype=torch.float64), generator(0))
    chain.refresh(noise, some_gain(5000))
    chain.step()
    assert chain.z.std().item() == pytest.approx(0.1, rel=0.05)


def test_mcem_begins_each_iteration_with_the_present_gain(V, prior, noise, monkeypatch):
    """Public code goes on with the gain of the iteration before."""
    original, gains = Chain.step, [torch.ones(N, 1, dtype=V.dtype)]
    update = _MCEMRun.update_gain

    def update_and_note(run):
        update(run)
        gains.append(run.gain)

    def step(chain):
        assert torch.equal(chain.gain, gains[-1])
        torch.testing.assert_close(chain.V_b, noise.power())
        V_x = chain.variance * gains[-1] + noise.power()
        wanted = -(V_x.log() + V / V_x).sum(1) - 0.5 * chain.z.square().sum(1)
        torch.testing.assert_close(chain.log_posterior, wanted)
        original(chain)

    monkeypatch.setattr(Chain, "step", step)
    monkeypatch.setattr(_MCEMRun, "update_gain", update_and_note)
    mcem(V, prior, noise, generator(), max_iter=3, n_burn_in=2, n_samples=2)


def test_the_kept_variance_is_that_of_the_state(V, prior, noise):
    chain = Chain(V, prior, prior.encode(V)[0], generator(), 0.5)
    chain.refresh(noise, some_gain())
    for _ in chain.run(20, 20):
        torch.testing.assert_close(chain.variance, prior.variance(chain.z))


def test_a_rise_of_the_cost_does_not_stop_mcem(V, prior, noise, monkeypatch):
    costs = iter([1.0, 1.5, 1.25, 1.25, 0.0])
    monkeypatch.setattr(
        _MCEMRun, "cost", lambda _: torch.tensor(next(costs) * V.numel())
    )
    found = mcem(V, prior, noise, generator(), max_iter=5, n_samples=1, tol=0.1)
    assert found.history == [1.0, 1.5, 1.25, 1.25]


def test_mcem_holds_the_variances_of_its_draws_and_little_else(prior, monkeypatch):
    """Neither a second workspace nor, while masks are drawn, what came before."""
    n_samples, V = 3, powers(300, F)
    noise = start_noise(V, K, generator())
    held = []

    def count():
        tensors = (x for x in gc.get_objects() if type(x) is torch.Tensor)
        storages = {x.data_ptr(): x for x in map(torch.Tensor.untyped_storage, tensors)}
        held.append(sum(x.nbytes() for x in storages.values()) / V.nbytes)

    original = Chain.refresh

    def refresh(chain, noise, gain):
        original(chain, noise, gain)
        count()

    count()
    monkeypatch.setattr(Chain, "refresh", refresh)
    mcem(V, prior, noise, generator(), max_iter=2, n_burn_in=1, n_samples=n_samples)
    before, *iterations, masks = held
    # The draws, the chains' state, a workspace; and what is small: z, H and the like.
    assert len(iterations) == 2
    assert max(iterations) - before < n_samples + 1 + 4 + 2
    # Chains of their own, and the moments.
    assert masks - before < 5 + 2 + 2


@pytest.mark.parametrize("function", [vem, gradient_vem, mcem])
def test_a_large_tolerance_stops_at_once(V, prior, noise, function):
    assert len(function(V, prior, noise, generator(), tol=1e9).history) == 2


def test_the_chain_of_mh_wiener_starts_at_the_mean(V, prior, noise, monkeypatch):
    """At the mean of r(z), and not at a draw from it."""
    starts = []

    def watch(V, prior, z, *others, **options):
        starts.append(z.clone())
        return metropolis_wiener(V, prior, z, *others, **options)

    monkeypatch.setattr(vem_module, "metropolis_wiener", watch)
    means = []

    def encode(power):
        means.append(prior.encode(power)[0])
        return means[-1], torch.zeros_like(means[-1])  # a wide posterior

    vem(V, prior.replace(encode=encode), noise, generator(), max_iter=3)
    [start] = starts
    assert torch.equal(start, means[-1])


# The exact Gibbs sampler


def test_components_given_the_mixture_have_the_gaussian_posterior():
    noise = small_noise(1, 1, 2)
    speech, x = torch.tensor([[1.3]], dtype=torch.float64), 2.0
    n = 20_000
    many = NMF(noise.W, noise.H.expand(n, 2))
    V = torch.full((n, 1), x**2, dtype=torch.float64)
    drawn = component_powers(V, speech.expand(n, 1), many, generator())
    total = speech.item() + noise.power().item()
    for k, power in enumerate(drawn):
        variance = (noise.H[0, k] * noise.W[k, 0]).item()
        share = variance / total
        wanted = (share * x) ** 2 + variance * (1 - share)
        assert power.mean().item() == pytest.approx(wanted, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("exact", "n_repeats"), [(True, 50), (False, 300)])
def test_exact_gibbs_has_uniform_ranks_and_the_bound_has_not(exact, n_repeats):
    """Simulation-based calibration (Talts et al., 2018) on a small model.

    Parameters from the prior, data from the parameters: then the rank of the true value
    of anything among posterior draws is uniform. It is not among draws from the paper's
    conditionals, which come from a bound. The chains of all repetitions are a batch;
    they start at another draw from the prior, and are thinned.
    """
    n_bins, n_frames, n_components, n_draws = 4, 3, 2, 7
    prior = linear_prior(n_bins, 1, seed=1)
    rng = generator(0)

    def exponential(*shape):
        uniform = torch.rand(n_repeats, *shape, generator=rng, dtype=torch.float64)
        return -uniform.log()

    def parameters():
        W, H = exponential(n_components, n_bins), exponential(n_frames, n_components)
        return W, H, torch.randn(H[..., :1].shape, generator=rng, dtype=H.dtype)

    def statistics(W, H, z):
        speech, V_b = prior.variance(z), H @ W
        V_x = speech + V_b
        log_likelihood = -(V_x.log() + V / V_x).sum((1, 2))
        means = [x.mean((1, 2)) for x in (V_b, z.square(), speech / V_x)]
        return torch.stack([*means, V_b[:, 0, 0], z[:, 0, 0], log_likelihood])

    W, H, z = parameters()
    V = exponential(n_frames, n_bins) * (prior.variance(z) + H @ W)
    truth, ranks = statistics(W, H, z), 0
    W, H, z = parameters()
    for k in range(n_draws):
        start = prior.replace(encode=lambda V, z=z: (z, torch.full_like(z, -80.0)))
        noise = NMF(W / n_bins, H * n_bins, torch.ones_like(z))
        found = mcmc(
            V,
            start,
            noise,
            rng,
            n_burn_in=40 if k == 0 else 5,
            n_samples=1,
            n_latent_steps=2,
            rate=(1.0, 1.0),
            proposal_variance=1.0,
            exact=exact,
        )
        W, H, z = noise.W, noise.H, found.z
        ranks += (statistics(W, H, z) < truth).long()
    p = [
        stats.chisquare(np.bincount(of_one, minlength=n_draws + 1)).pvalue
        for of_one in ranks.numpy()
    ]
    if exact:
        assert min(p) > 1e-4
    else:
        assert p[0] < 1e-6  # power of the noise
        assert p[2] < 1e-6  # mask


def test_mcmc_averages_parameters_or_masks(V, prior):
    masks = {}
    for average in ("parameters", "masks"):
        noise = start_noise(V, K, generator(1))
        inference = MCMC(5, 8).set_params(average=average)
        found = inference.infer(V, prior, noise, generator(2))
        masks[average] = found.mask
        speech = prior.variance(found.z)
        masks["of means"] = speech / (speech + found.noise.power())
    torch.testing.assert_close(masks["parameters"], masks["of means"])
    assert (masks["masks"] - masks["of means"]).abs().max() > 1e-3
    assert MCMC().average == MCMC.as_published().average == "parameters"  # (26)


def test_the_default_rate_of_mcmc_lets_bases_reach_the_loud_end():
    """The rate of the paper, 1, costs a noise that falls by 40 dB its loudest bins."""
    n_frames, n_bins = 20, 200
    spectrum = torch.logspace(0, -4, n_bins, dtype=torch.float64)
    # Speech that is far below the noise everywhere.
    prior = linear_prior(n_bins)
    prior = prior.replace(decode=lambda z: 0 * z[..., :1] + spectrum.log() - 7)
    tilts = {}
    for rate in (MCMC().rate, MCMC.as_published().rate):
        ratios = []
        for seed in range(3):
            V = powers(n_frames, n_bins, seed) * spectrum
            noise = start_noise(V, 2, generator(1))
            inference = MCMC(60, 40, n_latent_steps=1, rate=rate)
            inference.infer(V, prior, noise, generator(2))
            ratios.append(noise.power().mean(0) / spectrum)
        of_bins = torch.stack(ratios).mean(0)
        loud, middle = of_bins[:20].mean(), of_bins[20:100].mean()
        tilts[rate] = 10 * (loud / middle).log10().item()
    default, published = tilts.values()
    assert abs(default) < 0.7
    assert published < -1


# Recovery


def latent_grid():
    """Places of two latent variables, closer than any posterior here is wide."""
    line = torch.linspace(-4, 4, 31, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def with_exact_encoder(prior):
    """Mean and variance of p(z|s), by sums over the grid."""
    grid = latent_grid()
    log_variance = prior.decode(grid)
    of_prior = -log_variance.sum(1) - 0.5 * grid.square().sum(1)

    def encode(power):
        weights = (of_prior - power @ (-log_variance).exp().mT).softmax(-1)
        mean = weights @ grid
        return mean, (weights @ grid.square() - mean.square()).log()

    return prior.replace(encode=encode)


CHAIN = {
    "n_burn_in": 60,
    "n_samples": 40,
    "n_latent_steps": 3,
    "proposal_variance": 0.1,
}
# Each with the greatest error of z, in units of that of the exact posterior's mean: one
# draw, which MCEM gives, has twice its error.
RECOVERIES = {
    "mcem": (
        lambda *a: mcem(*a, max_iter=60, n_burn_in=5, n_samples=5, gain=None),
        2.2,
    ),
    "gradient": (lambda *a: gradient_vem(*a, max_iter=200, learning_rate=0.05), 1.4),
    "vem": (lambda *a: vem(*a, max_iter=30, n_samples=3, reconstruction="s"), 1.4),
    "mcmc": (lambda *a: mcmc(*a, **CHAIN), 1.4),
    "mcmc exact": (lambda *a: mcmc(*a, **CHAIN, exact=True), 1.4),
}


@pytest.fixture(scope="module")
def sampled():
    """Draws from the model, its parameters, and the error of z's posterior mean."""
    n_frames, n_bins = 400, 30
    prior = with_exact_encoder(linear_prior(n_bins, 2, seed=4))
    truth = small_noise(n_frames, n_bins, 1, seed=2)
    truth.H *= 150
    z = torch.randn(n_frames, 2, generator=generator(1), dtype=torch.float64)
    V = powers(n_frames, n_bins, 3) * (prior.variance(z) + truth.power())
    grid, means = latent_grid(), []
    for v, v_b in zip(V, truth.power(), strict=True):
        V_x = prior.variance(grid) + v_b
        log_density = -(V_x.log() + v / V_x).sum(1) - 0.5 * grid.square().sum(1)
        means.append(log_density.softmax(0) @ grid)
    least_error = (torch.stack(means) - z).square().mean().item()
    return V, prior, truth, z, least_error


@pytest.mark.parametrize("name", RECOVERIES)
def test_the_noise_and_the_latent_variables_of_the_model_are_recovered(name, sampled):
    V, prior, truth, z, least_error = sampled
    infer, factor = RECOVERIES[name]
    found = infer(V, prior, start_noise(V, 1, generator(7)), generator(8))
    noise = found.noise
    assert np.corrcoef(noise.W[0], truth.W[0])[0, 1] > 0.95
    assert np.corrcoef(noise.H[:, 0], truth.H[:, 0])[0, 1] > 0.75
    level = noise.power().mean() / truth.power().mean()
    assert 0.9 < level.item() < 1.1
    assert least_error < 0.2  # against one, of those who know the prior alone
    assert (found.z - z).square().mean().item() < factor * least_error


# Whatever comes in


MIXTURES = ["silence", "one frame", "few frames", "loud", "quiet", "click", "gaps"]


@pytest.mark.parametrize(
    ("name", "dtype", "mixture"),
    # Single precision has the smaller range; in double, each of both is met once.
    [(name, torch.float32, mixture) for name in INFERENCES for mixture in MIXTURES]
    + [
        (name, torch.float64, MIXTURES[k % len(MIXTURES)])
        for k, name in enumerate(INFERENCES)
    ],
)
def test_results_are_finite_and_masks_between_zero_and_one(name, dtype, mixture):
    prior = linear_prior(dtype=dtype)
    V = powers(2 if mixture == "few frames" else N, F, dtype=dtype)
    if mixture == "one frame":
        V = V[:1]
    V *= {"silence": 0.0, "loud": 1e4, "quiet": 1e-10}.get(mixture, 1.0)
    if mixture == "click":
        V[:3] = 0
        V[3] = 1e6
        V[4:] = 0
    if mixture == "gaps":
        V[::2] = 0
        V[:, 1] = 0
    noise = start_noise(V, K, generator())
    found = INFERENCES[name](V, prior, noise, generator())
    for part in (found.mask, found.z, noise.W, noise.H, found.gain):
        assert torch.isfinite(part).all()
    assert np.isfinite(found.history).all()
    assert (found.mask >= 0).all()
    assert (found.mask <= 1).all()
    assert found.mask.dtype == dtype
    if found.mask_std is not None:
        assert (found.mask_std <= 0.5 + 1e-6).all()


@pytest.mark.parametrize("name", INFERENCES)
@pytest.mark.parametrize("level", [1e-10, 1.0, 1e4])
def test_single_precision_is_close_to_double(name, level, monkeypatch):
    """With the same draws, the accepted ones too, whatever is sampled."""

    def same_numbers(real):
        def draw(*arguments, dtype=None, **options):
            return real(*arguments, dtype=torch.float64, **options).to(dtype)

        return draw

    monkeypatch.setattr(torch, "rand", same_numbers(torch.rand))
    monkeypatch.setattr(torch, "randn", same_numbers(torch.randn))
    double = linear_prior()
    single = SpeechPrior(
        lambda P: tuple(part.float() for part in double.encode(P.double())),
        lambda z: double.decode(z.double()).float(),
    )
    results = []
    for dtype, prior in ((torch.float32, single), (torch.float64, double)):
        V = (level * powers(N, F)).to(dtype)
        noise = start_noise(V, K, generator())
        found = INFERENCES[name](V, prior, noise, generator())
        assert found.mask.dtype == noise.W.dtype == dtype
        results.append([x.double() for x in (found.mask, found.z, noise.power())])
    mask, z, power = zip(*results, strict=True)
    torch.testing.assert_close(*mask, atol=1e-5, rtol=0)
    torch.testing.assert_close(*z, atol=1e-4, rtol=0)
    torch.testing.assert_close(*power, atol=0, rtol=1e-4)


def test_the_same_seed_gives_the_same_result(V, prior):
    for infer in INFERENCES.values():
        one, other = (
            infer(V, prior, start_noise(V, K, generator(1)), generator(2)).mask
            for _ in range(2)
        )
        assert torch.equal(one, other)


def test_initial_bases_may_be_given(V):
    W = torch.rand(2, F, generator=generator(), dtype=torch.float64)
    noise = start_noise(V, 7, generator(), W=W)
    torch.testing.assert_close(noise.W, W / W.sum(1, keepdim=True))
    assert noise.power().mean().item() == pytest.approx(V.mean().item())


def test_smoothing_keeps_sums_and_flattens():
    W = torch.rand(3, 50, generator=generator(), dtype=torch.float64)
    W /= W.sum(1, keepdim=True)
    smoothed = smooth_bins(W, 5)
    torch.testing.assert_close(smoothed.sum(1), torch.ones(3, dtype=torch.float64))
    assert smoothed.std() < W.std() / 1.5
    assert smoothed.min() > FLOOR


# Where the latent variables start


@pytest.mark.parametrize("name", INFERENCES)
def test_inferences_start_from_the_guided_power(name):
    prior, V, guided = linear_prior(), powers(N, F), powers(N, F, seed=1)
    seen = []

    def encode(power):
        seen.append(power.clone())
        return prior.encode(power)

    heard = prior.replace(encode=encode)
    INFERENCES[name](V, heard.replace(guided=guided), small_noise(), generator())
    torch.testing.assert_close(seen[0], guided, rtol=0, atol=0)
    seen.clear()
    INFERENCES[name](V, heard, small_noise(), generator())
    torch.testing.assert_close(seen[0], V, rtol=0, atol=0)
