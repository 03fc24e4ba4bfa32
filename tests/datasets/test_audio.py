import copy
import os
import pickle

import joblib
import numpy as np
import pytest
import soundfile
import soxr
from sklearn.base import BaseEstimator, clone

from skvae.datasets import AudioFile, find_audio, load_audio
from skvae.utils.waveforms import open_waveform

# Quantization step of 16-bit files.
STEP = 2.0**-15


def write(path, samples, sample_rate=16000, **options):
    soundfile.write(path, samples, sample_rate, **options)
    return path


@pytest.fixture
def samples():
    return np.random.default_rng(0).uniform(-0.9, 0.9, 20000).astype(np.float32)


@pytest.fixture
def path(tmp_path, samples):
    return write(tmp_path / "noise.wav", samples, subtype="FLOAT")


class Holder(BaseEstimator):
    def __init__(self, audio=None):
        self.audio = audio


def test_a_file_reads_as_its_samples(path, samples):
    audio = AudioFile(path)
    assert len(audio) == 20000
    assert audio.sample_rate == 16000
    assert audio.duration == 1.25
    assert audio.path == str(path)
    assert audio.dtype == np.float32
    read = np.asarray(audio)
    assert read.dtype == np.float32
    assert np.array_equal(read, samples)
    assert open_waveform(audio).shape == (20000,)


def test_array_protocol_obeys_dtype_and_copy(path, samples):
    audio = AudioFile(path)
    assert np.asarray(audio, dtype=np.float64).dtype == np.float64
    assert np.array_equal(np.array(audio, copy=True), samples)
    with pytest.raises(ValueError, match="copy=False"):
        np.array(audio, copy=False)


@pytest.mark.parametrize(
    "ending, subtype, is_exact",
    [
        ("wav", "PCM_16", True),
        ("wav", "PCM_24", True),
        ("wav", "FLOAT", True),
        ("wav", "ULAW", False),
        ("wav", "GSM610", False),
        ("wav", "MS_ADPCM", False),
        ("flac", None, True),
        ("aiff", None, True),
        ("w64", None, True),
        ("au", None, True),
        ("ogg", "VORBIS", False),
        ("ogg", "OPUS", False),
        ("mp3", None, False),
    ],
)
def test_formats_of_soundfile_are_read_in_whole_and_in_part(
    tmp_path, ending, subtype, is_exact
):
    time = np.arange(160000) / 16000
    chirp = 0.3 * np.sin(2 * np.pi * (200 * time + 20 * time**2))
    path = write(tmp_path / f"chirp.{ending}", chirp, subtype=subtype)
    audio = AudioFile(path)
    whole = np.asarray(audio)
    # Some encodings pad their last block.
    assert 160000 <= len(whole) == len(audio) < 162000
    if is_exact:
        assert np.abs(whole - chirp).max() <= STEP
    assert np.corrcoef(whole[:160000], chirp)[0, 1] > 0.8
    for start in (1, 3000, 30000, 60001, 100000, 159500):
        part = np.asarray(audio[start : start + 2000])
        assert np.array_equal(part, whole[start : start + 2000])


@pytest.mark.parametrize(
    "part",
    [
        slice(None),
        slice(100, 300),
        slice(None, 50),
        slice(-70, None),
        slice(19990, 30000),
        slice(300, 100),
        slice(-10, -3),
        slice(5, 5),
    ],
)
@pytest.mark.parametrize("start, stop", [(0, None), (1000, 15000), (500, 10**6)])
def test_slices_equal_the_slices_of_the_whole(path, samples, part, start, stop):
    audio = AudioFile(path, start, stop)
    expected = samples[start:stop]
    assert len(audio) == len(expected)
    assert len(audio[part]) == len(expected[part])
    assert np.array_equal(np.asarray(audio[part]), expected[part])
    assert np.array_equal(np.asarray(audio[part][3:40]), expected[part][3:40])


def test_the_whole_slice_equals_the_file(path):
    assert AudioFile(path)[:] == AudioFile(path)
    assert AudioFile(path)[10:] == AudioFile(path, 10)


def test_wrong_indices_say_what_to_do(path):
    audio = AudioFile(path)
    with pytest.raises(TypeError, match=r"np\.asarray\(audio\)"):
        audio[3]
    with pytest.raises(TypeError, match="slices"):
        list(audio)
    with pytest.raises(ValueError, match="step 1, got 2"):
        audio[::2]


