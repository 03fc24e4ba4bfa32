"""Reports of ``skvae enhance``: the last line, and ``--json``."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import soundfile

from skvae.cli import enhancing
from skvae.cli.enhance_report import speed
from skvae.cli.enhancing import Outcome
from skvae.cli.files import Job
from skvae.storage.names import packaged

WIENER = ("--model", "wiener")


@pytest.fixture
def noisy(tmp_path):
    folder = tmp_path / "noisy"
    folder.mkdir()
    sound = np.random.default_rng(0).standard_normal(8000) / 10
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, sound, 16000)
    (folder / "c.wav").write_text("no sound")
    return folder


@pytest.mark.parametrize("jobs", [1, 2])
def test_json_tells_each_file(noisy, skvae, tmp_path, jobs):
    words = ("enhance", noisy, "-o", tmp_path / "out", *WIENER, "--json")
    status, out, err = skvae(*words, "--jobs", jobs)
    report = json.loads(out)
    assert status == 1
    assert (report["model"], report["model_sha256"]) == ("wiener", None)
    assert report["counts"] == {"enhanced": 2, "failed": 1}
    good, _, bad = report["files"]
    assert good["input"] == str(noisy / "a.wav")
    assert good["output"] == str(tmp_path / "out/a.wav")
    assert (good["status"], good["duration"], good["error"]) == ("enhanced", 0.5, None)
    assert good["real_time_factor"] == pytest.approx(good["seconds"] / 0.5, abs=1e-2)
    assert (bad["status"], bad["duration"]) == ("failed", None)
    assert bad["error"] in err
    again = json.loads(skvae(*words)[1])
    assert again["counts"] == {"exists": 2, "failed": 1}


def test_json_names_the_file_of_a_trained_model(noisy, skvae, tmp_path):
    content = packaged()["best"].read_bytes()
    words = ("enhance", noisy / "a.wav", "-o", tmp_path / "a.wav", "--model", "best")
    report = json.loads(skvae(*words, "--json", "--quiet")[1])
    assert report["model_sha256"] == hashlib.sha256(content).hexdigest()


def test_json_and_sound_do_not_share_standard_output(noisy, skvae):
    status, _, err = skvae("enhance", noisy / "a.wav", "-o", "-", *WIENER, "--json")
    assert status == 2 and "--json prints where -o - writes" in err


def test_the_last_line_states_how_many_failed(noisy, skvae, tmp_path):
    err = skvae("enhance", noisy, "-o", tmp_path / "out", *WIENER)[2]
    *_, failure, last = err.splitlines()
    assert failure.startswith("failed: ") and "c.wav" in failure
    assert last.startswith("enhanced 2 files") and last.endswith("; 1 failed")


@pytest.mark.parametrize(
    ("factor", "told"),
    [(0.44, "0.44"), (0.4, "0.4"), (0.04, "0.04"), (3.14, "3.1"), (44.4, "44")],
)
def test_speeds_below_real_time_are_not_zero(factor, told):
    outcome = Outcome(Job("a.wav", None, None), audio_seconds=factor * 100)
    assert speed([outcome], 100.0) == f"{told} times real time"


def test_long_files_report_their_progress_without_a_terminal(
    noisy, skvae, tmp_path, monkeypatch
):
    monkeypatch.setattr(enhancing, "_PAUSE", 0.0)
    words = ("enhance", noisy, "-o", tmp_path / "out", *WIENER)
    err = skvae(*words, "--block-seconds", "0.1")[2]
    for name in ("a.wav", "b.wav"):
        assert err.count(f"{name}: percent enhanced: ") >= 3
    assert "percent" not in skvae(*words, "--overwrite", "--quiet")[2]
