"""The benchmark of training, on little data."""

from __future__ import annotations

import re

import pytest
import soundfile
from helpers import scripts

from skvae.datasets import make_speech

pytestmark = pytest.mark.slow


@pytest.fixture
def script(monkeypatch):
    module = scripts.load("benchmarks/training.py")
    for name, value in {
        "N_FRAMES": 256,
        "N_PASSES": 1,
        "N_RECORDINGS": 2,
        "SECONDS": 1,
    }.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_speed_of_epochs_is_judged(script, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "speech" / "train"
    folder.mkdir(parents=True)
    for k in range(5):
        waveform = make_speech(8000, random_state=k)
        soundfile.write(folder / f"{k}.flac", waveform, 16000)
    arguments = ["--data", str(tmp_path), "--epochs", "2", "--hours", "0"]
    for least, status, verdict in ((0.0, 0, "PASS"), (1e9, 1, "FAIL")):
        monkeypatch.setattr(script, "LEAST_RATIO", least)
        assert script.main(arguments) == status
        out = capsys.readouterr().out
        assert verdict in out
        # 5 utterances of 32 frames; four of them are trained on where one validates.
        assert re.search(r"training alone +160 ", out)
        assert re.search(r"with validation +128 ", out)


def test_memory_of_a_generated_corpus_is_judged(script, capsys, monkeypatch):
    assert script.main(["--hours", "0.002"]) == 0
    out = capsys.readouterr().out
    assert "7 files of 1 s" in out
    memory = float(re.search(r"peak while training an epoch: (\d+) MB", out)[1])
    assert 50 < memory < 2000
