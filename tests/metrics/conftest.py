import numpy as np
import pytest
from scipy.signal import lfilter

SAMPLE_RATE = 16000


def make_speech(seconds=2.0, seed=0, sample_rate=SAMPLE_RATE):
    """Colored noise in four syllables per second, which metrics accept as speech."""
    n_samples = int(seconds * sample_rate)
    rng = np.random.default_rng(seed)
    resonant = lfilter([1.0], [1.0, -1.6, 0.8], rng.standard_normal(n_samples))
    syllables = np.sin(2 * np.pi * 2 * np.arange(n_samples) / sample_rate) ** 2
    return 0.05 * syllables * resonant


@pytest.fixture
def clean():
    return make_speech()


@pytest.fixture
def noise(clean):
    return np.random.default_rng(1).standard_normal(clean.size) * clean.std()


@pytest.fixture
def noisy(clean, noise):
    return clean + 0.5 * noise
