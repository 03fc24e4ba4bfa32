"""The loss, against its definition written out in NumPy and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skvae.speech.losses import (
    itakura_saito,
    kl_between,
    kl_from_standard,
    log_power,
    negative_bound,
    vae_loss,
)
from skvae.speech.vae_network import SpeechNetwork, VAEConfig
from skvae.training.clean_batches import Batch
from skvae.training.layers import frame_mean
from skvae.training.networks import new_network
from skvae.training.random import draw


def slow_itakura_saito(p, v):
    total = 0.0
    for a, b in zip(p, v, strict=True):
        total += a / b - np.log(a / b) - 1
    return total


def slow_encode(network, power):
    """The feed-forward encoder with one hidden layer, bin by bin."""
    weights = {name: w.double().numpy() for name, w in network.state_dict().items()}
    config = network.config
    x = np.asarray(power, dtype=float) + config.floor
    if config.features == "log":
        x = np.log(x)
    x = (x - weights["feature_mean"]) / weights["feature_scale"]
    for layer in range(len(config.hidden)):
        name = f"encoder.layers.{layer}"
        x = weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]
        x = np.tanh(x) if config.activation == "tanh" else np.maximum(x, 0)
    return tuple(
        weights[f"latent_{name}.weight"] @ x + weights[f"latent_{name}.bias"]
        for name in ("mean", "log_variance")
    )


def slow_decode(network, z):
    weights = {name: w.double().numpy() for name, w in network.state_dict().items()}
    config = network.config
    for layer in range(len(config.hidden)):
        name = f"decoder.layers.{layer}"
        z = weights[f"{name}.weight"] @ z + weights[f"{name}.bias"]
        z = np.tanh(z) if config.activation == "tanh" else np.maximum(z, 0)
    return weights["log_variance.weight"] @ z + weights["log_variance.bias"]


def random_network(config, seed=0):
    """All weights random, biases and standardisation too."""
    network = new_network(SpeechNetwork, config, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.4, generator=generator)
        network.feature_mean.normal_(0, 1, generator=generator)
        network.feature_scale.fill_(1.7)
    return network


@pytest.mark.parametrize("features", ["log", "power"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_loss_is_the_negative_bound_written_out_frame_by_frame(features, activation):
    config = VAEConfig(6, 3, (5, 4), activation=activation, features=features)
    network = random_network(config).double()
    rng = np.random.default_rng(0)
    power = rng.exponential(3.0, (8, 6))
    generator = torch.Generator().manual_seed(3)
    got, n_frames = vae_loss(network, Batch(torch.tensor(power)), generator)

    generator.manual_seed(3)
    noise = torch.randn(8, 3, generator=generator, dtype=torch.float64).numpy()
    total = 0.0
    for frame, e in zip(power, noise, strict=True):
        mean, log_variance = slow_encode(network, frame)
        variance = np.exp(slow_decode(network, mean + np.exp(log_variance / 2) * e))
        total += slow_itakura_saito(frame + config.floor, variance)
        for m, lv in zip(mean, log_variance, strict=True):
            total += 0.5 * (m**2 + np.exp(lv) - lv - 1)
    assert n_frames == 8
    assert got.item() == pytest.approx(total / 8, rel=1e-12)


def test_loss_differs_from_the_negative_log_likelihood_by_what_has_no_parameters():
    p = torch.tensor([2.0, 0.3], dtype=torch.float64)
    differences = []
    for v in ([1.0, 1.0], [5.0, 0.01]):
        v = torch.tensor(v, dtype=torch.float64)
        negative = (np.pi * v).log().sum() + (p / v).sum()
        differences.append((negative - itakura_saito(p.log(), v.log())).item())
    assert differences[0] == pytest.approx(differences[1], rel=1e-12)


def test_divergence_is_zero_at_the_power_and_positive_elsewhere():
    log_power = torch.randn(100, 7, generator=torch.Generator().manual_seed(0))
    assert itakura_saito(log_power, log_power).abs().max() == 0
    for shift in (-3.0, -0.1, 0.1, 3.0):
        assert itakura_saito(log_power, log_power + shift).min() > 0


def test_latent_divergence_equals_monte_carlo_and_vanishes_for_the_prior():
    mean = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    log_variance = torch.tensor([[-0.7, 0.4]], dtype=torch.float64)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    z = draw(
        mean.expand(400_000, 2),
        log_variance.expand(400_000, 2),
        torch.Generator().manual_seed(0),
    )
    simulated = (posterior.log_prob(z) - prior.log_prob(z)).sum(-1).mean()
    assert kl_from_standard(mean, log_variance).item() == pytest.approx(
        simulated.item(), abs=0.01
    )
    exact = torch.distributions.kl_divergence(
        posterior, torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    )
    torch.testing.assert_close(kl_from_standard(mean, log_variance), exact.sum(-1))
    assert kl_from_standard(torch.zeros(3), torch.zeros(3)).item() == 0


GAUSSIANS = {
    "equal": (0.3, -0.5, 0.3, -0.5),
    "shifted": (1.5, 0.0, -0.5, 0.0),
    "narrow in wide": (0.2, -3.0, 0.0, 0.5),
    "wide over narrow": (0.2, 0.5, 0.0, -2.0),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_divergence_of_gaussians_equals_numerical_integration(name):
    mean, log_variance, other_mean, other_log_variance = GAUSSIANS[name]
    z = np.linspace(-30, 30, 400_001)

    def log_density(mean, log_variance):
        return -0.5 * (
            np.log(2 * np.pi) + log_variance + (z - mean) ** 2 / np.exp(log_variance)
        )

    p, q = log_density(mean, log_variance), log_density(other_mean, other_log_variance)
    wanted = np.trapezoid(np.exp(p) * (p - q), z)
    one, other, third, fourth = (
        torch.tensor([value], dtype=torch.float64) for value in GAUSSIANS[name]
    )
    got = kl_between((one, other), (third, fourth)).item()
    assert got == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_divergence_from_the_standard_is_a_special_case_and_not_symmetric():
    rng = torch.Generator().manual_seed(0)
    one, other = (torch.randn(2, 5, 3, generator=rng).double() for _ in range(2))
    zeros = torch.zeros_like(one[0])
    torch.testing.assert_close(
        kl_between(tuple(one), (zeros, zeros)), kl_from_standard(*one)
    )
    assert kl_between(tuple(one), tuple(one)).abs().max() == 0
    forth, back = (
        kl_between(tuple(one), tuple(other)),
        kl_between(tuple(other), tuple(one)),
    )
    assert forth.min() > 0 < back.min()
    assert (forth - back).abs().min() > 1e-3


def test_the_bound_of_frames_has_a_term_for_what_is_explained_and_for_the_prior():
    network = random_network(VAEConfig(6, 3, (5, 4)))
    power = torch.rand(8, 6, generator=torch.Generator().manual_seed(0))
    mean = torch.ones(8, 3)
    certain = torch.full_like(mean, -60.0)
    bound = negative_bound(network, (mean, certain), power, torch.Generator())
    misfit = itakura_saito(log_power(power, network.config.floor), network.decode(mean))
    torch.testing.assert_close(bound - misfit, kl_from_standard(mean, certain))


def test_draws_have_the_mean_and_the_variance_and_let_gradients_through():
    mean = torch.full((200_000, 1), 2.0, requires_grad=True)
    log_variance = torch.full((200_000, 1), -1.0, requires_grad=True)
    z = draw(mean, log_variance, torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(2.0, abs=0.01)
    assert z.var().item() == pytest.approx(np.exp(-1.0), rel=0.02)
    z.sum().backward()
    assert mean.grad.min() == 1
    torch.testing.assert_close(log_variance.grad, (z - mean).detach() / 2)


def test_padding_counts_for_nothing_even_if_it_is_infinite():
    values = torch.tensor([[1.0, 2.0, 3.0], [6.0, torch.inf, torch.nan]])
    values.requires_grad_()
    mean, n_frames = frame_mean(values, torch.tensor([3, 1]))
    assert (mean.item(), n_frames) == (3.0, 4)
    mean.backward()
    assert values.grad.tolist() == [[0.25, 0.25, 0.25], [0.25, 0.0, 0.0]]


HOSTILE = {
    "silence": torch.zeros(4, 6),
    "one frame": torch.ones(1, 6),
    "one loud bin": torch.eye(6) * 1e8,
    "all as loud as float32 lets be": torch.full((4, 6), 1e15),
}


@pytest.mark.parametrize("architecture", ["feedforward", "bilstm"])
@pytest.mark.parametrize("features", ["log", "power"])
@pytest.mark.parametrize("floor", [1e-3, 1e-10])
@pytest.mark.parametrize("name", HOSTILE)
def test_loss_and_gradients_are_finite(name, floor, features, architecture):
    config = VAEConfig(
        6, 3, (5,), architecture, activation="relu", features=features, floor=floor
    )
    network = random_network(config)
    power, lengths = HOSTILE[name], None
    if architecture == "bilstm":
        power, lengths = power[None], torch.tensor([len(power)])
    loss, _ = vae_loss(network, Batch(power, lengths), torch.Generator())
    loss.backward()
    assert torch.isfinite(loss)
    for weight in network.parameters():
        assert torch.isfinite(weight.grad).all()


def test_one_bin_and_one_latent_variable_are_enough():
    network = random_network(VAEConfig(1, 1, (1,)))
    loss, _ = vae_loss(network, Batch(torch.ones(1, 1)), torch.Generator())
    loss.backward()
    assert torch.isfinite(loss)


def test_gradient_equals_finite_differences():
    network = random_network(VAEConfig(4, 2, (3,))).double()
    power = torch.rand(5, 4, dtype=torch.float64)

    def loss():
        return vae_loss(network, Batch(power), torch.Generator().manual_seed(0))[0]

    loss().backward()
    step = 1e-6
    for weight in network.parameters():
        flat, gradient = weight.data.view(-1), weight.grad.view(-1)
        for k in (0, len(flat) - 1):
            flat[k] += step
            above = loss().item()
            flat[k] -= 2 * step
            below = loss().item()
            flat[k] += step
            difference = (above - below) / (2 * step)
            assert gradient[k].item() == pytest.approx(difference, rel=1e-4, abs=1e-6)
