"""Enhancing from file to file: rates, channels, encodings, lengths."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from skvae import BaseEnhancer, LogMMSE, MaskEstimate
from skvae.datasets import make_dataset
from skvae.recordings import encode, enhance_file, scaled_stft


class Constant(BaseEnhancer):
    """Multiplies everything by one number."""

    def __init__(
        self,
        gain=1.0,
        stft=None,
        attenuation_limit=None,
        block_seconds=1.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.gain = gain
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _estimate_mask(self, V, rng, state):
        return MaskEstimate(np.full_like(V, self.gain))


def tone(n_samples, rate, n_channels):
    phase = 2 * np.pi * 440 / rate * np.arange(n_samples)
    # Smooth ends: a step holds frequencies that no resampling keeps.
    edge = np.minimum(np.arange(n_samples), np.arange(n_samples)[::-1]) / (0.1 * rate)
    fade = np.sin(np.pi / 2 * np.minimum(edge, 1)) ** 2
    return (fade * np.sin(phase))[:, None] * np.linspace(0.3, 0.6, n_channels)


TOLERANCE = {
    "PCM_16": 4e-5,
    "PCM_24": 3e-5,
    "FLOAT": 3e-5,
    "DOUBLE": 3e-5,
    "PCM_U8": 0.009,
    "VORBIS": 0.15,
}


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("file_format", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_U8"),
        ("WAV", "DOUBLE"),
        ("FLAC", "PCM_24"),
        ("AIFF", "FLOAT"),
        ("OGG", "VORBIS"),
    ],
)
def test_a_mask_of_ones_gives_the_recording_back(
    tmp_path, rate, n_channels, file_format, subtype
):
    if subtype == "VORBIS" and n_channels == 6:
        pytest.skip("Vorbis itself takes the sixth channel for a subwoofer's")
    samples = tone(int(1.7 * rate) + 7, rate, n_channels)
    source, target = tmp_path / "a.audio", tmp_path / "b.audio"
    soundfile.write(source, samples, rate, format=file_format, subtype=subtype)
    seconds = enhance_file(Constant().fit([samples[:, 0]]), source, target)
    assert seconds == len(samples) / rate
    before, after = soundfile.info(source), soundfile.info(target)
    for name in ("samplerate", "channels", "frames", "format", "subtype"):
        assert getattr(before, name) == getattr(after, name)
    given, made = (soundfile.read(path, always_2d=True)[0] for path in (source, target))
    assert np.abs(given - made).max() < TOLERANCE[subtype]


@pytest.mark.parametrize("n_samples", [1, 2, 100, 4097])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_lengths_are_kept_to_the_sample(tmp_path, n_samples, rate):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    soundfile.write(source, np.ones(n_samples) / 2, rate)
    enhance_file(Constant().fit([np.ones(9)]), source, target)
    assert soundfile.info(target).frames == n_samples


def test_all_channels_are_multiplied_by_one_mask(tmp_path):
    noisy, _ = make_dataset(1, duration=(1.5, 1.5), random_state=0)
    stereo = np.stack([noisy[0], 0.25 * noisy[0]], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16000, subtype="FLOAT")
    enhance_file(LogMMSE().fit(noisy), tmp_path / "a.wav", tmp_path / "b.wav")
    left, right = soundfile.read(tmp_path / "b.wav")[0].T
    np.testing.assert_allclose(right, 0.25 * left, atol=1e-7)
    assert np.abs(left - stereo[:, 0]).max() > 0.01


def test_frequencies_above_the_band_follow_the_top_of_the_mask(tmp_path):
    rate = 48000
    high = 0.5 * np.sin(2 * np.pi * 15000 / rate * np.arange(rate))
    soundfile.write(tmp_path / "a.wav", high, rate, subtype="FLOAT")
    enhance_file(
        Constant(gain=0.25).fit([high]), tmp_path / "a.wav", tmp_path / "b.wav"
    )
    enhanced, _ = soundfile.read(tmp_path / "b.wav")
    np.testing.assert_allclose(enhanced, 0.25 * high, atol=1e-5)


def test_the_mask_at_three_times_the_rate_is_that_of_the_rate_itself():
    noisy, _ = make_dataset(1, duration=(1.0, 1.0), random_state=0)
    enhancer = LogMMSE().fit(noisy)
    import soxr

    tripled = soxr.resample(noisy[0], 16000, 48000, quality="VHQ")
    [at_48k] = np.concatenate(list(enhancer.enhance_blocks([tripled], 48000)), axis=1)
    [at_16k] = enhancer.transform(noisy)
    back = soxr.resample(at_48k, 48000, 16000, quality="VHQ")
    error = np.mean((back - at_16k) ** 2) / np.mean(at_16k**2)
    assert 10 * np.log10(error) < -30


def test_a_rate_that_is_no_multiple_is_refused():
    enhancer = LogMMSE().fit([np.ones(100)])
    with pytest.raises(ValueError, match="multiple of 16000, got 44100"):
        list(enhancer.enhance_blocks([np.ones(100)], 44100))


def test_source_and_target_must_differ(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(100), 16000)
    with pytest.raises(ValueError, match="must differ"):
        enhance_file(LogMMSE().fit([np.ones(9)]), path, path)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "PCM_U8", "PCM_S8"])
def test_what_exceeds_full_scale_is_clipped_not_wrapped(tmp_path, subtype):
    path = tmp_path / "a.aiff"
    loud = np.array([[1.5], [-1.5], [0.0]])
    soundfile.write(path, encode(loud, subtype), 16000, format="AIFF", subtype=subtype)
    read, _ = soundfile.read(path)
    assert read[0] > 0.99
    assert read[1] < -0.99
    assert read[2] == 0


def test_floats_keep_any_level_and_other_encodings_are_clipped():
    loud = np.array([[1.5]])
    assert encode(loud, "FLOAT") == 1.5
    assert encode(loud, "VORBIS") == 1.0


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_scaled_stft_has_frames_of_64_ms(rate):
    stft = scaled_stft(rate)
    assert stft.n_fft / rate == pytest.approx(0.064, rel=0.03)
    assert stft.n_fft == 4 * stft.hop_length
    assert stft.sample_rate == rate
