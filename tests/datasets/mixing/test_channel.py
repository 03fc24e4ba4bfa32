"""Channels: band limits of both sides, clipped and quantized mixtures, errors."""

from __future__ import annotations

import numpy as np
import pytest

from skvae.datasets import Channel, Mixer, make_speech
from skvae.datasets.mixing.channel import clip, low_pass, mu_law

RATE = 16000
SPEECH = make_speech(8000, random_state=0)
NOISE = np.random.default_rng(0).standard_normal(30_000)
NEVER = {"narrow": 0.0, "clipped": 0.0, "quantized": 0.0}


def rng(seed=0):
    return np.random.default_rng(seed)


def above(x, frequency):
    """Fraction of the power above a frequency, without the edges."""
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    return spectrum[int(frequency / RATE * len(x)) :].sum() / spectrum.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [1000, 4000, 7000])
def test_a_band_limit_keeps_what_is_below_and_removes_what_is_above(dtype, limit):
    x = NOISE[:8000].astype(dtype)
    y = low_pass(x, limit, RATE)
    assert (y.dtype, len(y)) == (dtype, len(x))
    assert above(y, limit + 50) < 1e-4
    kept = np.fft.rfft(x - y)[: int(0.9 * limit / RATE * len(x))]
    # Except for the ends, which ring out of the segment.
    assert np.abs(kept).mean() < 0.05 * np.abs(np.fft.rfft(x)).mean()
    np.testing.assert_allclose(low_pass(x, 1e6, RATE), x, atol=1e-5)


def test_both_sides_have_the_limit_and_only_the_mixture_other_defects():
    mixer = Mixer([NOISE], snr=0.0)
    plain = mixer.mix(SPEECH, rng=1)
    narrow = Channel(**{**NEVER, "narrow": 1.0}, band_limits=[3000])
    for x in narrow.apply(*plain, RATE, rng()):
        assert above(x, 3050) < 1e-3
    for defect in ("clipped", "quantized"):
        channel = Channel(**{**NEVER, defect: 1.0})
        noisy, clean = channel.apply(*plain, RATE, rng())
        assert clean is plain[1]
        assert not np.array_equal(noisy, plain[0])
    before = [x.copy() for x in plain]
    Channel(narrow=1.0, clipped=1.0, quantized=1.0).apply(*plain, RATE, rng())
    np.testing.assert_array_equal(plain, before)


def test_clipped_samples_are_at_the_level_and_others_are_kept():
    y = clip(SPEECH, 0.5)
    bound = np.abs(SPEECH).max() / 2
    np.testing.assert_array_equal(y, [min(max(x, -bound), bound) for x in SPEECH])
    assert y.dtype == np.float32


def test_quantized_samples_take_255_values_with_small_relative_errors():
    x = np.linspace(-0.3, 0.3, 10_001)
    y = mu_law(x)
    assert len(np.unique(y)) == 255
    assert np.abs(y).max() == pytest.approx(0.3)
    loud = np.abs(x) > 0.02
    assert (np.abs(y - x)[loud] / np.abs(x)[loud]).max() < 0.04


def test_defects_do_not_depend_on_the_level_and_silence_stays():
    channel = Channel(narrow=1.0, clipped=1.0, quantized=1.0)
    x = SPEECH.astype(float)
    one, _ = channel.apply(x, x, RATE, rng())
    other, _ = channel.apply(1e-3 * x, 1e-3 * x, RATE, rng())
    np.testing.assert_allclose(1e3 * other, one, atol=0.02)
    silent, clean = channel.apply(0 * x, 0 * x, RATE, rng())
    assert not silent.any()
    assert not clean.any()


def test_fractions_of_mixtures_have_defects():
    counts = {"narrow": 0, "clipped": 0, "quantized": 0}
    for name in counts:
        channel = Channel(**{**NEVER, name: 0.25})
        generator = rng()
        for _ in range(200):
            noisy, _ = channel.apply(NOISE[:200], NOISE[:200], RATE, generator)
            counts[name] += not np.array_equal(noisy, NOISE[:200])
    assert all(30 < count < 70 for count in counts.values())


def test_mixtures_without_defects_are_as_without_a_channel():
    one = Mixer([NOISE], channel=Channel(**NEVER)).mix(SPEECH, rng=0)
    other = Mixer([NOISE]).mix(SPEECH, rng=0)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"narrow": 1.5}, r"`narrow` must be a number in \[0, 1\], got 1.5"),
        ({"clipped": "a"}, "`clipped` must be a number"),
        ({"quantized": -1}, "`quantized` must be a number"),
        ({"band_limits": []}, "`band_limits` must be a sequence of at least one"),
        ({"band_limits": 4000}, "`band_limits` must be a sequence of at least one"),
        ({"band_limits": [0]}, r"`band_limits\[0\]` must be a number in \(0"),
    ],
)
def test_wrong_parameters_are_named_when_mixing(parameters, message):
    with pytest.raises(ValueError, match=message):
        Mixer(channel=Channel(**parameters)).mix(SPEECH, rng=0)


def test_other_objects_are_refused():
    with pytest.raises(ValueError, match="`channel` must be None or a Channel, got 3"):
        Mixer(channel=3).mix(SPEECH, rng=0)
