"""Mask networks: what they read, what leaks, where their numbers come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skvae.masks.networks import (
    MaskConfig,
    MaskNetwork,
    with_context,
)
from skvae.training.band_features import BAND_FLOOR, BandFeatures
from skvae.training.networks import new_network, restored_network, to_arrays
from skvae.training.precision import autocast

DENSE = MaskConfig(9, 4, (8, 6), "dense", context=5)
RECURRENT = MaskConfig(9, 4, (8, 6))
BOTH = pytest.mark.parametrize("config", [DENSE, RECURRENT], ids=["dense", "bilstm"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(config, seed=0):
    """A network whose bands are set."""
    network = new_network(MaskNetwork, config, generator(seed))
    filters = network.features.filters
    filters.copy_(torch.rand(filters.shape, generator=generator(7)))
    filters /= filters.sum(0)
    network.features.mean.fill_(-1.0)
    network.features.scale.fill_(2.0)
    return network


def power(*shape, seed=0):
    return torch.empty(*shape).exponential_(generator=generator(seed))


def test_features_are_standardized_logarithms_of_bands():
    features = BandFeatures(5, 2)
    features.filters.copy_(torch.rand(5, 2, generator=generator()))
    features.mean.copy_(torch.tensor([0.5, -3.0]))
    features.scale.fill_(4.0)
    P, W = power(7, 5).double().numpy(), features.filters.double().numpy()
    wanted = np.empty((7, 2))
    for n in range(7):
        for m in range(2):
            band = sum(P[n, f] * W[f, m] for f in range(5))
            wanted[n, m] = (np.log(band + BAND_FLOOR) - [0.5, -3.0][m]) / 4
    np.testing.assert_allclose(features(power(7, 5)), wanted, rtol=1e-5, atol=1e-6)


def slow_context(x, n_frames):
    half = n_frames // 2
    rows = []
    for t in range(len(x)):
        near = range(t - half, t + half + 1)
        rows.append(np.concatenate([x[min(max(k, 0), len(x) - 1)] for k in near]))
    return np.array(rows)


@pytest.mark.parametrize("n_frames", [1, 3, 11])
@pytest.mark.parametrize("length", [1, 2, 7, 20])
def test_a_frame_comes_with_its_neighbours(n_frames, length):
    x = torch.randn(2, length, 3, generator=generator())
    stacked = with_context(x, n_frames)
    assert stacked.shape == (2, length, 3 * n_frames)
    for one, wanted in zip(x, stacked, strict=True):
        np.testing.assert_array_equal(wanted, slow_context(one.numpy(), n_frames))


def test_neighbours_are_never_from_the_padding():
    lengths = torch.tensor([3, 7, 1])
    x = torch.randn(3, 7, 2, generator=generator())
    padded = x.clone()
    for k, n in enumerate(lengths):
        padded[k, n:] = torch.nan
    stacked = with_context(padded, 5, lengths)
    for k, n in enumerate(lengths):
        np.testing.assert_array_equal(stacked[k, :n], slow_context(x[k, :n].numpy(), 5))


@BOTH
def test_masks_have_the_shape_of_the_power_and_lie_between_zero_and_one(config):
    network = make(config)
    for shape in ((7, 9), (3, 7, 9), (2, 3, 7, 9), (1, 9)):
        mask = network(100 * power(*shape))
        assert mask.shape == shape
        assert mask.min() >= 0
        assert mask.max() <= 1
    together = network(power(2, 3, 7, 9))
    torch.testing.assert_close(together[1, 2], network(power(2, 3, 7, 9)[1, 2]))


def test_layers_have_the_sizes_that_were_asked_for():
    dense, recurrent = make(DENSE), make(RECURRENT)
    assert [layer.in_features for layer in dense.hidden.layers] == [20, 8]
    assert [layer.out_features for layer in dense.hidden.layers] == [8, 6]
    assert dense.hidden.activation == "relu"
    assert [layer.hidden_size for layer in recurrent.hidden.layers] == [8, 6]
    assert all(layer.bidirectional for layer in recurrent.hidden.layers)
    kinds = {type(module).__name__ for module in MaskNetwork(RECURRENT).modules()}
    assert kinds == {
        *("MaskNetwork", "BandFeatures", "BiLSTM"),
        *("ModuleList", "LSTM", "Linear"),
    }


def test_dense_layers_see_a_few_frames_and_lstms_all():
    V = power(20, 9)
    changed = V.clone()
    changed[10] *= 3
    wide = MaskConfig(9, 4, (64,), "dense", context=5)
    for config, wanted in ((wide, range(8, 13)), (RECURRENT, range(20))):
        network = make(config)
        reached = (network(V) != network(changed)).any(1).nonzero().flatten()
        assert reached.tolist() == list(wanted)


@BOTH
def test_ragged_sequences_equal_one_by_one_whatever_the_padding_holds(config):
    network, lengths = make(config), torch.tensor([4, 7, 1, 5])
    V = power(4, 7, 9)
    spoiled = V.clone()
    for k, n in enumerate(lengths):
        spoiled[k, n:] = 1e6
    for X in (V, spoiled):
        mask = network(X, lengths)
        assert torch.isfinite(mask).all()
        for k, n in enumerate(lengths):
            torch.testing.assert_close(mask[k, :n], network(V[k, :n]))


@BOTH
def test_gradients_of_ragged_sequences_do_not_depend_on_the_padding(config):
    lengths = torch.tensor([4, 7])
    gradients = []
    for filler, n_frames in ((0.0, 7), (1e3, 7), (0.0, 11)):
        network = make(config)
        V = torch.full((2, n_frames, 9), filler)
        V[0, :4], V[1, :7] = power(4, 9), power(7, 9, seed=1)
        mask = network(V, lengths)
        (mask[0, :4].sum() + mask[1, :7].sum()).backward()
        gradients.append([weight.grad for weight in network.parameters()])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0])


@BOTH
def test_silence_one_frame_and_the_loudest_power_give_numbers(config):
    network = make(config)
    for V in (torch.zeros(5, 9), power(1, 9), torch.full((5, 9), 1e30)):
        mask = network(V)
        assert torch.isfinite(mask).all()
        mask.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


def test_weights_come_from_the_generator_and_bands_are_yet_to_be_set():
    before = torch.random.get_rng_state()
    one, other, third = (
        new_network(MaskNetwork, RECURRENT, generator(k)) for k in (0, 0, 1)
    )
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.mask.weight, third.mask.weight)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not one.features.filters.any()
    assert not one.features.mean.any()
    assert one.features.scale == 1
    assert {name for name, _ in one.named_buffers()} == {
        *("features.filters", "features.mean", "features.scale"),
    }


@BOTH
def test_dropout_is_for_training_and_no_part_of_what_weights_mean(config):
    dropping = MaskConfig(9, 4, (8, 6), config.architecture, config.context, 0.5)
    assert dropping == config
    network, V = make(dropping), power(7, 9)
    assert torch.equal(network(V), make(config)(V))
    one, same, other = (network(V, None, generator(k)) for k in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@BOTH
def test_state_holds_arrays_only_and_builds_the_same_network(config):
    network = make(config)
    state = to_arrays(network)
    assert all(type(array) is np.ndarray for array in state.values())
    again = restored_network(MaskNetwork, config, state)
    assert torch.equal(again(power(7, 9)), network(power(7, 9)))
    with torch.no_grad():  # neither shares memory with the arrays
        again.mask.bias.add_(1)
    assert not state["mask.bias"].any()
    with pytest.raises(ValueError, match=r"the state lacks 'features\.filters'"):
        state.pop("features.filters")
        restored_network(MaskNetwork, config, state)


@BOTH
def test_half_precision_takes_the_logarithms_of_quiet_bands_in_full(config):
    network = make(config)
    # Bands 40 dB below the mean, which eight bits could not tell from the floor.
    V = 1e-4 * power(2, 30, 9)
    V[:, :3] = 30 * power(2, 3, 9)
    seen = []
    network.hidden.register_forward_pre_hook(
        lambda module, arguments: seen.append(arguments[0])
    )
    with autocast("cpu", "bfloat16"):
        mask = network(V)
    assert (mask.float() - network(V)).abs().max() < 0.02
    wanted = network.features(V)
    if config.context > 1:
        wanted = with_context(wanted, config.context)
    assert torch.equal(seen[0], wanted)
