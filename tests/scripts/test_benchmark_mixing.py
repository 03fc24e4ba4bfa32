"""The benchmark of mixing, on little data."""

from __future__ import annotations

import pytest
import soundfile
from helpers import scripts

from skvae import STFT, BandSplitMask
from skvae.datasets import make_noise, make_speech

pytestmark = pytest.mark.slow


def test_the_share_of_mixing_is_judged(tmp_path, capsys, monkeypatch):
    script = scripts.load("benchmarks/mixing.py")
    for kind, make in (("speech", make_speech), ("noise", make_noise)):
        folder = tmp_path / kind / "train"
        folder.mkdir(parents=True)
        for k in range(3):
            soundfile.write(folder / f"{k}.flac", make(40000, random_state=k), 16000)
    network = BandSplitMask(hidden_layer_sizes=4, stft=STFT(n_fft=256))
    monkeypatch.setattr(script, "NETWORKS", {"small": network})
    arguments = ["--data", str(tmp_path), "--steps", "3"]
    for most, status, verdict in ((1.0, 0, "PASS"), (0.0, 1, "FAIL")):
        monkeypatch.setattr(script, "MOST", most)
        assert script.main(arguments) == status
        out = capsys.readouterr().out
        assert verdict in out
        assert out.count("small") == 3
