"""Building blocks of synthetic sounds: colored noise, tones, impulses, resonances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft as scipy_fft

from skvae.datasets.mixing.augmentation import energy, equalizer

# Lowest frequency of noises in Hz, as in recordings.
_LOWEST = 20.0

# Minimum length from which colored noise is cut. Shorter blocks would lack bass.
_SMALLEST_BLOCK = 1024


def colored_noise(
    n_samples: int, rate: int, rng: np.random.Generator, slope: float
) -> np.ndarray:
    """Generate Gaussian noise of power one, with power spectrum frequency ** -slope."""
    size = 2 ** math.ceil(math.log2(max(n_samples, _SMALLEST_BLOCK)))
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    gain = np.zeros(len(frequency))
    gain[1:] = np.maximum(frequency[1:], _LOWEST) ** (-slope / 2)
    gain[(frequency < _LOWEST) & (frequency < rate / 4)] = 0.0
    gain /= np.sqrt(np.mean(gain**2))
    return np.fft.irfft(spectrum * gain.astype(np.float32), size)[:n_samples]


def drift(
    n_samples: int, rate: int, rng: np.random.Generator, seconds: float
) -> np.ndarray:
    """Interpolate standard normal values, one every `seconds`, to a slow curve."""
    n_knots = math.ceil(n_samples / (seconds * rate)) + 2
    knots = (np.arange(n_knots) + rng.random() - 1.0) * seconds * rate
    return np.interp(np.arange(n_samples), knots, rng.standard_normal(n_knots))


def harmonics(
    frequency: np.ndarray, rate: int, rng: np.random.Generator, amplitudes: np.ndarray
) -> np.ndarray:
    """Sum the harmonics of a gliding tone below the Nyquist frequency.

    Each harmonic is the previous one multiplied by the tone, which saves evaluating
    sines.
    """
    turn = np.exp(2j * np.pi * np.cumsum(frequency) / rate).astype(np.complex64)
    amplitudes = amplitudes * np.exp(2j * np.pi * rng.random(len(amplitudes)))
    harmonic, total = turn.copy(), np.zeros(len(turn), dtype=np.float32)
    for k, amplitude in enumerate(amplitudes, start=1):
        if k * frequency.max() >= rate / 2:
            break
        total += (np.complex64(amplitude) * harmonic).real
        harmonic *= turn
    return total


def sawtooth(frequency: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Generate a sawtooth whose jumps are rounded over two samples to reduce aliasing.

    Parameters
    ----------
    frequency : ndarray of shape (n_samples,)
        Frequency in Hz, below half the sample rate.
    rate : int
        Sample rate in Hz.
    rng : Generator
        Generator of the initial phase.

    Returns
    -------
    ndarray of shape (n_samples,)
        Sawtooth in float32, between -1 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> wave = sawtooth(np.full(400, 40.0), 8000, np.random.default_rng(0))
    >>> int(np.sum(np.diff(wave) < -0.5))  # jumps in 50 ms
    2
    """
    step = frequency.astype(np.float64) / rate
    phase = (rng.random() + np.cumsum(step)) % 1.0
    wave = 2.0 * phase - 1.0
    for near, t in [
        (phase < step, phase / step),
        (phase > 1.0 - step, (phase - 1.0) / step),
    ]:
        t = t[near]
        wave[near] -= np.where(t < 0, (t + 1.0) ** 2, -((t - 1.0) ** 2))
    return wave.astype(np.float32)


def scatter(
    sounds: np.ndarray,
    n_samples: int,
    rate: int,
    rng: np.random.Generator,
    per_second: float,
    spread: float,
) -> np.ndarray:
    """Repeat sounds (n_sounds, n_sound) at random times and strengths.

    `per_second` is the mean number of events, and `spread` the standard deviation of
    the logarithm of their strengths.
    """
    n_sounds, n_sound = sounds.shape
    # Include events before the beginning, which still ring.
    n_falls = rng.poisson(
        per_second * (n_samples + n_sound) / rate / n_sounds, n_sounds
    )
    size = fast_size(n_samples + n_sound)
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex64)
    for sound, n in zip(sounds, n_falls + 1, strict=True):
        where = rng.uniform(0.0, n_samples + n_sound - 1, n)
        strength = rng.choice([-1.0, 1.0], n) * rng.lognormal(0.0, spread, n)
        falls = np.fft.rfft(impulses(where, strength, n_samples + n_sound), size)
        spectrum += falls * np.fft.rfft(sound, size)
    return unit_power(inverse(spectrum, n_samples + n_sound)[n_sound:])


