"""VEM, GradientVEM, MCEM and MCMC against slow versions, written from the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skvae.speech.prior import NormalPrior
from skvae.vaenmf import nmf_sampling
from skvae.vaenmf.mixture import FLOOR
from skvae.vaenmf.vem import exp_expected_log

from .conftest import F, K, L, N, generator, gradient_vem, mcem, mcmc, vem


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).numpy()


def decode(prior, z):
    return np.exp(prior.decode(torch.tensor(z)).numpy())


def encode(prior, power):
    return tuple(part.numpy().copy() for part in prior.encode(torch.tensor(power)))


def copies(noise):
    return (
        noise.W.numpy().copy(),
        noise.H.numpy().copy(),
        np.ones(len(noise.H)),
    )


def unit_rows(W, H):
    sums = W.sum(1)
    return W / sums[:, None], H * sums


def slow_vem(
    V, prior, noise, rng, n_iter, D, covariance, log_input, guidance=0.0, gain=False
):
    """Pariente et al. (2019), (15)-(23), with the 1/D that (18) lacks.

    With a gain s has the variance g sigma^2, and what is encoded is s / sqrt(g).
    """
    V = V.numpy()
    W, H, _ = copies(noise)
    g = np.ones(N)
    guided = V if prior.guided is None else prior.guided.numpy()
    mean, log_variance = encode(prior, guided)

    def inverse_gamma():
        total = np.zeros((N, F))
        for _ in range(D):
            z = mean + np.exp(log_variance / 2) * normal(rng, N, L)
            total += 1 / decode(prior, z)
        return total / D

    for _ in range(n_iter):
        without_gain = inverse_gamma()
        gamma = g[:, None] / without_gain
        E_power = np.zeros((N, F))
        P, Vn = np.zeros((N, F)), np.zeros((N, F))
        for n in range(N):
            for f in range(F):
                b = sum(H[n, k] * W[k, f] for k in range(K))
                mu_s = gamma[n, f] / (gamma[n, f] + b) * math.sqrt(V[n, f])
                mu_n = math.sqrt(V[n, f]) - mu_s
                sigma = gamma[n, f] * b / (gamma[n, f] + b)
                E_power[n, f] = mu_s**2 + sigma
                P[n, f] = mu_s**2 + (sigma if covariance else 0)
                if log_input:
                    k = torch.tensor(mu_s**2 / sigma)
                    P[n, f] = sigma * exp_expected_log(k).item()
                Vn[n, f] = mu_n**2 + sigma
        if gain:  # where the derivative of the bound by it vanishes
            g = (E_power * without_gain).mean(1)
            P /= g[:, None]
        mean, log_variance = encode(prior, P ** (1 - guidance) * guided**guidance)
        b = H @ W
        new = np.zeros_like(H)
        for n in range(N):
            for k in range(K):
                up = sum(W[k, f] * Vn[n, f] / b[n, f] ** 2 for f in range(F))
                down = sum(W[k, f] / b[n, f] for f in range(F))
                new[n, k] = H[n, k] * up / down
        H, b, new = new, new @ W, np.zeros_like(W)
        for k in range(K):
            for f in range(F):
                up = sum(H[n, k] * Vn[n, f] / b[n, f] ** 2 for n in range(N))
                down = sum(H[n, k] / b[n, f] for n in range(N))
                new[k, f] = W[k, f] * up / down
        W, H = unit_rows(new, H)
    gamma = g[:, None] / inverse_gamma()
    return gamma / (gamma + H @ W), W, H, g


@pytest.mark.parametrize("D", [1, 3])
@pytest.mark.parametrize("with_gain", [False, True])
@pytest.mark.parametrize(
    ("covariance", "encoder_input"),
    [(True, "power"), (False, "power"), (True, "log-expectation")],
)
def test_vem(V, prior, noise, D, covariance, encoder_input, with_gain):
    is_log = encoder_input != "power"
    options = {"covariance": covariance, "log_input": is_log, "gain": with_gain}
    wanted = slow_vem(V, prior, noise, generator(5), 4, D, **options)
    found = vem(
        V,
        prior,
        noise,
        generator(5),
        max_iter=4,
        n_samples=D,
        covariance=covariance,
        encoder_input=encoder_input,
        reconstruction="s",
        gain="free" if with_gain else None,
    )
    parts = found.mask, noise.W, noise.H, found.gain[:, 0]
    for one, other in zip(parts, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-8)


@pytest.mark.parametrize("guidance", [0.0, 0.4, 1.0])
def test_guided_vem(V, prior, noise, guidance):
    prior = prior.replace(guided=(V * torch.linspace(0.1, 1, F)).contiguous())
    wanted = slow_vem(V, prior, noise, generator(5), 4, 1, True, False, guidance)
    found = vem(
        V,
        prior,
        noise,
        generator(5),
        max_iter=4,
        guidance=guidance,
        reconstruction="s",
    )
    parts = found.mask, noise.W, noise.H, found.gain[:, 0]
    for one, other in zip(parts, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-8)


def model(V, variances, W, H, g):
    return [g[:, None] * v + H @ W for v in variances]


def slow_update(V, variances, W, H, g, with_gain):
    """Leglaive et al. (2018): W, H, g in this order, exponent 1/2, the model fresh."""
    V_x = model(V, variances, W, H, g)
    up = sum(H.T @ (V / x**2) for x in V_x)
    W = W * np.sqrt(up / sum(H.T @ (1 / x) for x in V_x))
    W, H = unit_rows(W, H)
    V_x = model(V, variances, W, H, g)
    up = sum((V / x**2) @ W.T for x in V_x)
    H = H * np.sqrt(up / sum((1 / x) @ W.T for x in V_x))
    if with_gain:
        V_x = model(V, variances, W, H, g)
        pairs = list(zip(V_x, variances, strict=True))
        up = sum((V * v / x**2).sum(1) for x, v in pairs)
        g = g * np.sqrt(up / sum((v / x).sum(1) for x, v in pairs))
    return W, H, g


def slow_chain(V, prior, z, W, H, g, rng, n_steps, n_kept):
    kept = []

    def log_posterior(z):
        V_x = g[:, None] * decode(prior, z) + H @ W
        return -(np.log(V_x) + V / V_x).sum(1) - 0.5 * (z**2).sum(1)

    for step in range(n_steps):
        proposal = z + math.sqrt(0.01) * normal(rng, N, L)
        u = torch.rand(N, generator=rng, dtype=torch.float64).numpy()
        for n in range(N):
            if math.log(u[n]) < log_posterior(proposal)[n] - log_posterior(z)[n]:
                z = np.where(np.arange(N)[:, None] == n, proposal, z)
        if step >= n_steps - n_kept:
            kept.append(z.copy())
    return z, kept


@pytest.mark.parametrize("with_gain", [True, False])
def test_mcem(V, prior, noise, with_gain):
    rng = generator(5)
    Vn = V.numpy()
    W, H, g = copies(noise)
    z, _ = encode(prior, Vn)
    costs = []
    for _ in range(3):
        z, kept = slow_chain(Vn, prior, z, W, H, g, rng, 5, 2)
        variances = [decode(prior, draw) for draw in kept]
        W, H, g = slow_update(Vn, variances, W, H, g, with_gain)
        V_x = model(Vn, variances, W, H, g)
        costs.append(np.mean([np.log(x) + Vn / x for x in V_x]))
    _, kept = slow_chain(Vn, prior, z, W, H, g, rng, 100, 25)
    masks = [g[:, None] * decode(prior, draw) for draw in kept]
    masks = [speech / (speech + H @ W) for speech in masks]
    found = mcem(
        V,
        prior,
        noise,
        generator(5),
        max_iter=3,
        n_burn_in=3,
        n_samples=2,
        gain="free" if with_gain else None,
    )
    np.testing.assert_allclose(noise.W, W, rtol=1e-8)
    np.testing.assert_allclose(noise.H, H, rtol=1e-8)
    np.testing.assert_allclose(found.gain[:, 0], g, rtol=1e-8)
    np.testing.assert_allclose(found.history, costs, rtol=1e-8)
    np.testing.assert_allclose(found.mask, np.mean(masks, 0), rtol=1e-8)
    np.testing.assert_allclose(found.mask_std, np.std(masks, 0, ddof=1), atol=1e-9)


@pytest.mark.parametrize("with_gain", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_gradient_vem(V, prior, noise, with_gain, given):
    """Bando et al. (2020), (14)-(16), by automatic differentiation and torch's Adam."""
    rng = generator(5)
    D, n_iter = 2, 4
    a, b = (part.clone().requires_grad_() for part in prior.encode(V))
    mu, variance = torch.full_like(a, 0.3), torch.full_like(a, 0.5)
    if not given:
        mu, variance = torch.zeros_like(a), torch.ones_like(a)
    adam = torch.optim.Adam([a, b], lr=0.2)
    W, H, g = copies(noise)
    costs = []
    for _ in range(n_iter):
        divergence = 0.5 * (
            (b.exp() + (a - mu) ** 2) / variance - 1 - b + variance.log()
        )
        loss = divergence.sum()
        variances = []
        for _ in range(D):
            z = a + (b / 2).exp() * torch.randn(
                N, L, generator=rng, dtype=torch.float64
            )
            speech = prior.decode(z).exp()
            V_x = torch.tensor(g)[:, None] * speech + torch.tensor(H @ W)
            loss = loss + (V_x.log() + V / V_x).sum() / D
            variances.append(speech.detach().numpy())
        costs.append(loss.item())
        adam.zero_grad()
        loss.backward()
        adam.step()
        W, H, g = slow_update(V.numpy(), variances, W, H, g, with_gain)
    found = gradient_vem(
        V,
        prior.replace(latent=NormalPrior(mu, variance)) if given else prior,
        noise,
        generator(5),
        max_iter=n_iter,
        n_samples=D,
        gain="free" if with_gain else None,
    )
    np.testing.assert_allclose(found.z, a.detach(), rtol=1e-7)
    np.testing.assert_allclose(noise.W, W, rtol=1e-7)
    np.testing.assert_allclose(noise.H, H, rtol=1e-7)
    np.testing.assert_allclose(found.gain[:, 0], g, rtol=1e-7)
    constant = 0.5 * (variance.log() - 1).sum().item()
    np.testing.assert_allclose(
        np.array(found.history) * V.numel() + constant, costs, rtol=1e-9
    )


