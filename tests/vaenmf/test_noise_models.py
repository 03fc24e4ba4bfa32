"""Noise models beside NMFNoise: bounds that never rise, limits, recovery, clicks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skvae import (
    MCMC,
    FixedNoise,
    NMFNoise,
    SmoothNMFNoise,
    SpeechVAE,
    StableNoise,
    StudentNoise,
    Training,
    VAENMFEnhancer,
    load_pretrained,
    save_pretrained,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.vaenmf.mixture import update_gain, workspace
from skvae.vaenmf.stable_noise import stable_weight

from .conftest import (
    F,
    K,
    N,
    generator,
    gradient_vem,
    langevin,
    linear_prior,
    mcem,
    point_em,
    some_gain,
    vem,
)
from .test_properties import negative_log_likelihood, powers

SMOOTH = SmoothNMFNoise(K, continuity=3.0, smoothing=1)
FIXED = FixedNoise(K).fit_profile(
    powers(50, F).numpy(), "cpu", np.random.default_rng(0)
)
MODELS = {
    "fixed": FIXED,
    "smooth": SMOOTH,
    "student": StudentNoise(3.0, NMFNoise(K, smoothing=1)),
    "student over smooth": StudentNoise(3.0, SMOOTH),
    "cauchy": StableNoise(1.0, NMFNoise(K, smoothing=1)),
    "stable": StableNoise(1.5, NMFNoise(K, smoothing=1)),
}


def penalty(noise):
    """Divergence between neighboring activations, weighted."""
    ratio = noise.H[:-1] / noise.H[1:]
    return noise.continuity * (ratio - ratio.log() - 1).sum().item()


def impulse_cost(noise, name):
    """What q(phi) adds to the bound: log(omega) - u omega - log E[phi^-1 e^(-u/phi)].

    u is the power that q was set with, and follows from omega.
    """
    omega = noise.omega
    if name == "cauchy":
        u = 1.5 / omega - 0.25
        log_Z = math.log(0.25) - 1.5 * (u + 0.25).log()
    else:
        half = 1.5  # three degrees of freedom
        u = (half + 1) / omega - half
        log_Z = -(half + 1) * (1 + u / half).log()
    return (omega.log() - u * omega - log_Z).sum().item()


def extra_cost(noise, name):
    if name == "smooth":
        return penalty(noise)
    if name == "fixed":
        return 0.0
    cost = impulse_cost(noise, name)
    return cost + (penalty(noise.spectrum) if "smooth" in name else 0.0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", [name for name in MODELS if name != "stable"])
def test_updates_never_increase_the_bound(name, seed):
    V = powers(9, F, seed)
    V[2] = 1e-6
    V[:, 3] *= 1e3
    variances = [powers(9, F, 100 * seed + r) for r in range(1, 4)]
    noise, gain = MODELS[name].start(V, generator(seed)), some_gain(9, seed)
    memory = workspace(V)

    def cost():
        V_b = noise.power()
        data = sum(negative_log_likelihood(V, v * gain + V_b) for v in variances)
        return data * V.numel() / len(variances) + extra_cost(noise, name)

    noise.update(V, variances, gain, memory)  # sets q(phi) for the first time
    costs = [cost()]
    for _ in range(8):
        noise.update(V, variances, gain, memory)
        costs.append(cost())
        noise.power(out=memory[0])
        gain = update_gain(V, variances, gain, memory)
        costs.append(cost())
    assert (np.diff(costs) <= 1e-8 * np.abs(costs[0])).all()
    assert costs[-1] < costs[0] - 1


@pytest.mark.parametrize("name", ["smooth", "student", "cauchy"])
def test_learning_from_the_noise_alone_never_increases_the_bound(name):
    power = powers(20, F, 1)
    model = MODELS[name]
    if name != "smooth":
        model = clone(model).set_params(spectrum__exponent=0.5)
    noise = model.start(power, generator())
    costs = []
    for _ in range(10):
        noise.learn(power, n_iter=1)
        data = negative_log_likelihood(power, noise.power()) * power.numel()
        costs.append(data + extra_cost(noise, name))
    assert (np.diff(costs) <= 1e-8 * np.abs(costs[0])).all()


# Limits


def updated(model, n_iter=5):
    V = powers(9, F)
    variances, gain = [powers(9, F, r) for r in range(1, 4)], some_gain(9)
    noise = model.start(V, generator())
    for _ in range(n_iter):
        noise.update(V, variances, gain, workspace(V))
        noise.learn(V, n_iter=1)
    return noise.power()


def test_light_tails_and_no_penalty_give_the_numbers_of_nmf():
    nmf = NMFNoise(K)
    wanted = updated(nmf)
    assert torch.equal(updated(StableNoise(2.0, nmf)), wanted)
    torch.testing.assert_close(
        updated(StudentNoise(1e9, nmf)), wanted, rtol=1e-6, atol=0
    )
    for model in (StudentNoise(3.0, nmf), StableNoise(1.9, nmf)):
        assert (updated(model) / wanted).log().abs().max() > 0.05
    wanted = updated(NMFNoise(K, exponent=0.5))
    found = updated(SmoothNMFNoise(K, continuity=0.0))
    torch.testing.assert_close(found, wanted)
    assert (updated(SmoothNMFNoise(K)) / wanted).log().abs().max() > 0.05


def test_the_bases_of_a_profile_stay():
    noise = FIXED.start(powers(9, F), generator())
    W, H = noise.W.clone(), noise.H.clone()
    noise.update(powers(9, F), [powers(9, F, 1)], some_gain(9), workspace(powers(9, F)))
    noise.learn(powers(9, F), n_iter=3)
    assert torch.equal(noise.W, W)
    assert (noise.H - H).abs().min() > 0
    torch.testing.assert_close(noise.W.numpy(), FIXED.components_, check_dtype=False)
    with pytest.raises(ValueError, match="`noise_profile` must be a recording"):
        FixedNoise().fit_profile(None, "cpu", np.random.default_rng(0))


# The weight of a stable impulse


def isotropic_density(r, alpha):
    """Of a complex variable whose characteristic function is exp(-(|k| / 2)^alpha)."""

    def integrand(k):
        return k * special.j0(k * r) * math.exp(-((k / 2) ** alpha))

    return integrate.quad(integrand, 0, 60, limit=500)[0] / (2 * math.pi)


@pytest.mark.parametrize("alpha", [1.0, 1.2, 1.5, 1.8, 1.95])
def test_the_weight_is_minus_the_slope_of_the_log_density(alpha):
    for u in (0.01, 0.3, 1.0, 4.0):
        h = 1e-3 * u
        densities = [isotropic_density(math.sqrt(u + s * h), alpha) for s in (-1, 1)]
        slope = np.diff(np.log(densities)).item() / (2 * h)
        found = stable_weight(torch.tensor([u], dtype=torch.float64), alpha).item()
        assert found == pytest.approx(-slope, rel=2e-3)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5, 1.99])
def test_the_weight_at_both_ends(alpha):
    a = alpha / 2
    least = math.gamma(1 + 2 / a) / (2 * math.gamma(1 + 1 / a))
    power = torch.tensor([0.0, 1e7, 1e9], dtype=torch.float64)
    found = stable_weight(power, alpha)
    assert found[0].item() == pytest.approx(least, rel=5e-3)
    np.testing.assert_allclose(found[1:] * power[1:], 1 + a, rtol=5e-3)


def test_a_cauchy_impulse_is_a_student_one_with_one_degree_of_freedom():
    u = torch.logspace(-4, 4, 50, dtype=torch.float64)
    student = StudentNoise(1.0)._weight(2 * u)
    torch.testing.assert_close(stable_weight(u, 1.0) / 2, student, rtol=1e-3, atol=0)


# Parameters from samples of the model itself


def impulses(name, size, rng):
    if name == "student":
        return 1.5 / rng.gamma(1.5, size=size)
    a = 0.75
    U, E = math.pi * rng.random(size), rng.exponential(size=size)
    shape = np.sin(a * U) / np.sin(U) ** (1 / a)
    return shape * (np.sin((1 - a) * U) / E) ** ((1 - a) / a)


def log_levels(model, power):
    """Logarithm of the level of each frame, from all of its bins."""
    noise = model.start(torch.from_numpy(power), generator())
    nmf = getattr(noise, "spectrum", noise)
    for _ in range(40):
        nmf.W = torch.full_like(nmf.W, 1 / power.shape[1])
        noise.learn(torch.from_numpy(power), n_iter=1)
    return (nmf.H[:, 0] / power.shape[1]).log().numpy()


@pytest.mark.parametrize("name", ["student", "stable"])
def test_levels_are_found_in_samples_of_the_model(name):
    rng = np.random.default_rng(0)
    level = np.geomspace(0.1, 100, 15)
    size = (len(level), 2000)
    power = impulses(name, size, rng) * level[:, None] * rng.exponential(size=size)
    heavy = clone(MODELS[name]).set_params(spectrum__n_components=1)
    found, gaussian = (
        np.abs(log_levels(model, power) - np.log(level))
        for model in (heavy, NMFNoise(1, smoothing=1))
    )
    assert found.max() < 0.2
    assert gaussian.min() > 0.5


def test_clicks_do_not_change_the_level():
    rng = np.random.default_rng(0)
    level = np.geomspace(0.1, 100, 15)
    power = level[:, None] * rng.exponential(size=(len(level), 500))
    power[rng.random(power.shape) < 0.02] += 3e4
    nmf = NMFNoise(1, smoothing=1)
    student, stable, gaussian = (
        np.abs(log_levels(model, power) - np.log(level)).max()
        for model in (StudentNoise(4.0, nmf), StableNoise(1.8, nmf), nmf)
    )
    assert student < 0.5
    assert stable < 0.5
    assert gaussian > 1.0


def test_the_penalty_finds_levels_that_change_slowly():
    rng = np.random.default_rng(0)
    level = np.exp(2 * np.sin(np.arange(300) / 30))
    power = level[:, None] * rng.exponential(size=(300, 3))
    errors = []
    for model in (SmoothNMFNoise(1, continuity=10.0, smoothing=1), NMFNoise(1)):
        noise = model.start(torch.from_numpy(power), generator())
        noise.learn(torch.from_numpy(power), n_iter=100)
        found = np.log(noise.power().mean(1).numpy() / level)
        errors.append(np.abs(found - np.median(found)).mean())
    smooth, free = errors
    assert smooth < 0.5 * free


# In every inference


INFERENCES = {
    "vem": lambda *a: vem(*a, max_iter=6),
    "gradient": lambda *a: gradient_vem(*a, max_iter=6, gain="free"),
    "mcem": lambda *a: mcem(*a, max_iter=3, n_burn_in=3, n_samples=2),
    "point": lambda *a: point_em(*a, max_iter=6),
    "langevin": lambda *a: langevin(*a, max_iter=4),
}


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mixture", ["silence", "one frame", "loud", "click"])
def test_results_are_finite_and_masks_between_zero_and_one(inference, name, mixture):
    V = powers(N, F, dtype=torch.float32)
    V = V[:1] if mixture == "one frame" else V
    V *= {"silence": 0.0, "loud": 1e6}.get(mixture, 1.0)
    if mixture == "click":
        V[:3], V[3], V[4:] = 0, 1e8, 0
    prior = linear_prior(dtype=torch.float32)
    noise = MODELS[name].start(V, generator())
    found = INFERENCES[inference](V, prior, noise, generator())
    assert torch.isfinite(noise.power()).all()
    for part in (found.mask, found.z, found.gain):
        assert torch.isfinite(part).all()
    assert ((found.mask >= 0) & (found.mask <= 1)).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_batch_is_updated_as_each_alone(name):
    lengths, model = [5, 9, 4], MODELS[name]
    inside = torch.arange(9) < torch.tensor(lengths)[:, None]
    frames = inside[..., None].double()
    V = torch.stack([powers(9, F, seed) for seed in range(3)])
    V = torch.where(inside[..., None], V, 1e3)
    variances = [
        torch.stack([powers(9, F, 10 * r + s) for s in range(3)]) for r in (1, 2)
    ]
    gain = torch.stack([some_gain(9, seed) for seed in range(3)])
    noise = model.start(V, generator(), frames=frames)
    nmf = getattr(noise, "spectrum", noise)
    starts = nmf.W.clone(), nmf.H.clone()
    for _ in range(3):
        noise.update(V, variances, gain, workspace(V))
        noise.learn(V, n_iter=1)
    for k, n in enumerate(lengths):
        alone = model.start(V[k, :n], generator())
        nmf = getattr(alone, "spectrum", alone)
        nmf.W, nmf.H = starts[0][k], starts[1][k, :n]
        for _ in range(3):
            parts = [variance[k, :n] for variance in variances]
            alone.update(V[k, :n], parts, gain[k, :n], workspace(V[k, :n]))
            alone.learn(V[k, :n], n_iter=1)
        torch.testing.assert_close(noise.power()[k, :n], alone.power())


# In the enhancer


@pytest.fixture(scope="module")
def speech():
    training = Training(3, batch_size=64, learning_rate=3e-3)
    model = SpeechVAE(4, 16, training=training, random_state=0)
    return FrozenEstimator(
        model.fit([make_speech(16000, random_state=k) for k in range(3)])
    )


def enhancers(speech):
    hum = make_noise(8000, "machine", random_state=1)
    for noise in (
        FixedNoise(2, noise_profile=hum),
        SmoothNMFNoise(2),
        StudentNoise(3.0),
        StudentNoise(3.0, FixedNoise(2, noise_profile=hum)),
        StableNoise(1.5, NMFNoise(2, noise_profile=hum)),
    ):
        yield VAENMFEnhancer(
            speech, "vem", noise=noise, block_seconds=1.0, random_state=0
        ).set_params(inference__max_iter=3)


def test_enhancers_with_each_noise_model_can_be_saved_and_searched(speech, tmp_path):
    clean = make_speech(28000, random_state=9)
    noisy = mix_at_snr(clean, make_noise(28000, "machine", random_state=2), 0.0)
    for enhancer in enhancers(speech):
        enhancer.fit([clean])
        [enhanced] = enhancer.transform([noisy])
        assert np.isfinite(enhanced).all()
        path = tmp_path / "model.safetensors"
        save_pretrained(enhancer, path)
        restored = load_pretrained(path)
        np.testing.assert_array_equal(restored.transform([noisy])[0], enhanced)
        # Parameters of now, and what was learned.
        if isinstance(enhancer.noise, StudentNoise):
            enhancer.set_params(noise__df=1e9)
            assert not np.array_equal(enhancer.transform([noisy])[0], enhanced)


def test_parts_that_are_none_can_be_searched():
    model = StudentNoise().set_params(spectrum__n_components=7)
    assert model.spectrum.n_components == 7
    enhancer = VAENMFEnhancer(noise=StableNoise())
    enhancer.set_params(noise__spectrum__n_components=7)
    assert enhancer.noise.spectrum.n_components == 7


@pytest.mark.parametrize("name", MODELS)
def test_noise_that_cannot_be_drawn_is_refused(speech, name):
    enhancer = VAENMFEnhancer(speech, MCMC(), noise=clone(MODELS[name]))
    with pytest.raises(ValueError, match="draws the noise, which"):
        enhancer.fit([np.zeros(10, np.float32)])


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (StudentNoise(0.0), "`df` must be a number in"),
        (StableNoise(2.1), "`alpha` must be a number in"),
        (StableNoise(1.5, "nmf"), "`spectrum` must be None or a noise model"),
        (StudentNoise(3.0, NMFNoise(0)), "`n_components` must be"),
        (SmoothNMFNoise(continuity=-1.0), "`continuity` must be"),
        (SmoothNMFNoise(smoothing=2), "`smoothing` must be odd"),
    ],
)
def test_wrong_parameters_are_refused(noise, message):
    with pytest.raises(ValueError, match=message):
        noise.check()
