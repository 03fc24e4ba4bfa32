"""Denoising VAE whose encoder is a network of bands that share an LSTM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.training import made
from sklearn.frozen import FrozenEstimator

from skvae import (
    STFT,
    BandSplitMask,
    DenoisingVAE,
    DnVAENMFEnhancer,
    GradientVEM,
    NMFNoise,
    load_pretrained,
    save_pretrained,
)
from skvae.datasets import make_dataset

SMALL = STFT(n_fft=256)


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(6, (0.4, 0.6), 0.0, random_state=0)


def make(**parameters):
    settings = {
        "n_latent": 3,
        "hidden_layer_sizes": 8,
        "max_iter": 2,
        "batch_size": 4,
        "stft": SMALL,
        "random_state": 0,
    }
    return made(DenoisingVAE, **{**settings, **parameters})


def fitted(pairs, **parameters):
    return make(**parameters).fit(*pairs)


def make_bands(**parameters):
    settings = {
        "hidden_layer_sizes": (6, 5),
        "n_channels": 6,
        "bottleneck_size": 5,
        "band_edges": (1000.0, 3000.0),
        "max_iter": 2,
        "stft": SMALL,
        "random_state": 0,
    }
    return made(BandSplitMask, **{**settings, **parameters})


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_network_of_bands_is_the_encoder(pairs, tmp_path, bidirectional):
    noisy, clean = pairs
    bands = make_bands(bidirectional=bidirectional).fit(clean[:4])
    start = fitted(
        pairs, encoder=FrozenEstimator(bands), max_iter=1, learning_rate=1e-12
    )
    [spectrogram] = SMALL.transform(noisy[:1])
    V = np.abs(spectrogram.frames()) ** 2
    power = torch.from_numpy((V / V.mean()).astype(np.float32))
    [separation] = bands.separate(noisy[:1])
    mask = start.networks().estimate(power).mask
    np.testing.assert_allclose(mask.numpy(), separation.mask.T, atol=1e-4)
    # A batch, padded, gives what each utterance gives alone.
    lengths = torch.tensor([len(power), len(power) - 5])
    both = start.networks().estimate(torch.stack([power, power]), lengths)
    alone = start.networks().estimate(power[:-5])
    torch.testing.assert_close(both.mask[1, :-5], alone.mask, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both.mean[1, :-5], alone.mean, atol=1e-5, rtol=1e-4)

    model = fitted(pairs, encoder=make_bands(bidirectional=bidirectional), max_iter=4)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.config_.bands.bidirectional is bidirectional
    assert model.config_.bands == bands.config_
    path = tmp_path / "model.safetensors"
    save_pretrained(model, path, name="bands")
    again = load_pretrained(path)
    assert again.config_ == model.config_
    for one, other in zip(model.transform(noisy), again.transform(noisy), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_of_bands_may_be_left_without_its_mask(pairs):
    model = fitted(pairs, encoder=make_bands(), multitask=False)
    assert not [name for name in model.state_ if "mask" in name]


def test_an_enhancer_with_a_network_of_bands_separates(pairs):
    noisy, clean = pairs
    enhancer = DnVAENMFEnhancer(
        make(encoder=make_bands()),
        GradientVEM(2),
        noise=NMFNoise(2),
        stft=SMALL,
        random_state=0,
    ).fit(clean[:4])
    for x, result in zip(noisy, enhancer.separate(noisy), strict=True):
        assert np.isfinite(result.enhanced).all()
        np.testing.assert_allclose(result.enhanced + result.noise, x, atol=1e-5)
