import numpy as np
import pytest
import torch

from skvae.factorization import nmf_updates as isnmf
from skvae.factorization.nmf_separation import separate_isnmf, wiener_mask
from skvae.factorization.nmf_updates import (
    fit_isnmf,
    gradient_parts,
    power_floor,
    update_H,
    update_W,
)

EXPONENTS = [0.5, 0.75, 1.0]
FLOAT64 = torch.float64


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def positive(*shape, seed=0, dtype=FLOAT64):
    return torch.rand(*shape, generator=seeded(seed), dtype=dtype) + 0.05


def planted(N=60, F=24, K=3, seed=0):
    """Sparse factors, which are nearly unique, and their power."""
    rng = np.random.default_rng(seed)
    H = torch.as_tensor(rng.gamma(0.5, size=(N, K))) + 1e-3
    W = torch.as_tensor(rng.gamma(0.5, size=(K, F))) + 1e-3
    return H @ W, W, H


def exponential(power, seed=0):
    """Power |X|^2 of complex Gaussians with a given variance."""
    rng = np.random.default_rng(seed)
    return power * torch.as_tensor(rng.exponential(size=tuple(power.shape)))


def hostile(name):
    V = positive(12, 7)
    if name == "zero frame":
        V[3] = 0
    elif name == "zero bin":
        V[:, 0] = 0
    elif name == "mostly zero":
        V[V < 0.8] = 0
    elif name == "silence":
        V[:] = 0
    elif name == "constant":
        V[:] = 2.0
    elif name == "DC only":
        V[:, 1:] = 0
    elif name == "one click":
        V[:] = 0
        V[5] = 1e6
    elif name == "one frame":
        V = V[:1]
    elif name == "one bin":
        V = V[:, :1]
    elif name == "one element":
        V = V[:1, :1]
    elif name == "100 dB apart":
        V *= 10 ** torch.linspace(-10, 0, 7, dtype=V.dtype)
    elif name == "subnormal":
        V *= 1e-310
    else:
        raise KeyError(name)
    return V


HOSTILE = [
    "zero frame",
    "zero bin",
    "mostly zero",
    "silence",
    "constant",
    "DC only",
    "one click",
    "one frame",
    "one bin",
    "one element",
    "100 dB apart",
    "subnormal",
]


def is_divergence(V, V_hat):
    """Mean divergence of an element, with the floor of the package."""
    floor, mean = power_floor(V.dtype), float(V.mean())
    unit = mean if mean >= torch.finfo(V.dtype).tiny else 1.0
    ratio = (V / unit + floor) / (V_hat / unit + floor)
    return (ratio - ratio.log() - 1).mean()


def slow_divergence(V, V_hat):
    N, F = V.shape
    floor = np.finfo(np.float64).eps ** 1.5 * V.mean()
    total = 0.0
    for n in range(N):
        for f in range(F):
            ratio = (V[n, f] + floor) / (V_hat[n, f] + floor)
            total += ratio - np.log(ratio) - 1
    return total / (N * F)


def slow_update(V, W, H, exponent):
    V_hat = np.einsum("nk,kf->nf", H, W)
    new = H.copy()
    for n in range(H.shape[0]):
        for k in range(H.shape[1]):
            numerator = sum(
                W[k, f] * V[n, f] / V_hat[n, f] ** 2 for f in range(len(W.T))
            )
            denominator = sum(W[k, f] / V_hat[n, f] for f in range(len(W.T)))
            new[n, k] *= (numerator / denominator) ** exponent
    return new


def slow_fit(V, W, H, n_fixed, n_iter, exponent):
    """Alternating updates; those of W are updates of the transposed problem."""
    history = [slow_divergence(V, H @ W)]
    for _ in range(n_iter):
        H = slow_update(V, W, H, exponent)
        free = slow_update(V.T, H.T, W.T, exponent).T  # in W' H' the roles are swapped
        W = np.concatenate([W[:n_fixed], free[n_fixed:]])
        history.append(slow_divergence(V, H @ W))
    return W, H, history


# The divergence and the mask


def test_divergence_agrees_with_loops():
    V, V_hat = positive(5, 4, seed=1), positive(5, 4, seed=2)
    V[2, 3] = 0
    expected = slow_divergence(V.numpy(), V_hat.numpy())
    assert is_divergence(V, V_hat).item() == pytest.approx(expected, rel=1e-12)


def test_divergence_is_zero_only_for_the_same_and_blind_to_a_common_scale():
    V, V_hat = positive(5, 4, seed=1), positive(5, 4, seed=2)
    assert is_divergence(V, V).item() == 0
    assert is_divergence(V, V_hat).item() > 0.01
    for c in (1e-8, 1e8):
        scaled = is_divergence(c * V, c * V_hat).item()
        assert scaled == pytest.approx(is_divergence(V, V_hat).item(), rel=1e-12)


