"""Enhancement from file to file: rates, channels, encodings, lengths."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pytest
import soundfile
import soxr
from helpers.music import make_chords

from skvae import (
    BaseEnhancer,
    LogMMSE,
    MaskEstimate,
    SpectralSubtraction,
    SpeechVAE,
    Training,
    WienerFilter,
    load_pretrained,
    save_pretrained,
)
from skvae.datasets import make_dataset
from skvae.formats import mpeg, ogg
from skvae.recording_files import (
    DamagedFileWarning,
    RecordingReader,
    encode,
    quantize,
    read_rate,
)
from skvae.recordings import enhance_file, scaled_stft
from skvae.signal.music import MusicWarning


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
    # Smooth ends: resampling removes some frequencies of a step.
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


def test_frequencies_above_the_band_have_the_gain_of_a_constant_mask(tmp_path):
    rate = 48000
    high = 0.5 * np.sin(2 * np.pi * 15000 / rate * np.arange(rate))
    soundfile.write(tmp_path / "a.wav", high, rate, subtype="FLOAT")
    enhance_file(
        Constant(gain=0.25).fit([high]), tmp_path / "a.wav", tmp_path / "b.wav"
    )
    enhanced, _ = soundfile.read(tmp_path / "b.wav")
    inside = np.s_[rate // 2 : -rate // 8]  # the ends are no steady sound
    np.testing.assert_allclose(enhanced[inside], 0.25 * high[inside], atol=5e-3)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("limit", [None, 6.0])
def test_music_of_which_little_is_left_gets_a_warning(tmp_path, rate, limit):
    chords = 0.1 * make_chords()
    samples = soxr.resample(chords, 16000, rate)
    soundfile.write(tmp_path / "a.wav", samples, rate)

    def warnings_of(gain):
        enhancer = Constant(gain, attenuation_limit=limit).fit([chords])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            enhance_file(enhancer, tmp_path / "a.wav", tmp_path / "b.wav")
        assert all(one.filename == __file__ for one in caught)
        return [one.category for one in caught]

    # A limit makes it no less of an error of the model.
    assert warnings_of(0.1) == [MusicWarning]
    assert warnings_of(0.5) == []


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


def write_noise(path, n_samples=20_000, rate=16000, n_channels=1, **kind):
    rng = np.random.default_rng(0)
    samples = (0.2 * rng.standard_normal((n_samples, n_channels))).clip(-1, 1)
    if path.suffix == ".opus":
        kind = {"format": "OGG", "subtype": "OPUS", **kind}
    soundfile.write(path, samples, rate, **kind)
    return soundfile.read(path, always_2d=True)[0]


#: Loud noise in two channels comes back as other noise.
WRONG = ["ALAC_20", "ALAC_24", "ALAC_32"]


def writable():
    """Formats and encodings that soundfile writes, and reads without arguments."""
    # VOC counts one sample too many, and SD2 makes two files.
    refused = {"RAW", "VOC", "SD2"}
    for file_format in sorted(set(soundfile.available_formats()) - refused):
        for subtype in soundfile.available_subtypes(file_format):
            # libsndfile does not complete these, or writes them wrong.
            if not (subtype.startswith("DWVW") or subtype in WRONG):
                yield pytest.param(file_format, subtype, id=f"{file_format}-{subtype}")


@pytest.mark.parametrize(("file_format", "subtype"), [*writable()])
def test_what_soundfile_writes_comes_back_in_its_own_format_and_length(
    tmp_path, file_format, subtype
):
    source, target = tmp_path / "a", tmp_path / "b"
    try:
        noisy = write_noise(source, 5003, 8000, format=file_format, subtype=subtype)
    except soundfile.LibsndfileError:
        pytest.skip("not at this rate")
    enhancer = Constant(0.5, stft=scaled_stft(8000), block_seconds=0.2)
    enhance_file(enhancer.fit([np.ones(9)]), source, target)
    before, after = soundfile.info(source), soundfile.info(target)
    for name in ("samplerate", "channels", "frames", "format", "subtype"):
        assert getattr(before, name) == getattr(after, name)
    # Lossy encodings change this noise, but not its level.
    enhanced = soundfile.read(target, always_2d=True)[0]
    assert np.std(enhanced) == pytest.approx(0.5 * np.std(noisy), rel=0.2)


@pytest.mark.parametrize("subtype", WRONG)
def test_what_libsndfile_writes_wrong_is_not_written(tmp_path, subtype):
    write_noise(tmp_path / "a.caf", subtype=subtype)
    with pytest.raises(ValueError, match=f"CAF with {subtype}, 1 channels"):
        enhance_file(
            Constant().fit([np.ones(9)]), tmp_path / "a.caf", tmp_path / "b.caf"
        )


def test_a_format_of_two_files_is_not_written(tmp_path):
    write_noise(tmp_path / "a.sd2", format="SD2", subtype="PCM_16")
    before = {path.name for path in tmp_path.iterdir()}
    assert len(before) == 2
    with pytest.raises(ValueError, match="it consists of two files"):
        enhance_file("wiener", tmp_path / "a.sd2", tmp_path / "b.sd2")
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac"])
def test_overlapping_parts_are_read_where_they_are_without_seeking(tmp_path, suffix):
    source = tmp_path / f"a.{suffix}"
    noisy = write_noise(source, 30_017)
    with RecordingReader(source) as recording:
        assert recording.n_samples == len(noisy)
        for start in range(0, 30_000, 7000):
            stop = min(start + 9000, len(noisy))
            part = recording.read(start, stop)
            np.testing.assert_allclose(part, noisy[start:stop], atol=1e-6)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("method", [SpectralSubtraction, WienerFilter, LogMMSE])
def test_blockwise_is_like_at_once(tmp_path, method, rate, n_channels):
    write_noise(tmp_path / "a.wav", 3 * rate + 5, rate, n_channels, subtype="FLOAT")
    made = []
    for k, block_seconds in enumerate((None, 0.5)):
        enhancer = method(block_seconds=block_seconds).fit([np.ones(9)])
        target = tmp_path / f"{k}.wav"
        enhance_file(enhancer, tmp_path / "a.wav", target)
        made.append(soundfile.read(target)[0])
    # The methods process the frames in order, so there are no seams. The difference is
    # the rounding of single precision, 100 dB below full scale.
    assert np.abs(made[0] - made[1]).max() < 1e-5


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_mix_is_a_share_of_each(tmp_path, mix):
    source, target = tmp_path / "a.flac", tmp_path / "b.flac"
    noisy = write_noise(source, subtype="PCM_24")
    enhance_file(Constant(0.5).fit([np.ones(9)]), source, target, mix=mix)
    enhanced = soundfile.read(target, always_2d=True)[0]
    np.testing.assert_allclose(enhanced, (1 - mix / 2) * noisy, atol=1e-6)
    if mix == 0:
        np.testing.assert_array_equal(enhanced, noisy)


@pytest.mark.parametrize("mix", [-0.1, 1.1, np.nan])
def test_mix_is_from_0_to_1(tmp_path, mix):
    write_noise(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="`mix` must be"):
        enhance_file(
            Constant().fit([np.ones(9)]), tmp_path / "a.wav", tmp_path / "b", mix=mix
        )


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("mix", [0.3, 1.0])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24", "FLOAT"])
def test_output_and_noise_sum_to_the_input(tmp_path, rate, mix, subtype):
    source, target, noise = (tmp_path / name for name in "abc")
    kind = {"format": "CAF", "subtype": subtype}
    noisy = write_noise(source, rate, rate, 2, **kind)
    enhancer = LogMMSE(block_seconds=0.3).fit([np.ones(9)])
    enhance_file(enhancer, source, target, mix=mix, noise_target=noise)
    parts = [soundfile.read(path)[0] for path in (target, noise)]
    assert np.std(parts[1]) > 0.02
    # Integers are exact.
    tolerance = 1e-7 if subtype == "FLOAT" else 0
    np.testing.assert_allclose(parts[0] + parts[1], noisy, rtol=0, atol=tolerance)
    assert soundfile.info(noise).subtype == subtype


def test_the_noise_alone_is_written_on_request(tmp_path):
    source, first, second = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav"))
    write_noise(source)
    enhancer = LogMMSE().fit([np.ones(9)])
    enhance_file(enhancer, source, tmp_path / "d.wav", noise_target=first)
    enhance_file(enhancer, source, None, noise_target=second)
    assert first.read_bytes() == second.read_bytes()


def test_progress_is_told_to_the_end(tmp_path):
    write_noise(tmp_path / "a.wav", 44100, 44100)
    shares = []
    enhance_file(
        LogMMSE(block_seconds=0.2).fit([np.ones(9)]),
        tmp_path / "a.wav",
        tmp_path / "b.wav",
        progress=shares.append,
    )
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("suffix", ["wav", "aiff", "ogg", "au"])
def test_a_recording_without_a_sample_is_copied(tmp_path, suffix):
    source, target, noise = (tmp_path / f"{name}.{suffix}" for name in "abc")
    soundfile.write(source, [], 16000)
    enhancer = LogMMSE().fit([np.ones(9)])
    assert enhance_file(enhancer, source, target, noise_target=noise) == 0
    assert source.read_bytes() == target.read_bytes() == noise.read_bytes()


def test_a_length_that_is_not_in_the_header_is_found(tmp_path):
    source, target = tmp_path / "a.flac", tmp_path / "b.flac"
    noisy = write_noise(source, 30_000)
    content = bytearray(source.read_bytes())
    # Number of samples: 36 bits of the STREAMINFO, zero if it was written to a pipe.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    source.write_bytes(content)
    assert soundfile.info(source).frames > 2**60
    enhance_file(Constant().fit([np.ones(9)]), source, target)
    np.testing.assert_allclose(
        soundfile.read(target, always_2d=True)[0], noisy, atol=4e-5
    )


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "w64", "rf64"])
def test_of_a_file_that_was_cut_off_all_that_there_is_is_enhanced(tmp_path, suffix):
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    noisy = write_noise(source)
    source.write_bytes(source.read_bytes()[:20_000])
    with pytest.warns(DamagedFileWarning, match="promises more"):
        enhance_file(Constant().fit([np.ones(9)]), source, target)
    enhanced = soundfile.read(target, always_2d=True)[0]
    assert 9900 < len(enhanced) < 10_000
    np.testing.assert_allclose(enhanced, noisy[: len(enhanced)], atol=4e-5)


def test_a_header_that_was_written_to_a_pipe_is_no_damage(tmp_path, recwarn):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    noisy = write_noise(source)
    content = bytearray(source.read_bytes())
    for length in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"):
        content[4:8] = content[40:44] = length
        source.write_bytes(content)
        enhance_file(Constant().fit([np.ones(9)]), source, target)
        assert soundfile.info(target).frames == len(noisy)
    assert not list(recwarn)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_what_ends_before_its_header_says_is_told(tmp_path, suffix):
    source = tmp_path / f"a.{suffix}"
    write_noise(source, 160_000)
    source.write_bytes(source.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"cannot be read beyond sample \d+ of 160000"):
        enhance_file(Constant().fit([np.ones(9)]), source, tmp_path / "b")


def test_sound_behind_a_header_that_promises_none_is_not_taken_for_silence(tmp_path):
    source = tmp_path / "a.wav"
    write_noise(source, 40_000)
    content = bytearray(source.read_bytes())
    content[40:44] = bytes(4)
    source.write_bytes(content)
    with pytest.raises(ValueError, match="no samples in its 80044 bytes"):
        enhance_file(Constant().fit([np.ones(9)]), source, tmp_path / "b")


@pytest.mark.parametrize("kind", ["wav", "rf64", "aiff", "au", "caf"])
def test_nor_is_a_short_one(tmp_path, kind):
    """A recorder that lost power writes no size; short files are no silence either."""
    silent, source = tmp_path / f"silent.{kind}", tmp_path / f"a.{kind}"
    soundfile.write(silent, [], 16000, subtype="PCM_16")
    for sound in (bytes(8000), bytes(range(256)) * 20):
        source.write_bytes(silent.read_bytes() + sound)
        with pytest.raises(ValueError, match=r"no samples in its \d+ bytes"):
            enhance_file(Constant().fit([np.ones(9)]), source, tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
@pytest.mark.parametrize("share", [0.95, 0.5])
def test_of_an_ogg_file_that_was_cut_off_the_end_is_missed(tmp_path, suffix, share):
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    write_noise(source, 160_000)
    content = source.read_bytes()
    source.write_bytes(content[: int(share * len(content))])
    with pytest.warns(DamagedFileWarning, match="mark at the end of the file is miss"):
        enhance_file(Constant().fit([np.ones(9)]), source, target)
    n_samples = soundfile.info(target).frames
    assert n_samples == soundfile.info(source).frames < 160_000


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_an_ogg_file_without_a_sample_left_is_refused(tmp_path, suffix):
    source = tmp_path / f"a.{suffix}"
    write_noise(source, 160_000)
    with open(source, "rb") as file:
        headers = [page for page in ogg.read_pages(file) if page.position == 0]
    n_bytes = sum(27 + len(page.segments) + len(page.body) for page in headers)
    source.write_bytes(source.read_bytes()[: n_bytes + 9])
    with pytest.raises(ValueError, match=r"no samples in its|cannot read the file"):
        enhance_file(Constant().fit([np.ones(9)]), source, tmp_path / "b")


@pytest.mark.parametrize("suffix", ["ogg", "opus", "mp3", "flac"])
def test_recordings_one_after_the_other_in_a_file_are_refused(
    tmp_path, suffix, recwarn
):
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    write_noise(source, 60_000)
    enhance_file(Constant().fit([np.ones(9)]), source, target)
    assert not list(recwarn)
    target.unlink()
    source.write_bytes(2 * source.read_bytes())
    with pytest.raises(ValueError, match="several recordings, one after the other"):
        enhance_file(Constant().fit([np.ones(9)]), source, target)
    assert not target.exists()


def test_an_mp3_file_that_does_not_tell_its_length_is_read_to_its_end(tmp_path):
    source, target = tmp_path / "a.mp3", tmp_path / "b.mp3"
    options = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    noisy = write_noise(source, 60_000, **options)
    content = source.read_bytes()
    # Without the first frame, which holds the length; the decoder then keeps what the
    # encoder has added at both ends.
    second = content.index(content[:2], 4)
    source.write_bytes(content[second:])
    with RecordingReader(source) as recording:
        assert 60_000 <= recording.n_samples < 62_000
        assert recording.n_samples == len(soundfile.read(source)[0])
    enhance_file(Constant().fit([np.ones(9)]), source, target)
    assert np.std(soundfile.read(target)[0]) == pytest.approx(np.std(noisy), rel=0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_samples_that_are_no_numbers_are_found(tmp_path, value, rate):
    samples = np.zeros((9000, 2))
    samples[8000, 1] = value
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="DOUBLE")
    enhancer = LogMMSE(block_seconds=0.1).fit([np.ones(9)])
    with pytest.raises(ValueError, match="sample 8000 is NaN or inf"):
        enhance_file(enhancer, tmp_path / "a.wav", tmp_path / "b.wav")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_recording_is_written_whole_or_not_at_all(tmp_path, is_there):
    source, target, noise = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav"))
    samples = np.zeros(40_000)
    samples[-1] = np.nan
    soundfile.write(source, samples, 16000, subtype="FLOAT")
    before = {source.name}
    if is_there:
        target.write_bytes(b"before")
        before.add(target.name)
    with pytest.raises(ValueError, match="NaN or inf"):
        enhance_file(
            LogMMSE(block_seconds=0.5).fit([np.ones(9)]),
            source,
            target,
            noise_target=noise,
        )
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not is_there or target.read_bytes() == b"before"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_never_written(tmp_path, monkeypatch, value):
    """Whatever made them, such as a model file with numbers of no sense."""

    def blocks(self, channels, rate, observe=None):
        yield np.zeros((1, 5000), np.float32)
        yield np.full((1, 5000), value, np.float32)

    monkeypatch.setattr(Constant, "enhance_blocks", blocks)
    for subtype in ("FLOAT", "PCM_16"):
        write_noise(tmp_path / "a.wav", 10_000, subtype=subtype)
        with pytest.raises(ValueError, match="NaN or inf, which is not written"):
            enhance_file(
                Constant().fit([np.ones(9)]), tmp_path / "a.wav", tmp_path / "b.wav"
            )


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_rates_that_nobody_records_at_are_refused(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(9), rate)
    with pytest.raises(ValueError, match=f"sample rate of {rate} Hz"):
        read_rate(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1000, 7919, 192_000, 768_000])
def test_rare_rates_are_taken(tmp_path, rate):
    noisy = write_noise(tmp_path / "a.wav", 5000, rate)
    for stft in (None, scaled_stft(rate)):
        enhancer = Constant(0.5, stft=stft).fit([np.ones(9)])
        enhance_file(enhancer, tmp_path / "a.wav", tmp_path / "b.wav")
        made = soundfile.read(tmp_path / "b.wav", always_2d=True)[0]
        assert made.shape == noisy.shape
    np.testing.assert_allclose(made, 0.5 * noisy, atol=4e-5)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24", "FLOAT"])
def test_quantize_gives_what_is_read_back(tmp_path, subtype):
    samples = np.random.default_rng(0).uniform(-1.2, 1.2, (500, 1)).astype(np.float32)
    path = tmp_path / "a.caf"
    soundfile.write(path, encode(samples, subtype), 16000, subtype=subtype)
    read, _ = soundfile.read(path, always_2d=True)
    np.testing.assert_array_equal(quantize(samples, subtype), read)


def bitrate(path):
    info = soundfile.info(path)
    return 8e-3 * path.stat().st_size / info.duration


#: Bit rates in kbit/s that encoders are asked for; the first is far from the default.
BITRATES = {"mp3": (192, 64), "opus": (96, 32), "ogg": (160, 64)}


@pytest.mark.parametrize("kind", BITRATES)
def test_lossy_formats_keep_the_bit_rate_or_have_the_one_that_is_asked_for(
    tmp_path, kind
):
    high, low = BITRATES[kind]
    source, original = tmp_path / f"a.{kind}", tmp_path / "a.wav"
    write_noise(original, 10 * 48000, 48000)
    enhancer = Constant(0.9, block_seconds=None).fit([np.ones(9)])
    made = {}
    for wanted in (high, low):
        enhance_file(enhancer, original, source, bitrate=wanted)
        enhance_file(enhancer, source, tmp_path / f"kept.{kind}")
        made[wanted] = bitrate(tmp_path / f"kept.{kind}")
        # White noise is harder to encode than what Vorbis' nominal rates are for.
        assert 0.9 * wanted < bitrate(source) < (1.6 if kind == "ogg" else 1.1) * wanted
        assert 0.97 * bitrate(source) < made[wanted] < 1.2 * bitrate(source)
    enhance_file(enhancer, source, tmp_path / f"more.{kind}", bitrate=high)
    assert bitrate(tmp_path / f"more.{kind}") > 1.5 * made[low]


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000, 44100, 48000])
def test_mp3_files_have_the_length_of_the_recording_at_low_rates(
    tmp_path, rate, n_channels
):
    source, target = tmp_path / "a.wav", tmp_path / "b.mp3"
    samples = tone(rate, rate, n_channels)
    soundfile.write(source, samples, rate)
    enhancer = Constant(1.0, stft=scaled_stft(rate)).fit([np.ones(9)])
    for wanted in mpeg.bitrates(rate)[:6]:
        enhance_file(enhancer, source, target, bitrate=wanted)
        made = soundfile.read(target, always_2d=True)[0]
        assert made.shape == samples.shape
        assert np.corrcoef(made[:, 0], samples[:, 0])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("kind", "rate", "n_channels"),
    [("mp3", 8000, 1), ("mp3", 44100, 2), ("ogg", 22050, 2), ("opus", 16000, 2)],
)
def test_bit_rates_that_a_format_does_not_have_are_refused(
    tmp_path, kind, rate, n_channels
):
    write_noise(tmp_path / "a.wav", 8000, rate, n_channels)
    enhancer = Constant().fit([np.ones(9)])
    for wanted in (1, 2000):
        with pytest.raises(ValueError, match=r"must be from \d+ to \d+ kbit/s"):
            enhance_file(
                enhancer, tmp_path / "a.wav", tmp_path / f"b.{kind}", bitrate=wanted
            )
    with pytest.raises(ValueError, match="flac has none: omit it"):
        enhance_file(enhancer, tmp_path / "a.wav", tmp_path / "b.flac", bitrate=64)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("wav", ("WAV", "PCM_24")),
        ("flac", ("FLAC", "PCM_24")),
        ("mp3", ("MP3", "MPEG_LAYER_III")),
        ("ogg", ("OGG", "VORBIS")),
        ("opus", ("OGG", "OPUS")),
    ],
)
def test_another_format_is_written(tmp_path, kind, expected, by_name):
    source = tmp_path / "a.aiff"
    noisy = write_noise(source, 20_003, n_channels=2, subtype="PCM_24")
    target = tmp_path / (f"b.{kind}" if by_name else "b")
    enhance_file(
        Constant(0.5).fit([np.ones(9)]),
        source,
        target,
        format=None if by_name else kind,
    )
    info = soundfile.info(target)
    assert (info.format, info.subtype) == expected
    assert (info.frames, info.samplerate, info.channels) == (20_003, 16000, 2)
    made = soundfile.read(target, always_2d=True)[0]
    if kind in ("wav", "flac"):
        np.testing.assert_allclose(made, 0.5 * noisy, atol=1e-6)
    assert np.std(made) == pytest.approx(0.5 * np.std(noisy), rel=0.2)


@pytest.mark.parametrize(
    ("subtype", "expected"),
    [
        ("PCM_U8", "PCM_16"),
        ("PCM_16", "PCM_16"),
        ("FLOAT", "PCM_24"),
        ("ULAW", "PCM_16"),
    ],
)
def test_flac_has_as_many_bits_as_are_needed(tmp_path, subtype, expected):
    write_noise(tmp_path / "a.wav", subtype=subtype)
    enhancer = Constant().fit([np.ones(9)])
    enhance_file(enhancer, tmp_path / "a.wav", tmp_path / "b.flac")
    assert soundfile.info(tmp_path / "b.flac").subtype == expected


@pytest.mark.parametrize(
    ("kind", "rate", "expected"),
    [("opus", 44100, 48000), ("opus", 96000, 48000), ("mp3", 7919, 8000)],
)
def test_a_rate_that_the_format_does_not_have_becomes_one_that_it_has(
    tmp_path, kind, rate, expected
):
    source, target, noise = (tmp_path / name for name in ("a.wav", "b", "c"))
    soundfile.write(source, tone(2 * rate, rate, 1), rate, subtype="FLOAT")
    seconds = enhance_file(
        Constant(0.5, stft=scaled_stft(rate)).fit([np.ones(9)]),
        source,
        target,
        noise_target=noise,
        format=kind,
        bitrate=64,
        mix=0.5,
    )
    assert seconds == 2
    for path, gain in ((target, 0.75), (noise, 0.25)):
        samples, made_rate = soundfile.read(path)
        assert made_rate == expected
        assert len(samples) == 2 * expected
        tonal = gain * tone(2 * expected, expected, 1)[:, 0]
        assert np.std(samples - tonal) < 0.1 * np.std(tonal)


def test_a_format_that_holds_fewer_channels_is_refused(tmp_path):
    write_noise(tmp_path / "a.wav", n_channels=6)
    with pytest.raises(ValueError, match="up to 2 channels, and the recording has 6"):
        enhance_file(
            Constant().fit([np.ones(9)]), tmp_path / "a.wav", tmp_path / "b.mp3"
        )


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("b.wav", "flac", "would hold FLAC: use another ending, such as .flac"),
        ("b.aiff", None, "would hold WAV: use another ending, such as .wav"),
        ("b.opus", "ogg", "would hold Ogg Vorbis"),
        ("b.wav", "mp4", "`format` must be None or one of wav, flac, mp3, ogg, opus"),
    ],
)
def test_the_ending_of_the_output_agrees_with_its_format(
    tmp_path, target, kind, message
):
    write_noise(tmp_path / "a.wav")
    enhancer = Constant().fit([np.ones(9)])
    with pytest.raises(ValueError, match=re.escape(message)):
        enhance_file(enhancer, tmp_path / "a.wav", tmp_path / target, format=kind)
    assert not (tmp_path / target).exists()


def test_noise_and_output_have_one_format(tmp_path):
    source, target, noise = (tmp_path / name for name in ("a.wav", "b.mp3", "c.wav"))
    write_noise(source)
    enhancer = Constant(0.5).fit([np.ones(9)])
    with pytest.raises(ValueError, match=r"c.wav' would hold MP3"):
        enhance_file(enhancer, source, target, noise_target=noise)
    enhance_file(enhancer, source, None, noise_target=tmp_path / "c.flac")
    assert soundfile.info(tmp_path / "c.flac").format == "FLAC"


@pytest.mark.parametrize("kind", [None, "mp3"])
def test_binary_files_are_read_and_written(tmp_path, kind):
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    write_noise(paths[0])
    enhancer = LogMMSE().fit([np.ones(9)])
    memory = [io.BytesIO(paths[0].read_bytes()), io.BytesIO(), io.BytesIO()]
    for source, target, noise in (paths, memory):
        options = {"noise_target": noise, "mix": 0.9}
        if source is memory[0]:
            options["format"] = kind
        seconds = enhance_file(enhancer, source, target, **options)
        assert seconds == 20_000 / 16000
    for path, file in zip(paths[1:], memory[1:], strict=True):
        if kind is None:
            assert file.getvalue() == path.read_bytes()
        else:
            file.seek(0)
            assert soundfile.info(file).format == "MP3"


def test_nothing_is_written_to_a_binary_file_if_enhancement_fails():
    target = io.BytesIO()
    with pytest.raises(ValueError, match=r"can(not)? read the file"):
        enhance_file(LogMMSE().fit([np.ones(9)]), io.BytesIO(b"no sound"), target)
    assert target.getvalue() == b""


def test_models_are_found_by_name(tmp_path):
    write_noise(tmp_path / "a.wav", 30_000, 44100)
    enhance_file("wiener", tmp_path / "a.wav", tmp_path / "b.wav")
    enhancer = WienerFilter(stft=scaled_stft(44100)).fit([np.ones(9)])
    enhance_file(enhancer, tmp_path / "a.wav", tmp_path / "c.wav")
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "c.wav").read_bytes()
    for wrong, message in (("bst", "must be one of"), (3, "`enhancer` must be")):
        with pytest.raises(ValueError, match=message):
            enhance_file(wrong, tmp_path / "a.wav", tmp_path / "d.wav")


def test_the_best_model_is_found_by_name(tmp_path):
    write_noise(tmp_path / "a.wav", 8000)
    enhance_file("best", tmp_path / "a.wav", tmp_path / "b.wav")
    enhance_file(load_pretrained("best"), tmp_path / "a.wav", tmp_path / "c.wav")
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "c.wav").read_bytes()


def test_a_speech_model_does_not_enhance(tmp_path):
    write_noise(tmp_path / "a.wav", 8000)
    vae = SpeechVAE(2, 8, training=Training(1), random_state=0)
    vae.fit([np.random.default_rng(0).standard_normal(8000)] * 2)
    save_pretrained(vae, tmp_path / "vae.safetensors")
    with pytest.raises(ValueError, match="holds a SpeechVAE, which does not enhance"):
        enhance_file(
            tmp_path / "vae.safetensors", tmp_path / "a.wav", tmp_path / "b.wav"
        )