@pytest.mark.parametrize("D", [1, 10])
def test_the_cost_of_gradient_vem_is_minus_the_bound_with_the_encoders_prior(
    V, prior, noise, D
):
    """Bando et al. (2020), (14) with (9) and (11), term by term."""
    sigma_z = 0.1
    mu, b = encode(prior, V.numpy())
    a, phi2 = mu.copy(), np.exp(b)  # q starts where the encoder says
    latent = torch.tensor(mu), torch.tensor(phi2 + sigma_z**2)
    W, H, _ = copies(noise)
    rng = generator(5)
    bound = 0.0
    for _ in range(D):
        variance = decode(prior, a + np.exp(b / 2) * normal(rng, N, L))
        for t in range(N):
            for f in range(F):
                y = sum(W[k, f] * H[t, k] for k in range(K)) + variance[t, f]
                bound -= (math.log(y) + V[t, f].item() / y) / D
    for t in range(N):
        for d in range(L):
            spread = math.exp(b[t, d]) + (a[t, d] - mu[t, d]) ** 2
            bound += b[t, d] / 2 - spread / (2 * (phi2[t, d] + sigma_z**2))
    found = gradient_vem(
        V,
        prior.replace(latent=NormalPrior(*latent)),
        noise,
        generator(5),
        max_iter=1,
        n_samples=D,
    )
    assert found.history[0] * V.numel() == pytest.approx(-bound, rel=1e-10)


