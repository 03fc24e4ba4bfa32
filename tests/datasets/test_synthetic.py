import random
import subprocess
import sys
import time

import numpy as np
import pytest

from skvae.datasets import NOISE_KINDS, make_dataset, make_noise, make_speech
from skvae.datasets.synthetic import _sawtooth

RATE = 16000


def spectrogram(samples, n_fft=512):
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[:: n_fft // 4]
    return np.abs(np.fft.rfft(frames * np.hanning(n_fft), axis=1)) ** 2


@pytest.mark.parametrize("seed", range(5))
def test_speech_has_its_length_dtype_and_peak(seed):
    speech = make_speech(30000, RATE, seed)
    assert speech.shape == (30000,)
    assert speech.dtype == np.float32
    assert np.abs(speech).max() == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["speech", *NOISE_KINDS])
@pytest.mark.parametrize("rate", [100, 8000, 16000, 44100, 48000])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 100, 5000])
def test_any_length_and_rate_gives_finite_sound(kind, rate, n_samples):
    if kind == "speech":
        samples = make_speech(n_samples, rate, 0)
    else:
        samples = make_noise(n_samples, kind, rate, 0)
    assert samples.shape == (n_samples,)
    assert np.isfinite(samples).all()
    assert samples.any()


def test_speech_is_sparse_in_time_and_frequency():
    energies = np.sort(spectrogram(make_speech(10 * RATE, RATE, 0)).ravel())[::-1]
    share = np.cumsum(energies) / energies.sum()
    assert np.searchsorted(share, 0.95) < 0.08 * len(energies)


@pytest.mark.parametrize("seed", range(5))
def test_speech_is_voiced_unvoiced_and_silent_in_turn(seed):
    speech = make_speech(6 * RATE, RATE, seed)
    power = spectrogram(speech)
    level = power.sum(axis=1)
    treble = power[:, 70:].sum(axis=1) / (level + 1e-12)  # above 2.2 kHz
    loud = level > 1e-4 * level.max()
    assert (level < 1e-8 * level.max()).mean() > 0.01
    assert (loud & (treble < 0.2)).mean() > 0.3
    assert (loud & (treble > 0.7)).mean() > 0.03


def test_voiced_speech_has_a_pitch_of_its_own_and_it_moves():
    medians = []
    for seed in range(6):
        speech = make_speech(4 * RATE, RATE, seed).astype(float)
        pitches = []
        for start in range(0, len(speech) - 1024, 512):
            frame = speech[start : start + 1024] * np.hanning(1024)
            if frame @ frame < 0.5:
                continue
            acf = np.fft.irfft(np.abs(np.fft.rfft(frame, 4096)) ** 2)[:1024]
            lag = 50 + acf[50:270].argmax()
            if acf[lag] > 0.5 * acf[0]:
                pitches.append(RATE / lag)
        assert len(pitches) > 15
        assert np.percentile(pitches, 90) > 1.05 * np.percentile(pitches, 10)
        medians.append(np.median(pitches))
    assert max(medians) > 1.3 * min(medians)


def test_the_sawtooth_of_the_voice_has_few_aliases():
    f0, n = 1000.0 * 16 / 15.7, 16000
    frequency = np.full(n, f0)
    rng = np.random.default_rng(0)
    phase = np.random.default_rng(0).random() + np.cumsum(frequency) / RATE
    waves = [_sawtooth(frequency, RATE, rng), 2 * (phase % 1) - 1]
    # Up to 4 kHz everything that is not near a harmonic is an alias.
    bins = np.arange(200, 4000)
    between = np.abs(bins / f0 - np.round(bins / f0)) * f0 > 10
    alias, naive = (
        np.sum(np.abs(np.fft.rfft(wave * np.hanning(n))[bins[between]]) ** 2)
        for wave in waves
    )
    assert alias < 0.1 * naive


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


def test_kinds_differ_in_spectrum_or_in_time():
    features = []
    for kind in NOISE_KINDS:
        power = spectrogram(make_noise(5 * RATE, kind, RATE, 0))
        spectrum = 10 * np.log10(power.mean(axis=0))
        envelope = 10 * np.log10(power.sum(axis=1) + 1e-9)
        features.append([*spectrum[4::32], *np.percentile(envelope, [5, 25, 75, 95])])
    features = np.array(features)
    for i, row in enumerate(features):
        others = np.delete(features, i, axis=0)
        assert np.abs(others - row).max(axis=1).min() > 5


