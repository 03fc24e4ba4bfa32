from __future__ import annotations

import numpy as np
import pytest
import soxr

from skvae import STFT
from skvae.datasets import NOISE_KINDS, make_dataset, make_noise, make_speech
from skvae.signal.bandwidth import Band, band_edge, fill_band, image_bins, widen_band

RATE = 16000


def power(x, n_fft=1024):
    [spectrogram] = STFT(n_fft).transform([x])
    return np.abs(spectrogram.frames()) ** 2


def narrow(x, rate):
    """Recording that was made at a lower rate."""
    return soxr.resample(soxr.resample(x, RATE, rate), rate, RATE)


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 12000])
@pytest.mark.parametrize("is_16_bit", [False, True])
@pytest.mark.parametrize("n_fft", [256, 1024])
def test_the_edge_of_a_narrow_band_is_found(rate, is_16_bit, n_fft):
    for seed in range(3):
        [noisy], _ = make_dataset(1, random_state=seed)
        x = narrow(0.3 * noisy / np.abs(noisy).max(), rate)
        if is_16_bit:
            x = np.round(2**15 * x) / 2**15
        edge, limit = band_edge(power(x, n_fft)), rate / RATE * (n_fft // 2)
        # Resamplers remove the highest tenth of the band.
        assert 0.85 * limit <= edge <= limit + 3


def test_sound_of_the_full_band_is_left_as_it_is():
    sounds = [make_noise(16000, kind, random_state=0) for kind in NOISE_KINDS]
    sounds += [make_speech(16000, random_state=seed) for seed in range(5)]
    sounds += [*make_dataset(5, random_state=0)[0]]
    # A low-pass filter of sixth order at 500 Hz.
    spectrum = np.fft.rfft(make_noise(16000, "white", random_state=0))
    slope = 1 / (1 + (np.arange(len(spectrum)) / 500) ** 6)
    sounds.append(np.fft.irfft(slope * spectrum))
    for x in sounds:
        V = power(x)
        assert fill_band(V) is V


@pytest.mark.parametrize(
    "V",
    [
        np.zeros((5, 513)),
        np.zeros((0, 513)),
        np.ones((3, 1)),
        np.eye(7, 513),
        np.full((2, 5), 1e-300),
    ],
)
def test_there_is_no_edge_where_there_is_next_to_nothing(V):
    with np.errstate(all="raise"):
        assert band_edge(V) == V.shape[1]


def test_a_band_is_filled_with_an_image_of_what_is_below():
    rng = np.random.default_rng(0)
    V = rng.exponential(size=(50, 513)).astype(np.float32)
    V[:, 200:] = 1e-12
    before = V.copy()
    filled = fill_band(V)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(V, before)
    np.testing.assert_array_equal(filled[:, :200], V[:, :200])
    share = 10**-1.2
    np.testing.assert_allclose(filled[:, 200:400], share * V[:, 199::-1], rtol=1e-5)
    np.testing.assert_allclose(filled[:, 400:], share * V[:, :113], rtol=1e-5)
    # An edge that is passed counts as if it had been found.
    np.testing.assert_array_equal(fill_band(filled, 200), filled)


def test_what_is_found_below_an_edge_goes_on_above_it():
    mask = np.arange(6.0).reshape(2, 3)
    assert widen_band(mask, 5).tolist() == [[0, 1, 2, 2, 2], [3, 4, 5, 5, 5]]
    assert widen_band(mask, 3).tolist() == mask.tolist()
    assert image_bins(1, 4).tolist() == [0, 0, 0]


def test_a_narrow_band_is_cut_filled_and_widened_at_its_edge():
    rng = np.random.default_rng(0)
    V = rng.exponential(size=(50, 513)).astype(np.float32)
    V[:, 200:] = 1e-12
    band = Band(V)
    assert (band.edge, band.n_bins, band.is_full) == (band_edge(V), 513, False)
    np.testing.assert_array_equal(band.filled, fill_band(V))
    np.testing.assert_array_equal(band.cut(V), V[:, :200])
    np.testing.assert_array_equal(band.cut(V[None]), V[None, :, :200])
    np.testing.assert_array_equal(band.widen(band.cut(V)), widen_band(V[:, :200], 513))


def test_a_full_band_is_neither_copied_nor_changed():
    V = np.random.default_rng(0).exponential(size=(50, 513))
    band = Band(V)
    assert (band.edge, band.is_full) == (513, True)
    assert band.filled is V and band.widen(V) is V
    assert np.shares_memory(band.cut(V), V) and band.cut(V).shape == V.shape
