"""Rooms: exact convolution, early parts as the target, energies, errors."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.base import clone

from skvae.datasets import AudioFile, Mixer, Rooms, make_speech
from skvae.datasets.mixing.rooms import room_response

RATE = 16000
SPEECH = make_speech(8000, random_state=0)


def rng(seed=0):
    return np.random.default_rng(seed)


def response(seed=0):
    """Decaying noise before, at and after a direct sound."""
    h = 0.3 * rng(seed).standard_normal(900) * np.exp(-np.arange(900) / 200)
    h[40] = 5.0
    return h


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [1, 30, 500, 8000])
def test_reverberation_is_a_convolution_and_its_early_part(dtype, n_samples):
    speech, h = SPEECH[-n_samples:].astype(dtype) + dtype(0.01), response()
    rooms = Rooms([h], fraction=1.0, synthetic=0.0, early=0.01)
    heard, early = rooms.apply(speech, RATE, rng())
    assert heard.dtype == early.dtype == dtype
    part = h.copy()
    part[40 + 1 + 160 :] = 0
    wanted = [np.convolve(speech.astype(float), x)[40:] for x in (h, part)]
    wanted = [np.pad(x, (0, n_samples))[:n_samples] for x in wanted]
    gain = np.sqrt(np.sum(speech.astype(float) ** 2) / np.sum(wanted[1] ** 2))
    np.testing.assert_allclose(heard, gain * wanted[0], atol=2e-5)
    np.testing.assert_allclose(early, gain * wanted[1], atol=2e-5)
    assert np.sum(early**2) == pytest.approx(np.sum(speech**2), rel=1e-4)


def test_a_fraction_of_mixtures_is_reverberant_and_speech_is_not_changed():
    before = SPEECH.copy()
    rooms, generator, dry = Rooms(fraction=0.3), rng(), 0
    for _ in range(200):
        heard, early = rooms.apply(SPEECH[:400], RATE, generator)
        dry += heard is early
    assert 120 < dry < 160
    np.testing.assert_array_equal(SPEECH, before)


def test_synthetic_rooms_decay_in_their_time_and_faster_at_high_frequencies():
    for time in (0.1, 0.4):
        energies, low, high = [], 0.0, 0.0
        for seed in range(30):
            h = room_response(time, RATE, rng(seed))
            assert h[0] == 1
            assert 10 ** (-1.2) <= np.sum(h[1:] ** 2) <= 10**0.3 * (1 + 1e-9)
            energies.append(h[1:] ** 2 / np.sum(h[1:] ** 2))
            end = h[-len(h) // 3 :]
            spectrum = np.abs(np.fft.rfft(end)) ** 2
            low += spectrum[: len(spectrum) // 2].sum()
            high += spectrum[len(spectrum) // 2 :].sum()
        # What is left in the last third of the time, which begins 40 dB down.
        left = np.mean(energies, axis=0)
        assert left[-len(left) // 3 :].sum() < 5e-3
        assert high < low


def test_mixtures_have_the_ratio_of_the_reverberant_speech_and_clean_ones_stay_dry():
    noise = rng().standard_normal(30_000)
    rooms = Rooms([response()], fraction=1.0, synthetic=0.0)
    noisy, early = Mixer([noise], snr=5.0, rooms=rooms).mix(SPEECH, rng=3)
    heard, wanted = rooms.apply(SPEECH, RATE, rng())
    np.testing.assert_allclose(early, wanted, atol=1e-6)
    ratio = np.sum(heard**2) / np.sum((noisy - heard) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(5.0, abs=0.01)
    noisy, early = Mixer([noise], noiseless=1.0, rooms=rooms).mix(SPEECH, rng=3)
    np.testing.assert_array_equal(noisy, SPEECH)
    np.testing.assert_array_equal(early, SPEECH)


def test_silence_stays_silent():
    heard, early = Rooms(fraction=1.0).apply(np.zeros(100, np.float32), RATE, rng())
    assert not heard.any()
    assert not early.any()
    silent = Rooms([np.zeros(10)], fraction=1.0, synthetic=0.0)
    assert np.isfinite(silent.apply(SPEECH, RATE, rng())[0]).all()


def test_a_folder_serves_like_its_files_and_is_no_part_of_the_state(tmp_path):
    for k in range(2):
        h = response(k).astype(np.float32)
        soundfile.write(tmp_path / f"{k}.wav", h / 10, RATE, "FLOAT")
    rooms = Rooms(str(tmp_path), fraction=1.0, synthetic=0.0)
    before = pickle.dumps(rooms), joblib.hash(rooms)
    files = [AudioFile(tmp_path / f"{k}.wav") for k in range(2)]
    for seed in range(4):
        one = rooms.apply(SPEECH, RATE, rng(seed))
        other = rooms.set_params().apply(SPEECH, RATE, rng(seed))
        third = Rooms(files, fraction=1.0, synthetic=0.0).apply(SPEECH, RATE, rng(seed))
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    assert (pickle.dumps(rooms), joblib.hash(rooms)) == before
    assert clone(rooms).responses == str(tmp_path)
    with pytest.raises(ValueError, match="8000 Hz and 16000 Hz"):
        rooms.apply(SPEECH, 8000, rng())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fraction": 1.5}, r"`fraction` must be a number in \[0, 1\], got 1.5"),
        ({"synthetic": None}, "`synthetic` must be a number"),
        ({"early": -1}, "`early` must be a number"),
        ({"reverberation_time": 0.3}, "`reverberation_time` must be a tuple"),
        ({"reverberation_time": (0, 1)}, r"`reverberation_time\[0\]` must be"),
        ({"reverberation_time": (0.5, 0.1)}, r"`reverberation_time\[1\]` must be"),
        ({"responses": []}, "`responses` must hold at least one waveform"),
        ({"responses": 3}, "`responses` must be None, the path of a folder, "),
    ],
)
def test_wrong_parameters_are_named_when_mixing(parameters, message):
    with pytest.raises(ValueError, match=message):
        Mixer(rooms=Rooms(**parameters)).mix(SPEECH, rng=0)


def test_other_objects_are_refused():
    with pytest.raises(ValueError, match="`rooms` must be None or a Rooms, got True"):
        Mixer(rooms=True).mix(SPEECH, rng=0)