@pytest.mark.parametrize("with_gain", [True, False])
def test_gradient_vem_that_holds_the_latent_variables(V, prior, noise, with_gain):
    """The paper's "Fixed": draws of the encoder's posterior, and (15)-(16)."""
    rng, D, n_iter = generator(5), 3, 4
    a, b = encode(prior, V.numpy())
    W, H, g = copies(noise)
    for _ in range(n_iter):
        variances = [
            decode(prior, a + np.exp(b / 2) * normal(rng, N, L)) for _ in range(D)
        ]
        W, H, g = slow_update(V.numpy(), variances, W, H, g, with_gain)
    gain = "free" if with_gain else None
    options = {"max_iter": n_iter, "n_samples": D, "gain": gain}
    found = gradient_vem(V, prior, noise, generator(5), hold="latent", **options)
    np.testing.assert_array_equal(found.z, a)
    np.testing.assert_allclose(noise.W, W, rtol=1e-8)
    np.testing.assert_allclose(noise.H, H, rtol=1e-8)
    np.testing.assert_allclose(found.gain[:, 0], g, rtol=1e-8)


def test_mcmc_with_modes_instead_of_draws(V, prior, noise, monkeypatch):
    """Bando et al. (2018), (21)-(22), whose mode for b0 = 0 is the usual update."""
    seen = []

    def mode(gamma, rho, tau, rng):
        seen.append((rho.numpy().copy(), tau.numpy().copy()))
        return (tau / rho).sqrt()

    monkeypatch.setattr(nmf_sampling, "sample_gig", mode)
    W, H, _ = copies(noise)
    W, H = W * F, H / F
    Vn = V.numpy()
    mean, log_variance = encode(prior, Vn)
    z = mean + np.exp(log_variance / 2) * normal(generator(5), N, L)
    lam = decode(prior, z) + H @ W
    b1 = K / Vn.mean()
    rho_w, tau_w = np.zeros((K, F)), np.zeros((K, F))
    for k in range(K):
        for f in range(F):
            rho_w[k, f] = 1 + sum(H[n, k] / lam[n, f] for n in range(N))
            phi = W[k, f] * H[:, k] / lam[:, f]
            tau_w[k, f] = sum(Vn[n, f] * phi[n] ** 2 / H[n, k] for n in range(N))
    W = np.sqrt(tau_w / rho_w)
    lam = decode(prior, z) + H @ W
    rho_h, tau_h = np.zeros((N, K)), np.zeros((N, K))
    for n in range(N):
        for k in range(K):
            rho_h[n, k] = b1 + sum(W[k, f] / lam[n, f] for f in range(F))
            phi = W[k] * H[n, k] / lam[n]
            tau_h[n, k] = sum(Vn[n, f] * phi[f] ** 2 / W[k, f] for f in range(F))
    mcmc(V, prior, noise, generator(5), n_burn_in=0, n_samples=1)
    for (rho, tau), wanted in zip(seen, ((rho_w, tau_w), (rho_h, tau_h)), strict=True):
        np.testing.assert_allclose(rho, wanted[0], rtol=1e-9)
        np.testing.assert_allclose(tau, wanted[1], rtol=1e-9)
    np.testing.assert_allclose(noise.W, W, rtol=1e-9)
    assert noise.H.min() > FLOOR
