"""Synthetic music."""

from __future__ import annotations

import numpy as np

RATE = 16000


def note(pitch, seconds, rng, n_harmonics=8):
    """A string that is plucked: harmonics that fade."""
    t = np.arange(round(seconds * RATE)) / RATE
    k = np.arange(1, n_harmonics + 1)[:, None]
    phases = rng.uniform(0, 2 * np.pi, k.shape)
    tones = np.sin(2 * np.pi * k * pitch * t + phases) / k
    return (tones * np.exp(-t * (1 + k / 4))).sum(0) * np.minimum(1, t / 0.01)


def midi(number):
    return 440 * 2 ** ((number - 69) / 12)


def make_chords(seed=0):
    """Four triads with a bass, twice."""
    rng = np.random.default_rng(seed)
    triads = [(57, 60, 64), (53, 57, 60), (60, 64, 67), (55, 59, 62)]
    shift = rng.integers(-3, 4)
    bars = [
        sum(note(midi(n + shift), 1.0, rng) for n in (*triad, triad[0] - 12))
        for triad in 2 * triads
    ]
    return np.concatenate(bars)


def make_melody(seed=0):
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.choice([-4, -2, -1, 1, 2, 3, 5], 24))
    return np.concatenate([note(midi(64 + s % 15), 0.35, rng) for s in steps])


def make_drums(seed=0):
    """A kick and a snare, twice a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(RATE // 2) / RATE
    kick = np.sin(2 * np.pi * 60 * t) * np.exp(-12 * t)
    snare = rng.standard_normal(len(t)) * np.exp(-20 * t)
    return np.concatenate(8 * [kick, snare])
