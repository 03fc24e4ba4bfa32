import math
import warnings

import numpy as np
import pytest
from scipy.linalg import convolution_matrix
from scipy.signal import butter, lfilter, sosfiltfilt
from sklearn.exceptions import UndefinedMetricWarning

from skvae.metrics import sdr, si_sdr

RATIOS = [si_sdr, sdr]


def slow_sdr(clean, enhanced, filter_length):
    """Slow reference: least squares on all delayed copies of `clean`."""
    delayed = convolution_matrix(clean, filter_length, mode="full")
    padded = np.append(enhanced, np.zeros(filter_length - 1))
    target = delayed @ np.linalg.lstsq(delayed, padded)[0]
    return 10 * np.log10(np.sum(target**2) / np.sum((padded - target) ** 2))


def mir_eval_sdr(clean, enhanced):
    separation = pytest.importorskip("mir_eval.separation")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ratios = separation.bss_eval_sources(clean[None], enhanced[None])
    return ratios[0][0]


@pytest.mark.parametrize("snr", [-10.0, 0.0, 7.5, 60.0])
def test_si_sdr_is_the_snr_when_the_noise_is_orthogonal(clean, noise, snr):
    noise -= (noise @ clean) / (clean @ clean) * clean
    noise *= np.linalg.norm(clean) / np.linalg.norm(noise) * 10 ** (-snr / 20)
    assert si_sdr(clean, clean + noise) == pytest.approx(snr, abs=1e-8)


def test_si_sdr_does_not_remove_the_mean():
    assert si_sdr([1.0, 1.0], [1.0, 1.0]) == math.inf
    assert si_sdr([1.0, -1.0], [2.0, 0.0]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("taps", [[1.0], [0.3, -0.2, 0.5, 0.0, 0.1]])
@pytest.mark.parametrize("noise_level", [0.01, 0.3, 3.0])
def test_sdr_agrees_with_mir_eval(clean, noise, taps, noise_level):
    enhanced = lfilter(taps, [1.0], clean) + noise_level * noise
    expected = mir_eval_sdr(clean, enhanced)
    assert sdr(clean, enhanced) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("n_samples", [20, 511, 513])
def test_sdr_agrees_with_mir_eval_when_shorter_than_the_filter(clean, noisy, n_samples):
    clean, noisy = clean[2000 : 2000 + n_samples], noisy[2000 : 2000 + n_samples]
    assert sdr(clean, noisy) == pytest.approx(mir_eval_sdr(clean, noisy), abs=1e-3)


@pytest.mark.parametrize("filter_length", [1, 2, 33])
@pytest.mark.parametrize("n_samples", [1, 2, 30, 1001])
def test_sdr_agrees_with_least_squares(clean, filter_length, n_samples):
    clean = clean[500 : 500 + n_samples] + 0.01
    enhanced = np.random.default_rng(2).standard_normal(n_samples)
    if n_samples == 1:  # any filter is perfect
        assert sdr(clean, enhanced, filter_length) > 200
    else:
        expected = slow_sdr(clean, enhanced, filter_length)
        assert sdr(clean, enhanced, filter_length) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cutoff", [0.3, 0.45])
def test_sdr_of_a_band_limited_waveform_agrees_with_least_squares(clean, noise, cutoff):
    # The normal equations are singular: mir_eval is up to 4 dB off here.
    band = butter(12, cutoff, output="sos")
    clean = sosfiltfilt(band, clean[:4000])
    for error in (noise[:4000], sosfiltfilt(band, noise[:4000])):
        enhanced = clean + 0.05 * error
        expected = slow_sdr(clean, enhanced, 512)
        assert sdr(clean, enhanced) == pytest.approx(expected, abs=0.1)


def test_sdr_with_one_tap_is_si_sdr(clean, noisy):
    assert sdr(clean, noisy, 1) == pytest.approx(si_sdr(clean, noisy), abs=1e-9)


def test_sdr_forgives_a_filter_and_si_sdr_does_not(clean):
    filtered = lfilter([1.0, 0.0, -0.5, 0.2], [1.0], clean)
    assert sdr(clean, filtered) > 100
    assert si_sdr(clean, filtered) < 20


def test_sdr_grows_with_the_filter(clean, noisy):
    ratios = [sdr(clean, noisy, length) for length in (1, 4, 64, 512)]
    assert ratios == sorted(ratios)


@pytest.mark.parametrize("metric", RATIOS)
@pytest.mark.parametrize("factor", [-1.0, 1e-3, 3.7, 1e150, 1e-200, 1e-310])
def test_scale_does_not_matter(metric, clean, noisy, factor):
    # The last factor leads to subnormal numbers with few bits.
    tolerance = 1e-9 if factor != 1e-310 else 1e-3
    expected = pytest.approx(metric(clean, noisy), abs=tolerance)
    assert metric(clean, factor * noisy) == expected
    assert metric(factor * clean, noisy) == expected


@pytest.mark.parametrize("metric", RATIOS)
def test_order_of_the_arguments_matters_to_sdr_and_not_to_si_sdr(metric, clean, noise):
    enhanced = lfilter([1.0, 0.9], [1.0], clean) + noise
    enhanced[:9000] = 0.0
    swapped = metric(enhanced, clean)
    if metric is si_sdr:  # a cosine, which is symmetric
        assert metric(clean, enhanced) == pytest.approx(swapped)
    else:
        assert abs(metric(clean, enhanced) - swapped) > 0.1


@pytest.mark.parametrize("metric", RATIOS)
def test_falls_when_noise_is_added(metric, clean, noise):
    levels = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0)
    ratios = [metric(clean, clean + level * noise) for level in levels]
    assert all(np.diff(ratios) < 0)


