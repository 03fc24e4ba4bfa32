import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from skvae.metrics import perceptual, pesq

needs_pesq = pytest.mark.usefixtures("program")
ALL_MODES = [("wb", 16000), ("nb", 16000), ("nb", 8000), ("nb-raw", 8000)]


@pytest.fixture
def program():
    return pytest.importorskip("pesq")


@pytest.mark.parametrize(("mode", "rate"), [("wb", 16000), ("nb", 16000), ("nb", 8000)])
def test_score_is_that_of_the_package(program, clean, noisy, mode, rate):
    assert pesq(clean, noisy, rate, mode) == program.pesq(rate, clean, noisy, mode)


@needs_pesq
def test_raw_score_maps_to_the_opinion_score_by_p862_1(clean, noise):
    for level in (0.0, 0.1, 1.0, 10.0):
        raw = pesq(clean, clean + level * noise, mode="nb-raw")
        opinion = pesq(clean, clean + level * noise, mode="nb")
        mapped = 0.999 + 4 / (1 + np.exp(-1.4945 * raw + 4.6607))
        assert mapped == pytest.approx(opinion, abs=1e-6)


@pytest.mark.parametrize(
    ("opinion", "raw"),
    [(1.0, -0.5), (0.0, -0.5), (4.55, 4.5), (4.999, 4.5), (4.5486, 4.5), (2.0, 2.3844)],
)
def test_raw_score_stays_in_its_range(opinion, raw):
    assert perceptual._raw_score(opinion) == pytest.approx(raw, abs=1e-3)


@needs_pesq
@pytest.mark.parametrize(
    ("mode", "best"), [("wb", 4.644), ("nb", 4.549), ("nb-raw", 4.5)]
)
def test_a_perfect_estimate_has_the_best_score(clean, mode, best):
    assert pesq(clean, clean, mode=mode) == pytest.approx(best, abs=1e-3)


@needs_pesq
@pytest.mark.parametrize(("mode", "rate"), ALL_MODES)
def test_falls_when_noise_is_added(clean, noise, mode, rate):
    scores = [pesq(clean, clean + v * noise, rate, mode) for v in (0, 0.03, 0.3)]
    assert all(np.diff(scores) < 0)
    assert all(type(score) is float for score in scores)


@needs_pesq
def test_order_of_the_arguments_matters(clean, noisy):
    assert abs(pesq(clean, noisy) - pesq(noisy, clean)) > 0.05


@needs_pesq
@pytest.mark.parametrize("factor", [2.0**-30, 1e-6, 0.1, 7.0, 2.0**20, 1e300])
def test_a_common_level_does_not_matter(clean, noisy, factor):
    score = pesq(clean, noisy)
    assert pesq(factor * clean, factor * noisy) == pytest.approx(score, abs=0.01)


@needs_pesq
def test_a_loud_or_faint_estimate_does_not_clip(clean, noisy):
    score = pesq(clean, noisy)
    for factor in (1e-3, 30.0):
        assert pesq(clean, factor * noisy) == pytest.approx(score, abs=0.01)


@needs_pesq
def test_takes_integer_audio(clean, noisy):
    integers = [np.int16(20000 * waveform) for waveform in (clean, noisy)]
    expected = pesq(*(waveform / 32768 for waveform in integers))
    assert pesq(*integers) == pytest.approx(expected, abs=1e-6)


def assert_undefined(match, *args):
    with pytest.warns(UndefinedMetricWarning, match=match) as caught:
        assert math.isnan(pesq(*args))
    assert len(caught) == 1
    assert caught[0].filename == __file__


@needs_pesq
@pytest.mark.parametrize(("mode", "rate"), ALL_MODES)
def test_no_value_gives_nan_and_one_warning(clean, mode, rate, capfd):
    silence, blip = np.zeros_like(clean), np.zeros_like(clean)
    blip[100] = 1e-40
    short = rate // 4 - 1
    assert_undefined("shorter than 0.25 s", clean[:short], clean[:short], rate, mode)
    assert_undefined("shorter than 0.25 s", clean[5:6], clean[5:6], rate, mode)
    assert_undefined("clean holds no speech", silence, clean, rate, mode)
    assert_undefined("clean holds no speech", silence, silence, rate, mode)
    assert_undefined("enhanced is silent", clean, silence, rate, mode)
    assert_undefined("enhanced is silent", clean, blip, rate, mode)
    assert capfd.readouterr() == ("", "")


