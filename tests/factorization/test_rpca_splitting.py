import numpy as np
import pytest

from skvae.factorization.rpca_splitting import (
    rpca,
    rpca_mask,
    singular_value_threshold,
    soft_threshold,
)


def planted(N=60, F=45, rank=3, density=0.05, seed=0):
    """A low-rank matrix and a sparse one with large entries."""
    rng = np.random.default_rng(seed)
    L = rng.standard_normal((N, rank)) @ rng.standard_normal((rank, F))
    S = np.where(rng.random((N, F)) < density, rng.uniform(-10, 10, (N, F)), 0)
    return L, S


def spectrogram(N=70, F=50, seed=0):
    """Magnitudes of speech-like peaks in steady noise, neither sparse nor low-rank."""
    rng = np.random.default_rng(seed)
    noise = np.outer(rng.gamma(5, 0.2, N), rng.gamma(2, 0.5, F))
    return noise * rng.rayleigh(size=(N, F)) + rng.exponential(size=(N, F)) * 5 * (
        rng.random((N, F)) < 0.2
    )


def objective(L, S, lam):
    return np.linalg.norm(L, "nuc") + lam * np.abs(S).sum()


def slow_svt(X, threshold):
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return U @ np.diag(np.maximum(sigma - threshold, 0)) @ Vt


def slow_soft(X, threshold):
    return np.vectorize(lambda x: np.sign(x) * max(abs(x) - threshold, 0))(X)


def slow_rpca(M, lam, n_iter):
    """The algorithm line by line, without scaling and with a full decomposition."""
    norm = np.linalg.norm(M, 2)
    Y = M / max(norm, np.abs(M).max() / lam)
    mu, mu_max = 1.25 / norm, 1.25e7 / norm
    L = np.zeros_like(M)
    for _ in range(n_iter):
        S = slow_soft(M - L + Y / mu, lam / mu)
        L = slow_svt(M - S + Y / mu, 1 / mu)
        Y = Y + mu * (M - L - S)
        mu = min(1.5 * mu, mu_max)
    return L, S


def patient_rpca(M, lam, n_iter=1000):
    """ADMM with a constant penalty: slow, but it converges to the optimum."""
    mu = M.size / (4 * np.abs(M).sum())
    L, Y = np.zeros_like(M), np.zeros_like(M)
    for _ in range(n_iter):
        S = soft_threshold(M - L + Y / mu, lam / mu)
        L = slow_svt(M - S + Y / mu, 1 / mu)
        Y = Y + mu * (M - L - S)
    return L, M - L


# Proximal operators


@pytest.mark.parametrize("threshold", [0.0, 0.3, 5.0])
def test_soft_threshold_agrees_with_its_formula(threshold):
    X = np.random.default_rng(0).standard_normal((6, 5))
    before = X.copy()
    np.testing.assert_allclose(soft_threshold(X, threshold), slow_soft(X, threshold))
    assert np.array_equal(X, before)


@pytest.mark.parametrize(
    "shape", [(40, 30), (30, 40), (25, 25), (1, 9), (9, 1), (1, 1)]
)
@pytest.mark.parametrize("relative", [0.0, 1e-12, 1e-9, 1e-7, 1e-3, 0.3, 1.0, 2.0])
def test_singular_value_threshold_agrees_with_plain_svd(shape, relative):
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape)
    # Singular values over twelve orders of magnitude, difficult for a Gram matrix.
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    X = (U * np.logspace(0, -12, min(shape))) @ Vt
    fast = singular_value_threshold(X, relative)
    # Small thresholds use the SVD; the error of others is up to eps / (2 threshold).
    atol = 1e-14 if relative < 1e-8 else 5e-9
    np.testing.assert_allclose(fast, slow_svt(X, relative), atol=atol)


def test_singular_value_threshold_is_the_minimiser():
    rng = np.random.default_rng(0)
    X, threshold = rng.standard_normal((12, 8)), 1.5

    def cost(Z):
        return threshold * np.linalg.norm(Z, "nuc") + 0.5 * np.sum((Z - X) ** 2)

    best = singular_value_threshold(X, threshold)
    for _ in range(50):
        assert cost(best) < cost(best + 0.01 * rng.standard_normal(X.shape))


