"""The layers: what they see, what leaks, where their numbers come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from skvae.training.layers import ACTIVATIONS, BiLSTM, FeedForward
from skvae.training.networks import initialize, new_network
from skvae.training.random import dropped_out


def make(build, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return new_network(lambda _: build(), None, generator)


def dense(dropout=0.0, sizes=(8, 6), activation="relu"):
    return make(lambda: FeedForward(5, sizes, activation, dropout))


def recurrent(dropout=0.0, sizes=(8, 6)):
    return make(lambda: BiLSTM(5, sizes, dropout))


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def arrays(module):
    return {name: weight.numpy() for name, weight in module.state_dict().items()}


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_dense_layers_are_products_and_activations(activation):
    stack, x = dense(activation=activation), features(7, 5)
    weights = arrays(stack)
    wanted = x.numpy()
    for k in range(2):
        wanted = wanted @ weights[f"layers.{k}.weight"].T + weights[f"layers.{k}.bias"]
        wanted = np.tanh(wanted) if activation == "tanh" else np.maximum(wanted, 0)
    np.testing.assert_allclose(stack(x).detach(), wanted, atol=1e-6)
    assert stack.n_out == 6


def slow_lstm(x, weights, prefix, suffix):
    """One direction, step by step, with PyTorch's order of gates."""

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    w_in, w_state, b_in, b_state = (
        weights[f"{prefix}.{kind}_l0{suffix}"]
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    n = w_state.shape[1]
    state, cell, outputs = np.zeros(n), np.zeros(n), []
    for frame in x:
        gates = w_in @ frame + b_in + w_state @ state + b_state
        entering, forgetting, value, leaving = np.split(gates, 4)
        cell = sigmoid(forgetting) * cell + sigmoid(entering) * np.tanh(value)
        state = sigmoid(leaving) * np.tanh(cell)
        outputs.append(state)
    return np.array(outputs)


def test_lstms_run_forwards_and_backwards():
    stack, x = recurrent(), features(7, 5)
    weights = arrays(stack)
    wanted = x.numpy().astype(float)
    for k in range(2):
        there = slow_lstm(wanted, weights, f"layers.{k}", "")
        back = slow_lstm(wanted[::-1], weights, f"layers.{k}", "_reverse")[::-1]
        wanted = np.concatenate([there, back], axis=1)
    np.testing.assert_allclose(stack(x).detach(), wanted, atol=1e-6)
    assert stack.n_out == 12


@pytest.mark.parametrize("build", [dense, recurrent])
def test_leading_axes_are_utterances(build):
    stack, x = build(), features(2, 3, 7, 5)
    together = stack(x)
    assert together.shape == (2, 3, 7, stack.n_out)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(stack(x[i, j]), together[i, j])


@pytest.mark.parametrize("build", [dense, recurrent])
def test_ragged_sequences_equal_one_by_one_whatever_the_padding_holds(build):
    stack, lengths = build(), torch.tensor([4, 7, 1, 5])
    x = features(4, 9, 5)
    for filler in (0.0, 1e6, torch.nan):
        padded = x.clone()
        for k, n in enumerate(lengths):
            padded[k, n:] = filler
        y = stack(padded, lengths)
        assert y.shape == (4, 9, stack.n_out)
        for k, n in enumerate(lengths):
            torch.testing.assert_close(y[k, :n], stack(x[k, :n]))


def test_padding_that_is_read_as_frames_would_be_noticed():
    stack, x = recurrent(), features(1, 7, 5)
    padded = torch.cat([x, torch.zeros(1, 3, 5)], 1)
    assert (stack(padded)[:, :7] - stack(x)).abs().max() > 1e-3


@pytest.mark.parametrize("build", [dense, recurrent])
def test_dropout_leaves_out_its_share_only_with_a_generator(build):
    stack, x = build(dropout=0.3, sizes=(400,)), features(50, 5)
    plain = stack(x)
    assert torch.equal(plain, stack(x))
    hidden = stack(x, None, torch.Generator().manual_seed(0))
    left_out = (hidden == 0) & (plain != 0)
    assert left_out.sum() / (plain != 0).sum() == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(hidden[~left_out], plain[~left_out] / 0.7)
    other = stack(x, None, torch.Generator().manual_seed(1))
    assert not torch.equal(hidden, other)


def test_weights_come_from_the_generator_and_from_it_only():
    before = torch.random.get_rng_state()
    for build in (
        lambda: FeedForward(3, (4, 5), "tanh", 0.1),
        lambda: BiLSTM(3, (4, 5), 0.1),
    ):
        one, other, third = make(build), make(build), make(build, seed=1)
        for (name, a), b, c in zip(
            one.named_parameters(), other.parameters(), third.parameters(), strict=True
        ):
            assert torch.equal(a, b), name
            is_drawn = "bias" not in name or "_l0" in name
            assert torch.equal(a, c) is not is_drawn, name
        one(torch.ones(2, 7, 3), None, torch.Generator())
    assert torch.equal(
        *(
            dropped_out(torch.ones(9), 0.5, torch.Generator().manual_seed(0))
            for _ in range(2)
        )
    )
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_have_the_spread_that_keeps_signals_alive():
    layer = make(lambda: nn.Linear(300, 200))
    # Glorot's: a variance of two over the numbers of inputs and outputs.
    assert layer.weight.var().item() == pytest.approx(2 / 500, rel=0.05)
    assert not layer.bias.any()
    lstm = make(lambda: BiLSTM(30, (100,), 0.0)).layers[0]
    for weight in lstm.parameters():
        assert weight.abs().max().item() == pytest.approx(0.1, rel=0.05)


def test_other_layers_are_drawn_from_the_generator_as_well():
    def build():
        return nn.Sequential(
            nn.Conv1d(3, 20, 5), nn.LayerNorm(20), nn.GRU(20, 4), nn.PReLU()
        )

    before = torch.random.get_rng_state()
    convolution, norm, recurrence, slope = one = make(build)
    for weight, again in zip(one.parameters(), make(build).parameters(), strict=True):
        assert torch.equal(weight, again)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert convolution.weight.var().item() == pytest.approx(2 / (5 * 23), rel=0.2)
    assert not convolution.bias.any()
    assert not norm.bias.any()
    assert norm.weight.tolist() == [1.0] * 20
    assert 0 < recurrence.weight_hh_l0.abs().max() <= 0.5
    assert slope.weight.tolist() == [1.0]


def test_buffers_without_first_values_are_refused():
    with pytest.raises(TypeError, match="BatchNorm1d registers buffers"):
        make(lambda: nn.BatchNorm1d(3))


def test_plain_buffers_stay_and_no_weight_keeps_its_old_value():
    module = nn.Sequential(nn.Linear(3, 2), BiLSTM(2, (2,), 0.0))
    module.register_buffer("scale", torch.full((2,), 7.0))
    for weight in module.parameters():
        weight.data.fill_(torch.nan)
    initialize(module, torch.Generator())
    assert all(torch.isfinite(weight).all() for weight in module.parameters())
    assert module.scale.tolist() == [7.0, 7.0]


def test_gradients_reach_every_weight():
    for stack in (dense(), recurrent()):
        stack(features(3, 7, 5), torch.tensor([7, 2, 1])).square().sum().backward()
        for name, weight in stack.named_parameters():
            assert weight.grad.abs().max() > 0, name


@pytest.mark.gpu
def test_lstms_on_cuda_do_without_half_precision():
    """Autocast gives cuDNN's LSTMs float16, in which small gradients vanish."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    stack, x = recurrent().cuda(), features(3, 7, 5).cuda()
    for lengths in (None, torch.tensor([7, 2, 1])):
        plain = stack(x, lengths)
        with torch.autocast("cuda", torch.bfloat16):
            y = stack(x.bfloat16().float(), lengths)
            z = stack(x.bfloat16(), lengths)
        assert y.dtype == z.dtype == torch.float32
        torch.testing.assert_close(y, z)
        assert (y - plain).abs().max() < 0.02
        stack.zero_grad()
        (1e-9 * y).sum().backward()
        for name, weight in stack.named_parameters():
            assert weight.grad.abs().max() > 0, name
