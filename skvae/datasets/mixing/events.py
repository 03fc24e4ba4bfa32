"""Synthetic noise of separate events: calls, sweeps, and hits in series, in a room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skvae.datasets.mixing.augmentation import equalizer
from skvae.datasets.mixing.rooms import room_response
from skvae.datasets.mixing.sounds import (
    add_at,
    bin_frequencies,
    draw_gain,
    fast_size,
    in_band,
    inverse,
    log_uniform,
    noise_spectrum,
    resonances,
    sawtooth,
    sine,
    tilt,
    unit_power,
)

#: ``sound(length factor, rng)``: one event, in float32.
Sound = Callable[[float, np.random.Generator], np.ndarray]

#: Ranges of the formants of calls in Hz, and of their widths.
_FORMANTS = ((250.0, 1000.0), (800.0, 2600.0), (2000.0, 5000.0))
_WIDTHS = (60.0, 400.0)


def calls(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts with formants: barks, coughs, laughter, bleating.

    A burst begins suddenly, its pitch falls or rises, and it may be hoarse.
    """
    pitch = log_uniform(rng, 90.0, in_band(1500.0, rate))
    seconds = log_uniform(rng, 0.04, 0.6)
    glide = rng.normal(0.0, 5.0)  # semitones from beginning to end
    rough, tremor = rng.uniform(0.0, 0.9), log_uniform(rng, 5.0, 80.0)
    breath = draw_gain(rng, -35.0, 15.0)
    attack = log_uniform(rng, 0.003, 0.08)
    throat = [
        (log_uniform(rng, low, in_band(high, rate)), log_uniform(rng, *_WIDTHS))
        for low, high in _FORMANTS
    ]
    gains = [draw_gain(rng, -18.0, 0.0) for _ in throat]

    def burst(longer: float, rng: np.random.Generator) -> np.ndarray:
        n = max(8, round(longer * seconds * rate))
        time = np.arange(n) / rate
        way = np.linspace(0.0, 1.0, n)
        semitones = glide * way + rng.normal(0.0, 1.0)
        hertz = np.minimum(pitch * np.exp2(semitones / 12), 0.4 * rate)
        voice = sawtooth(hertz, rate, rng)
        voice += breath * rng.standard_normal(n, dtype=np.float32)
        voice *= np.float32(1.0) - np.float32(rough) * (0.5 + 0.5 * sine(tremor * time))
        voice *= _envelope(n, rate, attack)
        size = fast_size(n + rate // 50)
        frequency = bin_frequencies(size, rate)
        mouth = np.zeros(len(frequency), np.float32)
        for (center, width), gain in zip(throat, gains, strict=True):
            moved = np.float32(center * 2 ** rng.normal(0.0, 0.08))
            mouth += gain / (1 + ((frequency - moved) / np.float32(width)) ** 2)
        return inverse(np.fft.rfft(voice, size) * mouth, n + rate // 50)

    return _in_series(burst, seconds, n_samples, rate, rng)


def sweeps(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Tones that glide from one pitch to another: birds, toys, alarms, squeaks."""
    top = in_band(7000.0, rate)
    ends = log_uniform(rng, 300.0, top, (2,))
    seconds = log_uniform(rng, 0.02, 0.5)
    n_harmonics = int(rng.integers(1, 5))
    strengths = rng.exponential(1.0, n_harmonics)
    bend = log_uniform(rng, 0.3, 3.0)

    def tone(longer: float, rng: np.random.Generator) -> np.ndarray:
        n = max(8, round(longer * seconds * rate))
        way = np.linspace(0.0, 1.0, n) ** bend
        first, last = np.log(ends * 2 ** rng.normal(0.0, 0.05, 2))
        cycles = np.cumsum(np.exp(first + (last - first) * way) / rate)
        sound = np.zeros(n, np.float32)
        for k, strength in enumerate(strengths, start=1):
            if k * np.exp(max(first, last)) < rate / 2:
                sound += np.float32(strength) * sine(k * cycles + rng.random())
        return sound * _envelope(n, rate, 0.01)

    return _in_series(tone, seconds, n_samples, rate, rng)


def hits(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Hits in series: footsteps, hammers, doors, keyboards, hooves.

    An event has one to three hits. Each is a burst of noise that makes a body ring.
    """
    n_parts = int(rng.integers(1, 4))
    gaps = rng.uniform(0.02, 0.15, n_parts).cumsum() - 0.02
    seconds = float(gaps[-1]) + 0.15
    hertz = log_uniform(rng, 60.0, in_band(5000.0, rate), (4,))
    decays = log_uniform(rng, 0.003, 0.12, (4,))
    width = log_uniform(rng, 0.0005, 0.02)
    ring = draw_gain(rng, -20.0, 10.0)
    size = fast_size(round(0.25 * rate))
    body = resonances(bin_frequencies(size, rate), rate, rng, int(rng.integers(1, 5)))

    def event(longer: float, rng: np.random.Generator) -> np.ndarray:
        sound = np.zeros(round((seconds + 0.25) * rate) + 8, np.float32)
        time = np.arange(round(0.2 * rate), dtype=np.float32) / np.float32(rate)
        for gap in gaps:
            blow = rng.standard_normal(len(time), dtype=np.float32)
            blow *= np.exp(-time / np.float32(width * longer))
            modes = np.zeros(len(time), np.float32)
            for frequency, decay in zip(hertz, decays, strict=True):
                phase = frequency * time + rng.random()
                modes += sine(phase) * np.exp(-time / np.float32(decay))
            hit = unit_power(blow) + ring * unit_power(modes)
            hit = inverse(np.fft.rfft(hit, size) * body, len(time))
            start = round(gap * longer * rate)
            add_at(sound, draw_gain(rng, -8.0, 0.0) * hit, min(start, len(sound) - 1))
        return sound

    return _in_series(event, seconds, n_samples, rate, rng)


def _envelope(n_samples: int, rate: int, attack: float) -> np.ndarray:
    """Rise in `attack` seconds, or a third of the sound, and a fall over the rest."""
    n_rise = max(1, min(round(attack * rate), n_samples // 3))
    rise = np.linspace(0.0, 1.0, n_rise, endpoint=False)
    fall = np.cos(np.linspace(0.0, np.pi / 2, n_samples - n_rise))
    return np.concatenate([rise, fall]).astype(np.float32)


def _in_series(
    sound: Sound, seconds: float, n_samples: int, rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Sounds in series with pauses, in a room, over faint noise.

    A series has one to nine sounds, at about equal distances.
    """
    total = np.zeros(n_samples, np.float32)
    period = seconds * rng.uniform(0.8, 1.3) + log_uniform(rng, 0.01, 1.0)
    jitter = rng.uniform(0.0, 0.3)
    pause = log_uniform(rng, 0.1, 2.0)
    longest = int(rng.integers(1, 10))
    # A series may have begun before the noise; one sound is always in it.
    now = -rng.random() * period
    while now * rate < n_samples:
        loud = draw_gain(rng, -10.0, 0.0)
        for _ in range(int(rng.integers(1, longest + 1))):
            longer = float(np.exp(rng.normal(0.0, 0.15)))
            event = loud * draw_gain(rng, -4.0, 0.0) * sound(longer, rng)
            start = round(now * rate)
            if -len(event) < start < n_samples:
                add_at(total, event, start)
            now += period * float(np.exp(jitter * rng.standard_normal()))
            if now * rate >= n_samples:
                break
        now += pause * rng.exponential()
    if not total.any():
        event = sound(1.0, rng)[:n_samples]
        add_at(total, event, int(rng.integers(n_samples - len(event) + 1)))

    size = fast_size(n_samples + rate)
    frequency = bin_frequencies(size, rate)
    room = room_response(log_uniform(rng, 0.05, 1.0), rate, rng)[:size]
    far = np.fft.rfft(total, size) * np.fft.rfft(room, size)
    far *= tilt(frequency, rng.uniform(0.0, 0.5))
    total = unit_power(inverse(far.astype(np.complex64), n_samples))
    gain = tilt(frequency, rng.uniform(0.0, 2.0)) * equalizer(
        len(frequency), rng.uniform(2.0, 8.0), rng
    )
    faint = unit_power(inverse(noise_spectrum(size, rng) * gain, n_samples))
    level = draw_gain(rng, -70.0, -25.0)
    return np.asarray(total + level * faint, np.float32)