def test_divergence_of_silence_is_finite():
    zeros = torch.zeros(3, 4)
    assert is_divergence(zeros, zeros).item() == 0
    assert torch.isfinite(is_divergence(zeros, torch.ones(3, 4)))
    assert torch.isfinite(is_divergence(torch.ones(3, 4), zeros))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_lie_between_zero_and_one_and_sum_to_one(dtype):
    powers = 10 ** torch.linspace(-38, 37, 31, dtype=dtype)
    powers = torch.cat([torch.zeros(1, dtype=dtype), powers])
    speech, noise = torch.meshgrid(powers, powers, indexing="ij")
    mask = wiener_mask(speech, noise)
    assert mask.dtype == dtype
    assert mask.min() == 0 and mask.max() == 1
    torch.testing.assert_close(mask + wiener_mask(noise, speech), torch.ones_like(mask))
    assert mask[0, 0] == 0.5


# Steps


def test_gradient_parts_are_the_derivative():
    V, V_hat = positive(4, 3, seed=1), positive(4, 3, seed=2).requires_grad_()
    is_divergence(V, V_hat).mul(V.numel()).backward()
    parts = gradient_parts(V, V_hat.detach())
    torch.testing.assert_close(parts[1] - parts[0], V_hat.grad)
    into = torch.empty_like(parts)
    assert gradient_parts(V, V_hat.detach(), out=into) is into
    assert torch.equal(into, parts)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_steps_agree_with_loops(exponent):
    V, W, H = positive(6, 5, seed=1), positive(3, 5, seed=2), positive(6, 3, seed=3)
    parts = gradient_parts(V, H @ W)
    slow_H = slow_update(V.numpy(), W.numpy(), H.numpy(), exponent)
    slow_W = slow_update(V.T.numpy(), H.T.numpy(), W.T.numpy(), exponent).T
    np.testing.assert_allclose(update_H(H, W, parts, exponent), slow_H, rtol=1e-12)
    np.testing.assert_allclose(update_W(W, H, parts, exponent), slow_W, rtol=1e-12)


def test_steps_leave_their_input_and_a_dead_component_alone():
    V, W, H = positive(6, 5, seed=1), positive(3, 5, seed=2), positive(6, 3, seed=3)
    W[1] = 0  # 0/0 in the update of its activations
    before = H.clone(), W.clone()
    new = update_H(H, W, gradient_parts(V, H @ W))
    assert torch.equal(H, before[0]) and torch.equal(W, before[1])
    assert torch.equal(new[:, 1], H[:, 1])
    assert not torch.isclose(new[:, 0], H[:, 0]).any()


def test_one_step_with_exponent_one_solves_one_component():
    # sum_f v / (h w) + log(h w) is least at h = mean_f v / w.
    V, W = positive(6, 5, seed=1), positive(1, 5, seed=2)
    H = update_H(
        positive(6, 1, seed=3), W, gradient_parts(V, positive(6, 1, seed=3) @ W)
    )
    torch.testing.assert_close(H[:, 0], (V / W).mean(1))


