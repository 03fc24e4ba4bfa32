import numpy as np
import pytest

from skvae.datasets.mixing.sounds import add_at, impulses, sawtooth, sine

RATE = 16000


def test_the_sawtooth_of_the_voice_has_few_aliases():
    f0, n = 1000.0 * 16 / 15.7, 16000
    frequency = np.full(n, f0)
    rng = np.random.default_rng(0)
    phase = np.random.default_rng(0).random() + np.cumsum(frequency) / RATE
    waves = [sawtooth(frequency, RATE, rng), 2 * (phase % 1) - 1]
    # Up to 4 kHz, everything between the harmonics is aliasing.
    bins = np.arange(200, 4000)
    between = np.abs(bins / f0 - np.round(bins / f0)) * f0 > 10
    alias, naive = (
        np.sum(np.abs(np.fft.rfft(wave * np.hanning(n))[bins[between]]) ** 2)
        for wave in waves
    )
    assert alias < 0.1 * naive


def test_impulses_between_samples_are_shared_by_their_neighbours():
    pulses = impulses(np.array([0.0, 2.25, 2.5, 5.0]), np.array([1.0, 4, -2, 8]), 6)
    np.testing.assert_allclose(pulses, [1, 0, 3 - 1, 1 - 1, 0, 8])
    assert not impulses(np.empty(0), np.empty(0), 3).any()


@pytest.mark.parametrize("start", range(-4, 7))
@pytest.mark.parametrize("n_sound", [1, 3, 9])
def test_sounds_are_cut_where_they_do_not_fit(start, n_sound):
    total, sound = np.zeros(6), np.arange(1.0, n_sound + 1)
    expected = np.zeros(6)
    for i, sample in enumerate(sound):
        if 0 <= start + i < 6:
            expected[start + i] += sample
    if start + n_sound > 0 and start < 6:
        add_at(total, sound, start)
    assert np.array_equal(total, expected)


def test_sines_of_many_cycles_are_as_exact_as_of_few():
    cycles = np.linspace(0, 3, 50)
    np.testing.assert_allclose(sine(1e6 + cycles), sine(cycles), atol=1e-5)
    np.testing.assert_allclose(sine(cycles), np.sin(2 * np.pi * cycles), atol=1e-5)
