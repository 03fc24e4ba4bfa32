"""reduce_noise: arrays of any rate, shape and type, in one call."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import soundfile
from helpers.music import make_chords

from skvae import AudioFile, LogMMSE, WienerFilter, reduce_noise, save_pretrained
from skvae.datasets import make_dataset, make_noise
from skvae.metrics import si_sdr
from skvae.signal.music import MusicWarning

NOISY, CLEAN = make_dataset(2, snr=5, duration=(1.0, 1.0), random_state=0)
STEREO = np.stack([NOISY[0], 0.5 * NOISY[0][::-1]])


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("model", ["wiener", WienerFilter().fit(NOISY)])
def test_any_rate_is_taken_and_kept(rate, model):
    """By a method at the rate of the array, and by an enhancer for 16 kHz."""
    enhanced = reduce_noise(NOISY[0], rate, model)
    assert enhanced.shape == NOISY[0].shape
    assert enhanced.dtype == NOISY[0].dtype
    assert np.isfinite(enhanced).all()
    assert np.square(enhanced).mean() < np.square(NOISY[0]).mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16])
@pytest.mark.parametrize("shape", ["mono", "row", "column", "channels", "frames"])
def test_shape_and_type_are_kept(dtype, shape):
    x = STEREO * (20000 if dtype == np.int16 else 1)
    y = {
        "mono": x[0],
        "row": x[:1],
        "column": x[:1].T,
        "channels": x,
        "frames": x.T,
    }[shape].astype(dtype)
    before = y.copy()
    enhanced = reduce_noise(y, 16000, "wiener")
    assert enhanced.shape == y.shape
    assert enhanced.dtype == y.dtype
    np.testing.assert_array_equal(y, before)


def test_it_is_what_the_model_does():
    [wanted] = WienerFilter().fit(NOISY).transform(NOISY[:1])
    enhanced = reduce_noise(NOISY[0], 16000, "wiener", preset="strong")
    np.testing.assert_array_equal(enhanced, wanted)
    fitted = LogMMSE().fit(NOISY)
    [wanted] = fitted.transform(NOISY[:1])
    np.testing.assert_array_equal(reduce_noise(NOISY[0], 16000, fitted), wanted)


def test_channels_have_one_mask():
    same = np.stack([NOISY[0], -0.5 * NOISY[0]])
    left, right = reduce_noise(same, 16000, "wiener")
    np.testing.assert_allclose(right, -0.5 * left, atol=1e-6)
    np.testing.assert_allclose(
        reduce_noise(STEREO.T, 16000, "wiener"), reduce_noise(STEREO, 16000, "wiener").T
    )


def test_the_best_model_is_the_default():
    enhanced = reduce_noise(NOISY[0], 16000)
    assert si_sdr(CLEAN[0], enhanced) > si_sdr(CLEAN[0], NOISY[0]) + 3


def test_mix_and_limit():
    y = NOISY[0]
    full, half = (reduce_noise(y, 16000, "wiener", mix=mix) for mix in (1.0, 0.5))
    np.testing.assert_allclose(half, 0.5 * (full + y), atol=1e-6)
    np.testing.assert_allclose(reduce_noise(y, 16000, "wiener", mix=0), y, atol=1e-7)
    limited = reduce_noise(y, 16000, "wiener", attenuation_limit=0)
    np.testing.assert_allclose(limited, y, atol=1e-5)
    # The limit of one call is not that of the next.
    np.testing.assert_array_equal(reduce_noise(y, 16000, "wiener"), full)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 24),
        ({"preset": "auto"}, 24),
        ({"preset": "gentle"}, 12),
        ({"preset": "normal"}, 24),
        ({"preset": "strong"}, None),
        ({"preset": "gentle", "attenuation_limit": 6}, 6),
        ({"preset": "strong", "attenuation_limit": 15}, 15),
        ({"attenuation_limit": 30}, 30),
    ],
)
def test_a_preset_is_a_limit_unless_one_is_given(options, limit):
    wanted = WienerFilter(attenuation_limit=limit).fit(NOISY).transform(NOISY[:1])
    enhanced = reduce_noise(NOISY[0], 16000, "wiener", **options)
    np.testing.assert_array_equal(enhanced, wanted[0])


def test_auto_keeps_what_a_model_or_an_enhancer_was_made_with(tmp_path):
    gentle = WienerFilter(attenuation_limit=9).fit(NOISY)
    save_pretrained(gentle, tmp_path / "gentle.safetensors")
    strong = WienerFilter().fit(NOISY)
    for model, wanted in (
        (gentle, gentle),
        (tmp_path / "gentle.safetensors", gentle),
        (strong, strong),
    ):
        [enhanced] = wanted.transform(NOISY[:1])
        found = reduce_noise(NOISY[0], 16000, model)
        np.testing.assert_array_equal(found, enhanced)
    forced = reduce_noise(NOISY[0], 16000, gentle, preset="strong")
    np.testing.assert_array_equal(forced, strong.transform(NOISY[:1])[0])
    assert gentle.attenuation_limit == 9


def test_music_that_is_erased_is_told():
    chords = 0.1 * make_chords()[: 4 * 16000]
    with pytest.warns(MusicWarning, match=r"`y\[1\]`: little is left .* music") as told:
        reduce_noise([NOISY[0], chords], 16000)
    assert len(told) == 1


def test_noise_that_is_erased_is_no_music(recwarn):
    for kind in ("machine", "hum", "babble", "white"):
        reduce_noise(make_noise(64000, kind, random_state=0), 16000)
    assert not recwarn.list


def test_lists_of_recordings_and_jobs():
    recordings = [NOISY[0], STEREO, NOISY[1][:8000]]
    alone = [reduce_noise(y, 16000, "wiener") for y in recordings]
    for n_jobs in (None, 2):
        together = reduce_noise(recordings, 16000, "wiener", n_jobs=n_jobs)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one, other)


def test_files_know_their_rate(tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, STEREO.T, 44100, subtype="FLOAT")
    from_path = reduce_noise(path, model="wiener")
    assert from_path.shape == STEREO.shape
    np.testing.assert_array_equal(
        from_path, reduce_noise(STEREO.astype(np.float32), 44100, "wiener")
    )
    file = AudioFile(path, channel=0)
    assert reduce_noise(file, model="wiener").shape == (STEREO.shape[1],)
    with pytest.raises(ValueError, match="`sr` must be None or 44100"):
        reduce_noise(path, 16000, "wiener")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        reduce_noise(tmp_path / "no.wav", model="wiener")
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match="no audio that can be read"):
        reduce_noise(tmp_path / "text.wav", model="wiener")


@pytest.mark.parametrize(
    ("y", "sr", "options", "message"),
    [
        (NOISY[0], None, {}, "`sr` must be the sample rate of `y`, got None"),
        (NOISY[0], 0, {}, "sample"),
        (np.zeros((100, 200), np.float32), 16000, {}, "up to 64 channels"),
        (np.zeros((2, 3, 4)), 16000, {}, "one or two dimensions"),
        (np.zeros(9, np.int32), 16000, {}, "floats or int16, got int32"),
        (np.array([0.0, np.nan]), 16000, {}, "channel 0 of `y`"),
        ([NOISY[0], np.array([np.inf])], 16000, {}, r"channel 0 of `y\[1\]`"),
        (NOISY[0], 16000, {"mix": 2}, "`mix`"),
        (NOISY[0], 16000, {"preset": "loud"}, "`preset` must be .*'gentle'"),
        (NOISY[0], 16000, {"attenuation_limit": -3}, "`attenuation_limit`"),
        (NOISY[0], 16000, {"model": 3}, "`model` must be the name of a model"),
    ],
)
def test_what_cannot_be_used_is_told(y, sr, options, message):
    with pytest.raises(ValueError, match=message):
        reduce_noise(y, sr, **{"model": "wiener", **options})


@pytest.mark.parametrize("n_samples", [0, 1, 7])
def test_short_recordings(n_samples):
    y = NOISY[0][:n_samples]
    assert reduce_noise(y, 44100, "wiener").shape == (n_samples,)


def test_threads_share_a_model():
    wanted = reduce_noise(NOISY[0], 16000, "log-mmse")
    found = [None] * 8

    def work(k):
        found[k] = reduce_noise(NOISY[0], 16000, "log-mmse")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for enhanced in found:
        np.testing.assert_array_equal(enhanced, wanted)