# The loop


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("n_fixed", [0, 2, 3])
def test_fit_agrees_with_loops(exponent, n_fixed):
    V, W, H = positive(8, 6, seed=1), positive(3, 6, seed=2), positive(8, 3, seed=3)
    slow_W, slow_H, slow_history = slow_fit(
        V.numpy(), W.numpy(), H.numpy(), n_fixed, 5, exponent
    )
    fitted = fit_isnmf(V, W=W, H=H, n_fixed=n_fixed, max_iter=5, exponent=exponent)
    sums = slow_W.sum(1)
    np.testing.assert_allclose(fitted.W, slow_W / sums[:, None], rtol=1e-10)
    np.testing.assert_allclose(fitted.H, slow_H * sums, rtol=1e-10)
    np.testing.assert_allclose(fitted.history, slow_history, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("seed", range(12))
def test_divergence_never_increases(exponent, seed):
    rng = np.random.default_rng(seed)
    N, F, K = rng.integers(1, 25, size=3)
    V = exponential(planted(N, F, 4, seed)[0], seed)
    V[torch.as_tensor(rng.random((N, F)) < rng.choice([0, 0.3, 0.9]))] = 0
    fitted = fit_isnmf(
        V, int(K), exponent=exponent, max_iter=60, generator=seeded(seed)
    )
    assert max(np.diff(fitted.history)) <= 1e-10 * max(fitted.history)
    W, n_fixed = positive(int(K), int(F), seed=seed), int(rng.integers(0, K + 1))
    fitted = fit_isnmf(V, W=W, n_fixed=n_fixed, exponent=exponent, max_iter=60)
    assert max(np.diff(fitted.history)) <= 1e-10 * max(fitted.history)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_history_is_the_divergence_of_the_result(dtype):
    V = exponential(planted()[0]).to(dtype)
    V[4] = 0
    for n_iter in (0, 1, 20):
        W, H, history = fit_isnmf(V, 4, max_iter=n_iter, generator=seeded())
        assert len(history) == n_iter + 1
        assert history[-1] == pytest.approx(is_divergence(V, H @ W).item(), rel=1e-4)


def test_planted_factors_are_recovered():
    V, W_true, _ = planted()
    W, H, history = fit_isnmf(V, 3, max_iter=2000, generator=seeded())
    assert history[-1] < 1e-4
    torch.testing.assert_close(H @ W, V, rtol=0.1, atol=0)
    W_true = W_true / W_true.sum(1, keepdim=True)
    closeness = torch.cosine_similarity(W[:, None], W_true[None], dim=2)
    assert closeness.max(0).values.min() > 0.99


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_fit_to_samples_is_no_worse_than_the_truth(exponent):
    power, *_ = planted(N=200)
    V = exponential(power)
    W, H, history = fit_isnmf(V, 3, max_iter=300, exponent=exponent, generator=seeded())
    truth = is_divergence(V, power).item()
    assert truth == pytest.approx(np.euler_gamma, abs=0.05)  # E[-log v], v ~ Exp(1)
    assert history[-1] < truth
    # The fit is closer to the true variance than the samples are.
    assert is_divergence(power, H @ W).item() < 0.2 * is_divergence(power, V).item()


@pytest.mark.parametrize("lengths", [[60], [1] * 60, [25, 0, 35], [7, 40, 13]])
def test_blocks_give_the_result_of_the_whole(lengths):
    V = exponential(planted()[0])
    for K, W in ((5, None), (None, positive(4, 24))):
        options = {"W": W, "n_fixed": 0 if W is None else 2, "max_iter": 30}
        whole = fit_isnmf(V, K, generator=seeded(), **options)
        blocks = fit_isnmf(V.split(lengths), K, generator=seeded(), **options)
        torch.testing.assert_close(blocks.W, whole.W, rtol=1e-8, atol=1e-12)
        torch.testing.assert_close(blocks.H, whole.H, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(blocks.history, whole.history, rtol=1e-10)


def test_cache_blocks_do_not_show(monkeypatch):
    V = exponential(planted()[0])
    whole = fit_isnmf(V, 5, max_iter=30, generator=seeded())
    monkeypatch.setattr(isnmf, "BLOCK_FRAMES", 7)
    blocks = fit_isnmf(V, 5, max_iter=30, generator=seeded())
    torch.testing.assert_close(blocks.H, whole.H, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(blocks.history, whole.history, rtol=1e-10)
    assert not torch.equal(blocks.H, whole.H)  # the blocks did change the rounding


def test_blocks_may_be_computed_when_asked_for():
    V = exponential(planted()[0])

    class Lazy:
        visits = 0

        def __len__(self):
            return 3

        def __getitem__(self, i):
            if i >= 3:
                raise IndexError(i)
            self.visits += 1
            return V[20 * i : 20 * (i + 1)].clone()

    lazy = Lazy()
    fitted = fit_isnmf(lazy, 4, max_iter=7, generator=seeded())
    whole = fit_isnmf(V, 4, max_iter=7, generator=seeded())
    torch.testing.assert_close(fitted.W, whole.W)
    assert lazy.visits == 3 * (7 + 3)  # survey, draw, 7 iterations, last divergence


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("c", [1e-30, 1e-8, 1e8])
def test_scaling_the_input_scales_the_activations_only(c, dtype):
    V = exponential(planted()[0])
    V[3], V[:, 0] = 0, 0
    # Few iterations, since rounding differences grow with each.
    options = {"n_components": 4, "max_iter": 10}
    one = fit_isnmf(V.to(dtype), generator=seeded(), **options)
    other = fit_isnmf((c * V).to(dtype), generator=seeded(), **options)
    rtol = 1e-3 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(other.W, one.W, rtol=rtol, atol=rtol * 1e-3)
    torch.testing.assert_close(
        other.H / c, one.H, rtol=rtol, atol=rtol * float(one.H.mean())
    )
    np.testing.assert_allclose(other.history, one.history, rtol=rtol)


def test_single_precision_follows_double():
    V = exponential(planted()[0])
    double = fit_isnmf(V, 4, max_iter=20, generator=seeded())
    single = fit_isnmf(V.float(), 4, max_iter=20, generator=seeded())
    assert single.W.dtype == single.H.dtype == torch.float32
    np.testing.assert_allclose(single.history, double.history, rtol=1e-3)
    error = is_divergence(double.H @ double.W, (single.H @ single.W).double())
    assert error < 1e-6


def test_seed_decides_and_global_generator_is_untouched():
    V = exponential(planted()[0])
    state = torch.get_rng_state()
    one, two, other = (
        fit_isnmf(V, 4, max_iter=5, generator=seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one.W, two.W) and torch.equal(one.H, two.H)
    assert not torch.allclose(one.W, other.W)
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_are_not_changed():
    V, W, H = exponential(planted()[0]), positive(4, 24), positive(60, 4)
    before = V.clone(), W.clone(), H.clone()
    fit_isnmf(V, W=W, H=H, max_iter=3)
    fit_isnmf(V.split(20), W=W, H=H, max_iter=3)
    separate_isnmf(V, W[:2], W[2:], max_iter=3)
    assert all(map(torch.equal, (V, W, H), before))


def test_rows_of_the_bases_sum_to_one_and_fixed_ones_keep_their_shape():
    V, W = exponential(planted()[0]), 100 * positive(5, 24)
    fitted = fit_isnmf(V, W=W, n_fixed=2, max_iter=10)
    torch.testing.assert_close(fitted.W.sum(1), torch.ones(5, dtype=FLOAT64))
    unit = W / W.sum(1, keepdim=True)
    torch.testing.assert_close(fitted.W[:2], unit[:2])
    assert not torch.isclose(fitted.W[2:], unit[2:]).any()


def test_tolerance_ends_iterations_when_the_change_is_smaller():
    V = exponential(planted()[0])
    full = fit_isnmf(V, 3, max_iter=300, generator=seeded()).history
    early = fit_isnmf(V, 3, max_iter=300, tol=1e-3, generator=seeded()).history
    changes = -np.diff(full)
    first = int(np.argmax(changes < 1e-3))  # the iteration that changed too little
    # The last step counts, and the divergence after it is computed.
    assert early == full[: first + 3]
    assert 3 < len(early) < 100


def test_frames_are_a_better_start_than_random_numbers():
    ends = {"frames": [], "random": []}
    for seed in range(6):
        V = exponential(planted(N=150, F=40, K=8, seed=seed)[0], seed)
        drawn = fit_isnmf(V, 8, max_iter=20, generator=seeded(seed))
        uniform = fit_isnmf(V, W=positive(8, 40, seed=seed), max_iter=20)
        ends["frames"].append(drawn.history[-1])
        ends["random"].append(uniform.history[-1])
    assert np.mean(ends["frames"]) < np.mean(ends["random"]) - 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("K", [1, 4, 30])
def test_hostile_input_gives_finite_results(name, K, dtype):
    V = hostile(name).to(dtype)
    for exponent in (0.5, 1.0):
        W, H, history = fit_isnmf(
            V, K, max_iter=50, exponent=exponent, generator=seeded()
        )
        assert torch.isfinite(W).all() and torch.isfinite(H).all()
        assert (W >= 0).all() and (H >= 0).all()
        assert np.isfinite(history).all()
        torch.testing.assert_close(W.sum(1), torch.ones(K, dtype=dtype))
    W_speech = positive(3, V.shape[1], dtype=dtype)
    result = separate_isnmf(V, W_speech, n_noise=K, max_iter=50, generator=seeded())
    mask = wiener_mask(result.speech, result.noise)
    assert torch.isfinite(result.speech + result.noise).all()
    assert (mask >= 0).all() and (mask <= 1).all()


def test_silence_has_no_power():
    result = separate_isnmf(
        torch.zeros(4, 5), positive(2, 5), max_iter=10, generator=seeded()
    )
    assert result.speech.max() == 0 and result.noise.max() == 0


def test_equal_frames_do_not_give_equal_components():
    V = torch.ones(6, 5, dtype=FLOAT64)
    W = fit_isnmf(V, 4, max_iter=0, generator=seeded()).W
    assert torch.pdist(W).min() > 1e-3


def test_long_runs_do_not_fall_into_zeros_or_subnormals():
    V = exponential(planted()[0]).float()
    V[10:30] = 0
    W, H, _ = fit_isnmf(V, 12, max_iter=1500, generator=seeded())
    tiny = torch.finfo(torch.float32).tiny
    assert W.min() > tiny and H.min() > tiny


# Separation


def mixture(seed=0):
    """Three intermittent harmonic combs in stationary noise."""
    rng = np.random.default_rng(seed)
    F = 80
    W_speech = torch.as_tensor(
        [[1.0 if f % period == 0 else 1e-3 for f in range(F)] for period in (3, 5, 7)]
    ).double()
    active = rng.gamma(0.3, 20, size=(120, 3))
    speech = torch.as_tensor(active) @ W_speech
    colour = torch.as_tensor(rng.gamma(1, size=(1, F)))
    noise = torch.as_tensor(rng.gamma(5, 0.2, size=(120, 1))) @ colour
    return speech, noise, W_speech, colour


def mask_error(result, speech, noise):
    mask = wiener_mask(result.speech, result.noise)
    return (mask - wiener_mask(speech, noise)).abs().mean().item()


def test_separation_finds_both_sources():
    speech, noise, W_speech, colour = mixture()
    V = exponential(speech + noise)
    learned = separate_isnmf(V, W_speech, n_noise=1, max_iter=200, generator=seeded())
    given = separate_isnmf(V, W_speech, colour, learn_noise=False, max_iter=200)
    ideal = wiener_mask(speech, noise)
    blind = (ideal - ideal.mean()).abs().mean().item()
    assert mask_error(learned, speech, noise) < 0.3 * blind
    assert mask_error(given, speech, noise) < 0.3 * blind
    closeness = torch.cosine_similarity(learned.W[3], colour[0], dim=0)
    assert closeness > 0.97


def test_separated_powers_are_those_of_the_factors():
    speech, noise, W_speech, colour = mixture()
    V = exponential(speech + noise)
    result = separate_isnmf(V, 3 * W_speech, n_noise=2, max_iter=20, generator=seeded())
    torch.testing.assert_close(result.speech + result.noise, result.H @ result.W)
    torch.testing.assert_close(result.speech, result.H[:, :3] @ result.W[:3])
    unit = W_speech / W_speech.sum(1, keepdim=True)
    torch.testing.assert_close(result.W[:3], unit)
    held = separate_isnmf(V, W_speech, colour, learn_noise=False, max_iter=20)
    torch.testing.assert_close(held.W[3:], colour / colour.sum())


def test_learning_of_the_noise_starts_from_what_is_given():
    speech, noise, W_speech, colour = mixture()
    V = exponential(speech + noise)
    start = separate_isnmf(V, W_speech, colour, max_iter=0)
    torch.testing.assert_close(start.W[3:], colour / colour.sum())
    warm = separate_isnmf(V, W_speech, colour, max_iter=5)
    cold = separate_isnmf(V, W_speech, n_noise=1, max_iter=5, generator=seeded())
    assert warm.history[0] < cold.history[0]
    assert not torch.allclose(warm.W[3:], start.W[3:])


@pytest.mark.parametrize("missing", ["n_components", "generator"])
def test_a_start_needs_a_number_of_components_and_random_numbers(missing):
    arguments = {"n_components": 2, "generator": seeded(), missing: None}
    with pytest.raises(ValueError, match="pass W, or n_components and generator"):
        fit_isnmf(positive(3, 4), **arguments)


def test_noise_that_is_not_given_needs_random_numbers():
    with pytest.raises(ValueError, match="pass W_noise or generator"):
        separate_isnmf(positive(3, 4), positive(2, 4))


def test_floor_is_below_16_bit_noise_in_both_precisions():
    assert 10 * np.log10(power_floor(torch.float32)) < -100
    assert power_floor(torch.float64) < power_floor(torch.float32)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs CUDA")
    V = exponential(planted()[0])
    cpu = fit_isnmf(V, 4, max_iter=20, generator=seeded())
    gpu = fit_isnmf(V.cuda(), 4, max_iter=20, generator=seeded())
    assert gpu.W.is_cuda and gpu.H.is_cuda
    torch.testing.assert_close(gpu.W.cpu(), cpu.W, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_updates_of_several_spectrograms_are_those_of_each(exponent):
    V, H, W = positive(4, 9, 6), positive(4, 9, 3, seed=1), positive(4, 3, 6, seed=2)
    parts = gradient_parts(V, H @ W)
    both = update_H(H, W, parts, exponent), update_W(W, H, parts, exponent)
    for b in range(4):
        of_one = gradient_parts(V[b], H[b] @ W[b])
        torch.testing.assert_close(both[0][b], update_H(H[b], W[b], of_one, exponent))
        torch.testing.assert_close(both[1][b], update_W(W[b], H[b], of_one, exponent))
