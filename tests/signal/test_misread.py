"""A warning for arrays that have another sample rate than the enhancer's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import soxr

from skvae import STFT, LogMMSE, SpectralSubtraction
from skvae.datasets import make_noise, make_speech, mix_at_snr


@pytest.fixture(scope="module")
def noisy():
    clean = make_speech(48000, random_state=0)
    return mix_at_snr(clean, make_noise(48000, "machine", random_state=0), 5.0)


@pytest.fixture(scope="module")
def enhancer(noisy):
    return SpectralSubtraction().fit([noisy])


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_speech_of_a_higher_rate_gets_a_warning(noisy, enhancer, rate, dtype):
    misread = soxr.resample(noisy, 16000, rate)
    if dtype is np.int16:
        misread = (10000 * misread / np.abs(misread).max()).astype(np.int16)
    with pytest.warns(UserWarning, match="call skvae.reduce_noise") as told:
        enhancer.transform([misread, noisy])
    assert len(told) == 1
    assert told[0].filename == __file__


def test_speech_of_this_rate_and_telephones_get_none(noisy, enhancer):
    telephone = soxr.resample(soxr.resample(noisy, 16000, 8000), 8000, 16000)
    misread = soxr.resample(noisy, 16000, 48000)
    silence = np.zeros(48000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for waveform in (noisy, telephone, silence, misread[:9000], np.zeros(1)):
            enhancer.transform([waveform])
        enhancer.transform([misread], sample_rate=16000)  # the user says so
        enhancer.transform(STFT().fit_transform([noisy]))
        LogMMSE(stft=STFT(sample_rate=48000)).fit([misread]).transform(
            [make_noise(48000, "white", random_state=0)]
        )


def test_what_is_not_finite_is_still_an_error_of_its_utterance(enhancer, noisy):
    broken = noisy.copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        enhancer.transform([broken])
