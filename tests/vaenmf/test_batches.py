"""Padded batches of utterances: to each what it gets alone, whatever the padding."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from skvae.speech.fast_prior import fast_prior
from skvae.speech.prior import NormalPrior
from skvae.speech.vae_network import SpeechNetwork, VAEConfig
from skvae.training.networks import new_network
from skvae.vaenmf import nmf_sampling
from skvae.vaenmf.mixture import Costs
from skvae.vaenmf.nmf_noise import smooth_bins

from .conftest import (
    F,
    K,
    L,
    generator,
    gradient_vem,
    langevin,
    linear_prior,
    mcem,
    mcmc,
    point_em,
    start_noise,
    vem,
)

LENGTHS = [5, 9, 4]
INFERENCES = {
    "vem": (vem, {"max_iter": 6, "encoder_input": "log-expectation"}),
    "vem paper": (vem, {"max_iter": 6, "encoder_input": "power", "n_samples": 2}),
    "vem s": (vem, {"max_iter": 6, "covariance": False, "reconstruction": "s"}),
    "vem z": (vem, {"max_iter": 6, "reconstruction": "z", "gain": "free"}),
    "gradient": (gradient_vem, {"max_iter": 6, "n_samples": 2}),
    "gradient fixed": (gradient_vem, {"max_iter": 6, "hold": "latent"}),
    "gradient noise held": (gradient_vem, {"max_iter": 6, "hold": "noise"}),
    "gradient gain": (gradient_vem, {"max_iter": 6, "gain": "free"}),
    "point": (point_em, {"max_iter": 6}),
    "langevin": (langevin, {"max_iter": 4, "n_draws": 3}),
    "langevin exact": (langevin, {"max_iter": 4, "adjusted": True}),
    "langevin smooth": (langevin, {"max_iter": 4, "total_variation": 2.0}),
    "mcem": (mcem, {"max_iter": 3, "n_burn_in": 3, "n_samples": 2}),
    "mcmc": (mcmc, {"n_burn_in": 3, "n_samples": 3}),
    "mcmc masks": (
        mcmc,
        {"n_burn_in": 3, "n_samples": 3, "average": "masks", "rate": (1.0, 2.0)},
    ),
    "mcmc exact": (mcmc, {"n_burn_in": 3, "n_samples": 3, "exact": True}),
}


class OwnDraws:
    """Stands for a generator: every utterance of a batch draws from one of its own."""

    device = torch.device("cpu")

    def __init__(self, seed):
        self.generators = [generator(seed) for _ in LENGTHS]


def drawing_each(real):
    """A function of torch that knows of :class:`OwnDraws`."""

    def draw(*shape, generator, **options):
        if not isinstance(generator, OwnDraws):
            return real(*shape, generator=generator, **options)
        [(_, n_rows, *rest)] = shape
        of_frames = n_rows == max(LENGTHS)
        return pad_sequence(
            [
                real((n if of_frames else n_rows, *rest), generator=own, **options)
                for n, own in zip(LENGTHS, generator.generators, strict=True)
            ],
            batch_first=True,
        )

    return draw


@pytest.fixture
def own_draws(monkeypatch):
    """Batches draw as their utterances do; of the noise's sampler modes are taken."""
    for name in ("rand", "randn"):
        monkeypatch.setattr(torch, name, drawing_each(getattr(torch, name)))

    def mode(gamma, rho, tau, generator):
        return (gamma + (gamma**2 + 4 * rho * tau).sqrt()) / (2 * rho)

    monkeypatch.setattr(nmf_sampling, "sample_gig", mode)


@functools.cache
def network(architecture):
    config = VAEConfig(F, L, (8, 6), architecture)
    network = new_network(SpeechNetwork, config, generator(2)).double()
    return network.requires_grad_(False)


def make_prior(kind, lengths=None):
    if kind == "linear":
        return linear_prior()
    return fast_prior(network(kind), lengths)


@pytest.fixture
def utterances():
    rng = generator(1)
    return [
        (k + 1) * torch.rand(n, F, generator=rng, dtype=torch.float64).exp().sub(0.9)
        for k, n in enumerate(LENGTHS)
    ]


def padded(parts, value):
    return pad_sequence(parts, batch_first=True, padding_value=value)


def frames_of(lengths):
    return padded([torch.ones(n, 1, dtype=torch.float64) for n in lengths], 0.0)


def assert_same(found, alone):
    """Posterior of a batch against those of its utterances."""
    for b, (n, one) in enumerate(zip(LENGTHS, alone, strict=True)):
        pairs = [
            (found.mask[b, :n], one.mask),
            (found.z[b, :n], one.z),
            (found.noise.W[b], one.noise.W),
            (found.noise.H[b, :n], one.noise.H),
            (found.gain[b, :n], one.gain),
        ]
        if one.mask_std is None:
            assert found.mask_std is None
        else:
            pairs.append((found.mask_std[b, :n], one.mask_std))
        for got, wanted in pairs:
            torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found.history[b], one.history, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "kind", "garbage"),
    [  # every pair of two of them
        (name, kind, (0.0, 1e3)[(k + n) % 2])
        for n, name in enumerate(INFERENCES)
        for k, kind in enumerate(["linear", "feedforward", "bilstm"])
    ],
)
def test_each_utterance_gets_what_it_gets_alone(
    utterances, own_draws, name, kind, garbage
):
    function, options = INFERENCES[name]
    smoothing = 3 if name in ("vem", "gradient gain") else 1
    alone = []
    with torch.no_grad():
        for V in utterances:
            rng = generator(7)
            noise = start_noise(V, K, rng, smoothing=smoothing)
            alone.append(function(V, make_prior(kind), noise, rng, **options))
        V, rng = padded(utterances, garbage), OwnDraws(7)
        frames = frames_of(LENGTHS)
        noise = start_noise(V, K, rng, frames=frames, smoothing=smoothing)
        prior = make_prior(kind, torch.tensor(LENGTHS))
        found = function(V, prior, noise, rng, **options)
    assert_same(found, alone)


