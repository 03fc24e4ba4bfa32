"""The scripts that look for inputs and kills that do harm, with harm to find."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from helpers import scripts

from skvae import WienerFilter


@pytest.fixture
def fuzz():
    return scripts.load("tools/fuzz_inputs.py")


def test_random_inputs_do_no_harm(fuzz, capsys):
    assert fuzz.main(["--n", "30", "--methods", *fuzz.CLASSICAL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(fuzz.CLASSICAL)
    done = [int(line.split()[1]) for line in lines[1:]]
    assert sum(done) >= 10


def harm(kind):
    """A replacement of `transform` that does harm of a kind."""

    def transform(self, X):
        X = [np.asarray(x) for x in X]
        if kind == "crashes":
            raise KeyError("x")
        if kind == "warnings":
            warnings.warn("boo", RuntimeWarning, stacklevel=1)
        if kind == "input changed":
            X[0][:] = 1
        if kind == "wrong length":
            return [x[1:] for x in X]
        if kind == "wrong dtype":
            return [x.astype(complex).real.astype("f2") for x in X]
        return [x + {"louder": 5, "not finite": np.nan}.get(kind, 0) for x in X]

    return transform


@pytest.mark.filterwarnings("ignore")
def test_every_kind_of_harm_is_counted(fuzz, monkeypatch, capsys):
    waveform = np.full(100, 0.5, np.float32)
    monkeypatch.setattr(fuzz, "random_input", lambda rng: [waveform.copy()])
    for kind in fuzz.COUNTED:
        monkeypatch.setattr(WienerFilter, "transform", harm(kind))
        assert fuzz.main(["--n", "3", "--methods", "wiener"]) == 1
        assert f"['{kind}']" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_kill_loses_nothing(capsys):
    kill = scripts.load("tools/kill_enhance.py")
    words = ["--kills", "1", "--files", "3", "--seconds", "0.5", "--model", "wiener"]
    assert kill.main(words) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["runs", "at"]
    assert row.split()[:4] == ["SIGKILL,", "1", "job", "1"]
