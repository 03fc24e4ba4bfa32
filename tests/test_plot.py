"""Pictures: what they show, not how they look."""

from __future__ import annotations

import numpy as np
import pytest

from skvae import STFT, WienerFilter
from skvae.datasets import make_dataset

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from skvae.plot import EnhancementDisplay, SpectrogramDisplay  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def noisy():
    return make_dataset(1, duration=(1.0, 1.0), random_state=0)[0]


def test_a_tone_is_drawn_at_its_frequency():
    tone = np.sin(2 * np.pi * 3000 / 16000 * np.arange(16000))
    display = SpectrogramDisplay.from_waveform(tone)
    image = np.asarray(display.image_.get_array())
    assert image[:, 30].argmax() / 512 * 8 == pytest.approx(3, abs=0.02)
    assert display.image_.get_extent() == [0, 1, 0, 8]


def test_the_loudest_bin_is_the_brightest_colour(noisy):
    display = SpectrogramDisplay.from_waveform(noisy[0])
    low, high = display.image_.get_clim()
    assert high == pytest.approx(display.power_db.max())
    assert high - low == pytest.approx(70)


def test_axes_that_are_given_are_used(noisy):
    _, ax = matplotlib.pyplot.subplots()
    display = SpectrogramDisplay.from_waveform(noisy[0], ax=ax, title="noisy")
    assert display.ax_ is ax
    assert ax.get_title() == "noisy"


def test_silence_can_be_drawn():
    SpectrogramDisplay.from_waveform(np.zeros(2000))


@pytest.mark.parametrize("spectral", [False, True])
def test_an_enhancement_shows_mask_noise_and_both_waveforms(noisy, spectral):
    utterances = STFT().fit_transform(noisy) if spectral else noisy
    enhancer = WienerFilter().fit(utterances)
    display = EnhancementDisplay.from_estimator(enhancer, utterances[0])
    [separation] = enhancer.separate(utterances)
    [image] = display.axes_["mask"].get_images()
    np.testing.assert_allclose(image.get_array(), separation.mask)
    limits = {
        display.axes_[name].get_images()[0].get_clim()
        for name in ("noisy", "enhanced", "noise")
    }
    assert len(limits) == 1
    line, enhanced = display.axes_["waveforms"].get_lines()
    np.testing.assert_allclose(line.get_ydata(), noisy[0], atol=1e-5)
    assert np.std(enhanced.get_ydata()) < np.std(line.get_ydata())
