import math
import warnings

import numpy as np
import pytest
from scipy.integrate import quad

from skvae.classical.gains import (
    decision_directed_gain,
    log_mmse_gain,
    spectral_subtraction_gain,
    wiener_gain,
)


def powers(shape=(40, 5), seed=0):
    rng = np.random.default_rng(seed)
    return rng.exponential(4.0, shape), rng.uniform(0.1, 3.0, shape)


def slow_subtraction(V, noise, alpha, beta, p):
    gain = np.zeros_like(V)
    for t, f in np.ndindex(V.shape):
        x, n = math.sqrt(V[t, f]), math.sqrt(noise[t, f])
        left = x ** (2 * p) - alpha * n ** (2 * p)
        s = max(left, beta * n ** (2 * p)) ** (1 / (2 * p))
        gain[t, f] = min(s / x, 1)
    return gain


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.01), (3.0, 0.1), (2.0, 0.0)])
def test_subtraction_agrees_with_its_formula(alpha, beta, exponent):
    V, noise = powers()
    got = spectral_subtraction_gain(V, noise, alpha, beta, exponent)
    wanted = slow_subtraction(V, noise, alpha, beta, exponent)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-14)
    assert got.min() >= 0 and got.max() <= 1


def test_subtraction_takes_one_noise_spectrum_for_all_frames():
    V, noise = powers()
    np.testing.assert_array_equal(
        spectral_subtraction_gain(V, noise[0]),
        spectral_subtraction_gain(V, np.tile(noise[0], (len(V), 1))),
    )


def test_subtraction_does_not_write_to_its_input():
    V, noise = powers()
    copies = V.copy(), noise.copy()
    for exponent in (1.0, 0.5):
        spectral_subtraction_gain(V, noise, exponent=exponent)
    assert np.array_equal(V, copies[0]) and np.array_equal(noise, copies[1])


