"""``skvae models``, ``skvae demo``, and the command itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
import soundfile

import skvae as package
from skvae.cli.main import make_parser


def test_models_are_listed(skvae):
    status, out, _ = skvae("models")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines() if line[0] != " "]
    methods = ["spectral-subtraction", "wiener", "log-mmse", "is-nmf", "rpca"]
    assert names == [*methods, "best", "vae-nmf"]
    assert out.count("(default)") == 1


def test_demo_writes_what_it_promises_and_gains(tmp_path, skvae):
    pytest.importorskip("matplotlib")
    status, out, _ = skvae("demo", "-o", tmp_path / "demo")
    assert status == 0
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written == {"noisy.wav", "enhanced.wav", "clean.wav", "spectrograms.png"}
    [line] = [line for line in out.splitlines() if line.startswith("SI-SDR")]
    before, after = map(float, line.split()[-2:])
    assert after > before + 3
    assert soundfile.info(tmp_path / "demo/noisy.wav").duration == 5


def test_demo_goes_on_without_the_extras(tmp_path, skvae, monkeypatch):
    for module in ("matplotlib", "pesq"):
        monkeypatch.setitem(sys.modules, module, None)
    status, out, _ = skvae("demo", "-o", tmp_path / "demo")
    assert status == 0
    assert 'pip install "skvae[plot]"' in out
    assert 'pip install "skvae[pesq]"' in out
    assert "SI-SDR" in out
    assert not (tmp_path / "demo/spectrograms.png").exists()


def test_demo_says_where_it_cannot_write(tmp_path, skvae):
    (tmp_path / "file").write_text("")
    status, _, err = skvae("demo", "-o", tmp_path / "file")
    assert status == 1
    assert str(tmp_path / "file") in err


def test_demo_replaces_nothing_unless_asked(tmp_path, skvae):
    folder = tmp_path / "demo"
    folder.mkdir()
    for name in ("noisy.wav", "spectrograms.png"):
        mine = folder / name
        mine.write_bytes(b"mine")
        status, _, err = skvae("demo", "-o", folder, "--model", "wiener")
        assert status == 2
        assert f"{mine}: it exists" in err
        assert "--overwrite" in err
        assert list(folder.iterdir()) == [mine]
        assert mine.read_bytes() == b"mine"
        mine.unlink()
    (folder / "noisy.wav").symlink_to(tmp_path / "elsewhere.wav")
    (tmp_path / "elsewhere.wav").write_bytes(b"mine")
    words = ("demo", "-o", folder, "--model", "wiener", "--overwrite")
    assert skvae(*words)[0] == 0
    assert (tmp_path / "elsewhere.wav").read_bytes() == b"mine"
    assert soundfile.info(folder / "noisy.wav").duration == 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_demo_replaces_no_pipe(tmp_path, skvae):
    os.mkfifo(tmp_path / "clean.wav")
    status, _, err = skvae("demo", "-o", tmp_path, "--overwrite", "--model", "wiener")
    assert status == 2
    assert "it is a device, a pipe or a socket" in err
    assert (tmp_path / "clean.wav").is_fifo()


@pytest.mark.parametrize(
    "words",
    [
        ("demo",),
        ("mix", "--clean", "speech", "--snr", "0", "--synthetic", "1"),
        ("enhance", "speech/a.wav"),
        ("enhance", "-"),
        ("train", "--recipe", "best", "--clean", "speech"),
        ("evaluate", "--clean", "speech", "--noisy", "speech"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_an_empty_name_of_the_output_is_an_error(tmp_path, skvae, monkeypatch, words):
    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech/a.wav", [0.1] * 800, 16000)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = [word.replace("speech", str(tmp_path / "speech")) for word in words]
    status, _, err = skvae(*words, "-o", "")
    assert status == 2
    assert "-o " in err
    assert list((tmp_path / "here").iterdir()) == []


def test_the_command_and_the_module_are_one():
    for words in (["-m", "skvae", "--version"],):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"skvae {package.__version__}\n"


@pytest.mark.parametrize("words", [["--snr", "nan"], ["--seed", "-1"]])
def test_demo_refuses_what_it_cannot_make(tmp_path, skvae, words):
    status, _, err = skvae("demo", "-o", tmp_path / "demo", *words)
    assert status == 2
    assert words[0] in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "verb", ["enhance", "evaluate", "train", "mix", "models", "demo"]
)
def test_help_of_every_verb_has_examples_that_are_understood(skvae, verb):
    status, out, _ = skvae(verb, "--help")
    assert status == 0
    assert f"usage: skvae {verb}" in out
    [_, examples] = out.replace("\\\n", " ").split("examples:\n")
    commands = re.findall(rf"skvae {verb}\b([^|\n]*)", examples)
    assert commands
    for command in commands:
        make_parser().parse_args([verb, *shlex.split(command)])


def test_no_verb_is_a_mistake(skvae):
    status, _, err = skvae()
    assert status == 2
    assert "COMMAND" in err
