import time

import numpy as np
import pytest

from skvae.datasets import make_speech

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


@pytest.mark.parametrize("rate", [100, 8000, 16000, 44100, 48000])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 100, 5000])
def test_any_length_and_rate_gives_finite_speech(rate, n_samples):
    speech = make_speech(n_samples, rate, 0)
    assert speech.shape == (n_samples,)
    assert np.isfinite(speech).all()
    assert speech.any()


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


def test_seeds_repeat_and_differ():
    first = make_speech(4000, RATE, 0)
    assert np.array_equal(make_speech(4000, RATE, 0), first)
    assert np.array_equal(make_speech(4000, RATE, np.random.default_rng(0)), first)
    assert not np.array_equal(make_speech(4000, RATE, 1), first)
    assert not np.array_equal(make_speech(4000, RATE), make_speech(4000, RATE))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: make_speech(0),
            r"`n_samples` must be an integer in \[1, inf\), got 0",
        ),
        (lambda: make_speech(1.5), "`n_samples` must be"),
        (lambda: make_speech(10, -1), "`sample_rate` must be"),
    ],
)
def test_wrong_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_speech_is_made_fast():
    make_speech(48000, RATE, 0)
    times = []
    for seed in range(9):
        started = time.process_time()
        make_speech(48000, RATE, seed)
        times.append(time.process_time() - started)
    assert min(times) < 3 / 60  # a minute of it in a second of computing