def test_the_latent_prior_may_differ_between_utterances(utterances, own_draws):
    rng = generator(3)
    priors = [
        (
            torch.randn((n, L), generator=rng, dtype=torch.float64),
            torch.rand((n, L), generator=rng, dtype=torch.float64) + 0.5,
        )
        for n in LENGTHS
    ]
    alone = []
    for V, given in zip(utterances, priors, strict=True):
        rng = generator(7)
        noise = start_noise(V, K, rng)
        prior = linear_prior().replace(latent=NormalPrior(*given))
        alone.append(gradient_vem(V, prior, noise, rng, max_iter=5))
    V, rng = padded(utterances, 0.0), OwnDraws(7)
    noise = start_noise(V, K, rng, frames=frames_of(LENGTHS))
    given = tuple(padded(parts, 1.0) for parts in zip(*priors, strict=True))
    prior = linear_prior().replace(latent=NormalPrior(*given))
    found = gradient_vem(V, prior, noise, rng, max_iter=5)
    assert_same(found, alone)


def test_given_bases_are_those_of_all_to_start_with(utterances):
    W = torch.rand(2, F, generator=generator(), dtype=torch.float64)
    V = padded(utterances, 1e3)
    noise = start_noise(V, 7, generator(), W=W, frames=frames_of(LENGTHS))
    assert noise.W.shape == (3, 2, F)
    for b, (n, of_one) in enumerate(zip(LENGTHS, utterances, strict=True)):
        torch.testing.assert_close(noise.W[b], W / W.sum(1, keepdim=True))
        mean = noise.power()[b, :n].mean().item()
        assert mean == pytest.approx(of_one.mean().item())


def test_noise_that_is_known_is_learned_alike(utterances, own_draws):
    alone = []
    for V in utterances:
        alone.append(start_noise(V, K, generator(7)))
        alone[-1].learn(V, n_iter=5)
    V, frames = padded(utterances, 1e3), frames_of(LENGTHS)
    noise = start_noise(V, K, OwnDraws(7), frames=frames)
    noise.learn(V, n_iter=5)
    for b, (n, one) in enumerate(zip(LENGTHS, alone, strict=True)):
        torch.testing.assert_close(noise.W[b], one.W)
        torch.testing.assert_close(noise.H[b, :n], one.H)


@pytest.mark.parametrize("name", INFERENCES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_are_finite_beside_silence_and_single_frames(name, dtype):
    lengths = [6, 1, 3]
    V = 2 * torch.rand(3, 6, F, generator=generator(), dtype=dtype)
    V[2] = 0
    frames = frames_of(lengths).to(dtype)
    noise = start_noise(V * frames, K, generator(), frames=frames)
    function, options = INFERENCES[name]
    found = function(
        V * frames, linear_prior(dtype=dtype), noise, generator(), **options
    )
    for part in (found.mask, found.z, noise.W, noise.H, found.gain):
        assert torch.isfinite(part).all()
    assert np.isfinite(found.history).all()
    assert 0 <= found.mask.min() <= found.mask.max() <= 1


def test_iterations_end_when_all_utterances_have_settled():
    frames = frames_of([1, 1])
    costs = Costs(torch.ones(2, 1, 1), frames, tol=0.1)
    steps = [(1.0, 5.0), (1.0, 4.0), (2.0, 4.0), (2.05, 4.05), (2.05, 9.0)]
    assert [costs.add(torch.tensor(step)) for step in steps] == [
        *(False, False, False, True, False)
    ]
    np.testing.assert_allclose(costs.history(), np.transpose(steps), rtol=1e-6)


def test_bases_of_every_utterance_are_smoothed_alike():
    W = torch.rand(2, 3, 20, generator=generator(), dtype=torch.float64)
    for one, both in zip(W, smooth_bins(W, 5), strict=True):
        torch.testing.assert_close(smooth_bins(one, 5), both)


@pytest.mark.gpu
@pytest.mark.parametrize("name", INFERENCES)
@pytest.mark.parametrize("kind", ["feedforward", "bilstm"])
def test_cuda_gives_the_same_from_the_same_draws(utterances, own_draws, name, kind):
    """The draws of a generator of the CPU are brought to the device."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    function, options = INFERENCES[name]
    results = []
    lengths = torch.tensor(LENGTHS)
    for device in ("cpu", "cuda"):
        V, frames = (
            part.to(device) for part in (padded(utterances, 0.0), frames_of(LENGTHS))
        )
        rng = generator(7)
        noise = start_noise(V, K, rng, frames=frames)
        prior = fast_prior(network(kind).to(device), lengths)
        with torch.no_grad():
            results.append(function(V, prior, noise, rng, **options))
        network(kind).to("cpu")
    for n, one, other in zip(LENGTHS, results[0].mask, results[1].mask, strict=True):
        torch.testing.assert_close(other[:n].cpu(), one[:n], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(results[1].history, results[0].history, rtol=1e-6)