def impulses(where: np.ndarray, strength: np.ndarray, n_samples: int) -> np.ndarray:
    """Place impulses at fractional positions, split between the neighboring samples."""
    before = where.astype(np.intp)
    after = strength * (where - before)
    pulses = np.bincount(before, strength - after, n_samples + 1)
    pulses += np.bincount(before + 1, after, n_samples + 1)
    return pulses[:n_samples].astype(np.float32)


def add_at(total: np.ndarray, sound: np.ndarray, start: int) -> None:
    """Add a sound to a total from sample `start`, which may be negative."""
    first = max(0, -start)
    end = min(len(sound), len(total) - start)
    total[start + first : start + end] += sound[first:end]


def resonances(
    frequency: np.ndarray, rate: int, rng: np.random.Generator, n_resonances: int
) -> np.ndarray:
    """Draw the gain of a resonating body with an uneven spectrum."""
    gain = 0.1 * equalizer(len(frequency), 6.0, rng)
    for _ in range(n_resonances):
        center = log_uniform(rng, 80.0, in_band(5000.0, rate))
        width = np.float32(center * log_uniform(rng, 0.03, 0.3))
        gain += np.float32(draw_gain(rng, -20.0, 0.0)) / (
            1 + ((frequency - np.float32(center)) / width) ** 2
        )
    return gain * tilt(frequency, 0.0)


def tilt(frequency: np.ndarray, slope: float) -> np.ndarray:
    """Return a gain that makes power fall like frequency ** -slope, without rumble."""
    # Above three times the lowest frequency, the gain is within 10 % of the power law.
    rumble = (frequency / np.float32(_LOWEST)) ** 2
    return np.sqrt(rumble / (1 + rumble)) * (1 + rumble) ** np.float32(-slope / 4)


def noise_spectrum(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the spectrum of white noise."""
    parts = rng.standard_normal((size // 2 + 1, 2), dtype=np.float32)
    return parts.view(np.complex64)[:, 0]


def inverse(spectrum: np.ndarray, n_samples: int) -> np.ndarray:
    """Return the first samples of the waveform of a spectrum (even length)."""
    return np.fft.irfft(spectrum)[:n_samples]


def fast_size(n_samples: int) -> int:
    """Return an even length of at least `n_samples` for a fast Fourier transform."""
    half = max(math.ceil(n_samples / 2), _SMALLEST_BLOCK // 2)
    return 2 * scipy_fft.next_fast_len(half, real=True)


def bin_frequencies(size: int, rate: int) -> np.ndarray:
    """Return the frequencies in Hz of a transform of `size` samples."""
    return np.fft.rfftfreq(size, 1 / rate).astype(np.float32)


def sine(cycles: np.ndarray) -> np.ndarray:
    """Return the sine of a number of cycles in float32."""
    return np.sin(np.float32(2 * np.pi) * fraction(cycles))


def fraction(cycles: np.ndarray) -> np.ndarray:
    """Return the fractional part of a number of cycles in float32."""
    return (cycles - np.floor(cycles)).astype(np.float32)


def unit_power(sound: np.ndarray) -> np.ndarray:
    """Scale a sound to a power of one, unless it is silent."""
    power = energy(sound) / len(sound)
    return sound / np.float32(math.sqrt(power)) if power > 0.0 else sound


def draw_gain(rng: np.random.Generator, low: float, high: float) -> np.float32:
    """Draw a gain that is uniform in dB."""
    return np.float32(10.0 ** (rng.uniform(low, high) / 20))


def log_uniform(
    rng: np.random.Generator,
    low: float,
    high: float,
    size: tuple[int, ...] | None = None,
) -> Any:
    """Draw a positive number that is uniform on a logarithmic scale."""
    return np.exp(rng.uniform(math.log(min(low, high)), math.log(high), size))


def in_band(frequency: float, rate: int) -> float:
    """Limit a frequency to 0.45 times the sample rate."""
    return min(frequency, 0.45 * rate)