@pytest.mark.parametrize(
    "rate, new_rate",
    [(48000, 16000), (44100, 16000), (8000, 16000), (16000, 44100), (22051, 16000)],
)
def test_resampled_slices_agree_with_the_resampled_whole(tmp_path, rate, new_rate):
    rng = np.random.default_rng(1)
    samples = rng.uniform(-1, 1, 3 * rate + 17).astype(np.float32)
    path = write(tmp_path / "noise.wav", samples, rate, subtype="FLOAT")
    audio = AudioFile(path, sample_rate=new_rate)
    expected = soxr.resample(samples, rate, new_rate, "HQ")
    assert len(audio) == len(expected)
    assert audio.sample_rate == new_rate
    np.testing.assert_allclose(np.asarray(audio), expected, rtol=0, atol=1e-6)
    n = len(expected)
    starts = [0, 1, n // 2, n - 1, n - 700, *rng.integers(n, size=10).tolist()]
    for start in starts:
        stop = min(n, start + int(rng.integers(1, 3000)))
        np.testing.assert_allclose(
            np.asarray(audio[start:stop]), expected[start:stop], rtol=0, atol=2e-5
        )


def test_resampled_slices_read_only_their_part(tmp_path, monkeypatch):
    path = write(tmp_path / "long.wav", np.zeros(48000 * 20), 48000)
    audio = AudioFile(path, sample_rate=16000)[160000:176000]
    assert len(audio) == 16000
    read, asked = soundfile.SoundFile.read, []

    def count(self, frames, **options):
        asked.append(frames)
        return read(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", count)
    assert np.asarray(audio).shape == (16000,)
    assert sum(asked) < 1.1 * 48000


@pytest.mark.parametrize("n_samples", [1, 2, 3, 50, 997])
def test_lengths_after_resampling_are_those_of_soxr(tmp_path, n_samples):
    samples = np.ones(n_samples, dtype=np.float32)
    path = write(tmp_path / "short.wav", samples, 44100)
    for rate in (8000, 16000, 48000):
        audio = AudioFile(path, sample_rate=rate)
        expected = len(soxr.resample(samples, 44100, rate))
        assert len(audio) == len(np.asarray(audio)) == expected


def test_channels_are_averaged_or_picked(tmp_path, samples):
    stereo = np.stack([samples, 0.5 * samples[::-1]], axis=1)
    path = write(tmp_path / "stereo.wav", stereo, subtype="FLOAT")
    np.testing.assert_allclose(
        np.asarray(AudioFile(path)), stereo.mean(axis=1), atol=1e-7
    )
    for channel in (0, 1):
        picked = np.asarray(AudioFile(path, channel=channel))
        assert np.array_equal(picked, stereo[:, channel])
        halved = AudioFile(path, sample_rate=8000, channel=channel)
        expected = soxr.resample(stereo[:, channel], 16000, 8000)
        np.testing.assert_allclose(np.asarray(halved), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"below 2, .*stereo\.wav'?, got 2"):
        np.asarray(AudioFile(path, channel=2))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"start": -1}, r"`start` must be an integer in \[0, inf\), got -1"),
        ({"stop": 1.5}, "`stop` must be an integer in .* or None, got 1.5"),
        (
            {"sample_rate": 0},
            "`sample_rate` must be a positive whole number of Hz, got 0",
        ),
        ({"sample_rate": "16k"}, "`sample_rate` must be .* got '16k'"),
        ({"channel": "left"}, "`channel` must be 'mean' or an integer .* got 'left'"),
        ({"channel": True}, "`channel` must be"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AudioFile("speech.wav", **options)


def test_making_one_opens_no_file():
    audio = AudioFile("nowhere/to be found.wav", 0, 100, 16000)
    assert audio == AudioFile("nowhere/to be found.wav", 0, 100, 16000)
    assert audio.sample_rate == 16000
    with pytest.raises(FileNotFoundError, match=r"check the path.*to be found\.wav"):
        len(audio)


def test_what_is_no_audio_is_named(tmp_path):
    for name in ("notes.txt", "broken.wav", "headerless.raw"):
        (tmp_path / name).write_bytes(b"this is no audio" * 10)
        with pytest.raises(ValueError, match=rf"{name}.* cannot be read as audio"):
            len(AudioFile(tmp_path / name))
    with pytest.raises(OSError, match="find_audio"):
        len(AudioFile(tmp_path))


def test_a_file_that_is_cut_off_after_listing_is_named(tmp_path, samples):
    path = write(tmp_path / "cut.wav", samples)
    audio = AudioFile(path)
    assert len(audio) == 20000
    path.write_bytes(path.read_bytes()[:5044])
    with pytest.raises(ValueError, match=r"cut\.wav' is truncated: .* sample 2500"):
        np.asarray(audio)


def test_an_empty_file_has_no_samples(tmp_path):
    audio = AudioFile(write(tmp_path / "empty.wav", np.zeros(0)), sample_rate=8000)
    assert len(audio) == 0
    assert np.asarray(audio).shape == (0,)
    with pytest.raises(ValueError, match="at least one sample"):
        open_waveform(audio)


def test_paths_may_be_unicode(tmp_path, samples):
    folder = tmp_path / "Жизнь 日本語"
    folder.mkdir()
    path = write(folder / "naïve é.flac", samples)
    assert len(AudioFile(path)) == len(AudioFile(str(path))) == 20000
    assert [audio.path for audio in find_audio(tmp_path)] == [str(path)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts Linux handles")
def test_no_file_stays_open(path, tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    audio = [AudioFile(path)[i : i + 10] for i in range(50)]
    kept = [np.asarray(item) for item in audio]
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="bad"):
        len(AudioFile(tmp_path / "bad.wav"))
    assert len(kept) == 50
    assert len(os.listdir("/proc/self/fd")) == before


def test_repr_shows_what_was_given():
    assert repr(AudioFile("a.wav")) == "AudioFile('a.wav')"
    audio = AudioFile("a.wav", 5, 10, 8000, channel=1)
    assert eval(repr(audio)) == audio


def test_equality_and_hash_go_by_path_and_numbers():
    files = [
        AudioFile("a.wav"),
        AudioFile("b.wav"),
        AudioFile("a.wav", 1),
        AudioFile("a.wav", 0, 9),
        AudioFile("a.wav", sample_rate=8000),
        AudioFile("a.wav", channel=0),
    ]
    assert len(set(files)) == 6
    assert len({*files, *files[::-1], AudioFile("a.wav", start=0)}) == 6
    assert AudioFile("a.wav") != "a.wav"


def test_pickles_are_small_and_copies_are_free(path):
    audio = AudioFile(path, 5, 500, 8000)
    kept = np.asarray(audio)
    restored = pickle.loads(pickle.dumps(audio))
    assert restored == audio
    assert np.array_equal(np.asarray(restored), kept)
    assert len(pickle.dumps(audio)) < 150 + len(str(path))
    picked = AudioFile(path, 3, 9, 8000, channel=0)
    assert pickle.loads(pickle.dumps(picked)) == picked
    assert copy.copy(audio) is audio
    assert copy.deepcopy([audio])[0] is audio


def test_an_estimator_may_hold_a_list_of_files(path):
    files = [AudioFile(path, i) for i in range(2000)]
    copied = clone(Holder(files))
    assert copied.audio == files
    assert copied.audio[7] is files[7]


def test_hash_of_joblib_does_not_depend_on_having_been_read(path):
    audio = AudioFile(path)
    before = joblib.hash([audio])
    assert len(audio) == 20000
    assert joblib.hash([audio]) == before
    assert joblib.hash([AudioFile(path)]) == before
    assert joblib.hash([AudioFile(path, 1)]) != before


def test_load_audio_reads_mono_and_all_channels(tmp_path, samples):
    stereo = np.stack([samples, -0.5 * samples, samples], axis=1)
    path = write(tmp_path / "three.wav", stereo, subtype="FLOAT")
    mono, rate = load_audio(path)
    assert (mono.shape, mono.dtype, rate) == ((20000,), np.float32, 16000)
    np.testing.assert_allclose(mono, stereo.mean(axis=1), atol=1e-7)
    channels, rate = load_audio(str(path), mono=False)
    assert rate == 16000
    assert channels.flags.c_contiguous
    assert np.array_equal(channels, stereo.T)
    channels, rate = load_audio(path, sample_rate=8000, mono=False)
    assert (channels.shape, rate) == ((3, 10000), 8000)
    for row, column in zip(channels, stereo.T, strict=True):
        np.testing.assert_allclose(row, soxr.resample(column, 16000, 8000), atol=1e-6)
    one, _ = load_audio(write(tmp_path / "one.wav", samples), mono=False)
    assert one.shape == (1, 20000)


def test_load_audio_names_what_it_cannot_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.wav"):
        load_audio(tmp_path / "missing.wav")
    with pytest.raises(ValueError, match="sample_rate"):
        load_audio(tmp_path / "missing.wav", sample_rate=-1)