@pytest.mark.parametrize("over_subtraction", [0.0, 3.0])
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_subtraction_of_far_more_than_there_is_gives_no_warning(
    over_subtraction, floor
):
    # Three times the ratio of the second bin is more than single precision holds.
    V = np.array([[0.0, 1.0, 4.0]], np.float32)
    noise = np.array([1.0, 2e38, 1.0], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gain = spectral_subtraction_gain(V, noise, over_subtraction, floor)
    assert np.isfinite(gain).all()
    if over_subtraction == 0:
        assert (gain == 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("level", [1e-30, 1e-19, 1e9])
def test_subtraction_from_silence_stays_within_zero_and_one(dtype, exponent, level):
    V = np.zeros((3, 4), dtype)
    noise = np.full_like(V, level)
    gain = spectral_subtraction_gain(V, noise, exponent=exponent)
    assert gain.dtype == dtype
    assert (gain >= 0).all() and (gain <= 1).all()


def test_subtraction_keeps_less_of_louder_noise_and_more_of_louder_speech():
    V = np.linspace(0.1, 30, 200)[:, None]
    gain = spectral_subtraction_gain(V, np.ones_like(V), 2.0, 0.0)
    assert (np.diff(gain[:, 0]) >= 0).all() and gain[-1] > 0.9
    noise = np.linspace(0.01, 5, 200)[:, None]
    gain = spectral_subtraction_gain(np.full_like(noise, 5.0), noise, 2.0, 0.0)
    assert (np.diff(gain[:, 0]) <= 0).all() and gain[0] > 0.9


def test_the_wiener_gain_minimises_the_squared_error():
    rng = np.random.default_rng(0)
    prior = 0.7
    speech = rng.standard_normal(200_000) * math.sqrt(prior)
    noisy = speech + rng.standard_normal(200_000)
    least_squares = (speech @ noisy) / (noisy @ noisy)
    got = wiener_gain(np.array([prior]), np.array([1.0]))
    assert got[0] == pytest.approx(least_squares, abs=0.01)


@pytest.mark.parametrize("prior", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("posterior", [1e-2, 0.5, 1.0, 5.0, 100.0])
def test_the_log_mmse_gain_agrees_with_its_integral(prior, posterior):
    v = prior / (1 + prior) * posterior
    integral = quad(lambda t: math.exp(-t) / t, v, 1)[0] if v < 1 else 0.0
    integral += quad(lambda t: math.exp(-t) / t, max(v, 1), np.inf)[0]
    wanted = min(prior / (1 + prior) * math.exp(0.5 * integral), 1.0)
    got = log_mmse_gain(np.array([prior]), np.array([posterior]))
    assert got[0] == pytest.approx(wanted, rel=1e-6)


def test_the_log_mmse_gain_is_the_mean_of_the_log_amplitude():
    # Given x, speech is Gaussian around the Wiener estimate: exp(E[log |s|]) / |x|.
    prior, posterior = 0.8, 2.5
    rng = np.random.default_rng(0)
    wiener = prior / (1 + prior)
    x = math.sqrt(posterior)
    spread = rng.standard_normal((2, 400_000)) * math.sqrt(wiener / 2)
    speech = wiener * x + spread[0] + 1j * spread[1]
    wanted = np.exp(np.log(np.abs(speech)).mean()) / x
    got = log_mmse_gain(np.array([prior]), np.array([posterior]))[0]
    assert got == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("rule", [wiener_gain, log_mmse_gain])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rules_stay_in_range_and_grow_with_the_prior_snr(rule, dtype):
    prior = np.concatenate([[0], np.logspace(-12, 12, 400)]).astype(dtype)
    for posterior in (0, 1e-12, 1e-3, 1, 10, 1e4):
        gain = rule(prior, np.full_like(prior, posterior))
        assert gain.dtype == dtype
        assert np.isfinite(gain).all() and gain.min() >= 0 and gain.max() <= 1
        assert gain[-1] > 0.99
        if rule is wiener_gain or posterior >= 1:
            assert (np.diff(gain) >= -1e-6).all()


def test_log_mmse_attenuates_less_than_wiener():
    prior, posterior = np.array([0.5]), np.array([1.5])
    assert log_mmse_gain(prior, posterior) > wiener_gain(prior, posterior)


def slow_decision_directed(V, noise, rule, a, least, previous=None):
    gain = np.zeros_like(V)
    for f in range(V.shape[1]):
        for t in range(len(V)):
            posterior = min(V[t, f] / noise[t, f], 1e4)
            now = max(posterior - 1, 0)
            if t > 0:
                decided = gain[t - 1, f] ** 2 * V[t - 1, f] / noise[t - 1, f]
            else:
                decided = now if previous is None else previous[f]
            prior = max(a * decided + (1 - a) * now, least)
            gain[t, f] = rule(np.array(prior), np.array(posterior))
    return gain


@pytest.mark.parametrize("rule", [wiener_gain, log_mmse_gain])
@pytest.mark.parametrize("previous", [None, np.linspace(0.1, 9, 5)])
def test_decision_directed_gains_agree_with_the_recursion(rule, previous):
    V, noise = powers()
    got, decided = decision_directed_gain(V, noise, rule, 0.9, 0.01, previous)
    wanted = slow_decision_directed(V, noise, rule, 0.9, 0.01, previous)
    np.testing.assert_allclose(got, wanted, rtol=1e-10)
    np.testing.assert_allclose(decided, wanted[-1] ** 2 * V[-1] / noise[-1], rtol=1e-10)


@pytest.mark.parametrize("rule", [wiener_gain, log_mmse_gain])
@pytest.mark.parametrize("split", [1, 7, 39])
def test_decision_directed_gains_continue_in_the_next_block(rule, split):
    V, noise = powers()
    whole, last = decision_directed_gain(V, noise, rule)
    first, kept = decision_directed_gain(V[:split], noise[:split], rule)
    second, end = decision_directed_gain(V[split:], noise[split:], rule, previous=kept)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(end, last)


def test_smoothing_makes_gains_steadier_and_keeps_stationary_noise_down():
    V = np.random.default_rng(0).exponential(1.0, (500, 20))
    noise = np.ones_like(V)
    rough, _ = decision_directed_gain(V, noise, wiener_gain, 0.0)
    smooth, _ = decision_directed_gain(V, noise, wiener_gain, 0.98)
    assert smooth[10:].std() < rough[10:].std() / 3
    assert smooth[10:].mean() < rough[10:].mean() / 2


def test_the_least_prior_snr_is_the_residual_noise():
    V = np.full((50, 3), 1e-3)
    gain, _ = decision_directed_gain(V, np.ones_like(V), wiener_gain, 0.98, 0.1)
    np.testing.assert_allclose(gain, 0.1 / 1.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_onset_after_silence_stays_finite(dtype):
    V = np.zeros((20, 4), dtype)
    V[10:] = 1e6
    noise = np.full_like(V, 1e-4)
    for rule in (wiener_gain, log_mmse_gain):
        gain, _ = decision_directed_gain(V, noise, rule)
        assert gain.dtype == dtype
        assert np.isfinite(gain).all() and gain.max() <= 1 and gain[11:].min() > 0.9
