"""LogMel features."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from skvae import STFT, LogMel
from skvae.datasets import make_speech
from skvae.signal.features import mel_filters
from skvae.signal.framing import Framing


@pytest.fixture(scope="module")
def speech():
    return make_speech(20_000, random_state=0).astype(np.float64)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("n_fft", [256, 400, 1024])
@pytest.mark.parametrize(
    ("n_mels", "f_min", "f_max"), [(8, 0.0, None), (96, 0.0, None), (40, 80.0, 3800.0)]
)
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_filters_are_those_of_librosa(rate, n_fft, n_mels, f_min, f_max):
    wanted = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max
    )
    found = mel_filters(Framing(n_fft, n_fft // 4), rate, n_mels, f_min, f_max)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found.T, wanted, rtol=1e-6, atol=1e-9)
    assert not found.flags.writeable
    assert found.flags.f_contiguous  # or sums over the bins have other bits


def test_agrees_with_librosa(speech):
    [features] = LogMel(40, stft=STFT(window="hann")).fit_transform([speech])
    reference = librosa.feature.melspectrogram(
        y=speech, sr=16000, n_fft=1024, hop_length=256, n_mels=40, pad_mode="constant"
    ).T
    loud = reference > reference.max() * 1e-9
    np.testing.assert_allclose(features[loud], np.log(reference[loud]), rtol=1e-5)


def test_values_stay_within_the_dynamic_range(speech):
    speech[5000:15000] = 0
    [features] = LogMel(dynamic_range=60).fit_transform([speech])
    assert features.max() - features.min() == pytest.approx(6 * np.log(10))


def test_scaling_shifts_all_features_alike(speech):
    one, other = LogMel().fit_transform([speech, 100 * speech])
    np.testing.assert_allclose(other - one, 2 * np.log(100), rtol=1e-9)


def test_spectrograms_give_what_waveforms_give(speech):
    stft = STFT(512, 128)
    waveforms = [speech[:3000], speech[:1]]
    from_waveforms = LogMel(stft=stft).fit_transform(waveforms)
    from_spectrograms = LogMel().fit_transform(stft.fit_transform(waveforms))
    for one, other in zip(from_waveforms, from_spectrograms, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_of_an_array_give_one_array(speech):
    rows = speech[:6000].reshape(3, 2000)
    assert LogMel(n_mels=30).fit_transform(rows).shape == (3, 8, 30)


def test_silence_is_finite_and_constant():
    [features] = LogMel().fit_transform([np.zeros(3000, np.float32)])
    assert np.isfinite(features).all()
    assert np.ptp(features) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_mels": 0}, "n_mels"),
        ({"f_min": -1}, "f_min"),
        ({"f_min": 500, "f_max": 100}, "f_max"),
        ({"dynamic_range": 0}, "dynamic_range"),
    ],
)
def test_parameters_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LogMel(**options).fit([np.ones(10)])
