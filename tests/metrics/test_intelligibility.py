import math
import warnings

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from skvae.metrics import estoi, stoi

MEASURES = [stoi, estoi]


def reference(measure, clean, enhanced, sample_rate):
    pystoi = pytest.importorskip("pystoi")
    return pystoi.stoi(clean, enhanced, sample_rate, extended=measure is estoi)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("sample_rate", [8000, 10000, 16000, 44100])
def test_score_is_that_of_pystoi(measure, clean, noisy, sample_rate):
    expected = reference(measure, clean, noisy, sample_rate)
    assert measure(clean, noisy, sample_rate) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
def test_score_of_a_gated_estimate_is_that_of_pystoi(measure, clean, noisy):
    # With digital silence, the ESTOI of pystoi is random.
    noisy[10000:19000] = 0.0
    expected = reference(measure, clean, noisy, 16000)
    assert measure(clean, noisy) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_perfect_estimate_scores_one(measure, clean):
    assert measure(clean, clean) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_falls_when_noise_is_added(measure, clean, noise):
    levels = (0.0, 0.03, 0.3, 1.0, 10.0)
    scores = [measure(clean, clean + level * noise) for level in levels]
    assert all(np.diff(scores) < 0)
    assert all(type(score) is float for score in scores)


@pytest.mark.parametrize("measure", MEASURES)
def test_order_of_the_arguments_matters(measure, clean, noisy):
    assert abs(measure(clean, noisy) - measure(noisy, clean)) > 0.01


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("factor", [1e-300, 1e-12, 0.1, -7.0, 1e300])
def test_scale_does_not_matter(measure, clean, noisy, factor):
    expected = pytest.approx(measure(clean, noisy), abs=1e-9)
    assert measure(clean, factor * noisy) == expected
    assert measure(factor * clean, noisy) == expected


@pytest.mark.parametrize("measure", MEASURES)
def test_repeats_itself_and_leaves_the_global_generator_alone(measure, clean, noisy):
    noisy[10000:19000] = 0.0
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random_sample()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    first = measure(clean, noisy)
    assert np.random.random_sample() == expected  # noqa: NPY002
    assert measure(clean, noisy) == first


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_no_value_gives_nan_and_one_warning(measure, clean, sample_rate):
    silence, blip = np.zeros_like(clean), np.zeros_like(clean)
    blip[15000] = 1.0
    short = int(0.3 * sample_rate)
    for pair, match in [
        ((clean[5:6], clean[5:6]), "less than 0.41 s"),
        ((clean[1:300], clean[1:300]), "less than 0.41 s"),
        ((clean[1:short], clean[1:short]), "less than 0.41 s"),
        ((blip, clean), "less than 0.41 s"),
        ((silence, clean), "clean is silent"),
        ((clean, silence), "enhanced is silent"),
        ((silence, silence), "clean is silent"),
    ]:
        with pytest.warns(UndefinedMetricWarning, match=match) as caught:
            assert math.isnan(measure(*pair, sample_rate))
        assert len(caught) == 1
        assert caught[0].filename == __file__


@pytest.mark.parametrize("measure", MEASURES)
def test_the_shortest_speech_with_a_score_is_that_of_pystoi(measure, noise):
    # Noise without pauses at the rate of the metrics: 30 frames, and one sample less.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure(noise[:4097], noise[:4097], 10000) == pytest.approx(1.0)
        reference(measure, noise[:4097], noise[:4097], 10000)
    with pytest.warns(UndefinedMetricWarning):
        assert math.isnan(measure(noise[:4096], noise[:4096], 10000))
    with pytest.warns(RuntimeWarning, match="Not enough STFT frames"):
        reference(measure, noise[:4096], noise[:4096], 10000)


@pytest.mark.parametrize("measure", MEASURES)
def test_hostile_waveforms_have_a_finite_score(measure, clean):
    tone = np.sin(0.1 * np.arange(clean.size))
    click = np.arange(clean.size) == 15000
    hostile = (np.ones(clean.size), tone, np.sign(clean), click)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for waveform in hostile:
            assert -1.0 <= measure(clean, waveform) <= 1.0
        for waveform in hostile[:3]:
            assert -1.0 <= measure(waveform, clean) <= 1.0


@pytest.mark.parametrize("measure", MEASURES)
def test_inputs_are_not_modified(measure, clean, noisy):
    copies = clean.copy(), noisy.copy()
    clean.flags.writeable = noisy.flags.writeable = False
    measure(clean, noisy, 10000)
    np.testing.assert_array_equal(copies, (clean, noisy))


@pytest.mark.parametrize("measure", MEASURES)
def test_different_lengths_are_an_error_that_names_both(measure, clean):
    with pytest.raises(ValueError, match="got 32000 and 31999"):
        measure(clean, clean[1:])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("rate", [0, -1, 16000.5, None, "16000", True, math.inf])
def test_sample_rate_must_be_a_positive_whole_number(measure, clean, rate):
    with pytest.raises(ValueError, match="`sample_rate` must be a positive whole"):
        measure(clean, clean, rate)
