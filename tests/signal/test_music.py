"""Music that a model has removed is noticed; machines and speech are not."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.music import RATE, make_chords, make_drums, make_melody

from skvae import STFT
from skvae.datasets import NOISE_KINDS, make_dataset, make_noise
from skvae.signal.music import MusicDetector


def detect(x, gain=0.1, level=-20.0, size=None):
    x = x * 10 ** (level / 20) / np.sqrt(np.square(x).mean())
    [spectrogram] = STFT().transform([x])
    V = np.abs(spectrogram.frames()) ** 2
    detector = MusicDetector.of(STFT())
    for start in range(0, len(V), size or len(V)):
        part = V[start : start + (size or len(V))]
        detector.observe(part, np.full_like(part, gain))
    return detector


@pytest.mark.parametrize("make", [make_chords, make_melody])
@pytest.mark.parametrize("seed", range(4))
def test_music_is_found(make, seed):
    detector = detect(make(seed))
    assert detector.is_erased
    assert detector.change == pytest.approx(-20)
    assert "fell by 20 dB" in detector.message and "music" in detector.message


def test_music_with_drums_and_noise_is_found():
    chords, drums = make_chords(), make_drums()
    noise = make_noise(len(chords), "pink", random_state=0)
    mixed = chords + 0.1 * drums / drums.std() * chords.std() + 0.2 * noise
    assert detect(mixed).is_erased


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_is_no_music(kind):
    for seed in range(3):
        assert not detect(make_noise(8 * RATE, kind, random_state=seed)).is_erased


def test_steady_tones_are_a_machine_and_drums_are_no_tones():
    t = np.arange(8 * RATE) / RATE
    steady = sum(np.sin(2 * np.pi * f * t) for f in range(200, 4000, 300))
    for x in (steady, make_drums()):
        assert not detect(x).is_erased


def test_noisy_speech_is_no_music():
    for noisy in make_dataset(6, snr=0, duration=(4.0, 5.0), random_state=0)[0]:
        assert not detect(noisy).is_erased


def test_what_is_left_or_soft_is_not_told():
    chords = make_chords()
    assert detect(chords, gain=0.2).is_erased
    assert not detect(chords, gain=0.4).is_erased
    assert not detect(chords, level=-70).is_erased
    with np.errstate(all="raise"):
        silent = MusicDetector.of(STFT())
        assert not silent.is_erased and silent.change == 0
        silent.observe(np.zeros((5, 513)), np.zeros((5, 513)))
        assert not silent.is_erased


def test_blocks_hardly_matter():
    whole, parts = detect(make_chords()), detect(make_chords(), size=192)
    assert whole.is_erased and parts.is_erased
    assert parts.change == pytest.approx(whole.change)


def test_very_short_frames_hold_no_tones():
    detector = MusicDetector(8, 2, RATE)
    detector.observe(np.ones((9, 5)), np.zeros((9, 5)))
    assert not detector.is_erased
