import numpy as np
import pytest

from skvae.datasets import AudioFile
from skvae.utils.waveforms import (
    check_sample_rate,
    float_dtype,
    list_waveforms,
    open_waveform,
    restore_dtype,
)


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        ("f4", "f4"),
        ("f8", "f8"),
        ("f2", "f4"),
        ("i2", "f4"),
        ("i4", "f8"),
        ("i8", "f8"),
        ("u1", "f8"),
        ("?", "f8"),
        (">i2", "f4"),
        (">f4", "f4"),
        (">f8", "f8"),
    ],
)
def test_precision_follows_from_the_dtype(dtype, precision):
    assert float_dtype(np.dtype(dtype)) == np.dtype(precision)
    opened = open_waveform(np.ones(3, dtype))
    assert opened.dtype == np.dtype(precision) and opened.dtype.isnative


@pytest.mark.parametrize("dtype", ["i2", ">i2"])
def test_sixteen_bits_come_back_exactly(dtype):
    x = np.arange(-32768, 32768).astype(dtype)
    opened = open_waveform(x)
    assert opened[0] == -1 and opened[-1] == np.float32(32767 / 32768)
    back = restore_dtype(opened, np.dtype(np.int16))
    assert back.dtype == np.int16
    np.testing.assert_array_equal(back, x)


def test_sixteen_bits_are_rounded_and_clipped():
    samples = np.array([-2.0, -1.0, 0.4 / 32768, 0.6 / 32768, 1.0, 5.0], np.float32)
    restored = restore_dtype(samples, np.dtype(np.int16))
    assert restored.tolist() == [-32768, -32768, 0, 1, 32767, 32767]


def test_floats_pass_without_a_copy():
    for dtype in (np.float32, np.float64):
        x = np.ones(3, dtype)
        assert open_waveform(x) is x
        assert restore_dtype(x, x.dtype) is x


@pytest.mark.parametrize("dtype", ["i4", "i8", "u1", "?", "O"])
def test_what_carries_no_scale_becomes_float64(dtype):
    restored = restore_dtype(np.full(2, 0.25, np.float64), np.dtype(dtype))
    assert restored.dtype == np.float64 and restored.tolist() == [0.25, 0.25]


@pytest.mark.parametrize("waveform", [[1, 2], (1.0, 2.0), np.array([1, 2], object)])
def test_anything_that_holds_numbers_is_a_waveform(waveform):
    assert open_waveform(waveform).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        ("a.wav", "text 'a.wav'.*AudioFile"),
        (b"a.wav", "text"),
        (np.zeros((3, 2)), r"shape \(n_samples,\), got \(3, 2\)"),
        (3.0, r"1-D array of samples, got 3.0"),
        ([], "at least one sample"),
        ([1j], "Complex data not supported"),
        ([np.nan], "NaN or inf"),
        (np.array([np.inf], np.float32), "NaN or inf"),
        (["a"], "must hold numbers"),
        (np.array([None]), "must hold numbers, got a missing value"),
    ],
)
def test_what_is_no_waveform_is_named(waveform, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        open_waveform(waveform, "utterance 7")
    assert "utterance 7" in str(error.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_absurdly_loud_samples_are_refused_by_name(dtype):
    with pytest.raises(ValueError, match=r"utterance 3 .* scale it"):
        open_waveform(np.array([1e13], dtype), "utterance 3")
    open_waveform(np.array([2.0**31], dtype))


def test_half_precision_is_clipped_not_infinite():
    loud = restore_dtype(np.array([1e6, -1e6], np.float32), np.dtype(np.float16))
    assert np.isfinite(loud).all()


@pytest.mark.parametrize("rate", [1, 16000, 16e3, np.int64(8000), np.float32(44100)])
def test_sample_rates_are_integers(rate):
    checked = check_sample_rate(rate)
    assert checked == rate
    assert type(checked) is int


@pytest.mark.parametrize(
    "rate", [0, -1, 0.5, 22050.5, np.nan, np.inf, True, "16000", None, [16000]]
)
def test_what_is_no_sample_rate_is_an_error(rate):
    with pytest.raises(ValueError, match="`sample_rate` must be a positive whole"):
        check_sample_rate(rate)


@pytest.mark.parametrize(
    "waveforms",
    [
        [],
        ([0.5], [0.25, 0.5]),
        np.zeros((2, 3)),
        np.array([np.zeros(2), np.zeros(3)], dtype=object),
    ],
)
def test_lists_of_waveforms_are_returned_as_they_are(waveforms):
    assert list_waveforms(waveforms, "noise") is waveforms


def test_other_iterables_are_listed():
    first, second = np.zeros(2), np.zeros(3)
    listed = list_waveforms(iter([first, second]), "noise")
    assert listed[0] is first
    assert listed[1] is second


@pytest.mark.parametrize(
    ("waveforms", "got"),
    [
        ([0.5, 0.25], "numbers"),
        (np.zeros(3), "ndarray"),
        (np.zeros((1, 2, 3)), "ndarray"),
        ("speech.wav", "str"),
        (3, "int"),
        (None, "NoneType"),
        (AudioFile("speech.wav"), "AudioFile"),
    ],
)
def test_a_single_waveform_is_no_list(waveforms, got):
    with pytest.raises(ValueError, match=f"`noise` must be a list .* got {got}: pass"):
        list_waveforms(waveforms, "noise")
