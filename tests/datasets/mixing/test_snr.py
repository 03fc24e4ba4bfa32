import numpy as np
import pytest
import soundfile
from helpers.mixtures import decibels, find

from skvae.datasets import Mixer, mix_at_snr
from skvae.datasets.mixing.snr import FADE


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("snr", [-40, -5.0, 0, 7.25, 60.0, np.float32(3)])
@pytest.mark.parametrize("n_noise", [1, 2, 700, 3999, 4000, 4001, 9000])
def test_mixtures_have_exactly_the_ratio(clean, noise, dtype, snr, n_noise):
    clean = clean.astype(dtype)
    noisy, scaled = mix_at_snr(clean, noise[:n_noise], snr, rng=0, return_noise=True)
    assert noisy.dtype == scaled.dtype == dtype
    assert decibels(clean, scaled) == pytest.approx(float(snr), abs=1e-4)
    assert np.array_equal(noisy, clean + scaled)
    assert np.array_equal(mix_at_snr(clean, noise[:n_noise], snr, rng=0), noisy)


def test_neither_waveform_is_changed(clean, noise):
    before = clean.copy(), noise.copy()
    clean.flags.writeable = noise.flags.writeable = False
    mix_at_snr(clean, noise[:100], 0, rng=0)
    Mixer([noise], level=(-6, -3)).mix(clean, rng=0)
    assert np.array_equal(clean, before[0])
    assert np.array_equal(noise, before[1])


def test_long_noise_is_cut_at_random_places(clean, noise):
    clean = clean[:50]
    starts = set()
    for seed in range(60):
        _, scaled = mix_at_snr(clean, noise[:60], 0, rng=seed, return_noise=True)
        starts.add(find(scaled.astype(float), noise[:60].astype(np.float32)))
    assert starts == set(range(11))


def test_short_noise_repeats_without_a_jump():
    # Tiling a tone without a whole number of periods would cause jumps.
    tone = np.sin(2 * np.pi * 0.0123 * np.arange(1500))
    step = np.abs(np.diff(tone)).max()
    tiled = np.abs(np.diff(np.resize(tone, 9000))).max()
    assert tiled > 4 * step
    for seed in range(10):
        _, scaled = mix_at_snr(np.ones(9000), tone, 0, rng=seed, return_noise=True)
        scaled *= 1.0 / np.abs(scaled).max()
        assert np.abs(np.diff(scaled)).max() < 1.5 * step
        period = len(tone) - FADE
        np.testing.assert_allclose(scaled[period:], scaled[:-period], atol=1e-12)


def test_short_noise_keeps_its_power_where_it_is_joined():
    noise = np.random.default_rng(3).standard_normal(2 * FADE)
    powers = []
    for seed in range(300):
        noise = np.random.default_rng([3, seed]).standard_normal(2 * FADE)
        _, scaled = mix_at_snr(np.ones(3 * FADE), noise, 0, seed, return_noise=True)
        powers.append(scaled**2)
    assert np.mean(powers, axis=0).min() > 0.7
    assert np.mean(powers, axis=0).max() < 1.4


def test_short_noise_starts_at_random_places(noise):
    firsts = {
        float(mix_at_snr(np.ones(900), noise[:700], 0, rng=seed)[0])
        for seed in range(20)
    }
    assert len(firsts) > 15


def test_only_the_part_of_a_file_that_is_needed_is_read(folder, clean, monkeypatch):
    asked = []
    read = soundfile.SoundFile.read

    def count(self, frames, **options):
        asked.append(frames)
        return read(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", count)
    mixer = Mixer(folder)
    mixer.mix(clean, rng=0)
    assert asked == [4000]


def test_silence_gives_no_nan(clean, noise):
    silence = np.zeros(4000, dtype=np.float32)
    with np.errstate(all="raise"):
        noisy, scaled = mix_at_snr(silence, noise, -5, rng=0, return_noise=True)
        assert np.array_equal(noisy, scaled)
        assert find(scaled[:20], noise.astype(np.float32)) is not None
        assert scaled @ scaled == pytest.approx(4000, rel=0.1)
        for n_noise in (1, 4000, 9000):
            noisy = mix_at_snr(clean, np.zeros(n_noise), -5, rng=0)
            assert np.array_equal(noisy, clean)
        assert np.array_equal(mix_at_snr(silence, silence, 0), silence)
        assert np.array_equal(mix_at_snr(clean, noise, np.inf, rng=0), clean)


def test_a_silent_stretch_is_avoided(clean):
    noise = np.zeros(20000)
    noise[12000:] = 1.0
    missed = 0
    for seed in range(100):
        noisy = mix_at_snr(clean[:100], noise, 0, rng=seed)
        missed += np.array_equal(noisy, clean[:100])
    assert missed <= 3  # 0.6 ** 10 is 0.6 %


@pytest.mark.parametrize("n_samples", [1, 2])
def test_one_sample_is_an_input(n_samples, noise):
    clean = np.full(n_samples, 0.5)
    for n_noise in (1, 2, 3, 50):
        mixed = mix_at_snr(clean, noise[:n_noise], 0, rng=0)
        assert mixed.shape == (n_samples,)
        assert np.isfinite(mixed).all()
    assert Mixer().mix(clean, rng=0)[0].shape == (n_samples,)


def test_extreme_levels_stay_finite(noise):
    for scale in (1e-30, 1e-12, 1e12):
        clean = np.float32(scale) * np.ones(1000, dtype=np.float32)
        _, scaled = mix_at_snr(clean, noise, 5, rng=0, return_noise=True)
        assert decibels(clean, scaled) == pytest.approx(5, abs=1e-3)
    assert np.isfinite(mix_at_snr(np.ones(10, np.float32), noise, -300)).all()


@pytest.mark.parametrize("snr", ["loud", None, np.nan, -np.inf, -301, True, [0.0]])
def test_a_wrong_ratio_is_an_error(clean, noise, snr):
    with pytest.raises(ValueError, match="`snr` must be at least"):
        mix_at_snr(clean, noise, snr)


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.zeros((2, 50)), r"must have shape \(n_samples,\), got \(2, 50\)"),
        (np.array([]), "at least one sample"),
        (np.array([0.0, np.nan]), "NaN or inf"),
        ("noise.wav", "AudioFile"),
    ],
)
def test_wrong_waveforms_are_named(clean, noise, bad, message):
    with pytest.raises(ValueError, match=message):
        mix_at_snr(clean, bad, 0)
    with pytest.raises(ValueError, match=message):
        mix_at_snr(bad, noise, 0)
    with pytest.raises(ValueError, match="utterance 1"):
        Mixer([noise]).pairs([clean, bad])
