"""Measurements of mixtures."""

import numpy as np


def decibels(clean, noise):
    clean, noise = np.float64(clean), np.float64(noise)
    return 10 * np.log10(np.sum(clean**2) / np.sum(noise**2))


def find(stretch, noise):
    """Return the position of a scaled segment in the noise, or None."""
    for start in range(len(noise) - len(stretch) + 1):
        part = noise[start : start + len(stretch)]
        if np.allclose(stretch * (part @ stretch) / (stretch @ stretch), part):
            return start
    return None
