"""Closed streams, full disks, long names, pipes, lack of memory: each a sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from skvae.cli import enhancing
from skvae.cli.errors import CommandError
from skvae.cli.streams import fill_closed_streams
from skvae.datasets import AudioFile
from skvae.datasets.audio import write_wav
from skvae.storage.pretrained import save_pretrained
from skvae.utils.progress import Progress

WORDS = ("--model", "wiener")
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


def shell(command, folder):
    """Status and errors of a shell command, whose `skvae` is that of this test."""
    done = subprocess.run(
        ["bash", "-c", command.replace("skvae", f"{sys.executable} -m skvae", 1)],
        cwd=folder,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stderr.decode()


@contextlib.contextmanager
def small_disk(n_bytes):
    """A limit of the process, which stands for a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&- <&- >&-", "2>&- --quiet"])
def test_closed_streams_are_as_the_null_device(corpus, skvae, closed):
    status, _ = shell(f"skvae enhance noisy -o out --model wiener {closed}", corpus)
    assert status == 0
    assert skvae("enhance", corpus / "noisy", "-o", corpus / "open", *WORDS)[0] == 0
    for name in ("one.wav", "two.flac", "sub/three.wav"):
        one, other = ((corpus / to / name).read_bytes() for to in ("out", "open"))
        assert one == other


def test_no_standard_error_is_no_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(2, "enhancing") as progress:
        progress.advance()
        progress.advance("a line")
    fill_closed_streams()
    print("nobody reads this", file=sys.stderr)


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_a_closed_stream_that_is_needed_is_named(corpus, skvae, monkeypatch, stream):
    name = str(corpus / "noisy/one.wav")
    words = {"stdin": ("-", "-o", f"{name}.wav"), "stdout": (name, "-o", "-")}[stream]
    monkeypatch.setattr(sys, stream, None)
    status, _, err = skvae("enhance", *words, *WORDS)
    assert status == 2
    assert f"standard {'input' if stream == 'stdin' else 'output'} is closed" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["models", "enhance noisy/one.wav -o - --model wiener"]
)
def test_output_that_cannot_be_written_is_told(corpus, command):
    status, err = shell(f"skvae {command} > /dev/full", corpus)
    assert status == 1
    assert err.splitlines()[-1].startswith("skvae ")
    assert os.strerror(errno.ENOSPC) in err.splitlines()[-1]
    assert "Exception ignored" not in err


@posix
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("mix", "--clean", "clean", "--noise", "noisy", "--snr", 0, "-o", "pairs"),
            "; nothing was written.",
        ),
        (("demo", *WORDS, "-o", "demo"), "skvae demo: -o demo: "),
        (("enhance", "-", *WORDS, "-o", "x.wav"), "Free some space, or set TMPDIR to"),
    ],
    ids=["mix", "demo", "standard input"],
)
def test_a_full_disk_is_told(corpus, skvae, monkeypatch, words, message):
    monkeypatch.chdir(corpus)
    before = {path for path in corpus.rglob("*") if path.is_file()}
    with open(corpus / "noisy/one.wav") as source, small_disk(10_000):
        monkeypatch.setattr(sys, "stdin", source)
        status, _, err = skvae(*words)
    assert status == 1
    assert message in err.splitlines()[-1]
    assert os.strerror(errno.EFBIG) in err.splitlines()[-1]
    assert {path for path in corpus.rglob("*") if path.is_file()} == before


