"""The noise-aware encoder: what each training compares, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skvae.speech.fast_prior import fast_prior
from skvae.speech.losses import kl_between, negative_bound
from skvae.speech.noise_aware_network import (
    DIRECTIONS,
    NoiseAwareNetwork,
    draw_levels,
    joint_loss,
    matching_loss,
    with_clean_encoder,
)
from skvae.speech.vae_network import SpeechNetwork, VAEConfig
from skvae.training.networks import (
    initialize,
    new_network,
    restored_network,
    to_arrays,
)
from skvae.training.noisy_batches import Mixtures, mixtures
from skvae.training.precision import knows_bfloat16

F, L = 6, 3
CONFIGS = {
    "dense": VAEConfig(F, L, (5, 4), floor=1e-2),
    "dense, power": VAEConfig(F, L, (5,), features="power", activation="relu"),
    "dense, both": VAEConfig(F, L, (5,), features="both"),
    "bilstm": VAEConfig(F, L, (5, 4), "bilstm"),
}


def seeded(cls, config):
    return new_network(cls, config, torch.Generator().manual_seed(0))


def from_speech(speech):
    """A network both of whose encoders start from that of a speech network."""
    state = with_clean_encoder(to_arrays(speech))
    return restored_network(NoiseAwareNetwork, speech.config, state)


def random_network(config, seed=0):
    """All weights random, biases and standardisation too."""
    network = new_network(NoiseAwareNetwork, config, torch.Generator())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.4, generator=generator)
        for encoder in (network, network.clean):
            encoder.feature_mean.normal_(0, 1, generator=generator)
            encoder.feature_scale.uniform_(1, 2, generator=generator)
    return network


def random_batch(lengths, seed=0, dtype=torch.complex128):
    generator = torch.Generator().manual_seed(seed)
    shape = len(lengths), max(lengths), F
    speech, noise = (
        torch.randn(*shape, generator=generator, dtype=dtype) for _ in range(2)
    )
    for k, n in enumerate(lengths):
        speech[k, n:] = noise[k, n:] = 0
    return mixtures(speech, noise, torch.tensor(lengths)).scaled(5.0)


def slow_divergence(one, other):
    """Frame by frame, one latent variable after another."""
    totals = []
    for frame in zip(*one, *other, strict=True):
        total = 0.0
        for m, lv, other_m, other_lv in zip(*frame, strict=True):
            s, t = np.exp(lv / 2), np.exp(other_lv / 2)
            total += np.log(t / s) + (s**2 + (m - other_m) ** 2) / (2 * t**2) - 0.5
        totals.append(total)
    return totals


def posterior(encoder, power):
    return [part.detach().numpy() for part in encoder.encode(power)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("lengths", [[5, 5], [4, 1, 6]])
def test_matching_compares_the_posteriors_in_the_direction_asked_for(
    kind, direction, lengths
):
    network, batch = random_network(CONFIGS[kind]).double(), random_batch(lengths)
    totals = []
    for b, n in enumerate(lengths):
        of_noisy = posterior(network, batch.noisy[b, :n])
        of_clean = posterior(network.clean, batch.clean[b, :n])
        pair = [of_noisy, of_clean]
        totals += slow_divergence(
            *(pair if direction == "noisy||clean" else pair[::-1])
        )
    got, n_frames = matching_loss(
        network, batch, torch.Generator(), direction=direction
    )
    assert n_frames == sum(lengths)
    assert got.item() == pytest.approx(np.mean(totals), rel=1e-9)


@pytest.mark.parametrize("kind", CONFIGS)
def test_in_two_steps_only_the_noise_aware_encoder_moves(kind):
    network = random_network(CONFIGS[kind])
    network.hold_speech_model()
    moving = {name for name, w in network.named_parameters() if w.requires_grad}
    heads = ("encoder.", "latent_mean.", "latent_log_variance.")
    assert moving == {n for n, _ in network.named_parameters() if n.startswith(heads)}
    batch = random_batch([5], dtype=torch.complex64)
    loss, _ = matching_loss(network, batch, torch.Generator())
    loss.backward()
    for name, weight in network.named_parameters():
        assert (weight.grad is not None) is (name in moving), name


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_posteriors_that_meet_have_no_divergence_and_no_gradient(direction):
    speech = seeded(SpeechNetwork, CONFIGS["dense"])
    network = from_speech(speech)
    batch = random_batch([5], dtype=torch.complex64)
    same = batch._replace(noisy=batch.clean)
    loss, _ = matching_loss(network, same, torch.Generator(), direction=direction)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert network.latent_mean.weight.grad.abs().max() < 1e-6
    assert matching_loss(network, batch, torch.Generator())[0] > 1e-3


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_the_joint_loss_is_the_weighted_sum_of_its_parts(kind, direction):
    network, batch = random_network(CONFIGS[kind]).double(), random_batch([4, 6])
    generator = torch.Generator().manual_seed(3)
    of_clean = network.clean.encode(batch.clean, batch.lengths)
    of_noisy = network.encode(batch.noisy, batch.lengths)
    bounds = [
        negative_bound(network, q, batch.clean, generator, lengths=batch.lengths)
        for q in (of_clean, of_noisy)
    ]
    pair = (of_noisy, of_clean)
    divergence = kl_between(*(pair if direction == "noisy||clean" else pair[::-1]))
    inside = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    parts = [part[inside].mean().item() for part in (*bounds, divergence)]

    def loss(*weights):
        generator.manual_seed(3)
        found, n_frames = joint_loss(
            network, batch, generator, weights=weights, direction=direction
        )
        assert n_frames == 10
        return found.item()

    assert loss(1.0, 1.0, 1.0) == pytest.approx(sum(parts), rel=1e-10)
    for k, part in enumerate(parts):
        assert loss(*np.eye(3)[k]) == pytest.approx(part, rel=1e-10)
    assert loss(2.0, 0.5, 3.0) == pytest.approx(
        2 * parts[0] + 0.5 * parts[1] + 3 * parts[2], rel=1e-10
    )


def test_the_joint_loss_moves_everything():
    network = random_network(CONFIGS["dense"]).double()
    loss, _ = joint_loss(network, random_batch([5]), torch.Generator())
    loss.backward()
    for name, weight in network.named_parameters():
        assert weight.grad.abs().max() > 0, name


def silence(n_frames):
    empty = torch.zeros(1, n_frames, F)
    return Mixtures(empty, empty, empty, torch.tensor([n_frames]))


def silent_speech():
    noisy = torch.full((2, 4, F), 10.0)
    empty = torch.zeros_like(noisy)
    return Mixtures(noisy, empty, empty, torch.tensor([4, 1]))


HOSTILE = {
    "silence": silence(4),
    "one silent frame": silence(1),
    "silent speech, padded": silent_speech(),
    "one frame": random_batch([1], dtype=torch.complex64),
    "ragged": random_batch([5, 1], dtype=torch.complex64),
}


@pytest.mark.parametrize("loss", [matching_loss, joint_loss])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("name", HOSTILE)
def test_losses_and_gradients_are_finite(name, kind, direction, loss):
    network = random_network(CONFIGS[kind])
    value, _ = loss(network, HOSTILE[name], torch.Generator(), direction=direction)
    value.backward()
    assert torch.isfinite(value)
    for weight in network.parameters():
        assert weight.grad is None or torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("loss", [matching_loss, joint_loss])
def test_bfloat16_is_close(loss):
    network = random_network(VAEConfig(F, L, (16,), "bilstm"))
    batch = random_batch([20, 20], dtype=torch.complex64)
    one, other = (
        loss(network, batch, torch.Generator().manual_seed(0), precision=p)[0].item()
        for p in ("float32", "bfloat16")
    )
    assert other == pytest.approx(one, rel=0.05)
    assert (one != other) == knows_bfloat16("cpu")


def test_levels_are_drawn_between_the_bounds_and_scale_all_parts_alike():
    batch = random_batch([3] * 400)
    generator = torch.Generator().manual_seed(0)
    levels = draw_levels((2.0, 6.0), batch, generator)
    assert levels.shape == (400, 1, 1)
    assert 2 < levels.min() < 2.1
    assert 5.9 < levels.max() <= 6
    assert levels.mean().item() == pytest.approx(4, abs=0.2)
    unit = batch.scaled(0.2)
    scaled = unit.scaled(levels)
    torch.testing.assert_close(scaled.noisy.mean((1, 2)), levels[:, 0, 0].double())
    for one, other in zip(scaled[:3], unit[:3], strict=True):
        torch.testing.assert_close(one / levels, other)
    assert scaled.lengths is batch.lengths


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_inference_gets_the_noise_aware_encoder(kind):
    network = random_network(CONFIGS[kind]).double().requires_grad_(False)
    [power] = random_batch([7]).noisy
    prior = fast_prior(network)
    mean, log_variance = prior.encode(power)
    wanted, other = network.encode(power), network.clean.encode(power)
    torch.testing.assert_close(mean, wanted[0])
    torch.testing.assert_close(log_variance, wanted[1])
    assert (mean - other[0]).abs().max() > 0.1
    torch.testing.assert_close(prior.decode(mean), network.decode(mean))


@pytest.mark.parametrize("kind", CONFIGS)
def test_both_encoders_start_from_that_of_a_speech_model(kind):
    speech = seeded(SpeechNetwork, CONFIGS[kind])
    speech.feature_mean.fill_(-1.0)
    speech.feature_scale.fill_(3.0)
    network = from_speech(speech)
    [power] = random_batch([7], dtype=torch.complex64).noisy
    for encoder in (network, network.clean):
        torch.testing.assert_close(encoder.encode(power), speech.encode(power))
    with torch.no_grad():  # neither shares memory with the other
        initialize(network.clean, torch.Generator().manual_seed(1))
    torch.testing.assert_close(network.encode(power), speech.encode(power))
    again = restored_network(NoiseAwareNetwork, speech.config, to_arrays(network))
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name


def test_weights_come_from_the_generator_and_from_it_only():
    before = torch.random.get_rng_state()
    one, other = (
        seeded(NoiseAwareNetwork, CONFIGS["bilstm"]).state_dict() for _ in range(2)
    )
    for name, weight in one.items():
        assert torch.isfinite(weight).all()
        assert torch.equal(weight, other[name])
    assert not torch.equal(one["latent_mean.weight"], one["clean.latent_mean.weight"])
    assert torch.equal(torch.random.get_rng_state(), before)
