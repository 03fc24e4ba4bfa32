"""``skvae enhance`` with files that only ffmpeg reads."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from skvae import LogMMSE, enhance_file
from skvae.cli import models
from skvae.recording_files import DamagedFileWarning, RecordingReader, read_rate

W = ("--model", "wiener")

#: A program that describes and decodes a file as ffmpeg does: here, the file is WAV.
FAKE = f"""\
#!{sys.executable}
import struct, sys
words = sys.argv[1:]
path = words[words.index("-i") + 1].removeprefix("file:")
with open(path, "rb") as file:
    content = file.read()
if not content.startswith(b"RIFF"):
    sys.exit(path + ": Invalid data found when processing input")
n_channels, rate = struct.unpack_from("<HI", content, 22)
if words[-1] != "pipe:1":
    print("Input #0, mov,mp4,m4a, from 'a.m4a':", file=sys.stderr)
    print("  Stream #0:0: Video: h264, yuv420p, 64x64, 900 kb/s", file=sys.stderr)
    print("  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), "
          f"{{rate}} Hz, stereo, fltp, 96 kb/s (default)", file=sys.stderr)
    sys.exit("At least one output file must be specified")
sound = content[44:]
if b"LOST" in content[-4:]:
    sound = sound[:-4]
    print("[mov] stream 1, partial file", file=sys.stderr)
header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 3,
                     n_channels, rate, rate * n_channels * 4, n_channels * 4, 32)
