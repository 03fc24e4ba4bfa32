"""Spread of the mask: with the noise known, it contains the truth about as often."""

from __future__ import annotations

import pytest
import torch

from skvae import MCEM, VEM, GradientVEM, Langevin
from skvae.speech.prior import SpeechPrior
from skvae.vaenmf.nmf_noise import NMF

from .conftest import generator


class KnownNoise(NMF):
    """Noise that no inference changes."""

    def update(self, *arguments):
        pass

    def update_from_power(self, *arguments):
        pass


@pytest.fixture(scope="module")
def mixture():
    """Mixtures of a model whose encoder knows the posterior of clean speech."""
    rng, n_frames, n_bins, n_latent = generator(), 400, 64, 2
    A = torch.randn(n_latent, n_bins, generator=rng, dtype=torch.float64)
    # Given clean speech, the log-variance of a bin has the Fisher information one.
    precision = torch.eye(n_latent).double() + A @ A.T
    variance = precision.inverse().diagonal()

    def encode(power):
        z = (power.clamp_min(1e-9).log() + 0.577) @ A.T @ precision.inverse()
        return z, variance.log().expand_as(z)

    prior = SpeechPrior(encode, lambda z: z @ A)
    z = torch.randn(n_frames, n_latent, generator=rng, dtype=torch.float64)
    speech = prior.variance(z)
    noise = KnownNoise(
        torch.full((1, n_bins), 1 / n_bins, dtype=torch.float64),
        torch.full((n_frames, 1), n_bins * 1.0, dtype=torch.float64),
    )
    V_x = speech + noise.power()
    V = -V_x * torch.rand(V_x.shape, generator=rng, dtype=torch.float64).log()
    return V, prior, noise, speech / V_x


@pytest.mark.parametrize(
    ("inference", "least", "most"),
    [
        (VEM(3, gain=None), 0.88, 0.98),
        (MCEM(2, n_burn_in=2, n_samples=2, gain=None), 0.88, 0.98),
        (GradientVEM(100, gain=None, prior_weight=1.0, n_draws=25), 0.88, 0.98),
        (Langevin(60, gain=None, n_draws=25), 0.88, 0.98),
        (Langevin(60, gain=None, n_draws=25, adjusted=True), 0.88, 0.98),
        # A few consecutive steps of a slow chain: as published, and far too narrow.
        (VEM(3, gain=None, reconstruction="mh"), 0.0, 0.7),
    ],
    ids=lambda value: repr(value) if hasattr(value, "infer") else None,
)
def test_two_deviations_contain_the_truth(mixture, inference, least, most):
    V, prior, noise, truth = mixture
    with torch.no_grad():
        found = inference.infer(V, prior, noise, generator())
    inside = (found.mask - truth).abs() <= 2 * found.mask_std
    assert least < inside.double().mean().item() < most
