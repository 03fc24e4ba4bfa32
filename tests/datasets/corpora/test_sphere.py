from __future__ import annotations

import numpy as np
import pytest
import soundfile

from skvae.datasets import AudioFile
from skvae.datasets.corpora.sphere import refuse_compressed, sample_coding


def sphere(path, fields, data):
    """Write a SPHERE file: 1024 bytes of text, then samples."""
    lines = [f"{name} -{kind} {value}" for name, kind, value in fields]
    header = "\n".join(["NIST_1A", "   1024", *lines, "end_head", ""]).encode()
    path.write_bytes(header.ljust(1024, b"\0") + data)
    return path


def fields(n_samples, byte_format="01", coding=None, n_bytes=2):
    rows = [
        ("database_id", "s5", "TIMIT"),
        ("channel_count", "i", 1),
        ("sample_count", "i", n_samples),
        ("sample_rate", "i", 16000),
        ("sample_n_bytes", "i", n_bytes),
        ("sample_byte_format", f"s{len(byte_format)}", byte_format),
        ("sample_sig_bits", "i", 8 * n_bytes),
    ]
    if coding is not None:
        rows.append(("sample_coding", f"s{len(coding)}", coding))
    return rows


@pytest.mark.parametrize(("byte_format", "dtype"), [("01", "<i2"), ("10", ">i2")])
@pytest.mark.parametrize("coding", [None, "pcm"])
@pytest.mark.parametrize("name", ["SA1.WAV", "011c0201.wv1"])
def test_plain_sphere_files_are_read_whatever_they_are_called(
    tmp_path, name, byte_format, dtype, coding
):
    samples = np.random.default_rng(0).integers(-30000, 30000, 3000).astype(dtype)
    path = sphere(tmp_path / name, fields(3000, byte_format, coding), samples.tobytes())
    assert sample_coding(path) == "pcm"
    refuse_compressed([str(path)], "TIMIT")
    audio = AudioFile(path, sample_rate=16000)
    assert len(audio) == 3000
    np.testing.assert_array_equal(
        np.asarray(audio[100:200]), samples[100:200].astype(np.float32) / 2**15
    )


def test_mu_law_is_read(tmp_path):
    path = tmp_path / "a.sph"
    soundfile.write(path, np.zeros(800), 16000, format="NIST", subtype="ULAW")
    assert sample_coding(path) == "ulaw"
    refuse_compressed([str(path)], "it")
    assert np.asarray(AudioFile(path)).shape == (800,)


@pytest.mark.parametrize(
    "coding",
    ["pcm,embedded-shorten-v1.1", "pcm,embedded-shorten-v2.00", "ulaw,wavpack"],
)
def test_compressed_sphere_files_are_refused_with_what_to_do(tmp_path, coding):
    path = sphere(tmp_path / "a.wv1", fields(100, "10", coding), b"ajkg" + bytes(99))
    with pytest.raises(ValueError, match=r"WSJ0 is compressed .*sph2pipe") as error:
        refuse_compressed([str(path)], "WSJ0")
    assert coding in str(error.value)
    assert "a.wv1" in str(error.value)
    # The message of libsndfile does not mention the compression.
    with pytest.raises(ValueError, match="cannot be read"):
        np.asarray(AudioFile(path))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"NIST", bytes(5000)])
def test_other_files_are_none_of_its_business(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert sample_coding(path) is None
    refuse_compressed([str(path)], "TIMIT")


def test_audio_that_looks_like_a_header_is_not_read_as_one(tmp_path):
    data = b"\nsample_coding -s9 pcm,other\n"
    path = sphere(tmp_path / "a.wav", fields(len(data) // 2), data)
    assert sample_coding(path) == "pcm"
