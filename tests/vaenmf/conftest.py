"""A toy speech model, small mixtures, and draws that a slow reference can repeat."""

from __future__ import annotations

import pytest
import torch

from skvae import MCEM, MCMC, VEM, GradientVEM, Langevin, NMFNoise, PointEM
from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.nmf_noise import NMF

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
    return NMF(W / W.sum(1, keepdim=True), H)


def some_gain(n_frames=N, seed=3, dtype=torch.float64):
    return torch.rand(n_frames, 1, generator=generator(seed), dtype=dtype) + 0.5


def start_noise(V, n_components, rng, *, W=None, frames=None, **parameters):
    """Noise to start from, its bases not smoothed unless `smoothing` is given."""
    model = NMFNoise(n_components, **{"smoothing": 1, **parameters})
    state = None if W is None else W.numpy()
    return model.start(V, rng, frames=frames, state=state)


# The inferences in the forms of their papers, but for the parameters that are given.


def vem(V, prior, noise, rng, **parameters):
    return VEM.as_published().set_params(**parameters).infer(V, prior, noise, rng)


def gradient_vem(V, prior, noise, rng, **parameters):
    inference = GradientVEM.as_published().set_params(n_samples=1)
    return inference.set_params(**parameters).infer(V, prior, noise, rng)


def mcem(V, prior, noise, rng, **parameters):
    return MCEM.as_published().set_params(**parameters).infer(V, prior, noise, rng)


def mcmc(V, prior, noise, rng, **parameters):
    return MCMC.as_published().set_params(**parameters).infer(V, prior, noise, rng)


def point_em(V, prior, noise, rng, **parameters):
    return PointEM(**parameters).infer(V, prior, noise, rng)


def langevin(V, prior, noise, rng, **parameters):
    return Langevin(**parameters).infer(V, prior, noise, rng)


@pytest.fixture
def prior():
    return linear_prior()


@pytest.fixture
def V():
    return torch.rand(N, F, generator=generator(1), dtype=torch.float64).exp().sub(0.9)


@pytest.fixture
def noise():
    return small_noise()