@posix
def test_a_wav_file_is_written_or_an_error_says_why(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(10_000), 8000)
    with small_disk(10_000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        write_wav(tmp_path / "b.wav", np.zeros(10_000), 8000)


@posix
def test_a_deleted_working_directory_is_told(corpus, skvae, monkeypatch):
    (corpus / "gone").mkdir()
    monkeypatch.chdir(corpus / "gone")
    (corpus / "gone").rmdir()
    status, _, err = skvae("enhance", corpus / "noisy", "-o", "out", *WORDS)
    assert status == 1
    assert "the working directory does not exist" in err


def test_a_name_that_is_too_long_fails_alone(tmp_path, skvae):
    (tmp_path / "in").mkdir()
    for name in ("a" * 249, "short"):
        soundfile.write(tmp_path / "in" / f"{name}.wav", np.ones(800) / 2, 16000)
    words = ("enhance", tmp_path / "in", "-o", tmp_path / "out", "--suffix", "_clean")
    for _ in range(2):
        status, _, err = skvae(*words, *WORDS)
        assert status == 1
        [failure] = [line for line in err.splitlines() if line.startswith("failed")]
        assert failure.endswith("choose a shorter folder or --suffix.")
        assert [path.name for path in (tmp_path / "out").iterdir()] == [
            "short_clean.wav"
        ]


LONG = "x" * 300
TRAIN = ("train", "--clean", "clean")


@pytest.mark.parametrize(
    "words",
    [
        ("enhance", "noisy", "-o", LONG, *WORDS),
        ("enhance", "noisy", "-o", "out", "--noise-output", LONG, *WORDS),
        ("enhance", LONG, "-o", "out", *WORDS),
        ("enhance", "noisy", "-o", "out", "--model", f"./{LONG}"),
        ("evaluate", "--clean", "clean", "--noisy", "noisy", "-o", LONG),
        ("demo", "-o", LONG, *WORDS),
        ("mix", "--clean", "clean", "--noise", "noisy", "--snr", "0", "-o", LONG),
        (*TRAIN, "--recipe", "speech-vae", "-o", f"{LONG}.safetensors"),
        (*TRAIN, "--recipe", f"./{LONG}", "-o", "m.safetensors"),
        ("models", f"./{LONG}"),
    ],
)
def test_names_that_are_too_long_end_every_command_with_a_sentence(
    corpus, skvae, monkeypatch, words
):
    monkeypatch.chdir(corpus)
    status, out, err = skvae(*words)
    assert status in (1, 2)
    assert out == ""
    assert "name too long" in err or "there is no such" in err


@posix
def test_pipes_and_sockets_are_refused_and_other_files_are_done(corpus, skvae):
    os.mkfifo(corpus / "noisy" / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as node:
        node.bind(os.path.relpath(corpus / "noisy" / "node.wav"))
        status, _, err = skvae(
            "enhance", corpus / "noisy", "-o", corpus / "out", *WORDS
        )
    assert status == 1
    assert "pipe.wav: it is a pipe: name a file, or pass the sound through" in err
    assert "node.wav: it is a socket" in err
    assert (corpus / "out/one.wav").exists()
    with pytest.raises(ValueError, match="is a pipe: store the sound in a file"):
        len(AudioFile(corpus / "noisy" / "pipe.wav"))
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "x.wav", *WORDS)
    status, _, err = skvae(*words, "--noise-profile", corpus / "noisy/pipe.wav")
    assert status == 2
    assert "is a pipe" in err


@posix
def test_a_device_as_a_folder_has_its_own_sentence(corpus, skvae):
    status, _, err = skvae("enhance", corpus / "noisy", "-o", os.devnull, *WORDS)
    assert status == 2
    assert "is a device, a pipe or a socket: name a folder" in err


def test_escapes_of_a_model_card_do_not_reach_the_terminal(corpus, skvae):
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    from skvae import WienerFilter

    path = corpus / "evil.safetensors"
    save_pretrained(
        WienerFilter().fit([np.zeros(1)]),
        path,
        name=evil,
        description=evil,
        training_data=evil,
        license=evil,
        attributions=[evil],
        figures={evil: evil},
    )
    status, out, err = skvae("models", path)
    assert status == 0
    assert out.count(r"\x1b]0;owned\x07") == 7
    assert all(line.isprintable() for line in (out + err).splitlines())


@pytest.mark.parametrize("verb", ["enhance", "demo", "models"])
def test_escapes_in_names_do_not_reach_the_terminal(corpus, skvae, verb):
    words = {
        "enhance": [corpus / "noisy", "-o", corpus / "out", "--model"],
        "demo": ["-o", corpus / "demo", "--model"],
        "models": [],
    }
    for name in ("./\x1b[31m", "./\x1b[31m.safetensors", "\x1b[31m"):
        status, out, err = skvae(verb, *words[verb], name)
        assert status == 2
        assert all(line.isprintable() for line in (out + err).splitlines())
    (corpus / "\x1b[31m.safetensors").write_bytes(b"nothing")
    status, _, err = skvae(verb, *words[verb], corpus / "\x1b[31m.safetensors")
    assert all(line.isprintable() for line in err.splitlines())


def test_escapes_in_names_of_recordings_do_not_reach_the_terminal(corpus, skvae):
    for side in ("noisy", "clean"):
        (corpus / side / "one.wav").rename(corpus / side / "\x1b[31m.wav")
    (corpus / "noisy" / "\x1b[32m.wav").write_bytes(b"nothing")
    (corpus / "clean" / "\x1b[32m.wav").write_bytes(b"nothing")
    noisy, clean = corpus / "noisy", corpus / "clean"
    for words in (
        ("enhance", noisy, "-o", corpus / "\x1b[33m", "-v", *WORDS),
        ("evaluate", "--clean", clean, "--noisy", noisy, "--metrics", "si_sdr"),
        ("mix", "--clean", clean, "--noise", noisy, "--snr", 0, "-o", corpus / "p"),
    ):
        status, out, err = skvae(*words)
        assert status == 1
        assert all(line.isprintable() for line in (out + err).splitlines())


def test_errors_of_commands_are_printable():
    assert str(CommandError("a\x1b[2J\nb")) == r"a\x1b[2J\nb"


def test_what_a_killed_worker_leaves_is_removed_at_the_end(corpus, skvae, monkeypatch):
    enhance_file, part = enhancing.enhance_file, ".one.wav.skvae-0123abcd.part"

    def killed_once(*args, **kwargs):
        (corpus / "out" / part).touch()
        return enhance_file(*args, **kwargs)

    monkeypatch.setattr(enhancing, "enhance_file", killed_once)
    assert skvae("enhance", corpus / "noisy", "-o", corpus / "out", *WORDS)[0] == 0
    assert {path.name for path in (corpus / "out").iterdir()} == {
        *("one.wav", "two.flac", "sub")
    }


LACK = [
    MemoryError(),
    RuntimeError("could not execute a primitive"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] data. DefaultCPUAllocator"),
    SystemError("error return without exception set"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    ImportError("libx.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("error", LACK, ids=repr)
def test_a_lack_of_memory_is_called_so(corpus, skvae, monkeypatch, error):
    def fail(*args, **kwargs):
        raise ValueError("loading failed") from error

    monkeypatch.setattr(enhancing, "enhance_file", fail)
    status, _, err = skvae("enhance", corpus / "noisy", "-o", corpus / "o", *WORDS)
    assert status == 1
    failures = [line for line in err.splitlines() if line.startswith("failed")]
    assert len(failures) == 3
    assert all("there is not enough memory: shorter" in line for line in failures)


def test_an_import_that_memory_ends_in_counts_where_none_is_left(monkeypatch):
    from skvae.utils import memory

    error = AttributeError("module 'sympy' has no attribute 'core'")
    assert not memory.is_out_of_memory(error)
    monkeypatch.setattr(memory, "_has_memory", lambda: False)
    assert memory.is_out_of_memory(error)
    assert not memory.is_out_of_memory(ValueError("the file is empty"))


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="Linux only")
def test_an_error_of_reading_is_told_as_one(tmp_path, skvae):
    words = ("enhance", "/proc/self/mem", "-o", tmp_path / "out", *WORDS)
    status, _, err = skvae(*words)
    assert status == 1
    assert f"it cannot be read: {os.strerror(errno.EIO)}." in err
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        len(AudioFile("/proc/self/mem"))


def test_a_disk_that_fails_while_a_file_is_read_is_told(corpus, skvae, monkeypatch):
    source = corpus / "noisy" / "two.flac"
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])  # the rest cannot be read

    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))

    monkeypatch.setattr("skvae.recording_files.read_through", fail)
    status, _, err = skvae("enhance", source, "-o", corpus / "out", *WORDS)
    assert status == 1
    assert "it cannot be read: " in err
