"""The networks: what they see, what leaks, where their numbers come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from skvae.speech.losses import vae_loss
from skvae.speech.vae_network import (
    SpeechNetwork,
    VAEConfig,
    bounded,
    standardize,
)
from skvae.training.clean_batches import Batch
from skvae.training.moments import measure
from skvae.training.networks import (
    load_arrays,
    new_network,
    restored_network,
    to_arrays,
)


def make(config, seed=0):
    return new_network(SpeechNetwork, config, torch.Generator().manual_seed(seed))


def power(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 10


DENSE = VAEConfig(9, 3, (8, 6))
RECURRENT = VAEConfig(9, 3, (8, 6), "bilstm")


def test_layers_have_the_sizes_that_were_asked_for():
    dense, recurrent = make(DENSE), make(RECURRENT)
    assert [layer.out_features for layer in dense.encoder.layers] == [8, 6]
    assert [layer.out_features for layer in dense.decoder.layers] == [6, 8]
    assert [layer.hidden_size for layer in recurrent.encoder.layers] == [8, 6]
    assert [layer.hidden_size for layer in recurrent.decoder.layers] == [6]
    assert all(layer.bidirectional for layer in recurrent.encoder.layers)


@pytest.mark.parametrize("config", [DENSE, RECURRENT], ids=lambda c: c.architecture)
def test_leading_axes_are_utterances(config):
    network = make(config)
    V = power(2, 3, 7, 9)
    mean, log_variance = network.encode(V)
    assert mean.shape == log_variance.shape == (2, 3, 7, 3)
    decoded = network.decode(mean)
    assert decoded.shape == V.shape
    for i in range(2):
        for j in range(3):
            alone, _ = network.encode(V[i, j])
            torch.testing.assert_close(alone, mean[i, j])
            torch.testing.assert_close(network.decode(alone), decoded[i, j])


def test_dense_layers_see_frames_and_lstms_see_sequences():
    V = power(7, 9)
    other = V.clone()
    other[-1] += 1
    for config, same in ((DENSE, True), (RECURRENT, False)):
        network = make(config)
        first, changed = (network.encode(x)[0][0] for x in (V, other))
        assert torch.equal(first, changed) is same


def test_ragged_sequences_equal_one_by_one_whatever_the_padding_holds():
    network = make(RECURRENT)
    lengths = torch.tensor([4, 7, 1, 5])
    V = power(4, 7, 9)
    spoiled = V.clone()
    for k, n in enumerate(lengths):
        spoiled[k, n:] = 1e6
    for X in (V, spoiled):
        mean, log_variance = network.encode(X, lengths)
        decoded = network.decode(mean, lengths)
        for k, n in enumerate(lengths):
            alone = network.encode(V[k, :n])
            torch.testing.assert_close(mean[k, :n], alone[0])
            torch.testing.assert_close(log_variance[k, :n], alone[1])
            torch.testing.assert_close(decoded[k, :n], network.decode(alone[0]))


def test_gradients_of_ragged_sequences_do_not_depend_on_the_padding():
    lengths = torch.tensor([4, 7])
    gradients = []
    for filler, n_frames in ((0.0, 7), (1e3, 7), (0.0, 11)):
        network = make(RECURRENT)
        V = torch.full((2, n_frames, 9), filler)
        V[0, :4], V[1, :7] = power(4, 9), power(7, 9, seed=1)
        mean, log_variance = network.encode(V, lengths)
        decoded = network.decode(mean, lengths)
        total = sum(
            mean[k, :n].sum() + log_variance[k, :n].sum() + decoded[k, :n].sum()
            for k, n in enumerate(lengths)
        )
        total.backward()
        gradients.append([weight.grad for weight in network.parameters()])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0])


def test_gradients_reach_power_and_latent_variables():
    network = make(DENSE).requires_grad_(False)
    V = power(5, 9).requires_grad_()
    mean, _ = network.encode(V)
    network.decode(mean).sum().backward()
    assert V.grad.abs().max() > 0


def test_double_precision_is_close_to_single():
    network = make(RECURRENT)
    mean, _ = network.encode(power(7, 9))
    exact, _ = make(RECURRENT).double().encode(power(7, 9).double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(mean.double(), exact, rtol=1e-4, atol=1e-6)


def test_the_input_of_the_encoder_is_standardized():
    V = power(5, 9)
    moments = measure([Batch(V)], floor=1e-3)
    logarithms = (V + 1e-3).log()
    spread = (logarithms - logarithms.mean(0)).square().mean().sqrt()
    wanted = {
        "log": (logarithms - logarithms.mean(0)) / spread,
        "power": (V + 1e-3) / (V + 1e-3).square().mean().sqrt(),
    }
    wanted["both"] = torch.cat([wanted["log"], wanted["power"]], -1)
    for features, values in wanted.items():
        network = make(VAEConfig(9, 3, (8, 6), features=features))
        standardize(network, moments)
        seen = []
        network.encoder.register_forward_pre_hook(
            lambda _, x, seen=seen: seen.append(x[0])
        )
        network.encode(V)
        torch.testing.assert_close(seen[0], values)


def test_variances_stay_within_float32():
    extremes = bounded(torch.tensor([-1e30, 1e30])).exp()
    assert torch.isfinite(1 / extremes.square()).all()
    assert torch.isfinite(extremes.square()).all()
    assert extremes.min() > 0


def test_weights_come_from_the_generator_and_from_it_only():
    before = torch.random.get_rng_state()
    one, other, third = make(RECURRENT), make(RECURRENT), make(RECURRENT, seed=1)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.latent_mean.weight, third.latent_mean.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_unit_is_left_at_what_memory_happened_to_hold():
    for config in (DENSE, RECURRENT):
        for name, weight in make(config).state_dict().items():
            assert torch.isfinite(weight).all(), name
            assert weight.abs().max() < 2, name
        scales = {
            name: weight.abs().max().item()
            for name, weight in make(config).named_parameters()
            if name.endswith("weight") or "_l0" in name
        }
        assert min(scales.values()) > 0.05


@pytest.mark.parametrize("config", [DENSE, RECURRENT], ids=lambda c: c.architecture)
def test_dropout_needs_a_generator_and_is_no_part_of_what_weights_mean(config):
    dropping = replace(config, dropout=0.3)
    assert dropping == config
    network, V = make(dropping), power(50, 9)
    plain, _ = make(config).encode(V)
    assert torch.equal(network.encode(V)[0], plain)
    assert torch.equal(network.decode(plain), make(config).decode(plain))
    generator = torch.Generator().manual_seed(0)
    assert not torch.equal(network.encode(V, None, generator)[0], plain)
    dropped = network.decode(plain, None, generator)
    assert not torch.equal(dropped, network.decode(plain))


def test_the_loss_does_not_touch_the_global_generator():
    before = torch.random.get_rng_state()
    batch = Batch(power(2, 7, 9), torch.tensor([7, 3]))
    vae_loss(make(replace(RECURRENT, dropout=0.1)), batch, torch.Generator())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("config", [DENSE, RECURRENT], ids=lambda c: c.architecture)
def test_state_holds_arrays_only_and_builds_the_same_networks(config):
    network = make(config)
    state = to_arrays(network)
    assert all(type(array) is np.ndarray for array in state.values())
    again = restored_network(SpeechNetwork, config, state)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    torch.testing.assert_close(again.encode(power(7, 9)), network.encode(power(7, 9)))
    with torch.no_grad():  # neither shares memory with the arrays
        network.feature_mean.add_(1)
        again.feature_mean.add_(1)
    assert not state["feature_mean"].any()


def test_a_state_that_does_not_fit_is_refused_by_name():
    network, state = make(DENSE), to_arrays(make(DENSE))
    with pytest.raises(ValueError, match=r"'latent_mean.bias' must have shape \(3,\)"):
        load_arrays(network, {**state, "latent_mean.bias": np.zeros(4)})
    with pytest.raises(ValueError, match="the state has 'extra'"):
        load_arrays(network, {**state, "extra": np.zeros(4)})
    state.pop("feature_scale")
    with pytest.raises(ValueError, match="the state lacks 'feature_scale'"):
        load_arrays(network, state)


def test_modules_are_plain():
    kinds = {type(module).__name__ for module in SpeechNetwork(DENSE).modules()}
    assert kinds == {"SpeechNetwork", "FeedForward", "ModuleList", "Linear"}