lists = b"LIST" + struct.pack("<I", 5) + b"INFO!\\0"
out = sys.stdout.buffer
out.write(header + lists + b"data" + struct.pack("<I", 2**32 - 1))
samples = memoryview(sound).cast("h")
out.write(struct.pack(f"<{{len(samples)}}f", *(x / 32768 for x in samples)))
"""

posix = pytest.mark.skipif(os.name != "posix", reason="a script is no program there")


@pytest.fixture(autouse=True)
def classical_default(monkeypatch):
    """Use a fast method in tests that name none."""
    monkeypatch.setattr(models, "_DEFAULTS", ("log-mmse",))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a small program called ffmpeg first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text(FAKE)
    (folder / "ffmpeg").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder))


def write_media(path, n_samples=20_000, rate=44100, n_channels=2):
    """Write a file that libsndfile would read if it had another beginning."""
    rng = np.random.default_rng(0)
    samples = 0.2 * rng.standard_normal((n_samples, n_channels))
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples.clip(-1, 1), rate, format="WAV", subtype="PCM_16")
    return soundfile.read(path)[0]


@pytest.fixture
def no_libsndfile(monkeypatch):
    """Let libsndfile read no M4A file, whatever is in it."""
    from skvae import recording_files

    sequential = recording_files._Sequential

    def refuse(path):
        if os.fsencode(path).endswith((b".m4a", b"input", b"recording")):
            raise soundfile.LibsndfileError(1)
        return sequential(path)

    monkeypatch.setattr(recording_files, "_Sequential", refuse)


@posix
@pytest.mark.usefixtures("fake", "no_libsndfile")
def test_the_reader_has_the_samples_that_ffmpeg_decodes(tmp_path):
    samples = write_media(tmp_path / "a.m4a")
    assert read_rate(tmp_path / "a.m4a") == 44100
    with RecordingReader(tmp_path / "a.m4a") as recording:
        assert recording.n_samples == 20_000
        assert (recording.n_channels, recording.bitrate) == (2, 96)
        read = [
            recording.read(k, min(k + 9000, 20_000)) for k in range(0, 20_000, 9000)
        ]
    np.testing.assert_allclose(np.concatenate(read), samples, atol=1e-6)


@posix
@pytest.mark.usefixtures("fake", "no_libsndfile")
def test_a_folder_of_media_becomes_flac_or_the_format_that_is_chosen(tmp_path, skvae):
    write_media(tmp_path / "in/a.m4a")
    soundfile.write(tmp_path / "in/b.wav", np.zeros(999), 8000)
    words = ("enhance", tmp_path / "in", *W, "--quiet")
    assert skvae(*words, "-o", tmp_path / "out")[0] == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["a.flac", "b.wav"]
    info = soundfile.info(tmp_path / "out/a.flac")
    assert (info.frames, info.samplerate, info.channels) == (20_000, 44100, 2)
    assert skvae(*words, "-o", tmp_path / "out2", "--format", "mp3")[0] == 0
    assert sorted(os.listdir(tmp_path / "out2")) == ["a.mp3", "b.mp3"]
    source = tmp_path / "in/a.m4a"
    words = ("enhance", source, *W, "--quiet", "--mix", "0.5", "--jobs", "2")
    assert skvae(*words, "-o", tmp_path / "talk.ogg")[0] == 0
    assert soundfile.info(tmp_path / "talk.ogg").format == "OGG"
    status, _, err = skvae(*words, "-o", tmp_path / "talk.m4a")
    assert status == 2
    assert "the output would end in .flac" in err


@posix
@pytest.mark.usefixtures("fake", "no_libsndfile")
def test_media_come_from_standard_input_and_from_memory(tmp_path, skvae, monkeypatch):
    write_media(tmp_path / "a.m4a")
    content = (tmp_path / "a.m4a").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert skvae("enhance", "-", "-o", tmp_path / "out.wav", *W)[0] == 0
    assert soundfile.info(tmp_path / "out.wav").frames == 20_000
    target = io.BytesIO()
    enhance_file(LogMMSE().fit([np.ones(9)]), io.BytesIO(content), target)
    target.seek(0)
    assert soundfile.info(target).format == "FLAC"


@posix
@pytest.mark.usefixtures("fake", "no_libsndfile")
def test_damage_that_ffmpeg_reports_is_told(tmp_path):
    write_media(tmp_path / "a.m4a")
    with open(tmp_path / "a.m4a", "ab") as file:
        file.write(b"LOST")
    with pytest.warns(DamagedFileWarning, match="partial file"):
        enhance_file("wiener", tmp_path / "a.m4a", tmp_path / "b.flac")
    assert soundfile.info(tmp_path / "b.flac").frames == 20_000


@posix
@pytest.mark.usefixtures("fake")
def test_what_ffmpeg_does_not_read_fails_with_its_words(tmp_path, skvae):
    (tmp_path / "a.m4a").write_bytes(b"no sound")
    status, _, err = skvae("enhance", tmp_path / "a.m4a", "-o", tmp_path / "out", *W)
    assert status == 1
    assert "neither soundfile nor ffmpeg can read the file (" in err
    assert "Invalid data found" in err
    assert not (tmp_path / "out").exists()


def test_without_ffmpeg_a_sentence_says_what_is_missing(tmp_path, skvae, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "phone.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    soundfile.write(folder / "b.wav", np.zeros(999), 8000)
    status, _, err = skvae("enhance", folder, "-o", tmp_path / "out", *W)
    assert status == 1
    [line] = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert "phone.m4a" in line
    assert "ffmpeg reads many other formats: install it" in line
    assert os.listdir(tmp_path / "out") == ["b.wav"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize(
    ("name", "words", "subtype"),
    [
        ("a.m4a", ["-c:a", "aac", "-b:a", "96k"], "PCM_16"),
        ("a.m4a", ["-c:a", "alac", "-sample_fmt", "s32p"], "PCM_24"),
        ("a.mka", ["-c:a", "flac"], "PCM_16"),
    ],
    ids=["aac", "alac", "mka"],
)
def test_the_real_ffmpeg_is_understood(tmp_path, name, words, subtype):
    time = np.arange(2 * 44100) / 44100
    tone = 0.4 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, -tone], axis=1), 44100)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", *words]
    done = subprocess.run([*command, tmp_path / name], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("without this encoder")
    enhance_file("wiener", tmp_path / name, tmp_path / "b.flac", mix=0)
    info = soundfile.info(tmp_path / "b.flac")
    assert (info.samplerate, info.channels, info.subtype) == (44100, 2, subtype)
    made = soundfile.read(tmp_path / "b.flac")[0][: len(tone)]
    np.testing.assert_allclose(made[5000:-5000, 0], tone[5000:-5000], atol=0.02)
    np.testing.assert_allclose(made[:, 1], -made[:, 0], atol=0.02)
