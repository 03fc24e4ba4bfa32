"""The sampler of the generalized inverse Gaussian distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats

from skvae.algorithms.gig import sample_gig

SHAPES = [-250.0, -3.0, -0.5, 0.5, 1.0, 2.0, 40.0]
RATES = [(1.0, 1.0), (1e-3, 1e3), (1e3, 1e-6), (5.0, 50.0), (1e4, 1e4), (1e-5, 1e-3)]


def draw(gamma, rho, tau, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rates = (torch.full((n,), rate, dtype=torch.float64) for rate in (rho, tau))
    return sample_gig(gamma, *rates, generator).numpy()


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


@pytest.mark.parametrize("gamma", [-3.0, -0.5, 0.5, 1.0, 2.0, 40.0])
@pytest.mark.parametrize(("rho", "tau"), RATES)
def test_the_distribution_is_that_of_scipy(gamma, rho, tau):
    omega = 2 * np.sqrt(rho * tau)
    if omega < 0.01 and abs(gamma) < 1:
        pytest.skip("scipy integrates the density badly here")
    x = draw(gamma, rho, tau, 3000) / np.sqrt(tau / rho)
    distribution = stats.geninvgauss(gamma, omega)
    if not np.isfinite(distribution.cdf(np.median(x))):
        pytest.skip("scipy has no distribution function here")
    # Several dozen of these tests: one in a thousand by chance is not rare enough.
    assert stats.kstest(x, distribution.cdf).pvalue > 1e-4


def test_without_the_inverse_rate_it_is_the_gamma_distribution():
    x = draw(1.5, 2.0, 0.0, 5000)
    assert stats.kstest(x, stats.gamma(1.5, scale=0.5).cdf).pvalue > 1e-3


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