def test_noise_of_a_kind_is_not_repeated_inside():
    for kind in NOISE_KINDS:
        if kind == "hum":
            continue  # which repeats by its nature
        first, second = make_noise(40000, kind, RATE, 0).reshape(2, -1).astype(float)
        overlap = first @ second / np.sqrt((first @ first) * (second @ second))
        assert abs(overlap) < 0.5, kind


def test_there_are_enough_kinds():
    assert len(set(NOISE_KINDS)) >= 6


@pytest.mark.parametrize("kind", [None, *NOISE_KINDS])
def test_seeds_repeat_and_differ(kind):
    def make(seed):
        if kind is None:
            return make_speech(4000, RATE, seed)
        return make_noise(4000, kind, RATE, seed)

    assert np.array_equal(make(0), make(0))
    assert np.array_equal(make(0), make(np.random.default_rng(0)))
    assert not np.array_equal(make(0), make(1))
    assert not np.array_equal(make(None), make(None))


def test_the_global_generators_are_never_touched():
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    python_state = random.getstate()
    make_dataset(8, (0.1, 0.2))
    make_speech(100)
    for kind in NOISE_KINDS:
        make_noise(100, kind)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state


def test_datasets_are_ragged_pairs_within_their_bounds():
    noisy, clean = make_dataset(12, (0.2, 0.5), (0.0, 5.0), random_state=0)
    assert len(noisy) == len(clean) == 12
    assert len({len(waveform) for waveform in clean}) > 8
    for x, s in zip(noisy, clean, strict=True):
        assert x.shape == s.shape
        assert x.dtype == s.dtype == np.float32
        assert 0.2 * RATE <= len(s) <= 0.5 * RATE
        ratio = 10 * np.log10(np.sum(np.float64(s) ** 2) / np.sum((x - s) ** 2.0))
        assert -0.001 < ratio < 5.001


def test_datasets_repeat_and_begin_alike_whatever_their_size():
    noisy, clean = make_dataset(5, (0.1, 0.3), random_state=1)
    fewer_noisy, fewer_clean = make_dataset(2, (0.1, 0.3), random_state=1)
    for i in range(2):
        assert np.array_equal(noisy[i], fewer_noisy[i])
        assert np.array_equal(clean[i], fewer_clean[i])
    assert not np.array_equal(
        clean[0][:1000], make_dataset(1, (0.1, 0.3), random_state=2)[1][0][:1000]
    )


def test_other_rates_and_fixed_lengths_are_possible():
    noisy, _ = make_dataset(3, (0.25, 0.25), snr=0, sample_rate=8000, random_state=0)
    assert [len(waveform) for waveform in noisy] == [2000] * 3


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: make_speech(0), "n_samples must be a positive integer, got 0"),
        (lambda: make_speech(1.5), "n_samples must be"),
        (lambda: make_speech(10, -1), "sample_rate must be"),
        (lambda: make_noise(10, "purple"), "kind must be one of .*'white'.*'purple'"),
        (lambda: make_noise(10, ["white"]), "kind must be"),
        (lambda: make_noise(True), "n_samples must be"),
        (lambda: make_dataset(0), "n_utterances must be"),
        (lambda: make_dataset(2, (3, 1)), r"duration must be .* got \(3, 1\)"),
        (lambda: make_dataset(2, 1.0), "duration must be"),
        (lambda: make_dataset(2, (0, 1)), "duration must be"),
        (lambda: make_dataset(2, snr="high"), "snr must be"),
    ],
)
def test_wrong_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_speech_is_made_fast():
    make_speech(48000, RATE, 0)
    times = []
    for seed in range(9):
        started = time.perf_counter()
        make_speech(48000, RATE, seed)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.03


def test_importing_the_datasets_is_light():
    heavy = ["torch", "librosa", "matplotlib", "soundfile", "soxr"]
    code = (
        "import sys, skvae.datasets as d; d.make_dataset(1, (0.1, 0.1));"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
