"""The denoising network and its loss, against both written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skvae.masks.losses import TARGETS, mask_error
from skvae.masks.networks import MaskConfig, MaskNetwork
from skvae.speech.denoising_network import (
    BALANCED_ALPHA,
    DenoisingConfig,
    DenoisingNetwork,
    denoising_loss,
    start_from_mask_network,
)
from skvae.speech.fast_prior import fast_prior
from skvae.training.band_features import BAND_FLOOR
from skvae.training.networks import new_network, restored_network, to_arrays
from skvae.training.noisy_batches import Mixtures, mixtures
from skvae.training.precision import knows_bfloat16

F, M, L = 6, 4, 3
CONFIG = DenoisingConfig(F, M, L, (5, 4), floor=1e-3)


def random_network(config=CONFIG, seed=0):
    """All weights random, biases, bands and standardisation too."""
    network = new_network(DenoisingNetwork, config, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.4, generator=generator)
        network.features.filters.uniform_(0, 1, generator=generator)
        network.features.mean.normal_(0, 1, generator=generator)
        network.features.scale.fill_(1.7)
    return network


def random_batch(lengths, seed=0, dtype=torch.complex128):
    """Mixtures of noise with noise, padded by zeros."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(lengths), max(lengths), F
    speech, noise = (
        torch.randn(*shape, generator=generator, dtype=dtype) for _ in range(2)
    )
    for k, n in enumerate(lengths):
        speech[k, n:] = noise[k, n:] = 0
    return mixtures(speech, noise, torch.tensor(lengths))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow_lstm(weights, name, x):
    """One direction after the other, frame by frame."""
    directions = []
    for suffix, order in (("", 1), ("_reverse", -1)):
        W, U, b, c = (
            weights[f"{name}.{part}_l0{suffix}"]
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        size = U.shape[1]
        hidden = cell = np.zeros(size)
        outputs = []
        for frame in x[::order]:
            gates = W @ frame + b + U @ hidden + c
            enter, forget, new, leave = gates.reshape(4, size)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(leave) * np.tanh(cell)
            outputs.append(hidden)
        directions.append(outputs[::order])
    return np.concatenate(directions, axis=1)


def slow_network(network):
    """Encoder and decoder as functions of one sequence."""
    weights = {name: w.double().numpy() for name, w in to_tensors(network).items()}

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def encode(power):
        x = np.log(power @ weights["features.filters"] + BAND_FLOOR)
        x = (x - weights["features.mean"]) / weights["features.scale"]
        for layer in range(len(network.config.hidden)):
            x = slow_lstm(weights, f"encoder.layers.{layer}", x)
        mask = sigmoid(linear("mask", x)) if "mask.weight" in weights else None
        return linear("latent_mean", x), linear("latent_log_variance", x), mask

    def decode(z):
        return linear("log_variance", slow_lstm(weights, "decoder.layers.0", z))

    return encode, decode


def to_tensors(network):
    return {name: w.detach() for name, w in network.state_dict().items()}


def slow_loss(network, batch, draws, alpha):
    """(4)-(7) with the phase-sensitive error, bin by bin, over the number of bins."""
    encode, decode = slow_network(network)
    bound = error = n_frames = 0.0
    for b, n in enumerate(batch.lengths.tolist()):
        V, P, cross = (part[b, :n].numpy() for part in batch[:3])
        mean, log_variance, mask = encode(V)
        z = mean + np.exp(log_variance / 2) * draws[b, :n]
        variance = np.exp(decode(z))
        for t in range(n):
            for f in range(F):
                p, v = P[t, f] + network.config.floor, variance[t, f]
                bound -= np.log(v) + p / v
                bound += np.log(p) + 1  # which has no parameters
            for m, lv in zip(mean[t], log_variance[t], strict=True):
                bound += 0.5 + lv / 2 - (m**2 + np.exp(lv)) / 2
            for f in range(F if mask is not None else 0):
                x = np.sqrt(V[t, f])
                error += (mask[t, f] * x - cross[t, f] / x) ** 2
        n_frames += n
    return -(bound - alpha * error) / n_frames / F


@pytest.mark.parametrize("lengths", [[5, 5], [4, 1, 6]])
@pytest.mark.parametrize("with_mask", [True, False])
def test_loss_is_that_of_the_paper_written_out(lengths, with_mask):
    config = DenoisingConfig(F, M, L, (5, 4), with_mask=with_mask, floor=1e-3)
    network, batch = random_network(config).double(), random_batch(lengths)
    generator = torch.Generator().manual_seed(3)
    got, n_frames = denoising_loss(network, batch, generator, target="psa", alpha=2.5)
    generator.manual_seed(3)
    shape = len(lengths), max(lengths), L
    draws = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
    assert n_frames == sum(lengths)
    assert got.item() == pytest.approx(slow_loss(network, batch, draws, 2.5), rel=1e-10)


@pytest.mark.parametrize("target", TARGETS)
def test_alpha_weighs_the_error_of_the_mask(target):
    network, batch = random_network().double(), random_batch([5, 3])

    def loss(alpha):
        generator = torch.Generator().manual_seed(0)
        return denoising_loss(network, batch, generator, target=target, alpha=alpha)[0]

    mask = network.estimate(batch.noisy, batch.lengths).mask
    error, _ = mask_error(mask, batch, target)
    torch.testing.assert_close(loss(5.0) - loss(0.0), 5 * error)
    assert set(BALANCED_ALPHA) == set(TARGETS)


def test_without_multi_task_learning_there_is_no_mask():
    config = DenoisingConfig(F, M, L, (5, 4), with_mask=False)
    network, batch = random_network(config), random_batch([5], dtype=torch.complex64)
    assert network.estimate(batch.noisy).mask is None
    assert not [name for name in network.state_dict() if "mask" in name]
    one, other = (
        denoising_loss(network, batch, torch.Generator(), target=target, alpha=alpha)[0]
        for target, alpha in (("psa", 1.0), ("perceptual", 1e6))
    )
    assert torch.equal(one, other)


def test_gradients_of_both_parts_meet_in_the_encoder():
    network, batch = random_network().double(), random_batch([5])
    loss, _ = denoising_loss(network, batch, torch.Generator())
    loss.backward()
    for name, weight in network.named_parameters():
        assert weight.grad.abs().max() > 0, name
    error, _ = mask_error(network.estimate(batch.noisy).mask, batch, "psa")
    network.zero_grad()
    error.backward()
    reached = {name for name, w in network.named_parameters() if w.grad is not None}
    assert all(name.startswith(("encoder.", "mask.")) for name in reached)


@pytest.mark.slow
def test_gradient_equals_finite_differences():
    network, batch = random_network().double(), random_batch([4, 2])

    def loss():
        return denoising_loss(network, batch, torch.Generator().manual_seed(0))[0]

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


def silence(n_frames):
    empty = torch.zeros(1, n_frames, F)
    return Mixtures(empty, empty, empty, torch.tensor([n_frames]))


def silent_speech():
    noisy = torch.ones(2, 4, F)
    empty = torch.zeros_like(noisy)
    return Mixtures(noisy, empty, empty, torch.tensor([4, 4]))


def padded_silence():
    batch = random_batch([5, 1], dtype=torch.complex64)
    for part in batch[:3]:
        part[1] = 0
    return batch


def click():
    power = torch.zeros(1, 4, F)
    power[0, 2] = 4.0
    return Mixtures(power, power, power, torch.tensor([4]))


HOSTILE = {
    "silence": silence(4),
    "one silent frame": silence(1),
    "silent speech": silent_speech(),
    "one frame": random_batch([1], dtype=torch.complex64),
    "silence beside speech, padded": padded_silence(),
    "click": click(),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("floor", [1e-5, 1e-10])
@pytest.mark.parametrize("name", HOSTILE)
def test_loss_and_gradients_are_finite(name, floor, target):
    network = random_network(DenoisingConfig(F, M, L, (5,), floor=floor))
    loss, _ = denoising_loss(network, HOSTILE[name], torch.Generator(), target=target)
    loss.backward()
    assert torch.isfinite(loss)
    for weight in network.parameters():
        assert torch.isfinite(weight.grad).all()


def test_the_level_of_speech_and_noise_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    speech, noise = (
        torch.randn(2, 5, F, generator=generator, dtype=torch.complex128)
        for _ in range(2)
    )
    network = random_network().double()
    losses = [
        denoising_loss(
            network,
            mixtures(gain * speech, gain * noise, torch.tensor([5, 5])),
            torch.Generator().manual_seed(0),
        )[0].item()
        for gain in (1.0, 100.0, 1e-6)
    ]
    assert losses == pytest.approx(losses[:1] * 3, rel=1e-9)


def test_padding_is_not_seen():
    network = random_network().double()
    lengths = torch.tensor([4, 7, 1])
    batch = random_batch(lengths.tolist())
    spoiled = batch.noisy.clone()
    for k, n in enumerate(lengths):
        spoiled[k, n:] = 1e6
    for power in (batch.noisy, spoiled):
        mean, log_variance, mask = network.estimate(power, lengths)
        decoded = network.decode(mean, lengths)
        for k, n in enumerate(lengths):
            alone = network.estimate(batch.noisy[k, :n])
            torch.testing.assert_close(mean[k, :n], alone.mean)
            torch.testing.assert_close(log_variance[k, :n], alone.log_variance)
            torch.testing.assert_close(mask[k, :n], alone.mask)
            torch.testing.assert_close(decoded[k, :n], network.decode(alone.mean))


def test_an_inference_takes_the_network_as_it_is():
    network = random_network().double().requires_grad_(False)
    batch = random_batch([5, 3])
    prior = fast_prior(network, batch.lengths)
    mean, log_variance = prior.encode(batch.noisy)
    wanted = network.estimate(batch.noisy, batch.lengths)
    torch.testing.assert_close(mean, wanted.mean)
    torch.testing.assert_close(log_variance, wanted.log_variance)
    torch.testing.assert_close(prior.decode(mean), network.decode(mean, batch.lengths))


def test_dropout_needs_a_generator_and_training():
    network = random_network(DenoisingConfig(F, M, L, (5, 4), dropout=0.5))
    batch = random_batch([5], dtype=torch.complex64)
    before = torch.random.get_rng_state()

    def loss(training, seed):
        generator = torch.Generator().manual_seed(seed)
        return denoising_loss(network, batch, generator, training)[0].item()

    assert loss(True, 0) == loss(True, 0) != loss(False, 0)
    plain = network.estimate(batch.noisy)
    assert torch.equal(plain.mean, network.estimate(batch.noisy).mean)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bfloat16_is_close_and_leaves_float32_weights():
    network = random_network(DenoisingConfig(F, M, L, (16,)))
    batch = random_batch([20, 20], dtype=torch.complex64)
    losses = []
    for precision in ("float32", "bfloat16"):
        network.zero_grad()
        loss, _ = denoising_loss(
            network, batch, torch.Generator().manual_seed(0), precision=precision
        )
        loss.backward()
        losses.append(loss.item())
        for weight in network.parameters():
            assert weight.dtype == weight.grad.dtype == torch.float32
            assert torch.isfinite(weight.grad).all()
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert (losses[0] != losses[1]) == knows_bfloat16("cpu")


def test_weights_come_from_the_generator_and_from_it_only():
    before = torch.random.get_rng_state()
    one, other, third = (
        new_network(DenoisingNetwork, CONFIG, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    for name, weight in one.state_dict().items():
        assert torch.isfinite(weight).all()
        assert torch.equal(weight, other.state_dict()[name])
    assert not torch.equal(one.mask.weight, third.mask.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("with_mask", [True, False])
def test_a_state_builds_the_same_network(with_mask):
    network = random_network(DenoisingConfig(F, M, L, (5,), with_mask))
    state = to_arrays(network)
    again = restored_network(DenoisingNetwork, network.config, state)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    state.pop("features.scale")
    with pytest.raises(ValueError, match=r"lacks 'features.scale'"):
        restored_network(DenoisingNetwork, network.config, state)


@pytest.mark.parametrize("with_mask", [True, False])
def test_a_mask_network_starts_the_encoder_and_nothing_else(with_mask):
    config = MaskConfig(F, M, (5, 4))
    masks = new_network(MaskNetwork, config, torch.Generator().manual_seed(7))
    masks.features.filters.fill_(0.3)
    masks.features.mean.fill_(-2.0)
    network = random_network(DenoisingConfig(F, M, L, (5, 4), with_mask))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    start_from_mask_network(network, to_arrays(masks))
    batch = random_batch([5], dtype=torch.complex64)
    if with_mask:
        mask = network.estimate(batch.noisy).mask
        torch.testing.assert_close(mask, masks(batch.noisy))
    for name, weight in network.state_dict().items():
        is_new = name.startswith(("features.", "encoder.", "mask."))
        assert torch.equal(weight, before[name]) is not is_new, name


@pytest.mark.parametrize(
    "config", [MaskConfig(F, M, (5,)), MaskConfig(F, M, (5, 4), "dense", context=3)]
)
def test_a_mask_network_of_another_kind_starts_nothing(config):
    masks = new_network(MaskNetwork, config, torch.Generator())
    with pytest.raises(ValueError, match=r"the state lacks|the state has"):
        start_from_mask_network(random_network(), to_arrays(masks))
