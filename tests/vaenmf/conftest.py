"""A toy speech model, small mixtures, and draws that a slow reference can repeat."""

from __future__ import annotations

import pytest
import torch
from skvae.vaenmf.model import Noise

from skvae.speech.prior import SpeechPrior

N, F, K, L = 7, 6, 3, 2


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear_prior(n_bins=F, n_latent=L, seed=0, dtype=torch.float64):
    """Log-variances linear in z, and an encoder that is linear in the log-power."""
    rng = generator(seed)
    A = torch.randn(n_latent, n_bins, generator=rng, dtype=dtype)
    B = 0.3 * torch.randn(n_bins, n_latent, generator=rng, dtype=dtype)

    def encode(power):
        h = (power + 1e-3).log() @ B
        return h, -1 - 0.1 * h.square()

    def decode(z):
        return 0.5 + z @ A

    return SpeechPrior(encode, decode)


def small_noise(n_frames=N, n_bins=F, n_components=K, seed=3, dtype=torch.float64):
    rng = generator(seed)
    W = torch.rand(n_components, n_bins, generator=rng, dtype=dtype) + 0.1
    H = torch.rand(n_frames, n_components, generator=rng, dtype=dtype) + 0.1
    gain = torch.rand(n_frames, 1, generator=rng, dtype=dtype) + 0.5
    return Noise(W / W.sum(1, keepdim=True), H, gain)


@pytest.fixture
def prior():
    return linear_prior()


@pytest.fixture
def V():
    return torch.rand(N, F, generator=generator(1), dtype=torch.float64).exp().sub(0.9)


@pytest.fixture
def noise():
    noise = small_noise()
    noise.gain = torch.ones_like(noise.gain)
    return noise
