import numpy as np
import pytest

from skvae.datasets import NOISE_KINDS, make_noise
from skvae.datasets.mixing.noises import _voices

RATE = 16000


def spectrogram(samples, n_fft=512):
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[:: n_fft // 4]
    return np.abs(np.fft.rfft(frames * np.hanning(n_fft), axis=1)) ** 2


def flatness(power):
    """Return geometric over arithmetic mean in dB: 0 for white noise, low for tones."""
    power = power[..., 3:250] + 1e-12
    return 10 * np.log10(np.exp(np.log(power).mean(axis=-1)) / power.mean(axis=-1))


def describe(kind, seed):
    """Measure the peaks of a noise in frequency and time, and its center frequency."""
    noise = make_noise(2 * RATE, kind, RATE, seed).astype(float)
    power = spectrogram(noise)
    mean = power.mean(axis=0)
    bands = power[:, 1:].reshape(len(power), 16, 16).sum(axis=2)
    return {
        "flatness": flatness(mean),
        "flatness of frames": flatness(power).mean(),
        "crest": 20 * np.log10(np.abs(noise).max() / noise.std()),
        "modulation": np.std(10 * np.log10(power.sum(axis=1) + 1e-12)),
        "modulation of bands": np.std(10 * np.log10(bands + 1e-12), axis=0).mean(),
        "octave": np.log2(mean @ np.arange(len(mean)) / mean.sum() * RATE / 512),
    }


@pytest.fixture(scope="module")
def described():
    """Each measure of each kind, over 12 seeds."""
    return {
        kind: {
            name: np.array([one[name] for one in all_of_it]) for name in all_of_it[0]
        }
        for kind in NOISE_KINDS
        for all_of_it in [[describe(kind, seed) for seed in range(12)]]
    }


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("rate", [100, 8000, 16000, 44100, 48000])
def test_any_length_and_rate_gives_finite_sound(kind, rate):
    for seed, n_samples in enumerate([1, 1, 1, 2, 3, 100, 5000]):
        with np.errstate(all="raise", under="ignore"):
            noise = make_noise(n_samples, kind, rate, seed)
        assert noise.shape == (n_samples,)
        assert np.isfinite(noise).all()
        assert noise.any()


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("n_samples", [7, 3000, 40000])
def test_noise_has_its_power(kind, n_samples):
    noise = make_noise(n_samples, kind, RATE, 0)
    assert noise.dtype == np.float32
    power = np.mean(np.float64(noise) ** 2)
    assert 10 * np.log10(power) == pytest.approx(-26, abs=1e-4)


@pytest.mark.parametrize("kind, slope", [("white", 0), ("pink", -1), ("brown", -2)])
def test_colours_have_their_slope(kind, slope):
    power = spectrogram(make_noise(20 * RATE, kind, RATE, 0)).mean(axis=0)
    bins = np.arange(8, 230)
    fitted = np.polyfit(np.log(bins), np.log(power[bins]), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.1)


def test_kinds_differ_in_spectrum_or_in_time(described):
    for i, kind in enumerate(NOISE_KINDS):
        for other in NOISE_KINDS[:i]:
            distances = [
                abs(a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2 + 0.01)
                for a, b in zip(
                    described[kind].values(), described[other].values(), strict=True
                )
            ]
            assert max(distances) > 0.8, (kind, other)


@pytest.mark.parametrize(
    "kind, measure, low, high",
    [
        ("colored", "modulation", 0, 3),  # steady
        ("colored", "crest", 10, 15),  # Gaussian
        ("bands", "flatness", -50, -12),
        ("bands", "modulation", 4, 20),
        ("engine", "crest", 15, 40),
        ("engine", "modulation", 0, 6),
        ("insects", "octave", 11, 13),  # above 2 kHz
        ("insects", "flatness", -30, -10),
        ("animals", "modulation", 9, 30),
        ("impacts", "crest", 22, 40),
        ("impacts", "modulation", 9, 30),
        ("crackle", "crest", 15, 40),
        ("crackle", "flatness", -5, 0),
        ("water", "crest", 14, 40),
        ("water", "modulation", 0, 6),
        ("crowd", "modulation of bands", 3, 12),
        ("crowd", "flatness of frames", -20, -10),  # voices have harmonics
        ("crowd", "crest", 12, 18),
        ("calls", "modulation", 9, 30),  # pauses
        ("calls", "flatness of frames", -25, -12),  # harmonics
        ("sweeps", "modulation", 9, 30),
        ("sweeps", "flatness of frames", -30, -15),  # tones
        ("hits", "modulation", 9, 30),
        ("hits", "crest", 20, 40),
    ],
)
def test_a_kind_sounds_like_its_name(described, kind, measure, low, high):
    assert low < np.median(described[kind][measure]) < high


def test_random_colours_differ_more_than_estimates_of_one():
    def spread(kind):
        spectra = [
            10 * np.log10(spectrogram(make_noise(RATE, kind, RATE, seed)).mean(axis=0))
            for seed in range(12)
        ]
        return np.std(spectra, axis=0)[4:250].mean()

    assert spread("colored") > 4 > 2 > spread("pink")


def test_an_engine_fires_in_a_rhythm():
    def rhythm(kind, seed):
        """Return the maximum autocorrelation of the level at lags of 4 to 100 ms."""
        level = np.abs(make_noise(2 * RATE, kind, RATE, seed)).reshape(-1, 16).mean(1)
        level -= level.mean()
        acf = np.fft.irfft(np.abs(np.fft.rfft(level, 2 * len(level))) ** 2)
        return (acf[4:100] / acf[0]).max()

    engines = [rhythm("engine", seed) for seed in range(12)]
    steady = [rhythm("colored", seed) for seed in range(12)]
    assert np.median(engines) > 2 * np.median(steady)


def test_insects_trill():
    def trill(kind, seed):
        """Return the modulation of the level at 10 to 100 Hz, relative to its mean."""
        level = np.abs(make_noise(2 * RATE, kind, RATE, seed)).reshape(-1, 16).mean(1)
        spectrum = np.abs(np.fft.rfft(level)) / len(level)
        return np.sqrt(2 * np.sum(spectrum[20:200] ** 2)) / spectrum[0]

    insects = [trill("insects", seed) for seed in range(12)]
    steady = [trill("colored", seed) for seed in range(12)]
    assert np.median(insects) > 2 * np.median(steady)


def test_noise_of_a_kind_is_not_repeated_inside():
    for kind in NOISE_KINDS:
        if kind == "hum":
            continue  # a hum is periodic
        first, second = make_noise(40000, kind, RATE, 0).reshape(2, -1).astype(float)
        overlap = first @ second / np.sqrt((first @ first) * (second @ second))
        assert abs(overlap) < 0.5, kind


def test_a_crowd_is_not_repeated_after_its_voices_end():
    n_period = _voices(RATE).shape[1]
    crowd = make_noise(3 * n_period, "crowd", RATE, 0).astype(float)
    spectrum = np.abs(np.fft.rfft(crowd, 2 * len(crowd))) ** 2
    acf = np.fft.irfft(spectrum)
    assert np.abs(acf[RATE // 2 : len(crowd)]).max() < 0.3 * acf[0]


def test_high_tones_stay_below_half_a_low_rate():
    for seed in range(5):
        power = spectrogram(make_noise(8000, "insects", 4000, seed)).mean(axis=0)
        assert power[-8:].sum() < 0.1 * power.sum()


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_seeds_repeat_and_differ(kind):
    def make(seed):
        return make_noise(4000, kind, RATE, seed)

    assert np.array_equal(make(0), make(0))
    assert np.array_equal(make(0), make(np.random.default_rng(0)))
    assert not np.array_equal(make(0), make(1))
    assert not np.array_equal(make(None), make(None))


def test_a_crowd_does_not_depend_on_what_was_made_before():
    first = make_noise(4000, "crowd", RATE, 0)
    _voices.cache_clear()
    make_noise(100, "crowd", 8000, 1)
    assert np.array_equal(make_noise(4000, "crowd", RATE, 0), first)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: make_noise(10, "purple"), "`kind` must be one of .*'white'.*'purple'"),
        (lambda: make_noise(10, ["white"]), "`kind` must be"),
        (lambda: make_noise(True), "`n_samples` must be"),
    ],
)
def test_wrong_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
