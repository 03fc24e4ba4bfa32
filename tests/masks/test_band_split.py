"""Band-split masks: the bands, the network against loops, what it reads, its files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.instances import SMALL_STFT
from helpers.training import made

from skvae import (
    STFT,
    BandSplitMask,
    VAENMFEnhancer,
    load_pretrained,
    save_pretrained,
)
from skvae.datasets import make_dataset
from skvae.masks.band_layout import band_layout
from skvae.masks.band_split_network import BandSplitConfig, BandSplitNetwork
from skvae.signal.framing import Framing
from skvae.training.networks import new_network, to_arrays
from skvae.training.precision import autocast

NOISY, CLEAN = make_dataset(6, (0.6, 0.9), 0.0, random_state=0)
EDGES = (250, 500, 750, 1000, 1500, 2000, 4000)

BOTH_WAYS = BandSplitConfig((3, 2, 2), (3, 2, 4), 5, (4, 3), 6)
CAUSAL = BandSplitConfig((3, 2, 2), (3, 2, 4), 5, (4, 3), 6, bidirectional=False)
EITHER = pytest.mark.parametrize("config", [BOTH_WAYS, CAUSAL], ids=["both", "causal"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(config, seed=0):
    """A network whose features are set and whose biases are not zero."""
    network = new_network(BandSplitNetwork, config, generator(seed))
    filters = network.features.filters
    filters.copy_(torch.rand(filters.shape, generator=generator(7)))
    filters /= filters.sum(0)
    network.features.mean.fill_(-1.0)
    network.features.scale.fill_(2.0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("bias"):
                weight.normal_(generator=generator(len(name)))
    return network


def power(*shape, seed=0):
    return torch.empty(*shape).exponential_(generator=generator(seed))


# Bands and groups ---------------------------------------------------------------------


def slow_layout(n_fft, sample_rate, edges, fine_below):
    """Bins of each group, band by band, one bin at a time."""
    bins = [k * sample_rate / n_fft for k in range(n_fft // 2 + 1)]
    bands = []
    for low, high in zip([0, *edges], [*edges, np.inf], strict=True):
        inside = [k for k, f in enumerate(bins) if low <= f < high]
        groups = []
        while inside:
            width = int(bins[inside[0]] / fine_below) + 1
            groups.append(inside[:width])
            inside = inside[width:]
        if groups:
            bands.append(groups)
    return bands


@pytest.mark.parametrize(
    ("n_fft", "sample_rate", "edges", "fine_below"),
    [
        (1024, 16000, EDGES, 2000.0),
        (512, 16000, EDGES, 1000.0),
        (128, 8000, EDGES, 500.0),
        (2048, 48000, EDGES, 2000.0),
        (64, 16000, (), 1.0),
        (64, 16000, (1.0, 2.0, 3.0, 7999.0, 8000.0, 1e9), 4000.0),
    ],
)
def test_bands_and_groups_are_those_of_a_loop_over_bins(
    n_fft, sample_rate, edges, fine_below
):
    layout = band_layout(Framing(n_fft, n_fft // 4), sample_rate, edges, fine_below)
    wanted = slow_layout(n_fft, sample_rate, edges, fine_below)
    assert layout.inputs == tuple(map(len, wanted))
    assert layout.outputs == tuple(sum(map(len, groups)) for groups in wanted)
    groups = [group for band in wanted for group in band]
    assert layout.groups == tuple(map(len, groups))
    filters = np.zeros((n_fft // 2 + 1, len(groups)))
    for m, group in enumerate(groups):
        filters[group, m] = 1 / len(group)
    np.testing.assert_allclose(layout.filters(), filters, rtol=1e-6)


def test_the_default_reads_single_bins_below_two_kilohertz():
    layout = band_layout(Framing(1024, 256), 16000, EDGES, 2000.0)
    assert layout.outputs == (16, 16, 16, 16, 32, 32, 128, 257)
    assert layout.groups[:128] == (1,) * 128
    assert set(layout.groups[128:]) == {2, 3, 4}


# Network ------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow_lstm(state, name, x, suffix=""):
    """Outputs of an LSTM for one sequence, frame by frame."""
    W, U, b, c = (
        state[f"{name}.{kind}_l0{suffix}"]
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    hidden, cell, outputs = np.zeros(U.shape[1]), np.zeros(U.shape[1]), []
    for frame in x:
        i, f, g, o = np.split(W @ frame + b + U @ hidden + c, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        outputs.append(hidden)
    return np.array(outputs)


def slow_network(network, V):
    """Mask of one sequence (N, F): a loop over bands, blocks and frames."""
    state = {k: v.astype(float) for k, v in to_arrays(network).items()}
    config = network.config

    def linear(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    features = network.features(V).double().numpy()
    first, bands = 0, []
    for k, size in enumerate(config.inputs):
        bands.append(linear(f"hidden.split.{k}", features[:, first : first + size]))
        first += size
    for j in range(len(config.hidden)):
        block = f"hidden.blocks.{j}"
        for k, band in enumerate(bands):
            output = slow_lstm(state, f"{block}.over_time", band)
            if config.bidirectional:
                back = slow_lstm(state, f"{block}.over_time", band[::-1], "_reverse")
                output = np.concatenate([output, back[::-1]], axis=1)
            bands[k] = band + linear(f"{block}.from_time", output)
        for n in range(len(V)):
            together = np.concatenate([band[n] for band in bands])
            joined = np.maximum(linear(f"{block}.to_bottleneck", together), 0)
            parts = np.split(linear(f"{block}.from_bottleneck", joined), len(bands))
            for k, part in enumerate(parts):
                bands[k][n] += part
    masks = [linear(f"mask.bands.{k}", band) for k, band in enumerate(bands)]
    return sigmoid(np.concatenate(masks, axis=1))


@EITHER
def test_masks_are_those_of_loops_over_bands_and_frames(config):
    network = make(config)
    V = power(3, 6, 9)
    masks = network(V)
    for one, mask in zip(V, masks, strict=True):
        wanted = slow_network(network, one)
        np.testing.assert_allclose(mask.detach(), wanted, rtol=1e-4, atol=1e-6)


@EITHER
def test_masks_have_the_shape_of_the_power_and_lie_between_zero_and_one(config):
    network = make(config)
    for shape in ((7, 9), (3, 7, 9), (2, 3, 7, 9), (1, 9)):
        mask = network(100 * power(*shape))
        assert mask.shape == shape
        assert mask.min() >= 0
        assert mask.max() <= 1
    together = network(power(2, 3, 7, 9))
    torch.testing.assert_close(together[1, 2], network(power(2, 3, 7, 9)[1, 2]))


def test_without_the_backward_direction_a_frame_changes_no_mask_before_it():
    V = power(20, 9)
    changed = V.clone()
    changed[10] *= 3
    for config, wanted in ((CAUSAL, range(10, 20)), (BOTH_WAYS, range(20))):
        network = make(config)
        reached = (network(V) != network(changed)).any(1).nonzero().flatten()
        assert reached.tolist() == list(wanted)


def test_a_band_changes_the_masks_of_all_bands_and_lstms_have_one_set_of_weights():
    V = power(20, 9)
    changed = V.clone()
    changed[:, 8] *= 3
    network = make(BOTH_WAYS)
    assert bool((network(V) != network(changed)).any(0).all())
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes["hidden.blocks.0.over_time.weight_ih_l0"] == (16, 5)
    assert sum("over_time.weight_ih" in name for name in shapes) == 4


@EITHER
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


@EITHER
def test_dropout_is_for_training_and_draws_for_each_sequence(config):
    dropping = BandSplitConfig(
        config.inputs,
        config.outputs,
        config.n_channels,
        config.hidden,
        config.n_bottleneck,
        config.bidirectional,
        dropout=0.5,
    )
    assert dropping == config
    network, V = make(dropping), power(2, 7, 9)
    torch.testing.assert_close(network(V), make(config)(V))
    one, same, other = (network(V, None, generator(k)) for k in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@EITHER
def test_silence_one_frame_and_the_loudest_power_give_numbers(config):
    network = make(config)
    for V in (torch.zeros(5, 9), power(1, 9), torch.full((5, 9), 1e30)):
        mask = network(V)
        assert torch.isfinite(mask).all()
        mask.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


@EITHER
def test_half_precision_is_close_to_full(config):
    network, V = make(config), power(2, 30, 9)
    with autocast("cpu", "bfloat16"):
        mask = network(V)
    assert (mask.float() - network(V)).abs().max() < 0.05


# Enhancer -----------------------------------------------------------------------------


def small(**parameters):
    settings = {
        "hidden_layer_sizes": (6, 5),
        "n_channels": 8,
        "bottleneck_size": 6,
        "band_edges": (1000.0, 3000.0),
        "max_iter": 2,
        "batch_size": 4,
        "stft": SMALL_STFT,
        "random_state": 0,
    }
    return made(BandSplitMask, **{**settings, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return small().fit(NOISY, CLEAN)


def test_training_lowers_the_loss_and_sizes_are_those_asked_for(fitted):
    enhancer = small(max_iter=12, learning_rate=1e-2).fit(NOISY, CLEAN)
    assert enhancer.loss_curve_[-1] < enhancer.loss_curve_[0]
    config = fitted.config_
    assert (config.hidden, config.n_channels, config.n_bottleneck) == ((6, 5), 8, 6)
    assert config.bidirectional
    assert config.n_bins == SMALL_STFT.framing().n_bins
    assert len(config.outputs) == 3


def test_features_are_log_powers_of_the_groups_standardized(fitted):
    layout = band_layout(
        SMALL_STFT.framing(), SMALL_STFT.sample_rate, (1000.0, 3000.0), 2000.0
    )
    filters = fitted.state_["features.filters"]
    np.testing.assert_array_equal(filters, layout.filters())
    assert fitted.state_["features.scale"] > 0.1


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_batch_gives_what_each_utterance_gives_alone(bidirectional):
    enhancer = small(bidirectional=bidirectional).fit(CLEAN[:3])
    together = enhancer.transform(NOISY)
    for x, y in zip(NOISY, together, strict=True):
        np.testing.assert_array_equal(enhancer.transform([x])[0], y)


def test_without_the_backward_direction_masks_ignore_what_comes_later():
    enhancer = small(bidirectional=False).fit(CLEAN[:3])
    [spectrogram] = SMALL_STFT.transform(NOISY[:1])
    frames = spectrogram.frames().copy()
    middle = len(frames) // 2
    # Its bins in the opposite order: the level, which scales the input, stays.
    frames[middle] = frames[middle, ::-1]
    first, second = (
        result.mask
        for result in enhancer.separate([spectrogram, spectrogram.replace(frames.T)])
    )
    np.testing.assert_allclose(first[:, :middle], second[:, :middle], atol=1e-6)
    assert np.abs(first - second)[:, middle + 1 :].max() > 1e-5


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_saved_model_gives_the_same_masks(tmp_path, bidirectional):
    enhancer = small(bidirectional=bidirectional).fit(CLEAN[:3])
    path = tmp_path / "bands.safetensors"
    save_pretrained(enhancer, path, name="bands")
    again = load_pretrained(path)
    for one, other in zip(
        enhancer.transform(NOISY), again.transform(NOISY), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert again.config_ == enhancer.config_


def test_recordings_of_a_narrow_band_give_sound_and_no_more_than_went_in(fitted):
    spectrum = np.fft.rfft(NOISY[0])
    spectrum[len(spectrum) // 3 :] = 0
    narrow = np.fft.irfft(spectrum, len(NOISY[0])).astype(np.float32)
    [enhanced] = fitted.transform([narrow])
    assert np.isfinite(enhanced).all()
    assert 0 < np.abs(enhanced).max() <= 1.5 * np.abs(narrow).max()


@pytest.mark.parametrize("sample_rate", [8000, 44100])
def test_bands_follow_the_sample_rate(sample_rate):
    stft = STFT(256, 64, sample_rate=sample_rate)
    enhancer = small(stft=stft, band_edges=EDGES).fit(CLEAN[:3])
    assert enhancer.config_.n_bins == 129
    assert all(np.isfinite(y).all() for y in enhancer.transform(NOISY[:2]))


def test_it_guides_vae_nmf():
    from helpers.instances import small as instance

    enhancer = instance(VAENMFEnhancer).set_params(guide=small(), random_state=0)
    enhancer.fit(CLEAN[:3])
    assert all(np.isfinite(y).all() for y in enhancer.transform(NOISY[:2]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"band_edges": 500}, "`band_edges` must be a sequence of frequencies in Hz"),
        ({"band_edges": (500, 250)}, "`band_edges` must be in ascending order"),
        ({"band_edges": (500, 500)}, "`band_edges` must be in ascending order"),
        ({"band_edges": (0.0, 500)}, r"`band_edges\[0\]` must be a number in \(0"),
        ({"band_edges": ("a",)}, r"`band_edges\[0\]` must be a number"),
        ({"fine_below": 0.0}, r"`fine_below` must be a number in \[1"),
        ({"n_channels": 0}, r"`n_channels` must be an integer in \[1"),
        ({"bottleneck_size": 1.5}, "`bottleneck_size` must be an integer"),
        ({"bidirectional": "yes"}, "`bidirectional` must be one of True, False"),
        ({"target": "irm"}, "`target` must be one of 'perceptual', 'psa'"),
        ({"hidden_layer_sizes": ()}, "`hidden_layer_sizes` must have 1 to 100"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(CLEAN[:2])


def test_every_parameter_of_the_network_leads_elsewhere():
    variants = [
        {},
        {"bidirectional": False},
        {"band_edges": (1000.0, 2000.0)},
        {"fine_below": 500.0},
        {"n_channels": 9},
        {"bottleneck_size": 7},
        {"hidden_layer_sizes": 6},
        {"target": "msa"},
        {"dropout": 0.3},
    ]
    masks = [
        small(**variant).fit(CLEAN[:3]).separate(NOISY[:1])[0].mask
        for variant in variants
    ]
    for k, one in enumerate(masks):
        assert all(np.abs(one - other).max() > 1e-6 for other in masks[:k])
