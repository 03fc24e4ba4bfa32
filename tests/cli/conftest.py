"""Small noisy and clean files, and a way to run the command in this process."""

from __future__ import annotations

import warnings

import pytest
import soundfile

from skvae.cli import main
from skvae.datasets import make_dataset

RATE = 16000


@pytest.fixture
def corpus(tmp_path):
    """Folders noisy/ and clean/ with three pairs, one of them in a subfolder."""
    noisy, clean = make_dataset(3, duration=(1.0, 1.5), snr=0.0, random_state=0)
    names = ["one.wav", "two.flac", "sub/three.wav"]
    for folder, waveforms in (("noisy", noisy), ("clean", clean)):
        for name, waveform in zip(names, waveforms, strict=True):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.5 * waveform, RATE)
    return tmp_path


@pytest.fixture
def skvae(capsys):
    """Run a command: exit status, standard output, standard error."""

    def run(*words):
        show = warnings.showwarning
        try:
            status = main([str(word) for word in words])
        except SystemExit as exit_:
            status = exit_.code
        finally:
            warnings.showwarning = show
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
