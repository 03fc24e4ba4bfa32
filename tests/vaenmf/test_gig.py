"""The sampler of the generalized inverse Gaussian distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats

from skvae.vaenmf.gig import _make_hat, _propose, _psi, sample_gig

SHAPES = [-250.0, -3.0, -0.5, 0.5, 1.0, 2.0, 40.0]
RATES = [(1.0, 1.0), (1e-3, 1e3), (1e3, 1e-6), (5.0, 50.0), (1e4, 1e4), (1e-5, 1e-3)]


def draw(gamma, rho, tau, n, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    rates = (torch.full((n,), rate, dtype=dtype) for rate in (rho, tau))
    return sample_gig(gamma, *rates, generator).double().numpy()


def moment(gamma, rho, tau, order):
    """E[x^order] by Bessel functions, scaled against over- and underflow."""
    omega = 2 * np.sqrt(rho * tau)
    with np.errstate(invalid="ignore"):
        ratio = special.kve(gamma + order, omega) / special.kve(gamma, omega)
    return ratio * (tau / rho) ** (order / 2)


@pytest.mark.parametrize("gamma", SHAPES)
@pytest.mark.parametrize(("rho", "tau"), RATES)
def test_moments_are_those_of_the_bessel_functions(gamma, rho, tau):
    mean, square = (moment(gamma, rho, tau, order) for order in (1, 2))
    if not np.isfinite([mean, square]).all() or mean == 0:
        pytest.skip("the Bessel functions leave the range of the numbers")
    n = 20_000
    x = draw(gamma, rho, tau, n)
    deviation = np.sqrt(max(square - mean**2, 1e-20 * mean**2) / n)
    if square < 100 * mean**2:  # else the sample mean is no measure
        assert abs(x.mean() - mean) < 5 * deviation + 1e-9 * mean


@pytest.mark.parametrize(
    ("gamma", "dtype"),
    [
        (-3.0, torch.float32),
        (-0.5, torch.float64),
        (0.5, torch.float32),
        (1.0, torch.float32),
        (1.0, torch.float64),
        (2.0, torch.float64),
        (40.0, torch.float32),
    ],
)
@pytest.mark.parametrize(("rho", "tau"), RATES)
def test_the_distribution_is_that_of_its_density(gamma, rho, tau, dtype):
    x = draw(gamma, rho, tau, 3000, dtype=dtype)
    mode = np.log((gamma + np.sqrt(gamma**2 + 4 * rho * tau)) / (2 * rho))
    # Of the logarithm, as far as there is any probability at all.
    y = mode + np.linspace(-60, 60, 200_001)
    with np.errstate(over="ignore"):
        log_density = gamma * y - rho * np.exp(y) - tau * np.exp(-y)
    cumulative = np.cumsum(np.exp(log_density - log_density.max()))
    cumulative /= cumulative[-1]
    found = stats.kstest(np.log(x), lambda value: np.interp(value, y, cumulative))
    # Several dozen of these tests: one in a thousand by chance is not rare enough.
    assert found.pvalue > 1e-4


def test_without_the_inverse_rate_it_is_the_gamma_distribution():
    x = draw(1.5, 2.0, 0.0, 5000)
    assert stats.kstest(x, stats.gamma(1.5, scale=0.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.01, 0.3, 3.0])
def test_small_shapes_have_their_long_left_tail(gamma, dtype):
    x = draw(gamma, 1.0, 0.0, 5000, dtype=dtype)
    least = float(torch.finfo(dtype).tiny)
    distribution = stats.gamma(gamma)
    kept = x[x > least]
    share = len(kept) / len(x)
    wanted = distribution.sf(least)
    assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / len(x)) + 1e-9
    given_kept = stats.kstest(kept, lambda v: 1 - distribution.sf(v) / wanted)
    assert given_kept.pvalue > 1e-3


ALPHAS = torch.logspace(-30, 30, 121, dtype=torch.float64)


@pytest.mark.parametrize("gamma", [0.0, 1e-2, 0.5, 1.0, 3.0, 250.0, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_hat_is_above_the_density_and_touches_it(gamma, dtype):
    alpha = ALPHAS.to(dtype)
    hat = _make_hat(alpha, alpha + gamma, gamma)
    right = hat.width - hat.left
    for edge, tail in ((right, hat.right_tail), (-hat.left, hat.left_tail)):
        # From the mode to far out in the tail, the point of contact among them.
        way = torch.linspace(0, 30, 3001, dtype=dtype)[:, None] * tail
        x = edge + way * edge.sign()
        gap = -way / tail - _psi(x, alpha, gamma)
        gap = gap.nan_to_num(posinf=torch.inf)
        tolerance = 1e-3 if dtype == torch.float32 else 1e-6
        assert gap.min() > -tolerance
        assert (gap.min(0).values < 1e-2).all()


@pytest.mark.parametrize("gamma", [0.0, 1e-2, 0.5, 1.0, 3.0, 250.0])
def test_seven_of_ten_proposals_are_accepted_whatever_the_parameters(gamma):
    alpha = ALPHAS.repeat_interleave(2000)
    hat = _make_hat(alpha, alpha + gamma, gamma)
    _, accepted = _propose(hat, gamma, alpha.shape, torch.Generator().manual_seed(0))
    shares = accepted.view(len(ALPHAS), -1).double().mean(1)
    assert shares.min() > 0.7
    assert shares.mean() > 0.83


@pytest.mark.parametrize("gamma", [1e-2, 0.5, 3.0, 250.0])
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
def test_as_many_proposals_are_accepted_as_the_density_fills_of_its_hat(gamma, alpha):
    n = 200_000
    alphas = torch.full((n,), alpha, dtype=torch.float64)
    hat = _make_hat(alphas, alphas + gamma, gamma)
    _, accepted = _propose(hat, gamma, (n,), torch.Generator().manual_seed(0))
    width = 60 * (hat.left_tail + hat.right_tail + hat.width)[0].item()
    x = torch.linspace(-width, width, 400_001, dtype=torch.float64)
    density = _psi(x, torch.full_like(x, alpha), gamma).exp()
    share = (torch.trapezoid(density, x) / hat.area[0]).item()
    deviation = np.sqrt(share * (1 - share) / n)
    assert accepted.double().mean().item() == pytest.approx(share, abs=5 * deviation)


def test_each_pair_of_rates_has_its_own_draw():
    rho = torch.tensor([[1e-4, 1.0], [1e4, 1e-4]]).expand(2000, 2, 2)
    tau = torch.tensor([[1.0, 1e4], [1.0, 1e-4]]).expand(2000, 2, 2)
    means = sample_gig(1.0, rho, tau, torch.Generator().manual_seed(0)).mean(0)
    wanted = moment(1.0, rho[0].double().numpy(), tau[0].double().numpy(), 1)
    np.testing.assert_allclose(means.numpy(), wanted, rtol=0.1)


def test_draws_are_seeded_positive_and_of_the_dtype_that_came():
    rho, tau = torch.rand(2, 500) * 10
    one, other = (
        sample_gig(1.0, rho, tau, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(one, other)
    assert one.dtype == torch.float32
    assert (one > 0).all()


@pytest.mark.parametrize("gamma", [-200.0, 1.0])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_extreme_rates_are_survived(gamma, scale):
    rho = torch.full((100,), scale, dtype=torch.float64)
    for tau in (scale, 1e-30, 1e30):
        x = sample_gig(
            gamma, rho, torch.full_like(rho, tau), torch.Generator().manual_seed(0)
        )
        assert torch.isfinite(x).all()
        assert (x > 0).all()


@pytest.mark.gpu
@pytest.mark.parametrize("gamma", [-250.0, 1.0])
def test_a_gpu_draws_from_the_same_distribution(gamma):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rates = torch.full((20_000,), 3.0), torch.full((20_000,), 5.0)
    on_cpu = sample_gig(gamma, *rates, torch.Generator().manual_seed(0))
    on_gpu = sample_gig(
        gamma, *(rate.cuda() for rate in rates), torch.Generator("cuda").manual_seed(0)
    )
    assert on_gpu.device.type == "cuda"
    assert stats.ks_2samp(on_cpu.numpy(), on_gpu.cpu().numpy()).pvalue > 1e-3