def test_singular_value_threshold_keeps_single_precision():
    X = np.random.default_rng(0).standard_normal((20, 10)).astype(np.float32)
    for threshold in (1e-4, 1.0):
        Z = singular_value_threshold(X, threshold)
        assert Z.dtype == np.float32
        np.testing.assert_allclose(Z, slow_svt(X, threshold), atol=1e-4)


# The decomposition


@pytest.mark.parametrize("shape", [(60, 45), (45, 60)])
@pytest.mark.parametrize(("rank", "rho"), [(2, 1.5), (3, 1.1)])
@pytest.mark.parametrize("seed", range(3))
def test_planted_parts_are_recovered(shape, rank, rho, seed):
    L, S = planted(*shape, rank=rank, seed=seed)
    found = rpca(L + S, rho=rho)
    assert np.linalg.norm(found.L - L) < 1e-5 * np.linalg.norm(L)
    assert np.linalg.norm(found.S - S) < 1e-5 * np.linalg.norm(S)
    assert np.linalg.matrix_rank(found.L, tol=1e-4) == rank
    assert np.array_equal(np.abs(found.S) > 1e-4, np.abs(S) > 1e-4)
    lam = 1 / np.sqrt(max(shape))
    assert objective(found.L, found.S, lam) <= objective(L, S, lam) * (1 + 1e-6)


@pytest.mark.parametrize("shape", [(70, 50), (50, 70)])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_rpca_agrees_with_the_plain_algorithm(shape, factor):
    M = spectrogram(*shape)
    lam = factor / np.sqrt(max(shape))
    found = rpca(M, lam)
    L, S = slow_rpca(M, lam, found.n_iter)
    np.testing.assert_allclose(found.L, L, atol=1e-6 * M.max())
    np.testing.assert_allclose(found.S, S, atol=1e-6 * M.max())


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_objective_is_nearly_the_optimum(factor):
    M = spectrogram()
    lam = factor / np.sqrt(max(M.shape))
    optimum = objective(*patient_rpca(M, lam), lam)
    for rho, excess in ((1.5, 1e-2), (1.1, 1e-4)):
        found = rpca(M, lam, rho=rho)
        reached = objective(found.L, found.S, lam)
        assert optimum * (1 - 1e-5) < reached < optimum * (1 + excess)


def test_the_distance_from_the_optimum_is_what_the_docstring_of_rpca_says():
    M = spectrogram()
    lam = 1 / np.sqrt(max(M.shape))
    best = patient_rpca(M, lam, 3000)
    optimum = objective(*best, lam)

    def excess(tol, rho):
        found = rpca(M, lam, tol=tol, rho=rho)
        agreement = np.mean(rpca_mask(found.L, found.S) == rpca_mask(*best))
        return objective(found.L, found.S, lam) / optimum - 1, agreement

    default, agreement = excess(1e-5, 1.5)
    assert 1e-4 < default < 3e-3
    assert agreement > 0.98
    # Not a matter of the tolerance, but of the growth of the penalty.
    assert excess(1e-8, 1.5)[0] > 0.9 * default
    assert abs(excess(1e-5, 1.1)[0]) < 0.1 * default


@pytest.mark.parametrize("tol", [1e-3, 1e-7])
def test_parts_sum_to_the_matrix_within_tolerance(tol):
    M = spectrogram()
    found = rpca(M, tol=tol)
    residual = np.linalg.norm(M - found.L - found.S) / np.linalg.norm(M)
    assert residual == pytest.approx(found.history[-1], rel=1e-3)
    assert found.history[-1] <= tol < found.history[-2]
    assert len(found.history) == found.n_iter


def test_iterations_end_at_their_limit():
    found = rpca(spectrogram(), max_iter=3)
    assert found.n_iter == len(found.history) == 3


def test_default_weight_is_that_of_the_paper():
    M = spectrogram(70, 50)
    default, explicit = rpca(M), rpca(M, 1 / np.sqrt(70))
    assert np.array_equal(default.L, explicit.L)


def test_larger_weight_leaves_less_in_the_sparse_part():
    M = spectrogram()
    sums = [np.abs(rpca(M, lam).S).sum() for lam in (0.06, 0.12, 0.24, 2.0)]
    assert sums == sorted(sums, reverse=True)
    assert sums[-1] == 0