@pytest.mark.parametrize("metric", RATIOS)
@pytest.mark.parametrize("factor", [1.0, -0.5, 1024.0])
def test_a_perfect_estimate_is_infinitely_good(metric, clean, factor):
    assert metric(clean, factor * clean) == math.inf
    assert metric(clean[::2], factor * clean[::2]) == math.inf


@pytest.mark.parametrize("metric", RATIOS)
def test_a_silent_estimate_is_infinitely_bad(metric, clean):
    assert metric(clean, np.zeros_like(clean)) == -math.inf


def test_what_comes_before_the_click_is_not_the_click():
    assert sdr([0.0, 1.0], [1.0, 0.0]) < -100
    assert si_sdr([0.0, 1.0], [1.0, 0.0]) == -math.inf


@pytest.mark.parametrize("metric", RATIOS)
@pytest.mark.parametrize("enhanced", [np.zeros(100), np.ones(100)])
def test_a_silent_clean_waveform_gives_nan_and_one_warning(metric, enhanced):
    with pytest.warns(UndefinedMetricWarning, match="clean is silent") as caught:
        assert math.isnan(metric(np.zeros(100), enhanced))
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("metric", RATIOS)
@pytest.mark.parametrize(
    "clean",
    [
        np.sin(0.1 * np.arange(4000)),
        np.ones(4000),
        np.arange(4000) == 17,
        np.cos(np.pi * np.arange(4000)),
        [0.5],
    ],
    ids=["tone", "constant", "click", "nyquist", "one sample"],
)
def test_a_singular_clean_waveform_gives_its_ratio_without_warning(metric, clean):
    clean = np.asarray(clean, dtype=float)
    noise = np.random.default_rng(3).standard_normal(clean.size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good, bad = metric(clean, clean + 0.001 * noise), metric(clean, noise)
    assert not math.isnan(good) and not math.isnan(bad)
    assert good > 20
    if clean.size > 1:
        assert bad < 20


def test_sdr_is_never_below_si_sdr(clean):
    tone = np.sin(0.1 * np.arange(clean.size))
    for waveform in (clean, tone):
        for level in (1e-12, 1e-6, 1.0):
            enhanced = waveform + level * np.random.default_rng(4).random(clean.size)
            assert sdr(waveform, enhanced) >= si_sdr(waveform, enhanced)


@pytest.mark.parametrize("metric", RATIOS)
def test_computes_in_double_precision_and_returns_a_float(metric, clean, noisy):
    clean, noisy = clean.astype(np.float32), noisy.astype(np.float32)
    ratio = metric(clean, noisy)
    assert type(ratio) is float
    assert ratio == metric(clean.astype(float), noisy.astype(float))


@pytest.mark.parametrize("metric", RATIOS)
def test_takes_integer_audio(metric, clean, noisy):
    full_scale = 32767 / np.abs([clean, noisy]).max()
    integers = [np.int16(full_scale * waveform) for waveform in (clean, noisy)]
    assert metric(*integers) == pytest.approx(metric(clean, noisy), abs=0.01)


@pytest.mark.parametrize("metric", RATIOS)
def test_inputs_are_not_modified(metric, clean, noisy):
    copies = clean.copy(), noisy.copy()
    clean.flags.writeable = noisy.flags.writeable = False
    metric(clean, noisy)
    np.testing.assert_array_equal(copies, (clean, noisy))


@pytest.mark.parametrize("metric", RATIOS)
def test_different_lengths_are_an_error_that_names_both(metric):
    with pytest.raises(ValueError, match="got 3 and 4"):
        metric([1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize("metric", RATIOS)
@pytest.mark.parametrize("bad", [[np.nan, 1.0], [1.0, np.inf], [[1.0, 2.0]], [], "a"])
def test_what_is_no_waveform_is_an_error_that_says_which(metric, bad):
    with pytest.raises(ValueError, match="clean"):
        metric(bad, [1.0, 2.0])
    with pytest.raises(ValueError, match="enhanced"):
        metric([1.0, 2.0], bad)


@pytest.mark.parametrize("filter_length", [0, -1, 2.0, True, None])
def test_filter_length_must_be_a_positive_integer(filter_length):
    with pytest.raises(ValueError, match="`filter_length` must be a positive integer"):
        sdr([1.0, 2.0], [1.0, 2.0], filter_length)