@needs_pesq
def test_a_quarter_of_a_second_is_enough(clean):
    start = slice(1000, 5000)
    assert pesq(clean[start], clean[start]) == pytest.approx(4.644, abs=1e-3)


@needs_pesq
@pytest.mark.parametrize("enhanced", ["ones", "click", "square"])
def test_hostile_estimates_have_a_finite_score(clean, enhanced):
    hostile = {
        "ones": np.ones(clean.size),
        "click": np.arange(clean.size) == 20000,
        "square": np.sign(clean),
    }[enhanced]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 1.0 < pesq(clean, hostile) < 4.65


def test_long_recordings_are_scored_in_parts_of_equal_length(program, monkeypatch):
    monkeypatch.setattr(perceptual, "MAX_SECONDS", 1)
    rng = np.random.default_rng(0)
    clean = 0.1 * rng.standard_normal(40000) * np.sin(np.arange(40000) / 2000) ** 2
    noisy = clean + 0.02 * rng.standard_normal(40000)
    thirds = zip(np.array_split(clean, 3), np.array_split(noisy, 3), strict=True)
    expected = np.mean([program.pesq(16000, *third, "wb") for third in thirds])
    assert pesq(clean, noisy) == pytest.approx(expected, abs=1e-9)


@needs_pesq
def test_parts_without_speech_do_not_count(monkeypatch, clean, noisy):
    monkeypatch.setattr(perceptual, "MAX_SECONDS", 2)
    silence = np.zeros_like(clean)
    expected = pesq(clean, noisy)
    for rest in (silence, noisy):
        score = pesq(np.append(clean, silence), np.append(noisy, rest))
        assert score == pytest.approx(expected, abs=1e-9)
    assert_undefined(
        "enhanced is silent", np.append(clean, clean), np.append(noisy, silence)
    )


@needs_pesq
def test_many_utterances_do_not_crash_the_process():
    # With 120 utterances in a minute, `pesq.pesq` crashes.
    script = """
import numpy as np
from skvae.metrics import pesq
rng = np.random.default_rng(0)
time = np.arange(60 * 8000) / 8000
clean = (time % 0.5 < 0.26) * rng.standard_normal(time.size)
print(pesq(clean, clean, 8000, "nb"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(4.549, abs=1e-3)


@pytest.mark.parametrize(
    ("mode", "rate", "wanted"),
    [
        ("wb", 8000, "must be 16000"),
        ("wb", 44100, "must be 16000"),
        ("nb", 48000, "must be 8000 or 16000"),
        ("nb-raw", 11025, "must be 8000 or 16000"),
    ],
)
def test_other_sample_rates_are_an_error_that_says_what_to_do(
    clean, capfd, mode, rate, wanted
):
    with pytest.raises(ValueError, match=wanted) as error:
        pesq(clean, clean, rate, mode)
    assert f"soxr.resample(waveform, {rate}, 16000)" in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rate", [0, -16000, 16000.5, None, "16 kHz", math.nan])
def test_sample_rate_must_be_a_positive_whole_number(clean, rate):
    with pytest.raises(ValueError, match="`sample_rate` must be a positive whole"):
        pesq(clean, clean, rate)


def test_an_unknown_mode_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match=r"`mode` must be .*wb, nb, nb-raw, got 'swb'"):
        pesq([1.0], [1.0], mode="swb")


def test_different_lengths_are_an_error_that_names_both(clean):
    with pytest.raises(ValueError, match="got 32000 and 31999"):
        pesq(clean, clean[1:])


def test_a_missing_package_is_an_error_that_says_how_to_install(clean, monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(ImportError, match=r'pip install "skvae\[pesq\]"'):
        pesq(clean, clean)