@pytest.mark.parametrize("c", [1e-300, 1e-8, 1e8, 1e300])
def test_scaling_the_matrix_scales_both_parts(c):
    M = spectrogram()
    one, other = rpca(M), rpca(c * M)
    np.testing.assert_allclose(other.L / c, one.L, atol=1e-9 * M.max())
    np.testing.assert_allclose(other.S / c, one.S, atol=1e-9 * M.max())
    np.testing.assert_allclose(other.history, one.history, rtol=1e-3)


def test_transposing_the_matrix_transposes_both_parts():
    M = spectrogram()
    found, turned = rpca(M), rpca(M.T)
    np.testing.assert_allclose(turned.L.T, found.L, atol=1e-9)
    np.testing.assert_allclose(turned.S.T, found.S, atol=1e-9)


def test_single_precision_follows_double_and_input_is_kept():
    M = spectrogram().astype(np.float32)
    before = M.copy()
    single, double = rpca(M), rpca(M.astype(np.float64))
    assert single.L.dtype == single.S.dtype == np.float32
    np.testing.assert_allclose(single.L, double.L, atol=1e-6 * M.max())
    assert np.array_equal(M, before)


@pytest.mark.parametrize(
    "M",
    [
        np.zeros((5, 4)),
        np.full((6, 5), 0.3),
        np.arange(1.0, 8.0)[None],
        np.arange(1.0, 8.0)[:, None],
        np.array([[2.0]]),
        np.eye(6),
        np.outer(np.arange(5.0), np.arange(7.0)),
        np.where(np.arange(30).reshape(6, 5) == 11, 1e6, 0.0),
        np.array([[1, 2], [3, 4]]),
        np.full((3, 3), 5e-324),
    ],
    ids=[
        "zero",
        "constant",
        "one frame",
        "one bin",
        "one element",
        "identity",
        "rank one",
        "one click",
        "integers",
        "subnormal",
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, None])
def test_hostile_matrices_are_split(M, dtype):
    M = M if dtype is None else M.astype(dtype)
    L, S, history, n_iter = rpca(M)
    assert np.isfinite(L).all() and np.isfinite(S).all()
    np.testing.assert_allclose(L + S, M, atol=1e-6 * np.abs(M).max())
    assert n_iter == len(history) < 100
    for kind in ("binary", "soft"):
        mask = rpca_mask(L, S, kind)
        assert ((mask >= 0) & (mask <= 1)).all()


def test_zero_matrix_takes_no_iteration():
    L, S, history, n_iter = rpca(np.zeros((5, 4)))
    assert not L.any() and not S.any()
    assert history == [] and n_iter == 0


# Masks


@pytest.mark.parametrize("gain", [0.0, 0.5, 1.0, 4.0])
def test_masks_agree_with_their_definition(gain):
    rng = np.random.default_rng(0)
    L, S = rng.standard_normal((2, 6, 5)).astype(np.float32)
    binary = rpca_mask(L, S, "binary", gain)
    soft = rpca_mask(L, S, "soft", gain)
    assert binary.dtype == soft.dtype == np.float32
    for index in np.ndindex(L.shape):
        speech, noise = abs(S[index]), gain * abs(L[index])
        assert binary[index] == (1 if speech > noise else 0)
        assert soft[index] == pytest.approx(speech / (speech + noise), rel=1e-6)


def test_soft_masks_of_both_parts_sum_to_one_even_where_both_are_zero():
    L, S = np.array([[0.0, 0.0, 2.0, -3.0]]), np.array([[0.0, 1.0, 0.0, 1.0]])
    masks = rpca_mask(L, S, "soft") + rpca_mask(S, L, "soft")
    np.testing.assert_allclose(masks, 1)
    assert rpca_mask(L, S, "binary")[0, 0] == 0


def test_mask_finds_planted_peaks():
    L, S = planted(rank=1)
    L = np.abs(L)
    found = rpca(L + S)
    peaks = np.abs(S) > 2 * L
    assert rpca_mask(found.L, found.S)[peaks].mean() > 0.99
    assert rpca_mask(found.L, found.S)[S == 0].mean() < 0.01
